"""The encapsulated format ("ostree-container v1"): a commit's objects in layers, as ostree-ext writes and reads them.

A layer has the skeleton of a repo of mode bare-split-xattrs and objects in it; every path of a file is a hard link to
its object, so that the layers are a file system too. The first layer has the commit and all that is about directories.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from apt_ostree.errors import AptOstreeError
from apt_ostree.oci.objects import Content, unpack_xattrs
from apt_ostree.oci.source import CommitSource, Directory, image_path
from apt_ostree.oci.tarwriter import DIRECTORY, END, FILE, LINK, SYMLINK, Entry, Sink, header, padding

REPO = "sysroot/ostree/repo"
CONFIG = b"[core]\nrepo_version=1\nmode=bare-split-xattrs\n"
_FOLDERS = ("extensions", "refs", "refs/heads", "refs/mirrors", "refs/remotes", "state", "tmp", "tmp/cache")
_LABEL = b"security.selinux"  # container storage sets its own
SYSROOT = "sysroot"


class Writer:
    """One layer on its way into a tar."""

    def __init__(self, source: CommitSource, sink: Sink) -> None:
        self._source, self._sink = source, sink
        self._folders = {found.path: found for found in source.directories}
        self._written: set[str] = set()  # directories and metadata objects

    def skeleton(self) -> None:
        """The repo around the objects."""
        self._plain_directory("sysroot")
        self._plain_directory("sysroot/ostree")
        self._plain_directory(REPO)
        self._plain_directory(f"{REPO}/objects")
        for number in range(256):
            self._plain_directory(f"{REPO}/objects/{number:02x}")
        for name in _FOLDERS:
            self._plain_directory(f"{REPO}/{name}")
        self._file(f"{REPO}/config", CONFIG)

    def _plain_directory(self, path: str) -> None:
        self._written.add(path)
        self._sink.write(header(Entry(name=f"{path}/".encode(), kind=DIRECTORY, mode=0o755)))

    def _file(self, path: str, data: bytes) -> None:
        self._sink.write(header(Entry(name=path.encode(), size=len(data))) + data + padding(len(data)))

    def first(self) -> None:
        """The root, the skeleton, the commit and everything about directories."""
        commit = self._source.loaded.commit.checksum
        self._directory(self._source.directories[0])
        self.skeleton()
        self._metadata(commit, "commit")
        if detached := self._detached(commit):
            self._file(object_path(commit, "commitmeta"), detached)
        for folder, found in zip(self._source.folders, self._source.directories, strict=True):
            if folder.path.startswith(f"{SYSROOT}/"):
                continue
            self._metadata(folder.meta, "dirmeta")
            if folder.path not in ("", SYSROOT):
                self._directory(found)
            self._metadata(folder.tree, "dirtree")
        if "var/tmp" not in self._folders:
            self._sink.write(header(Entry(name=b"var/tmp/", kind=DIRECTORY, mode=0o1777)))

    def _detached(self, commit: str) -> bytes:
        objects = self._source.objects
        return objects.metadata(commit, "commitmeta") if objects.has(commit, "commitmeta") else b""

    def _metadata(self, checksum: str, kind: str) -> None:
        path = object_path(checksum, kind)
        if path not in self._written:
            self._written.add(path)
            self._file(path, self._source.objects.metadata(checksum, kind))

    def _directory(self, found: Directory) -> None:
        self._written.add(found.path)
        name = f"{found.path}/" if found.path else "./"
        mode = stat.S_IMODE(found.mode)
        self._sink.write(header(Entry(name=os.fsencode(name), kind=DIRECTORY, mode=mode, uid=found.uid, gid=found.gid)))

    def objects(self, checksums: Iterable[str]) -> None:
        """Content objects, each with its paths."""
        for checksum in sorted(checksums):
            content = self._source.content(checksum)
            self._object(checksum, content)
            for path in self._source.groups[checksum]:
                self._parents(path)
                self._link(checksum, content, path)

    def _object(self, checksum: str, content: Content) -> None:
        self._file(object_path(checksum, "file-xattrs-link"), content.xattrs)
        shown = tuple(pair for pair in unpack_xattrs(content.xattrs) if pair[0] != _LABEL)
        self._entry(object_path(checksum, "file"), content, xattrs=shown)
        copy(self._source, checksum, content, self._sink)

    def _entry(self, path: str, content: Content, xattrs: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        self._sink.write(header(entry(path, content, xattrs=xattrs)))

    def _parents(self, path: str) -> None:
        """The directories above a path, once in a layer (format version 2)."""
        parts = path.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            above = "/".join(parts[:depth])
            if above not in self._written:
                self._directory(self._folders[above])

    def _link(self, checksum: str, content: Content, path: str) -> None:
        if not content.is_link and not content.size:
            self._entry(path, content)  # an empty file is a file of its own
            return
        mode = stat.S_IMODE(content.mode)
        target = object_path(checksum, "file").encode()
        self._sink.write(
            header(Entry(name=os.fsencode(path), kind=LINK, mode=mode, uid=content.uid, gid=content.gid, link=target))
        )

    def end(self) -> None:
        self._sink.write(END)


def entry(path: str, content: Content, *, mtime: int = 0, xattrs: tuple[tuple[bytes, bytes], ...] = ()) -> Entry:
    """A file or a symbolic link as a tar has it."""
    return Entry(
        name=os.fsencode(path),
        kind=SYMLINK if content.is_link else FILE,
        mode=stat.S_IMODE(content.mode),
        uid=content.uid,
        gid=content.gid,
        size=content.size,
        mtime=mtime,
        link=content.target,
        xattrs=xattrs,
    )


def copy(source: object, key: str, content: Content, sink: Sink) -> None:
    """The data of a regular file, of just the size its header says. Raises AptOstreeError when it changed."""
    if content.is_link or not content.size:
        return
    total = 0
    for data in source.chunks(key):  # type: ignore[attr-defined]
        total += len(data)
        sink.write(data)
    if total != content.size:
        raise AptOstreeError(f"{key} has {total} bytes, not {content.size}: it changed while it was read")
    sink.write(padding(total))


def object_path(checksum: str, kind: str) -> str:
    """Where an object is in a layer."""
    return f"{REPO}/objects/{checksum[:2]}/{checksum[2:]}.{kind}"


def check(source: CommitSource) -> None:
    """Raises AptOstreeError for a commit that the format has no way to hold."""
    below = [folder.path for folder in source.folders if folder.path.startswith(f"{SYSROOT}/")]
    files = [path for paths in source.groups.values() for path in paths if path.startswith(f"{SYSROOT}/")]
    if below or files:
        raise AptOstreeError(
            f"the commit has /{(below or files)[0]}: in the encapsulated format /sysroot is the repo's",
            hint="--format plain",
            code="sysroot",
        )
    if image_path("usr/etc") in {folder.path for folder in source.folders}:
        raise AptOstreeError("the commit has /etc beside /usr/etc", hint="ostree ls REF /", code="two-etc")
