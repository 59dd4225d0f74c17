"""Tar headers as GNU tar writes them: the same bytes for the same entry, always.

Names and link targets of more than 100 bytes get entries of their own ('L' and 'K'), extended attributes a pax header
in front (`SCHILY.xattr.NAME`, tar(5)); user and group have no names.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

BLOCK = 512
END = bytes(2 * BLOCK)
FILE, LINK, SYMLINK, DIRECTORY = b"0", b"1", b"2", b"5"
_LONG_NAME, _LONG_LINK, _PAX = b"L", b"K", b"x"
_LONG = b"././@LongLink"
_FIELD = 100  # bytes of a name


class Sink(Protocol):
    """Where the bytes of a tar go."""

    def write(self, data: bytes) -> object: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a header says. `mode` are the permission bits; `xattrs` names without their NUL, and raw values."""

    name: bytes
    kind: bytes = FILE
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    size: int = 0
    mtime: int = 0
    link: bytes = b""
    xattrs: tuple[tuple[bytes, bytes], ...] = ()


def padding(size: int) -> bytes:
    """Zeros that fill the last block of `size` bytes."""
    return bytes(-size % BLOCK)


def header(entry: Entry) -> bytes:
    """All blocks in front of an entry's data."""
    found = [_pax(entry.xattrs)] if entry.xattrs else []
    if len(entry.link) > _FIELD:
        found.append(_long(_LONG_LINK, entry.link))
    if len(entry.name) > _FIELD:
        found.append(_long(_LONG_NAME, entry.name))
    found.append(_block(entry))
    return b"".join(found)


def _long(kind: bytes, name: bytes) -> bytes:
    data = name + b"\0"
    block = _block(Entry(name=_LONG, kind=kind, size=len(data)))
    return block + data + padding(len(data))


def _pax(xattrs: Iterable[tuple[bytes, bytes]]) -> bytes:
    data = b"".join(_record(b"SCHILY.xattr." + name, value) for name, value in xattrs)
    return _block(Entry(name=b"././@PaxHeader", kind=_PAX, size=len(data))) + data + padding(len(data))


def _record(key: bytes, value: bytes) -> bytes:
    """`LENGTH KEY=VALUE\\n`, where the length counts itself."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def _number(value: int, width: int) -> bytes:
    """Octal digits; what they cannot hold in base 256 (GNU)."""
    if 0 <= value < 8 ** (width - 1):
        return b"%0*o\0" % (width - 1, value)
    return b"\x80" + value.to_bytes(width - 1, "big")


def _block(entry: Entry) -> bytes:
    front = b"".join((
        entry.name[:_FIELD].ljust(_FIELD, b"\0"),
        _number(entry.mode & 0o7777, 8), _number(entry.uid, 8), _number(entry.gid, 8),
        _number(entry.size, 12), _number(entry.mtime, 12),
    ))  # fmt: skip
    back = entry.kind + entry.link[:_FIELD].ljust(_FIELD, b"\0") + b"ustar  \0"
    back = back.ljust(BLOCK - len(front) - 8, b"\0")
    total = sum(front) + sum(back) + 8 * ord(" ")
    return b"%s%06o\0 %s" % (front, total, back)
