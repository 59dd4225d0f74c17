"""The last look before a commit: a tree that would not boot or could not be layered on is not committed."""

from __future__ import annotations

import stat
from pathlib import Path

from apt_ostree.errors import AptOstreeError
from apt_ostree.tree import dpkgdb, fsops, layout

_PROGRAMS = {"usr/bin/true": "coreutils", "usr/bin/systemd-tmpfiles": "systemd"}
_TYPES = {stat.S_IFBLK: "block device", stat.S_IFCHR: "character device", stat.S_IFIFO: "fifo", stat.S_IFSOCK: "socket"}


def check(root: Path) -> None:
    """Raise AptOstreeError (code `lint`) with everything that is wrong with a finished tree."""
    layout.check(root)
    wrong = [*_misses(root), *_not_empty(root), *_special(root)]
    if wrong:
        raise AptOstreeError(f"the tree cannot be committed: {wrong[0]}", details=wrong, code="lint")


def check_raw(root: Path) -> None:
    """The same of an ordinary tree, of what no rule puts right. Raises AptOstreeError (code `lint`)."""
    layout.check(root)
    wrong = [*_programs(root), *_special(root), *_special(root, "etc")]
    if wrong:
        raise AptOstreeError(f"the tree cannot become an image: {wrong[0]}", details=wrong, code="lint")


def _programs(root: Path) -> list[str]:
    return [
        f"there is no /{rel}; add the package '{package}' to the tree"
        for rel, package in _PROGRAMS.items()
        if not fsops.exists(root / rel)
    ]


def _misses(root: Path) -> list[str]:
    wrong = _programs(root)
    if not fsops.is_file(root / dpkgdb.DATABASE / "status"):
        wrong.append("there is no package database")
    if not fsops.is_dir(root / "usr/etc"):
        wrong.append("there is no /usr/etc")
    return wrong


def _not_empty(root: Path) -> list[str]:
    return [
        f"/{name} is not an empty directory"
        for name in layout.EMPTY
        if not fsops.is_dir(root / name) or any((root / name).iterdir())
    ]


def _special(root: Path, top: str = "usr") -> list[str]:
    found = []
    for entry in fsops.walk(root, top):
        kind = _TYPES.get(stat.S_IFMT(entry.info.st_mode))
        if kind:
            found.append(f"/{entry.rel} is a {kind}, which no commit can hold")
    return found
