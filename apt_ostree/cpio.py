"""cpio archives as the kernel unpacks them into its initramfs: the `newc` format, reproducible, nothing else.

Written here and not by cpio(1): that is on no minimal system, takes names from a directory it walks itself, and puts
inode numbers and times of the host into the archive (the kernel's driver-api/early-userspace/buffer-format.rst).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from apt_ostree.errors import AptOstreeError

_MAGIC = b"070701"
_MAGICS = (_MAGIC, b"070702")  # with a checksum
_END = "TRAILER!!!"
_HEADER = 110
_LONGEST = 4096  # of a name, its zero included (PATH_MAX); the kernel takes no longer ones
_SIZE, _NAMESIZE = 6, 11  # which of the header's fields
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One file of an archive. `mode` has the type in it (inode(7)); `data` is a link's target, a file's content."""

    name: str  # without a leading slash
    mode: int
    uid: int = 0
    gid: int = 0
    data: bytes = b""


def archive(members: Iterable[Member]) -> bytes:
    """The archive of these members in their order; directories must come before what is in them. No times in it."""
    parts = [_member(number, member) for number, member in enumerate(members, 1)]
    return b"".join((*parts, _member(0, Member(name=_END, mode=0))))


def _member(number: int, member: Member) -> bytes:
    name = member.name.encode(errors="surrogateescape") + b"\0"
    # ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
    fields = (number, member.mode, member.uid, member.gid, 1, 0, len(member.data), 0, 0, 0, 0, len(name), 0)
    header = _MAGIC + b"".join(b"%08X" % field for field in fields)
    return _padded(header + name) + _padded(member.data)


class Stream(Protocol):
    """What can be read: `size` bytes, fewer at its end only."""

    def read(self, size: int, /) -> bytes: ...


def following(stream: Stream) -> bytes:
    """The first bytes of what follows in an initramfs, empty at its end; there may be zeros between archives."""
    while first := stream.read(1):
        if first != b"\0":
            return first + stream.read(len(_MAGIC) - 1)
    return b""


def begins(magic: bytes) -> bool:
    """True when an archive begins with these bytes."""
    return magic in _MAGICS


def names(stream: Stream, magic: bytes) -> Iterator[str]:
    """Names of the members of an archive of which `magic` has been read; then the stream is behind it.

    Raises AptOstreeError (`initramfs`) for what is none.
    """
    while True:
        size, length = _sizes(magic + _exactly(stream, _HEADER - len(magic)))
        name = _exactly(stream, length + -(_HEADER + length) % 4)[:length].split(b"\0")[0]
        if name == _END.encode():
            return
        yield name.decode(errors="surrogateescape")
        left = size + -size % 4
        while left:
            left -= len(_exactly(stream, min(left, _BLOCK)))
        magic = b""


def _sizes(header: bytes) -> tuple[int, int]:
    """Bytes of a member's data, and of its name."""
    try:
        fields = [int(header[at : at + 8], 16) for at in range(len(_MAGIC), _HEADER, 8)]
    except ValueError as error:
        raise _damaged() from error
    if not begins(header[: len(_MAGIC)]) or not 0 < fields[_NAMESIZE] <= _LONGEST:
        raise _damaged()
    return fields[_SIZE], fields[_NAMESIZE]


def _exactly(stream: Stream, size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise _damaged()
    return data


def _damaged() -> AptOstreeError:
    return AptOstreeError("the initramfs is damaged: there is no cpio archive where one must be", code="initramfs")


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
