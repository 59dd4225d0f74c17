"""Content objects of a repo: what a file is and its bytes, whatever the mode the repo keeps it in.

bare: a file as it is; bare-user: its owner, mode and attributes in the attribute `user.ostreemeta`; bare-user-only: it
has none; archive: a header and deflated bytes in one file, `.filez` (ostree's repo.md, ostree-repo(5)).
"""

from __future__ import annotations

import contextlib
import os
import stat
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from apt_ostree import commits, gvariant, repos
from apt_ostree.commits import CommitError
from apt_ostree.errors import NotRootError

XATTRS = "a(ayay)"
META = "user.ostreemeta"
CHUNK = 256 * 1024
_SMALL = 64 * 1024 * 1024  # bytes of a file that is read into memory


class ObjectError(CommitError):
    """An object of a commit is not in the repo, or cannot be read."""

    code = "bad-object"


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A file or a symbolic link. `mode` as in stat(2); `xattrs` as ostree serialises them; `target` of a link."""

    uid: int
    gid: int
    mode: int
    size: int = 0
    target: bytes = b""
    xattrs: bytes = b""

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.mode)


def pack_xattrs(pairs: list[tuple[bytes, bytes]]) -> bytes:
    """Names (without NUL) and values -> a(ayay), sorted by name."""
    return gvariant.encode([(name + b"\0", value) for name, value in sorted(pairs)], XATTRS) if pairs else b""


def unpack_xattrs(data: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """a(ayay) -> names without NUL, and values. Raises ObjectError."""
    if not data:
        return ()
    try:
        return tuple((name.rstrip(b"\0"), value) for name, value in gvariant.decode(data, XATTRS))
    except gvariant.GVariantError as error:
        raise ObjectError(f"extended attributes that cannot be read: {error}") from error


def swap32(value: int) -> int:
    return int.from_bytes(value.to_bytes(4, "little"), "big")


class Objects:
    """The objects of one repo, and of the one its `core.parent` names."""

    def __init__(self, repo: Path) -> None:
        self.repo, self.mode = repo, repos.mode(repo)
        self._parents = [Objects(parent) for parent in [repos.parent(repo)] if parent]
        self._suffix = "filez" if self.mode == "archive" else "file"

    def path(self, checksum: str, kind: str) -> Path:
        return self.repo / "objects" / checksum[:2] / f"{checksum[2:]}.{kind}"

    def metadata(self, checksum: str, kind: str) -> bytes:
        """Bytes of a `commit`, `commitmeta`, `dirtree` or `dirmeta`. Raises ObjectError, NotRootError."""
        with self._reading(checksum):
            return commits.metadata_object(self._place(checksum, kind).path(checksum, kind))

    def has(self, checksum: str, kind: str) -> bool:
        """True when there is such a metadata object."""
        return os.path.lexists(self._place(checksum, kind).path(checksum, kind))

    def _place(self, checksum: str, kind: str) -> Objects:
        """The repo that has it; this one when none has."""
        wanted = "" if kind == "content" else kind
        places = (self, *self._parents)
        return next((p for p in places if os.path.lexists(p.path(checksum, wanted or p._suffix))), self)

    @contextlib.contextmanager
    def _reading(self, checksum: str) -> Iterator[None]:
        try:
            yield
        except PermissionError as error:
            raise NotRootError(f"the repo {self.repo} may be read by root only", hint="sudo apt-ostree ...") from error
        except (OSError, ValueError, zlib.error) as error:
            raise ObjectError(
                f"the object {checksum} is not in the repo {self.repo}, or is damaged: {error}",
                hint=f"sudo ostree fsck --repo={self.repo}",
            ) from error

    def content(self, checksum: str) -> Content:
        """What an object is. Raises ObjectError, NotRootError."""
        place = self._place(checksum, "content")
        with self._reading(checksum):
            return place._content(checksum)

    def _content(self, checksum: str) -> Content:
        path = self.path(checksum, self._suffix)
        if self.mode == "archive":
            with regular(path) as file:
                return _archived(file.read(int.from_bytes(file.read(8)[:4], "big")))
        info = path.lstat()
        if self.mode == "bare-user":
            return _kept(path, info.st_size, os.getxattr(path, META, follow_symlinks=False))
        target = os.readlink(os.fsencode(path)) if stat.S_ISLNK(info.st_mode) else b""  # noqa: PTH115 (`//` stays)
        size = 0 if target else info.st_size
        if self.mode == "bare-user-only":
            return Content(uid=0, gid=0, mode=info.st_mode, size=size, target=target)
        return Content(
            uid=info.st_uid, gid=info.st_gid, mode=info.st_mode, size=size, target=target, xattrs=read_xattrs(path)
        )

    def chunks(self, checksum: str) -> Iterator[bytes]:
        """Bytes of a regular file. Raises ObjectError, NotRootError."""
        place = self._place(checksum, "content")
        with place._reading(checksum), regular(place.path(checksum, place._suffix)) as file:
            if place.mode != "archive":
                while data := file.read(CHUNK):
                    yield data
                return
            file.seek(8 + int.from_bytes(file.read(8)[:4], "big"))
            inflate = zlib.decompressobj(-15)
            while data := file.read(CHUNK):
                while data:
                    yield inflate.decompress(data, CHUNK)
                    data = inflate.unconsumed_tail
            yield inflate.flush()


def read_xattrs(path: Path | bytes) -> bytes:
    """All attributes of a file or a link, as ostree serialises them."""
    named = os.fsencode(path)
    found = os.listxattr(named, follow_symlinks=False)
    return pack_xattrs([(os.fsencode(name), os.getxattr(named, name, follow_symlinks=False)) for name in found])


def _kept(path: Path, size: int, meta: bytes) -> Content:
    """An object of a bare-user repo: (uuua(ayay)), big-endian; a link is a file with its target."""
    uid, gid, mode = (int.from_bytes(meta[at : at + 4], "big") for at in (0, 4, 8))
    target = commits.metadata_object(path).rstrip(b"\0") if stat.S_ISLNK(mode) else b""
    return Content(uid=uid, gid=gid, mode=mode, size=0 if target else size, target=target, xattrs=meta[12:])


def _archived(header: bytes) -> Content:
    size, uid, gid, mode, _, target, xattrs = gvariant.decode(header, "(tuuuusa(ayay))")
    return Content(
        uid=swap32(uid),
        gid=swap32(gid),
        mode=swap32(mode),
        size=int.from_bytes(size.to_bytes(8, "little"), "big"),
        target=target.encode("utf-8", "surrogateescape"),
        xattrs=pack_xattrs([(name.rstrip(b"\0"), value) for name, value in xattrs]),
    )


def read_whole(objects: Objects, checksum: str) -> bytes:
    """A small file; nothing of a link. Raises ObjectError for a big one."""
    return b"" if objects.content(checksum).is_link else whole(objects.chunks(checksum), checksum)


def whole(chunks: Iterable[bytes], name: str) -> bytes:
    """Pieces together. Raises ObjectError when they are more than a small file has."""
    parts, total = [], 0
    for data in chunks:
        total += len(data)
        if total > _SMALL:
            raise ObjectError(f"{name} has more than {_SMALL} bytes", code="too-big")
        parts.append(data)
    return b"".join(parts)


def regular(path: Path | bytes) -> IO[bytes]:
    """Open a regular file. Raises ObjectError for a link, which would lead out of a tree, and for all else."""
    try:
        return commits.regular(path)
    except CommitError as error:
        raise ObjectError(str(error)) from error
