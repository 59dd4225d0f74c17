"""Reads a table of TOML by a table of keys; every complaint names the line (tomllib does not tell it)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from apt_ostree.errors import UsageError
from apt_ostree.treefile.keys import ARCHITECTURE, Key

_KINDS = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list", dict: "a table"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """One table of a treefile while it is read: its lines begin at `first` (counted from 1)."""

    name: str
    lines: tuple[str, ...]
    keys: tuple[Key, ...]
    first: int = 1

    def wrong(self, key: str, message: str, hint: str = "", value: str = "") -> UsageError:
        """The error for a key, naming the line of `value` when that stands on one of its own."""
        line = self.line_of(key) or (self.first if self.first > 1 else 0)
        line = self.line_with(value, line) if value and line else line
        where = f"{self.name}, line {line}" if line else self.name
        return UsageError(f"{where}: {message}", hint=hint or f"allowed keys: {', '.join(key_names(self.keys))}")

    def line_of(self, key: str) -> int:
        """Line of a key, 0 when it is nowhere."""
        wanted = re.compile(
            rf"""\s*(\[+\s*)?["']?{re.escape(key)}["']?\s*[=.\]]|.*[{{,]\s*["']?{re.escape(key)}["']?\s*="""
        )
        for number, line in enumerate(self.lines[self.first - 1 :], start=self.first):
            if wanted.match(line):
                return number
        return 0

    def line_with(self, value: str, first: int) -> int:
        """The first line from `first` on that has a value in quotes, else `first`."""
        written = json.dumps(value, ensure_ascii=False)  # TOML has the same escapes
        for number, line in enumerate(self.lines[first - 1 :], start=first):
            if written in line or f"'{value}'" in line:
                return number
        return first

    def below(self, key: Key, number: int) -> Reader:
        """The reader of a table's `number`-th part: an own header, or somewhere behind the key."""
        header = re.compile(rf"""\s*\[\[?\s*["']?{re.escape(key.name)}["']?\s*\]""")
        headers = [at for at, line in enumerate(self.lines, start=1) if header.match(line)]
        first = headers[number] if number < len(headers) else self.line_of(key.name) or self.first
        return replace(self, keys=key.keys, first=first)


def key_names(keys: Sequence[Key]) -> list[str]:
    """The names a person may write."""
    return [
        name
        for key in keys
        for name in ((key.name, f"{key.name}-ARCHITECTURE") if key.by_architecture else (key.name,))
    ]


def read(reader: Reader, data: Mapping[str, Any]) -> dict[str, Any]:
    """Values by key, checked; lists have become tuples, tables what `read` makes of them.

    Raises UsageError for a key that is unknown, missing, or holds what it cannot.
    """
    found: dict[str, Any] = {}
    for name, value in data.items():
        key = _find(reader, name)
        found[name] = _value(reader, replace(key, name=name), value)
    return found


def require(reader: Reader, data: Mapping[str, Any]) -> None:
    """Raise UsageError for a key that must be there and is not."""
    for key in reader.keys:
        if key.required and key.name not in data:
            allowed = f"allowed keys: {', '.join(key_names(reader.keys))}"
            where = reader.name if reader.first == 1 else f"{reader.name}, line {reader.first}"
            raise UsageError(f"{where}: the key '{key.name}' is missing", hint=allowed)


def _find(reader: Reader, name: str) -> Key:
    for key in reader.keys:
        if name == key.name:
            return key
        suffix = name.removeprefix(f"{key.name}-")
        if key.by_architecture and suffix != name and ARCHITECTURE.fullmatch(suffix):
            return key
    near = get_close_matches(name, _candidates(reader.keys, name), n=1)
    raise reader.wrong(name, f"unknown key '{name}'", hint=f"did you mean '{near[0]}'?" if near else "")


def _candidates(keys: Sequence[Key], name: str) -> list[str]:
    """What somebody who wrote `name` may have meant: with its architecture where a key can have one."""
    arch = name.rpartition("-")[2].lower()
    with_arch = [f"{key.name}-{arch}" for key in keys if key.by_architecture and ARCHITECTURE.fullmatch(arch)]
    return [*(key.name for key in keys), *with_arch]


def _value(reader: Reader, key: Key, value: Any) -> Any:
    if key.kind == "string":
        return _string(reader, key, value)
    if key.kind == "boolean":
        if not isinstance(value, bool):
            raise reader.wrong(key.name, f"'{key.name}' must be true or false, it is {_kind(value)}")
        return value
    if key.kind == "number":
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 31:
            raise reader.wrong(key.name, f"'{key.name}' must be a number, it is {_kind(value)}")
        return value
    if key.kind == "strings":
        return _strings(reader, key, value)
    return _table(reader, key, value) if key.kind == "table" else _tables(reader, key, value)


def _string(reader: Reader, key: Key, value: Any) -> str:
    if not isinstance(value, str):
        raise reader.wrong(key.name, f"'{key.name}' must be a string, it is {_kind(value)}")
    if key.name == "uri" and key.pattern and not key.pattern.fullmatch(value):
        hint = "like https://mirror.example.org/debian"
        raise reader.wrong(key.name, f"{value!r} is no archive address", hint=hint, value=value)
    if key.choices and value not in key.choices:
        raise reader.wrong(key.name, f"unknown {key.name} '{value}'", hint=f"one of: {', '.join(key.choices)}")
    plain = value.isprintable() or key.name == "content"
    if not plain or (key.pattern and not key.pattern.fullmatch(value)):
        raise reader.wrong(key.name, f"'{key.name}' cannot be {value!r}", hint="see man apt-ostree-treefile")
    _check(reader, key, value)
    return value


def _check(reader: Reader, key: Key, *words: str) -> None:
    """Ask the key's own check; what it says of the item of a table is told with the line of that."""
    try:
        if key.check:
            key.check(*words)
    except UsageError as error:
        at, value = (key.name, words[0]) if len(words) == 1 else (words[0], "")
        raise reader.wrong(at, f"'{key.name}': {error.message}", hint=error.hint, value=value) from error


def _strings(reader: Reader, key: Key, values: Any) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise reader.wrong(key.name, f"'{key.name}' must be a list of strings, it is {_kind(values)}")
    for value in values:
        if not isinstance(value, str):
            raise reader.wrong(key.name, f"'{key.name}' must hold strings only, one is {_kind(value)}")
        if key.pattern and not key.pattern.fullmatch(value):
            raise reader.wrong(
                key.name, f"'{key.name}' cannot hold {value!r}", hint="each entry is one name", value=value
            )
        _check(reader, key, value)
    return tuple(values)


def _table(reader: Reader, key: Key, value: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict):
        raise reader.wrong(key.name, f"'{key.name}' must be a table, it is {_kind(value)}")
    for name, item in value.items():
        if not isinstance(item, str) or not (key.pattern is None or key.pattern.fullmatch(name)):
            raise reader.wrong(name, f"'{key.name}' holds strings by name, not {name!r} = {_kind(item)}")
        _check(reader, key, name, item)
    return tuple(value.items())


def _tables(reader: Reader, key: Key, values: Any) -> tuple[dict[str, Any], ...]:
    if not isinstance(values, list):
        raise reader.wrong(key.name, f"'{key.name}' must be a list, it is {_kind(values)}")
    found = []
    for number, value in enumerate(values):
        if isinstance(value, str) and key.keys[0].name == "uri":
            value = {"uri": value}
        if not isinstance(value, dict):
            raise reader.wrong(key.name, f"'{key.name}' holds tables, one is {_kind(value)}")
        below = reader.below(key, number)
        found.append(read(below, value))
        require(below, value)
    return tuple(found)


def _kind(value: object) -> str:
    return _KINDS.get(type(value), type(value).__name__)
