"""A tar as it comes from a stranger: one entry after the other, and nothing that could do harm.

Read by hand: tarfile(3py) is lenient about damage, slow on streams, and remembers every entry.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from apt_ostree.oci.decompress import Tar
from apt_ostree.oci.layout import BadImageError
from apt_ostree.oci.tarwriter import BLOCK, DIRECTORY, FILE, LINK, SYMLINK
from apt_ostree.trees import MAX_DEPTH, MAX_NAME, MAX_PATH

_XATTR = b"SCHILY.xattr."
_PAX, _GLOBAL, _LONG_NAME, _LONG_LINK, _OLD_FILE, _CONTIGUOUS = b"x", b"g", b"L", b"K", b"\0", b"7"
_DEVICES = {b"3": "a character device", b"4": "a block device", b"6": "a pipe", b"S": "a sparse file"}
_MAX_PAX = 4 * 1024 * 1024  # bytes of all headers in front of an entry
_DIGITS = re.compile(rb"[0-7]*")
_DECIMAL = re.compile(rb"-?[0-9]{1,18}")
_RECORD = re.compile(rb"([0-9]{1,8}) ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """An entry. `path` has no slash at its ends and is empty for the root; `link` is as it was written."""

    path: str
    kind: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    link: str = ""
    xattrs: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(slots=True)
class _Extended:
    """What headers in front of an entry said."""

    name: bytes = b""
    link: bytes = b""
    total: int = 0  # bytes they had
    numbers: dict[bytes, int] = field(default_factory=dict)
    xattrs: dict[bytes, bytes] = field(default_factory=dict)


class Reader:
    """The entries of a tar. The data of one is read before the next is asked for; what is left is skipped."""

    def __init__(self, tar: Tar) -> None:
        self._tar = tar
        self._left, self._padding = 0, 0

    def __iter__(self) -> Iterator[Member]:
        extended = _Extended()
        while (block := self._tar.read(BLOCK)).strip(b"\0"):
            _check(block)
            kind, size = block[156:157], _number(block[124:136])
            if kind in (_PAX, _GLOBAL, _LONG_NAME, _LONG_LINK):
                self._extend(extended, kind, size)
                continue
            member = _member(block, extended)
            extended = _Extended()
            self._left, self._padding = member.size, -member.size % BLOCK
            yield member
            for _ in self.data():
                pass
            self._tar.read(self._padding)
        if self._tar.read(BLOCK).strip(b"\0"):
            raise BadImageError("the layer's tar has one block of zeros where two end it")

    def data(self) -> Iterator[bytes]:
        """The data of the entry that was yielded last."""
        size, self._left = self._left, 0
        return self._tar.chunks(size)

    def _extend(self, extended: _Extended, kind: bytes, size: int) -> None:
        extended.total += size
        if size < 0 or extended.total > _MAX_PAX:
            raise BadImageError(f"a header of the layer's tar has {size} bytes, or there are too many")
        data = self._tar.read(size)
        self._tar.read(-size % BLOCK)
        if kind == _LONG_NAME:
            extended.name = data.rstrip(b"\0")
        elif kind == _LONG_LINK:
            extended.link = data.rstrip(b"\0")
        elif kind == _PAX:
            _records(data, extended)


def _records(data: bytes, extended: _Extended) -> None:
    """`LENGTH KEY=VALUE\\n`, again and again (pax(1))."""
    at = 0
    while at < len(data):
        match = _RECORD.match(data, at)
        end = at + int(match[1]) if match else 0
        if match is None or not match.end() < end <= len(data):
            raise BadImageError("a pax header of the layer's tar is damaged")
        key, equals, value = data[match.end() : end - 1].partition(b"=")
        if data[end - 1 : end] != b"\n" or not equals:
            raise BadImageError("a pax header of the layer's tar is damaged")
        at = end
        _record(key, value, extended)


def _record(key: bytes, value: bytes, extended: _Extended) -> None:
    if key == b"path":
        extended.name = value
    elif key == b"linkpath":
        extended.link = value
    elif key in (b"size", b"uid", b"gid", b"mtime"):
        number = value.partition(b".")[0]
        if not _DECIMAL.fullmatch(number):
            raise BadImageError("a pax header of the layer's tar has a number that is none")
        extended.numbers[key] = int(number)
    elif key.startswith(_XATTR):
        if b"\0" in key or len(key) == len(_XATTR):
            raise BadImageError("an extended attribute in the layer's tar has a name that cannot be")
        extended.xattrs[key[len(_XATTR) :]] = value
    elif key.startswith(b"GNU.sparse."):
        raise BadImageError("the layer's tar has a sparse file")


def _check(block: bytes) -> None:
    total = sum(block) - sum(block[148:156]) + 8 * ord(" ")
    text = block[148:156].strip(b" \0")
    if not text or not _DIGITS.fullmatch(text) or int(text, 8) != total:
        raise BadImageError("a header of the layer's tar is damaged")


def _number(field: bytes) -> int:
    if field[0] & 0x80:
        return int.from_bytes(field[1:], "big") if field[0] == 0x80 else -1
    text = field.strip(b" \0")
    if not _DIGITS.fullmatch(text):
        raise BadImageError("a header of the layer's tar has a number that is none")
    return int(text or b"0", 8)


def _member(block: bytes, extended: _Extended) -> Member:
    name, link, kind = block[:100].partition(b"\0")[0], block[157:257].partition(b"\0")[0], block[156:157]
    if block[257:263] == b"ustar\0" and (prefix := block[345:500].partition(b"\0")[0]):
        name = prefix + b"/" + name
    path = normal(_text(extended.name or name))
    kind = FILE if kind in (_OLD_FILE, _CONTIGUOUS) else kind
    if kind == FILE and (extended.name or name).endswith(b"/"):
        kind = DIRECTORY  # tar(5): before there was a type for it
    if kind not in (FILE, LINK, SYMLINK, DIRECTORY):
        _only_below_dev(path, kind)
    if kind in (LINK, SYMLINK) and not (extended.link or link):
        raise BadImageError(f"'{path}' in the layer's tar is a link to nothing")
    numbers = extended.numbers
    size = numbers.get(b"size", _number(block[124:136]))
    if min(size, numbers.get(b"uid", 0), numbers.get(b"gid", 0)) < 0 or (size and kind != FILE):
        raise BadImageError(f"'{path}' in the layer's tar has a size or an owner that cannot be")
    return Member(
        path=path,
        kind=kind,
        mode=_number(block[100:108]) & 0o7777,
        uid=_id(numbers.get(b"uid", _number(block[108:116])), path),
        gid=_id(numbers.get(b"gid", _number(block[116:124])), path),
        size=size,
        mtime=numbers.get(b"mtime", _number(block[136:148])),
        link=_text(extended.link or link),
        xattrs=tuple(sorted(extended.xattrs.items())),
    )


def _only_below_dev(path: str, kind: bytes) -> None:
    """Devices of a container's /dev are left out with all of it; elsewhere nothing of a tree is one."""
    if not path.startswith("dev/"):
        raise BadImageError(f"'{path}' in the layer's tar is {_DEVICES.get(kind, f'of the unknown type {kind!r}')}")


def _id(value: int, path: str) -> int:
    if not 0 <= value < 1 << 32:
        raise BadImageError(f"'{path}' in the layer's tar has an owner that cannot be")
    return value


def _text(name: bytes) -> str:
    try:
        text = name.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadImageError(f"a name in the layer's tar is not UTF-8: {name!r}") from error
    if "\0" in text or len(name) > MAX_PATH:
        raise BadImageError("a name in the layer's tar is too long, or has a zero in it")
    return text


def normal(name: str) -> str:
    """A path without `.` and slashes at its ends. Raises BadImageError for one that leads out of the tree."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise BadImageError(f"'{name}' in the layer's tar leads out of the tree")
    if len(parts) > MAX_DEPTH or any(len(part.encode()) > MAX_NAME for part in parts):
        raise BadImageError(f"'{name[:100]}...' in the layer's tar is too deep or too long")
    return "/".join(parts)
