"""Objects on their way into a repo: written to a repo beside it, each checksum made here from what was written.

The repo beside it has the mode of the destination and lies on its file system, so that `ostree pull-local` links the
objects instead of copying them, and marks a commit as whole only when all of it is there.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import stat
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Protocol

from apt_ostree import gvariant, trees
from apt_ostree.oci.layout import BadImageError
from apt_ostree.oci.objects import META, Content, Objects, unpack_xattrs

TREE, COMMIT, XATTRS = "(a(say)a(sayay))", "(a{sv}aya(say)sstayay)", "a(ayay)"
MAX_METADATA = 10 * 1024 * 1024  # bytes, OSTREE_MAX_METADATA_SIZE
MAX_XATTRS = 1024 * 1024
_LEVEL = 6  # of archives, as libostree has it


class Store(Protocol):
    """What takes objects. Each raises BadImageError for one that is not what its checksum says."""

    def has(self, checksum: str, kind: str) -> bool: ...

    def load(self, checksum: str, kind: str) -> bytes: ...

    def metadata(self, checksum: str, kind: str, data: bytes) -> None: ...

    def content(self, content: Content, data: Iterable[bytes], expected: str = "") -> str: ...


def content_header(content: Content) -> bytes:
    """What a file's checksum begins with: (uuuusa(ayay)), big-endian, behind its length."""
    body = struct.pack(">IIII", content.uid, content.gid, _mode(content), 0) + content.target + b"\0"
    return _sized(gvariant.frame(body + content.xattrs, [len(body)]))


def _archive_header(content: Content) -> bytes:
    size = 0 if content.is_link else content.size
    body = struct.pack(">QIIII", size, content.uid, content.gid, _mode(content), 0) + content.target + b"\0"
    return _sized(gvariant.frame(body + content.xattrs, [len(body)]))


def _mode(content: Content) -> int:
    return stat.S_IFLNK | 0o777 if content.is_link else stat.S_IFREG | stat.S_IMODE(content.mode)


def _sized(header: bytes) -> bytes:
    return len(header).to_bytes(4, "big") + bytes(4) + header


def dirmeta(uid: int, gid: int, mode: int, xattrs: bytes = b"") -> bytes:
    """(uuua(ayay)), big-endian."""
    return struct.pack(">III", uid, gid, stat.S_IFDIR | mode) + xattrs


def dirtree(files: Mapping[str, str], dirs: Mapping[str, tuple[str, str]]) -> bytes:
    """A directory: name -> checksum, name -> (tree, metadata); sorted by name, as libostree wants it."""
    return gvariant.encode(
        (
            [(name, bytes.fromhex(files[name])) for name in sorted(files, key=str.encode)],
            [(name, *map(bytes.fromhex, dirs[name])) for name in sorted(dirs, key=str.encode)],
        ),
        TREE,
    )


def commit(
    root: str, meta: str, *, metadata: Mapping[str, object], parent: str = "", subject: str = "", timestamp: int = 0
) -> bytes:
    """A commit object; metadata are strings and booleans."""
    typed = {key: ("b", value) if isinstance(value, bool) else ("s", value) for key, value in sorted(metadata.items())}
    swapped = int.from_bytes(timestamp.to_bytes(8, "big"), "little")
    rest = (swapped, bytes.fromhex(root), bytes.fromhex(meta))
    parts: tuple[object, ...] = (typed, bytes.fromhex(parent), [], subject, "", *rest)
    return gvariant.encode(parts, COMMIT)


class Checking:
    """Takes objects and keeps none but directories: for looking at an image."""

    def __init__(self) -> None:
        self._seen: set[tuple[bytes, str]] = set()
        self._kept: dict[str, bytes] = {}  # commits and directories

    def has(self, checksum: str, kind: str) -> bool:
        return (bytes.fromhex(checksum), kind) in self._seen

    def metadata(self, checksum: str, kind: str, data: bytes) -> None:
        _check_metadata(checksum, kind, data)
        self._seen.add((bytes.fromhex(checksum), kind))
        if kind in ("commit", "dirtree"):
            self._kept[checksum] = data

    def content(self, content: Content, data: Iterable[bytes], expected: str = "") -> str:
        found = _hashed(content, data, _Nowhere(), expected)
        self._seen.add((bytes.fromhex(found), "file"))
        return found

    def load(self, checksum: str, kind: str) -> bytes:
        """A commit or a directory that was taken; an empty directory for one that was not."""
        return self._kept.get(checksum, b"\0")


def check_paths(store: Store, commit: str) -> None:
    """Raise BadImageError for a commit whose few directories lie at too many paths."""
    tree = gvariant.decode(store.load(commit, "commit"), COMMIT)[6].hex()
    try:
        trees.count(tree, lambda one: trees.parse(store.load(one, "dirtree"), one))
    except trees.TreeError as error:
        raise BadImageError(str(error)) from error


def missing(store: Store, commit: str) -> tuple[str, ...]:
    """Objects of a commit that the store has not, each as `checksum.kind`. Raises BadImageError."""
    return tuple(f"{checksum}.{kind}" for checksum, kind in _reachable(store, commit) if not store.has(checksum, kind))


def _reachable(store: Store, commit: str) -> Iterator[tuple[str, str]]:
    """Every object of a commit and its kind, as far as its directories are there."""
    try:
        parts = gvariant.decode(store.load(commit, "commit"), COMMIT)
    except gvariant.GVariantError as error:
        raise BadImageError(f"the commit {commit} is damaged: {error}") from error
    yield parts[7].hex(), "dirmeta"
    waiting, seen = [parts[6].hex()], set[str]()
    while waiting:
        checksum = waiting.pop()
        if checksum in seen:
            continue
        seen.add(checksum)
        yield checksum, "dirtree"
        tree = _tree(store, checksum)
        for one in tree.files.values() if tree else ():
            yield one, "file"
        for below, meta in tree.dirs.values() if tree else ():
            yield meta, "dirmeta"
            waiting.append(below)


def _tree(store: Store, checksum: str) -> trees.Tree | None:
    if not store.has(checksum, "dirtree"):
        return None
    try:
        return trees.parse(store.load(checksum, "dirtree"), checksum)
    except trees.TreeError as error:
        raise BadImageError(str(error)) from error


class _Nowhere:
    def write(self, data: bytes) -> None:
        return None


def _check_metadata(checksum: str, kind: str, data: bytes) -> None:
    if kind != "commitmeta" and hashlib.sha256(data).hexdigest() != checksum:
        raise BadImageError(f"the object {checksum}.{kind} is not what its name says")


class _Writable(Protocol):
    def write(self, data: bytes) -> object: ...


def _hashed(content: Content, data: Iterable[bytes], output: _Writable, expected: str) -> str:
    """Pass a file's data on and return the object's checksum. Raises BadImageError when it is not the expected one."""
    found = hashlib.sha256(content_header(content))
    for piece in data:
        found.update(piece)
        output.write(piece)
    if expected and found.hexdigest() != expected:
        raise BadImageError(f"the object {expected}.file is not what its name says")
    return found.hexdigest()


class Directories(Protocol):
    """Where directory objects are read from and written to."""

    def load(self, checksum: str, kind: str) -> bytes: ...

    def add(self, kind: str, data: bytes) -> str: ...


class Stage:
    """A repo for what comes in; `destination` may have objects of it already."""

    def __init__(self, path: Path, mode: str, destination: Objects) -> None:
        self.path, self.mode, self._destination = path, mode, destination
        self._suffix = "filez" if mode == "archive" else "file"
        self._theirs = "filez" if destination.mode == "archive" else "file"
        self._numbers = itertools.count()
        for number in range(256):
            (path / f"objects/{number:02x}").mkdir(exist_ok=True)

    def _place(self, checksum: str, kind: str) -> Path:
        kind = self._suffix if kind == "file" else kind
        return self.path / "objects" / checksum[:2] / f"{checksum[2:]}.{kind}"

    def has(self, checksum: str, kind: str) -> bool:
        """True when the object is here or in the destination."""
        theirs = self._theirs if kind == "file" else kind
        return self.holds(checksum, kind) or os.path.lexists(self._destination.path(checksum, theirs))

    def holds(self, checksum: str, kind: str) -> bool:
        """True when the object is here."""
        return os.path.lexists(self._place(checksum, kind))

    def metadata(self, checksum: str, kind: str, data: bytes) -> None:
        """Take a metadata object, held to its checksum."""
        _check_metadata(checksum, kind, data)
        if kind == "commitmeta" or not self.has(checksum, kind):
            place = self._place(checksum, kind)
            place.unlink(missing_ok=True)
            with _created(place) as file:
                file.write(data)
                os.fchmod(file.fileno(), 0o644)  # whatever the umask: a repo is there to be pulled from

    def add(self, kind: str, data: bytes) -> str:
        """Take a metadata object and name it."""
        checksum = hashlib.sha256(data).hexdigest()
        self.metadata(checksum, kind, data)
        return checksum

    def load(self, checksum: str, kind: str) -> bytes:
        """A metadata object that is here or in the destination. Raises ObjectError."""
        place = self._place(checksum, kind)
        return place.read_bytes() if place.exists() else self._destination.metadata(checksum, kind)

    def content(self, content: Content, data: Iterable[bytes], expected: str = "") -> str:
        """Take a file or a link; returns its checksum, which must be the expected one. Raises BadImageError."""
        if expected and self.has(expected, "file"):
            return _hashed(content, data, _Nowhere(), expected)
        new = self.path / "tmp" / f"new-{next(self._numbers)}"
        try:
            return self._write(new, content, data, expected)
        finally:
            new.unlink(missing_ok=True)

    def _write(self, new: Path, content: Content, data: Iterable[bytes], expected: str) -> str:
        if content.is_link and self.mode == "bare":
            checksum = _hashed(content, (), _Nowhere(), expected)
            _link(new, content)
        else:
            with _created(new, buffering=0) as file:
                checksum = self._fill(file, content, data, expected)
                os.utime(file.fileno(), (0, 0))
        if not self.has(checksum, "file"):
            new.rename(self._place(checksum, "file"))
        return checksum

    def _fill(self, file: IO[bytes], content: Content, data: Iterable[bytes], expected: str) -> str:
        fd = file.fileno()
        if self.mode == "archive":
            file.write(_archive_header(content))
            packed = _Deflated(file)
            checksum = _hashed(content, data, _Nowhere() if content.is_link else packed, expected)
            if not content.is_link:
                packed.finish()
            os.fchmod(fd, 0o644)
            return checksum
        checksum = _hashed(content, data, _All(file), expected)
        if self.mode == "bare":
            os.fchown(fd, content.uid, content.gid)
            for name, value in unpack_xattrs(content.xattrs):
                os.setxattr(fd, name, value)
            os.fchmod(fd, stat.S_IMODE(content.mode))
            return checksum
        _All(file).write(content.target)
        os.setxattr(fd, META, struct.pack(">III", content.uid, content.gid, _mode(content)) + content.xattrs)
        os.fchmod(fd, 0o644 if content.is_link else content.mode & 0o775 | 0o400)
        return checksum

    def ref(self, name: str, checksum: str) -> None:
        """Let a ref lead to a commit."""
        place = self.path / "refs/heads" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"{checksum}\n")


def _created(path: Path, buffering: int = -1) -> IO[bytes]:
    """A new file, its owner's alone until its mode is set."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb", buffering)


class _All:
    """Writes all of it: an unbuffered file may take less."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]


class _Deflated:
    def __init__(self, file: IO[bytes]) -> None:
        self._out = _All(file)
        self._deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, -15)

    def write(self, data: bytes) -> None:
        self._out.write(self._deflate.compress(data))

    def finish(self) -> None:
        self._out.write(self._deflate.flush())


def _link(new: Path, content: Content) -> None:
    os.symlink(content.target, os.fsencode(new))  # noqa: PTH211 (bytes: a target may have `//` in it)
    os.lchown(new, content.uid, content.gid)
    for name, value in unpack_xattrs(content.xattrs):
        os.setxattr(new, name, value, follow_symlinks=False)
    os.utime(new, (0, 0), follow_symlinks=False)
