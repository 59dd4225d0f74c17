"""The JSON Schemas that come with the program."""

from __future__ import annotations

from importlib import resources

from apt_ostree.errors import UsageError

SUFFIX = ".json"


def names() -> tuple[str, ...]:
    """Names of all schemas, sorted."""
    folder = resources.files("apt_ostree") / "data" / "schemas"
    return tuple(sorted(f.name.removesuffix(SUFFIX) for f in folder.iterdir() if f.name.endswith(SUFFIX)))


def text(name: str) -> str:
    """One schema as it is in the package. Raises UsageError, naming those there are, for an unknown name."""
    if name not in names():
        raise UsageError(f"there is no schema '{name}'; there are: {', '.join(names())}", hint="apt-ostree schema")
    path = resources.files("apt_ostree") / "data" / "schemas" / (name + SUFFIX)
    return path.read_text(encoding="utf-8").rstrip("\n")
