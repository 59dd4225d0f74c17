"""apt-get(8), apt-cache(8) and apt-config(8): one function per subcommand. `config` is the private apt.conf."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from debian.deb822 import Deb822

from apt_ostree import run

# "Reverse Provides" of apt-cache showpkg: "name version (= provided)", the last part may be empty
_PROVIDES = re.compile(r"(?P<name>\S+) (?P<version>\S+) \((?:= ?(?P<provided>[^)]*))?\)")
_ALLOWED = ("--allow-downgrades", "--allow-remove-essential", "--allow-change-held-packages")
WITHOUT_PINS = ("-o", "Dir::Etc::PreferencesParts=/dev/null")  # where our own pin of the base is


def _env(config: Path) -> dict[str, str]:
    """apt reads APT_CONFIG first; /dev/null elsewhere keeps the host's own configuration out (apt.conf(5))."""
    # apt forgets the keys it writes for a Signed-By with a key in it: let it do so in a directory of ours
    own = {"APT_CONFIG": str(config), "DEBIAN_FRONTEND": "noninteractive", "TMPDIR": str(config.parent / "tmp")}
    return {**run.proxies(), **own}


def update(config: Path, on_line: Callable[[str], None]) -> None:
    """`apt-get update`; any source that cannot be read or verified makes it fail. Raises ToolError."""
    argv = ["apt-get", "-q", "--error-on=any", "update"]
    run.stream(argv, on_line, env=_env(config))


def simulate_install(config: Path, items: Sequence[str], options: Sequence[str] = ()) -> run.Completed:
    """`apt-get -s install`: what apt would do, as text; the exit code tells whether it has a solution.

    Nothing is held back here: the caller looks at what would be removed or changed.
    """
    argv = ["apt-get", "-s", "-q", "-y", "--purge", *_ALLOWED, *options, "install", "--", *items]
    return run.capture(argv, check=False, env=_env(config))


def download(config: Path, items: Sequence[str], directory: Path, on_line: Callable[[str], None]) -> None:
    """`apt-get download` of `name:arch=version` items into `directory`; status lines (APT::Status-Fd) come first."""
    argv = ["apt-get", "-q", "-o", "APT::Status-Fd=1", "download", "--", *items]
    run.stream(argv, on_line, env=_env(config), cwd=directory)


def show(config: Path, items: Sequence[str]) -> Iterator[Deb822]:
    """`apt-cache show`: the records of `name:arch=version` items."""
    done = run.capture(["apt-cache", "show", "--", *items], env=_env(config))
    yield from Deb822.iter_paragraphs(done.stdout.splitlines(keepends=True), use_apt_pkg=False)


def show_candidates(config: Path, names: Sequence[str]) -> Iterator[Deb822]:
    """`apt-cache show --no-all-versions`: the record of each name's candidate; names apt does not know are left out."""
    done = run.capture(["apt-cache", "--no-all-versions", "show", "--", *names], env=_env(config), check=False)
    yield from Deb822.iter_paragraphs(done.stdout.splitlines(keepends=True), use_apt_pkg=False)


def show_versions(config: Path, names: Sequence[str]) -> Iterator[Deb822]:
    """`apt-cache show --all-versions`: every record of each name; names apt does not know are left out."""
    done = run.capture(["apt-cache", "--all-versions", "show", "--", *names], env=_env(config), check=False)
    yield from Deb822.iter_paragraphs(done.stdout.splitlines(keepends=True), use_apt_pkg=False)


def search(config: Path, words: Sequence[str], *, names_only: bool = False) -> tuple[tuple[str, str], ...]:
    """`apt-cache search`: name and summary of packages that fit all words, which are regular expressions.

    Raises ToolError for words that are none.
    """
    only = ["--names-only"] if names_only else []
    lines = run.capture(["apt-cache", *only, "search", "--", *words], env=_env(config)).stdout.splitlines()
    return tuple((name, summary) for name, dash, summary in (line.partition(" - ") for line in lines) if dash)


def madison(config: Path, names: Sequence[str]) -> tuple[tuple[str, str, str], ...]:
    """`apt-cache madison`: name, version and source of every version the sources have."""
    lines = run.capture(["apt-cache", "madison", "--", *names], env=_env(config), check=False).stdout.splitlines()
    rows = ([word.strip() for word in line.split("|")] for line in lines)
    return tuple((row[0], row[1], row[2]) for row in rows if len(row) == 3)


def reverse_provides(config: Path, name: str) -> tuple[tuple[str, str, str], ...]:
    """`apt-cache showpkg`: package, version and provided version (empty: none) of all that provide `name`."""
    done = run.capture(["apt-cache", "showpkg", "--", name], env=_env(config), check=False)
    lines = done.stdout.partition("Reverse Provides:")[2].splitlines()
    matches = filter(None, map(_PROVIDES.fullmatch, lines))
    return tuple((match["name"], match["version"], match["provided"] or "") for match in matches)


def package_names(config: Path) -> frozenset[str]:
    """`apt-cache pkgnames`: every name apt knows, virtual ones too."""
    return frozenset(run.capture(["apt-cache", "pkgnames"], env=_env(config)).stdout.split())


def config_dump(config: Path) -> dict[str, str]:
    """The scalar settings a configuration amounts to (`apt-config dump`); nothing in it is executed."""
    settings: dict[str, str] = {}
    for line in run.capture(["apt-config", "dump"], env=_env(config)).stdout.splitlines():
        key, _, value = line.partition(" ")
        if not key.endswith("::"):
            settings[key] = value.strip().removesuffix(";").strip('"')
    return settings
