"""cpio archives as the kernel unpacks them into its initramfs: the `newc` format, reproducible, nothing else.

Written here and not by cpio(1): that is on no minimal system, takes names from a directory it walks itself, and puts
inode numbers and times of the host into the archive (the kernel's driver-api/early-userspace/buffer-format.rst).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_MAGIC = b"070701"
_END = "TRAILER!!!"


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


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
