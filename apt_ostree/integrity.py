"""Deployed files against the objects of the repo.

A deployment's files are hard links to objects (or, where that cannot be, copies of them): the same inode is the same
file, so a whole tree is looked at without reading one. That the objects are what their names say is `ostree fsck`'s.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from apt_ostree import commits
from apt_ostree.model import Deployment
from apt_ostree.trees import Tree, TreeError, Trees, object_path

# the deployment's own, at the top of its tree: /etc is merged, /var is the stateroot's, and libostree's composefs
_OWN = frozenset({"etc", "var", ".ostree.cfs"})
_META = struct.Struct(">III")  # OSTREE_DIRMETA_GVARIANT_STRING "(uuua(ayay))": uid, gid, mode, big-endian
_CHUNK = 1 << 20  # bytes


@dataclass(slots=True)
class Comparison:
    """A deployment and its commit, side by side. `places` is object -> the first path that has it."""

    repo: Path
    deployment: Deployment
    trees: Trees
    places: dict[str, str] = field(default_factory=dict)
    looked_at: int = 0
    gone: set[str] = field(default_factory=set)  # directories that are no longer there: told once, not looked into

    def problems(self) -> Iterator[str]:
        """What is missing, replaced, changed or added, each with its path. Raises CommitError, NotRootError."""
        root = commits.load(self.repo, self.deployment.checksum).root
        for path, tree in self.trees.walk(root):
            if path.partition("/")[0] not in _OWN:
                yield from self._directory(path, tree)

    def _directory(self, path: str, tree: Tree) -> Iterator[str]:
        if path in self.gone:
            self.gone.update(f"{path}/{name}" for name in tree.dirs)
            return
        place = self.deployment.path / path
        with os.scandir(place) as entries:
            there = {entry.name: entry.stat(follow_symlinks=False) for entry in entries}
        shown = f"/{path}/" if path else "/"
        for name in sorted(there.keys() - tree.files.keys() - tree.dirs.keys()):
            if path or name not in _OWN:
                yield f"{shown}{name} is added"
        for name, (_, meta) in tree.dirs.items():
            if path or name not in _OWN:
                yield from self._meta(f"{shown}{name}", meta, there.get(name))
        for name, checksum in tree.files.items():
            self.looked_at += 1
            self.places.setdefault(checksum, f"{shown}{name}")
            how = self._file(place / name, checksum, there.get(name))
            if how:
                yield f"{shown}{name} is {how}"

    def _meta(self, shown: str, checksum: str, info: os.stat_result | None) -> Iterator[str]:
        if info is None or not stat.S_ISDIR(info.st_mode):
            self.gone.add(shown.lstrip("/"))
            yield f"{shown} is missing" if info is None else f"{shown} is replaced: it is no directory"
            return
        try:
            data = object_path(self.repo, checksum, "dirmeta").read_bytes()
            uid, gid, mode = _META.unpack_from(data)
        except (OSError, struct.error):
            yield f"{shown}: its metadata object {checksum} is missing or damaged"
            return
        if (info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)) != (uid, gid, stat.S_IMODE(mode)):
            is_now = f"{info.st_uid}:{info.st_gid} {stat.S_IMODE(info.st_mode):04o}"
            yield f"{shown} is changed: {is_now}, not {uid}:{gid} {stat.S_IMODE(mode):04o}"

    def _file(self, place: Path, checksum: str, info: os.stat_result | None) -> str:
        """How a file is not what it should be; empty when all is well."""
        if info is None:
            return "missing"
        source = object_path(self.repo, checksum, "file")
        try:
            wanted = source.lstat()
        except OSError:
            return f"there, but its object {checksum} is missing in the repo"
        if os.path.samestat(info, wanted) or _same(place, info, source, wanted):
            return ""
        return "replaced"


def compare(repo: Path, deployment: Deployment, trees: Trees) -> tuple[Comparison, tuple[str, ...]]:
    """Look at one deployment; a commit that cannot be read is a problem as well. Raises NotRootError."""
    comparison = Comparison(repo, deployment, trees)
    found: list[str] = []
    try:
        found.extend(comparison.problems())
    except (commits.CommitError, TreeError) as error:
        found.append(error.message)
    return comparison, tuple(found)


def _same(one: Path, a: os.stat_result, other: Path, b: os.stat_result) -> bool:
    """True for a true copy of an object: ostree copies what it cannot link (EMLINK, empty files)."""
    if (a.st_mode, a.st_uid, a.st_gid, a.st_size) != (b.st_mode, b.st_uid, b.st_gid, b.st_size):
        return False
    if stat.S_ISLNK(a.st_mode):
        return os.readlink(one) == os.readlink(other)  # noqa: PTH115 (a Path would change the target)
    return stat.S_ISREG(a.st_mode) and _xattrs(one) == _xattrs(other) and _content(one, other)


def _xattrs(path: Path) -> dict[str, bytes]:
    return {name: os.getxattr(path, name, follow_symlinks=False) for name in os.listxattr(path, follow_symlinks=False)}


def _content(one: Path, other: Path) -> bool:
    with _open(one) as a, _open(other) as b:
        while (piece := a.read(_CHUNK)) == b.read(_CHUNK):
            if not piece:
                return True
    return False


def _open(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
