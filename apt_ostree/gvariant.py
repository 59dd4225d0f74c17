"""Read and write serialised GVariants: commit objects and the state files of libostree in /run are made of them.

The format is laid down in the GVariant specification: members are aligned relative to the start of their container,
variable-size members are found by framing offsets at its end. Reading it here costs microseconds where a
call of `ostree show` costs 20 ms, and a status asks for half a dozen commits. The data is hostile: every offset
is checked, and what does not fit raises GVariantError.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

_SIZES = {"y": 1, "b": 1, "n": 2, "q": 2, "i": 4, "u": 4, "h": 4, "x": 8, "t": 8, "d": 8}
_SIGNED = "nix"
_DEPTH = 32
_NESTED = 16  # containers in containers of one type; libostree's have six
_BASIC = "ybnqiuhxtdsog"  # what a dictionary may have as keys
_SIGNATURE = 255  # characters of a type (D-Bus specification); also what bounds our recursion over types


class GVariantError(ValueError):
    """The bytes are not a GVariant of the type that was asked for."""


def decode(data: bytes, type_string: str) -> Any:
    """Bytes of a variant of `type_string` -> lists, tuples, dicts (for a{..}), bytes (for ay), str, int, bool.

    Integers are read little-endian; ostree stores those of a commit big-endian, callers swap what they use.
    Raises GVariantError.
    """
    try:
        if _end_of(type_string, 0) != len(type_string):
            raise GVariantError(f"'{type_string}' is not one type")
        return _value(data, type_string, 0)
    except (IndexError, UnicodeDecodeError) as error:
        raise GVariantError(f"not a GVariant of type '{type_string}': {error}") from error


def _end_of(types: str, start: int, depth: int = 0) -> int:
    """Index behind the single complete type that begins at `start`."""
    if depth > _NESTED:
        raise GVariantError("a type is nested too deeply")
    first = types[start]
    if first in "am":
        return _end_of(types, start + 1, depth + 1)
    if first not in "({":
        if first not in _SIZES and first not in "sogv":
            raise GVariantError(f"unknown type '{first}'")
        return start + 1
    close, at = {"(": ")", "{": "}"}[first], start + 1
    members = 0
    while types[at] != close:
        at = _end_of(types, at, depth + 1)
        members += 1
    if first == "{" and (members != 2 or types[start + 1] not in _BASIC):
        raise GVariantError("a dictionary entry is not a key and a value")
    return at + 1


# the types of a commit are few, and asked for at each of its values


@lru_cache(maxsize=256)
def _members(kind: str) -> tuple[str, ...]:
    """Types inside a tuple or a dictionary entry."""
    found, at = [], 1
    while at < len(kind) - 1:
        end = _end_of(kind, at)
        found.append(kind[at:end])
        at = end
    return tuple(found)


@lru_cache(maxsize=256)
def _alignment(kind: str) -> int:
    first = kind[0]
    if first in "am":
        return _alignment(kind[1:])
    if first in "({":
        return max((_alignment(member) for member in _members(kind)), default=1)
    return 8 if first == "v" else _SIZES.get(first, 1)


@lru_cache(maxsize=256)
def _fixed(kind: str) -> int:
    """Size in bytes of a type of fixed size, 0 for the others."""
    first = kind[0]
    if first not in "({":
        return _SIZES.get(first, 0)
    size, members = 0, _members(kind)
    for member in members:
        inner = _fixed(member)
        if not inner:
            return 0
        size = _align(size, _alignment(member)) + inner
    return _align(size, _alignment(kind)) if members else 1


def _align(offset: int, alignment: int) -> int:
    return (offset + alignment - 1) // alignment * alignment


def _offset_size(size: int) -> int:
    for width in (1, 2, 4):
        if size < 1 << (8 * width):
            return width
    return 8


def _slice(data: bytes, start: int, end: int) -> bytes:
    if not 0 <= start <= end <= len(data):
        raise GVariantError(f"a member lies outside of its container ({start}..{end} of {len(data)})")
    return data[start:end]


def _value(data: bytes, kind: str, depth: int) -> Any:
    if depth > _DEPTH:
        raise GVariantError("nested too deeply")
    first = kind[0]
    if first in _SIZES:
        return _number(data, first)
    if first in "sog":
        if data[-1:] != b"\0":
            raise GVariantError("a string is not terminated")
        if b"\0" in data[:-1]:
            raise GVariantError("a string has a zero in it")
        return data[:-1].decode("utf-8")
    if first == "v":
        return _variant(data, depth)
    if first == "a":
        return _array(data, kind[1:], depth)
    if first == "m":
        raise GVariantError("ostree stores no maybe types")
    return tuple(_tuple(data, _members(kind), depth))


def _number(data: bytes, kind: str) -> int | bool | bytes:
    if len(data) != _SIZES[kind]:
        raise GVariantError(f"a number of type '{kind}' has {len(data)} bytes")
    if kind == "d":
        return data  # nothing of ours is a float: handed on as it is
    number = int.from_bytes(data, "little", signed=kind in _SIGNED)
    return bool(number) if kind == "b" else number


def _variant(data: bytes, depth: int) -> Any:
    split = data.rfind(b"\0")
    if split < 0:
        raise GVariantError("a variant has no type")
    kind = data[split + 1 :].decode("ascii")
    if not 0 < len(kind) <= _SIGNATURE or _end_of(kind, 0) != len(kind):
        raise GVariantError(f"a variant has the type '{kind}'")
    return _value(data[:split], kind, depth + 1)


def _array(data: bytes, kind: str, depth: int) -> Any:
    if kind == "y":
        return bytes(data)
    items = [_value(part, kind, depth + 1) for part in _elements(data, kind)]
    return dict(items) if kind[0] == "{" else items


def _elements(data: bytes, kind: str) -> list[bytes]:
    size = _fixed(kind)
    if not data:
        return []
    if size:
        if len(data) % size:
            raise GVariantError("an array does not hold whole elements")
        return [data[at : at + size] for at in range(0, len(data), size)]
    width = _offset_size(len(data))
    table = int.from_bytes(data[-width:], "little")  # the last end is where the offsets begin
    if table > len(data) - width or (len(data) - table) % width:
        raise GVariantError("an array's offsets do not fit")
    ends = [int.from_bytes(data[at : at + width], "little") for at in range(table, len(data), width)]
    alignment, start, parts = _alignment(kind), 0, []
    for end in ends:
        parts.append(_slice(data, _align(start, alignment), end))
        start = end
    return parts


def _tuple(data: bytes, members: tuple[str, ...], depth: int) -> list[Any]:
    width, at, tail, values = _offset_size(len(data)), 0, len(data), []
    framed = sum(1 for member in members[:-1] if not _fixed(member))
    limit = len(data) - width * framed
    for index, member in enumerate(members):
        start, size = _align(at, _alignment(member)), _fixed(member)
        if size:
            end = start + size
        elif index == len(members) - 1:
            end = limit
        else:
            tail -= width
            end = int.from_bytes(_slice(data, tail, tail + width), "little")
        values.append(_value(_slice(data, start, end), member, depth + 1))
        at = end
    return values


def encode(value: Any, type_string: str) -> bytes:
    """What `decode` reads back as the same value; only a variant is given as (its type, its value).

    Raises GVariantError for a value that does not fit the type.
    """
    try:
        return _written(value, type_string)
    except (TypeError, ValueError, OverflowError, AttributeError, IndexError) as error:
        raise GVariantError(f"not a value of type '{type_string}': {error}") from error


def frame(body: bytes, ends: list[int]) -> bytes:
    """A container's members, followed by their framing offsets in the narrowest width that reaches them all."""
    if not ends:
        return body
    width = next(width for width in (1, 2, 4, 8) if len(body) + width * len(ends) < 1 << (8 * width))
    return body + b"".join(end.to_bytes(width, "little") for end in ends)


def _written(value: Any, kind: str) -> bytes:
    first = kind[0]
    if first in _SIZES:
        return bytes(int(value).to_bytes(_SIZES[first], "little", signed=first in _SIGNED))
    if first in "sog":
        return bytes(value.encode("utf-8")) + b"\0"
    if first == "v":
        inner = str(value[0])
        return _written(value[1], inner) + b"\0" + inner.encode("ascii")
    if kind == "ay":
        return bytes(value)
    if first == "a":
        return _written_array(value.items() if kind[1] == "{" else value, kind[1:])
    return _written_tuple(value, kind)


def _written_array(items: Any, kind: str) -> bytes:
    parts, alignment = [_written(item, kind) for item in items], _alignment(kind)
    if _fixed(kind):
        return b"".join(parts)
    body, ends = bytearray(), []
    for part in parts:
        body += bytes(-len(body) % alignment) + part
        ends.append(len(body))
    return frame(bytes(body), ends)


def _written_tuple(values: Any, kind: str) -> bytes:
    members, body, ends = _members(kind), bytearray(), []
    for index, (value, member) in enumerate(zip(values, members, strict=True)):
        body += bytes(-len(body) % _alignment(member)) + _written(value, member)
        if not _fixed(member) and index < len(members) - 1:
            ends.append(len(body))
    if _fixed(kind):
        body += bytes(-len(body) % _alignment(kind))
    return frame(bytes(body), ends[::-1])
