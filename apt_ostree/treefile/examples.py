"""The treefiles that come along, which can be called by their bare names."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent.parent / "data/treefiles"
_SUFFIX = ".toml"


def names() -> list[str]:
    """What they are called."""
    return sorted(path.stem for path in _FOLDER.glob(f"*{_SUFFIX}"))


def is_one(path: Path) -> bool:
    """True for a treefile that came along: its folder is the program's, and nobody's to write to."""
    return path.parent.resolve() == _FOLDER.resolve()


def find(name: str, folder: Path) -> Path:
    """The treefile `name` means in `folder`: a file there, else one of those that come along."""
    path, bare = folder / name, name.removesuffix(_SUFFIX)
    return _FOLDER / f"{bare}{_SUFFIX}" if bare in names() and not path.exists() else path
