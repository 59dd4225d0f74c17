"""What is exported, seen one way: directories, and files by what they are, whether from a commit or from a directory.

A path has no leading slash and is the one in the image: /etc is `etc`, though a commit keeps it as usr/etc.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from apt_ostree import commits
from apt_ostree.errors import AptOstreeError
from apt_ostree.oci.objects import CHUNK, Content, Objects, read_xattrs, regular, whole
from apt_ostree.trees import MAX_DEPTH, Trees

API = ("dev", "proc", "run", "sys", "tmp")  # what is below these is the running machine's
DIRMETA = 12  # bytes before the attributes: uid, gid, mode, big-endian


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """A directory. `mode` as in stat(2); `xattrs` as ostree serialises them."""

    path: str
    uid: int = 0
    gid: int = 0
    mode: int = stat.S_IFDIR | 0o755
    xattrs: bytes = b""
    mtime: int = 0


class Source(Protocol):
    """A tree. `groups`: each file by a key of its own -> its paths, sorted; those are hard links of each other."""

    directories: list[Directory]
    groups: dict[str, list[str]]

    def content(self, key: str) -> Content: ...

    def chunks(self, key: str) -> Iterator[bytes]: ...

    def mtime(self, key: str) -> int: ...


def image_path(path: str) -> str:
    """A path of a commit as the image has it."""
    return path[4:] if path == "usr/etc" or path.startswith("usr/etc/") else path


def read(source: Source, key: str) -> bytes:
    """The whole of a small file; nothing of a link, which may lead anywhere. Raises ObjectError for a big one."""
    return b"" if source.content(key).is_link else whole(source.chunks(key), key)


def directory(path: str, data: bytes, mtime: int = 0) -> Directory:
    """A directory from its `dirmeta` object."""
    uid, gid, mode = (int.from_bytes(data[at : at + 4], "big") for at in (0, 4, 8))
    return Directory(path=path, uid=uid, gid=gid, mode=mode, xattrs=data[DIRMETA:], mtime=mtime)


@dataclass(frozen=True, slots=True)
class Folder:
    """A directory of a commit, by its objects. `path` is that of the commit."""

    path: str
    tree: str
    meta: str


@dataclass(slots=True)
class CommitSource:
    """A commit of a repo. `folders` in the order of a walk; objects are keyed by their checksum."""

    loaded: commits.Loaded
    objects: Objects
    folders: list[Folder] = field(default_factory=list)
    directories: list[Directory] = field(default_factory=list)
    groups: dict[str, list[str]] = field(default_factory=dict)

    def content(self, key: str) -> Content:
        return self.objects.content(key)

    def chunks(self, key: str) -> Iterator[bytes]:
        return self.objects.chunks(key)

    def mtime(self, key: str) -> int:
        return 0


def commit(repo: Path, checksum: str) -> CommitSource:
    """Look at a commit. Raises CommitError, TreeError, NotRootError."""
    loaded = commits.load(repo, checksum)
    made = CommitSource(loaded, Objects(repo))
    trees = Trees(repo)
    trees.check(loaded.root)
    _walk(made, trees, Folder("", loaded.root, loaded.root_meta))
    for paths in made.groups.values():
        paths.sort()
    return made


def _walk(made: CommitSource, trees: Trees, top: Folder) -> None:
    made.folders.append(top)
    made.directories.append(directory(image_path(top.path), made.objects.metadata(top.meta, "dirmeta")))
    tree = trees.tree(top.tree)
    prefix = f"{top.path}/" if top.path else ""
    for name, checksum in tree.files.items():
        made.groups.setdefault(checksum, []).append(image_path(prefix + name))
    for name, (below, meta) in tree.dirs.items():
        _walk(made, trees, Folder(prefix + name, below, meta))


@dataclass(slots=True)
class RootfsSource:
    """A directory as the root of a tree; no time is later than `latest`."""

    root: bytes
    latest: int
    directories: list[Directory] = field(default_factory=list)
    groups: dict[str, list[str]] = field(default_factory=dict)

    def _place(self, key: str) -> bytes:
        return self.root + b"/" + os.fsencode(self.groups[key][0])

    def content(self, key: str) -> Content:
        path = self._place(key)
        info = os.lstat(path)
        target = os.readlink(path) if stat.S_ISLNK(info.st_mode) else b""  # noqa: PTH115 (bytes)
        size = 0 if target else info.st_size
        xattrs = read_xattrs(path)
        return Content(uid=info.st_uid, gid=info.st_gid, mode=info.st_mode, size=size, target=target, xattrs=xattrs)

    def chunks(self, key: str) -> Iterator[bytes]:
        with regular(self._place(key)) as file:
            while data := file.read(CHUNK):
                yield data

    def mtime(self, key: str) -> int:
        return max(0, min(int(os.lstat(self._place(key)).st_mtime), self.latest))


def rootfs(root: Path, latest: int) -> RootfsSource:
    """Look at a directory; what is below /dev, /proc, /run, /sys and /tmp is left out. Raises AptOstreeError."""
    if not (root / "usr").is_dir():
        raise AptOstreeError(f"'{root}' has no usr: it is not the root of a tree", hint=f"ls {root}", code="no-rootfs")
    if (root / "usr/etc").is_dir():
        raise AptOstreeError(
            f"'{root}' keeps /etc in usr/etc, as a commit does", hint="commit it and export the commit", code="usr-etc"
        )
    made = RootfsSource(os.fsencode(root.resolve()), latest)
    waiting = [(b"", os.lstat(made.root))]
    while waiting:
        path, info = waiting.pop()
        try:
            waiting += reversed(_look(made, path, info))
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            raise _too_deep(made, path) from error
    for paths in made.groups.values():
        paths.sort()
    return made


def _too_deep(made: RootfsSource, path: bytes) -> AptOstreeError:
    """What this program would not read again from an image."""
    return AptOstreeError(
        f"/{os.fsdecode(path[:100])}... has more than {MAX_DEPTH} directories in directories, or too long a path",
        hint=f"remove them from {os.fsdecode(made.root)}",
        code="refused-path",
    )


def _look(made: RootfsSource, path: bytes, info: os.stat_result) -> list[tuple[bytes, os.stat_result]]:
    """Take a directory and the files in it; returns the directories in it."""
    if path.count(b"/") >= MAX_DEPTH:
        raise _too_deep(made, path)
    place = made.root + b"/" + path if path else made.root
    mtime = max(0, min(int(info.st_mtime), made.latest))
    made.directories.append(
        Directory(
            path=os.fsdecode(path),
            uid=info.st_uid,
            gid=info.st_gid,
            mode=info.st_mode,
            xattrs=read_xattrs(place),
            mtime=mtime,
        )
    )
    folders: list[tuple[bytes, os.stat_result]] = []
    if os.fsdecode(path) in API:
        return folders
    for name in sorted(os.listdir(place)):
        below = path + b"/" + name if path else name
        found = os.lstat(made.root + b"/" + below)
        if stat.S_ISDIR(found.st_mode):
            if found.st_dev == info.st_dev:  # what is mounted there is not the tree's
                folders.append((below, found))
        elif stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode):
            linked = found.st_nlink > 1 and stat.S_ISREG(found.st_mode)
            key = f"{found.st_dev}:{found.st_ino}" if linked else f"/{os.fsdecode(below)}"
            made.groups.setdefault(key, []).append(os.fsdecode(below))
        elif not stat.S_ISSOCK(found.st_mode):
            raise AptOstreeError(
                f"/{os.fsdecode(below)} is a device or a pipe; an image of a tree has none", code="special-file"
            )
    return folders
