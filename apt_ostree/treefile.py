"""A treefile: what a base image is made of, as TOML. The one door between its text and types."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apt_ostree.errors import UsageError
from apt_ostree.requests import REF

VARIANTS = ("essential", "apt", "required", "minbase", "buildd", "important", "standard", "-")  # mmdebstrap(1)
_SUITE = re.compile(r"[a-z0-9][a-z0-9.+-]*(/[a-z0-9.+-]+)*")
_COMPONENT = re.compile(r"[a-z0-9][a-z0-9./+-]*")
_ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9-]*")
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+(:[a-z0-9-]+)?([=/][A-Za-z0-9.+~:/-]+)?")
_MIRROR = re.compile(r"[a-z][a-z0-9+-]*:/\S*")
_PATH = re.compile(r"/[^\s,\[\]]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """One archive. Empty `suites` and `components`: those of the treefile."""

    uri: str
    suites: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    signed_by: str = ""  # path of a keyring on the machine that composes

    def line(self, treefile: Treefile) -> list[str]:
        """sources.list(5) lines."""
        option = f" [signed-by={self.signed_by}]" if self.signed_by else ""
        components = " ".join(self.components or treefile.components)
        return [f"deb{option} {self.uri} {suite} {components}" for suite in self.suites or (treefile.suite,)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Treefile:
    """A parsed treefile. No `architecture`: the machine's own. No mirrors: the archive known for the suite."""

    suite: str
    ref: str
    packages: tuple[str, ...] = ()
    mirrors: tuple[Mirror, ...] = ()
    components: tuple[str, ...] = ("main",)
    architecture: str = ""
    variant: str = "apt"
    recommends: bool = False
    version: str = ""


_KEYS = ("suite", "ref", "packages", "mirrors", "components", "architecture", "variant", "recommends", "version")
_MIRROR_KEYS = ("uri", "suites", "components", "signed-by")


@dataclass(frozen=True, slots=True)
class _Reader:
    """A treefile while it is read: finds the line a complaint is about (tomllib does not tell)."""

    name: str
    text: str

    def wrong(self, key: str, message: str, hint: str = "") -> UsageError:
        line = self.line_of(key)
        where = f"{self.name}, line {line}" if line else self.name
        return UsageError(f"{where}: {message}", hint=hint or f"allowed keys: {', '.join(_KEYS)}")

    def line_of(self, key: str) -> int:
        """Line of a key, 0 when it is nowhere."""
        wanted = re.compile(
            rf"""\s*(\[+\s*)?["']?{re.escape(key)}["']?\s*[=.\]]|.*[{{,]\s*["']?{re.escape(key)}["']?\s*="""
        )
        for number, line in enumerate(self.text.splitlines(), start=1):
            if wanted.match(line):
                return number
        return 0

    def string(self, data: Mapping[str, Any], key: str, pattern: re.Pattern[str] | None = None) -> str:
        value = data.get(key, "")
        if not isinstance(value, str):
            raise self.wrong(key, f"'{key}' must be a string, it is {_kind(value)}")
        if key in data and (not value.isprintable() or (pattern and not pattern.fullmatch(value))):
            raise self.wrong(key, f"'{key}' cannot be {value!r}", hint="look at an example: apt_ostree/data/treefiles")
        return value

    def strings(self, data: Mapping[str, Any], key: str, pattern: re.Pattern[str]) -> tuple[str, ...]:
        values = data.get(key, [])
        if not isinstance(values, list):
            raise self.wrong(key, f"'{key}' must be a list of strings, it is {_kind(values)}")
        for value in values:
            if not isinstance(value, str):
                raise self.wrong(key, f"'{key}' must hold strings only, one is {_kind(value)}")
            if not pattern.fullmatch(value):
                raise self.wrong(key, f"'{key}' cannot hold {value!r}", hint="each entry is one name")
        return tuple(values)


def load(path: Path) -> Treefile:
    """Read and parse a treefile. Raises UsageError."""
    try:
        text = path.read_text()
    except OSError as error:
        raise UsageError(
            f"cannot read the treefile '{path}': {error.strerror}", hint="apt-ostree compose tree TREEFILE --repo REPO"
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"the treefile '{path}' is not UTF-8 text") from error
    return parse(text, str(path))


def parse(text: str, name: str = "treefile") -> Treefile:
    """A treefile from its text. Raises UsageError naming key, line and what is allowed."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{name} is not TOML: {error}", hint="strings need quotes; see https://toml.io") from error
    reader = _Reader(name, text)
    _known(reader, data, _KEYS)
    for key in ("suite", "ref"):
        if key not in data:
            raise UsageError(f"{name}: the key '{key}' is missing", hint=f"allowed keys: {', '.join(_KEYS)}")
    recommends = data.get("recommends", False)
    if not isinstance(recommends, bool):
        raise reader.wrong("recommends", f"'recommends' must be true or false, it is {_kind(recommends)}")
    return Treefile(
        suite=reader.string(data, "suite", _SUITE),
        ref=reader.string(data, "ref", REF),
        packages=reader.strings(data, "packages", _PACKAGE),
        mirrors=_mirrors(reader, data),
        components=reader.strings(data, "components", _COMPONENT) or ("main",),
        architecture=reader.string(data, "architecture", _ARCHITECTURE),
        variant=_variant(reader, data),
        recommends=recommends,
        version=reader.string(data, "version"),
    )


def _known(reader: _Reader, data: Mapping[str, Any], allowed: Sequence[str]) -> None:
    for key in data:
        if key not in allowed:
            raise reader.wrong(key, f"unknown key '{key}'", hint=f"allowed keys: {', '.join(allowed)}")


def _variant(reader: _Reader, data: Mapping[str, Any]) -> str:
    variant = reader.string(data, "variant") or "apt"
    if variant not in VARIANTS:
        raise reader.wrong("variant", f"unknown variant '{variant}'", hint=f"one of: {', '.join(VARIANTS)}")
    return variant


def _mirrors(reader: _Reader, data: Mapping[str, Any]) -> tuple[Mirror, ...]:
    values = data.get("mirrors", [])
    if not isinstance(values, list):
        raise reader.wrong("mirrors", f"'mirrors' must be a list, it is {_kind(values)}")
    return tuple(_mirror(reader, value) for value in values)


def _mirror(reader: _Reader, value: Any) -> Mirror:
    if isinstance(value, str):
        value = {"uri": value}
    if not isinstance(value, dict):
        raise reader.wrong("mirrors", f"a mirror is a string or a table, one is {_kind(value)}")
    _known(reader, value, _MIRROR_KEYS)
    uri = reader.string(value, "uri")
    if not _MIRROR.fullmatch(uri):
        raise reader.wrong("mirrors", f"{uri!r} is no archive address", hint="like https://mirror.example.org/debian")
    return Mirror(
        uri=uri,
        suites=reader.strings(value, "suites", _SUITE),
        components=reader.strings(value, "components", _COMPONENT),
        signed_by=reader.string(value, "signed-by", _PATH),
    )


def _kind(value: object) -> str:
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list", dict: "a table"}
    return names.get(type(value), type(value).__name__)
