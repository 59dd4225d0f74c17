"""/var is the machine's: what packages put there is made again on each host by tmpfiles.d lines.

Directories become `d`, links `L`, files `C` lines with their content in /usr/share/factory: seeded once, never
overwriting what the host has. A directory that a script made for a service's account (a database cluster) is seeded
as a whole or not at all: its files mean nothing one by one. Caches, logs and sockets are dropped.
"""

from __future__ import annotations

import posixpath
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from apt_ostree.tree import fsops, tmpfiles
from apt_ostree.tree.dpkgdb import STATE, SYSIMAGE, Owners
from apt_ostree.tree.tmpfiles import Line

FACTORY = "usr/share/factory"
SCRIPTS = "apt-ostree-var-scripts"

# File content below these is never kept; the directories are.
_CONTENT_DROPPED = ("cache", "log", "tmp", "backups", "lib/apt/lists", "lib/apt/periodic", "lib/dpkg", "crash")
# Made anew on each machine, or its identity.
_FILES_DROPPED = frozenset(
    {
        ".updated",
        "lib/dbus/machine-id",
        "lib/systemd/catalog/database",
        "lib/systemd/credential.secret",
        "lib/systemd/random-seed",
        "lib/ucf/hashfile.lock",
    }
)
# Whole subtrees that are links into /run or empty on every boot (FHS 3.0, 5.13 and 5.9).
_RUNTIME = {"run": "../run", "lock": "../run/lock"}


@dataclass(slots=True)
class Names:
    """Account names by id, from the tree's own passwd and group."""

    users: Mapping[int, str]
    groups: Mapping[int, str]

    def user(self, uid: int) -> str:
        return self.users.get(uid, str(uid))

    def group(self, gid: int) -> str:
        return self.groups.get(gid, str(gid))


@dataclass(slots=True)
class _Sorter:
    """What is in force already, and what was found."""

    root: Path
    owners: Owners
    names: Names
    shipped: dict[str, set[str]]  # path -> letters of lines that are not ours
    ours: dict[str, set[str]]  # the same for the lines of former runs
    lines: dict[str, list[Line]] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)

    def add(self, line: Line, creators: frozenset[str]) -> None:
        if self.shipped.get(line.path, set()) & creators:
            if line.kind == "L":
                self.dropped.append(line.path)
            return
        self.lines.setdefault(self.owners.of(line.path), []).append(line)


def apply(root: Path, var: Path, owners: Owners, names: Names) -> tuple[dict[str, list[Line]], list[str]]:
    """Classify everything in `var` and put file content into the tree's factory.

    Returns the tmpfiles lines by owning package ("" for what scripts made) and the paths that were dropped.
    """
    sorter = _Sorter(root, owners, names, _letters(root, ours=False), _letters(root, ours=True))
    _walk(sorter, var, "")
    return sorter.lines, sorter.dropped


def write(root: Path, lines: Mapping[str, list[Line]]) -> None:
    """One file a package, merged with the lines it had; a line of another of our files for the same path goes."""
    everywhere = {line.path for group in lines.values() for line in group}
    for name, path in tmpfiles.names(root):
        if name.startswith("apt-ostree-var-"):
            _forget(root, path, everywhere)
    for package, group in lines.items():
        tmpfiles.write(root, f"apt-ostree-var-{package}" if package else SCRIPTS, group)


def _forget(root: Path, path: Path, paths: set[str]) -> None:
    text = fsops.read(path)
    kept = [line for line in tmpfiles.parse(text, path.name) if line.path not in paths]
    if len(kept) < len(tmpfiles.parse(text, path.name)):
        head = "".join(f"{line}\n" for line in text.splitlines() if line.startswith("#"))
        body = "".join(f"{line.text}\n" for line in kept)
        if body:
            fsops.write(root, str(path.relative_to(root)), head + body)
        else:
            path.unlink()


def _letters(root: Path, *, ours: bool) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for line in tmpfiles.known(root):
        if line.name.startswith("apt-ostree-var-") == ours:
            found.setdefault(line.path, set()).add(line.letter)
    return found


def _walk(sorter: _Sorter, var: Path, rel: str) -> None:
    for entry in _children(var, rel):
        if entry.rel in _RUNTIME:
            _runtime(sorter, entry.rel)
        elif entry.is_dir and _is_seed(sorter, var, entry):
            _seed(sorter, var, entry)
        elif entry.is_dir:
            _directory(sorter, entry)
            _walk(sorter, var, entry.rel)
        elif entry.is_link:
            _link(sorter, entry)
        elif entry.is_file and not _dropped(entry.rel):
            _file(sorter, entry)
        elif not entry.is_whiteout:
            sorter.dropped.append(f"/var/{entry.rel}")


def _children(var: Path, rel: str) -> list[fsops.Entry]:
    top = var / rel
    found = []
    for path in sorted(top.iterdir()):
        child = f"{rel}/{path.name}" if rel else path.name
        found.append(fsops.Entry(child, path, path.lstat()))
    return found


def _dropped(rel: str) -> bool:
    return rel in _FILES_DROPPED or any(rel.startswith(f"{top}/") for top in _CONTENT_DROPPED)


def _runtime(sorter: _Sorter, rel: str) -> None:
    line = Line(path=f"/var/{rel}", kind="L", argument=_RUNTIME[rel])
    sorter.add(line, tmpfiles.CREATES_LINK)


def _is_seed(sorter: _Sorter, var: Path, entry: fsops.Entry) -> bool:
    path = f"/var/{entry.rel}"
    if fsops.is_dir(sorter.root / FACTORY / path[1:]) and "C" in sorter.ours.get(path, set()):
        return True  # it was one in the base: what is new joins it
    if entry.info.st_uid == 0 or path in sorter.ours or path in sorter.shipped or _dropped(f"{entry.rel}/"):
        return False
    if any(owned == path or owned.startswith(f"{path}/") for owned in sorter.owners.packages):
        return False
    return any(child.is_file for child in fsops.walk(var, entry.rel))


def _seed(sorter: _Sorter, var: Path, entry: fsops.Entry) -> None:
    """One `C` line for a whole directory; owners and modes are those in the factory (tmpfiles.d(5))."""
    for child in list(fsops.walk(var, entry.rel)):
        if child.is_whiteout:
            fsops.discard(sorter.root, f"{FACTORY}/var/{child.rel}")
        elif not (child.is_dir or child.is_file or child.is_link):
            child.path.unlink()
            sorter.dropped.append(f"/var/{child.rel}")
    _factory_parents(sorter.root, entry)
    fsops.move(entry.path, sorter.root, f"{FACTORY}/var/{entry.rel}")
    path = f"/var/{entry.rel}"
    sorter.lines.setdefault(sorter.owners.of(path), []).append(Line(path=path, kind="C"))


def _directory(sorter: _Sorter, entry: fsops.Entry) -> None:
    if entry.rel.startswith("tmp/"):
        return
    line = Line(
        path=f"/var/{entry.rel}",
        kind="d",
        mode=entry.mode,
        user=sorter.names.user(entry.info.st_uid),
        group=sorter.names.group(entry.info.st_gid),
    )
    sorter.add(line, tmpfiles.CREATES_DIRECTORY)


def _link(sorter: _Sorter, entry: fsops.Entry) -> None:
    place = str(entry.path.readlink())
    if entry.rel.startswith("tmp/") or _is_state(entry.rel, place):
        return
    sorter.add(Line(path=f"/var/{entry.rel}", kind="L", argument=place), tmpfiles.CREATES_LINK)


def _is_state(rel: str, place: str) -> bool:
    """True for the links into /usr/lib/sysimage, which have their own file."""
    absolute = posixpath.normpath(posixpath.join(f"/var/{posixpath.dirname(rel)}", place))
    return rel in STATE.values() and absolute.startswith(f"/{SYSIMAGE}/")


def _file(sorter: _Sorter, entry: fsops.Entry) -> None:
    path = f"/var/{entry.rel}"
    if sorter.shipped.get(path, set()) & tmpfiles.CREATES_FILE:
        sorter.dropped.append(path)
        return
    _factory_parents(sorter.root, entry)
    fsops.move(entry.path, sorter.root, f"{FACTORY}{path}")
    line = Line(
        path=path,
        kind="C",
        mode=stat.S_IMODE(entry.info.st_mode),
        user=sorter.names.user(entry.info.st_uid),
        group=sorter.names.group(entry.info.st_gid),
    )
    sorter.add(line, tmpfiles.CREATES_FILE)


def _factory_parents(root: Path, entry: fsops.Entry) -> None:
    """Directories in the factory are as closed as those in /var: a readable file in a private one stays private."""
    names = entry.rel.split("/")[:-1]
    source, rel = entry.path.parents[len(names)], f"{FACTORY}/var"
    for name in names:  # from the top: a link on the way is refused before anything behind it is touched
        source, rel = source / name, f"{rel}/{name}"
        fsops.copy_metadata(source, fsops.make_dir(root, rel))
