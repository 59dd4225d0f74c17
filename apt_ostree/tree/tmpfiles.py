"""tmpfiles.d(5): lines are written, escaped, read back and merged here; nobody else knows the format."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from apt_ostree.tree import fsops

DIRECTORY = "usr/lib/tmpfiles.d"
OVERRIDES = "etc/tmpfiles.d"
PREFIX = "apt-ostree-"

_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._+:@=,~-")
HEAD = "# Written by apt-ostree from what the packages have in /var; see tmpfiles.d(5).\n"
_SPACE = " \t\r\n"  # not what Unicode calls white space: systemd's fields are of bytes
_LETTERS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "s": " "}
_CODE = re.compile(r"x([0-9a-fA-F]{2})|([0-7]{3})")

CREATES_DIRECTORY = frozenset("dDqQvVC")
CREATES_LINK = frozenset("LCdDqQvV")
CREATES_FILE = frozenset("CfFL")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Line:
    """One line. `path` is absolute and as on disk; `mode` -1 and empty names stand for `-`."""

    path: str
    kind: str
    mode: int = -1
    user: str = ""
    group: str = ""
    argument: str = ""

    def __str__(self) -> str:
        mode = f"{self.mode:04o}" if self.mode >= 0 else "-"
        argument = escape_argument(self.argument) if self.argument else "-"
        return f"{self.kind} {escape(self.path)} {mode} {self.user or '-'} {self.group or '-'} - {argument}"


@dataclass(frozen=True, slots=True)
class Known:
    """A line that is in the tree already: letter of the type, path, and the file it stands in."""

    letter: str
    path: str
    name: str
    text: str


def escape(path: str) -> str:
    """A path as a field, `%%` for a percent sign (it starts a specifier).

    The manual allows C-style escapes here, but systemd 252 reads `\\x20` as `x20`; quotes with `\\"` and `\\\\`
    mean the same to every version. Only a line break has no other way.
    """
    text = path.replace("%", "%%")
    if all(byte in _PLAIN or byte == ord("%") for byte in os.fsencode(text)):
        return text
    quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{quoted}"'


def escape_argument(text: str) -> str:
    """An argument field, which has no quotes but C-style escapes in every version. A lone `-` would mean "none"."""
    return "\\x2d" if text == "-" else "".join(_escaped(byte) for byte in os.fsencode(text))


def _escaped(byte: int) -> str:
    if byte in _PLAIN:
        return chr(byte)
    return "%%" if byte == ord("%") else f"\\x{byte:02x}"


def parse(text: str, name: str) -> list[Known]:
    """Lines of one file that name a type and a path; what cannot be read is left to systemd-tmpfiles."""
    found = []
    for raw in text.split("\n"):
        line = raw.strip(_SPACE)
        kind, rest = _word(line)
        path = _word(rest)[0].replace("%%", "%")
        if not line.startswith("#") and path.startswith("/"):
            found.append(Known(kind[:1], path.rstrip("/") or "/", name, line))
    return found


def _word(text: str) -> tuple[str, str]:
    """The first field, without quotes and escapes, and what follows it."""
    word: list[str] = []
    quote = ""
    at = len(text) - len(text.lstrip(_SPACE))
    while at < len(text):
        letter = text[at]
        if letter == "\\" and at + 1 < len(text):
            meant, length = _escape_at(text, at + 1)
            word.append(meant)
            at += length
        elif letter == quote:
            quote = ""
        elif not quote and letter in "\"'":
            quote = letter
        elif not quote and letter in _SPACE:
            break
        else:
            word.append(letter)
        at += 1
    # neighbouring escapes make one UTF-8 letter together
    return os.fsdecode(os.fsencode("".join(word))), text[at:]


def _escape_at(text: str, at: int) -> tuple[str, int]:
    code = _CODE.match(text, at)
    if code:
        number = int(code[1], 16) if code[1] else int(code[2], 8) & 255
        return os.fsdecode(bytes([number])), len(code[0])
    return _LETTERS.get(text[at], text[at]), 1


def names(root: Path) -> list[tuple[str, Path]]:
    """The files in force: one in /etc stands for its namesake in /usr/lib (tmpfiles.d(5))."""
    found: dict[str, Path] = {}
    for directory in (DIRECTORY, OVERRIDES):
        if fsops.is_dir(root / directory):
            found.update({n: root / directory / n for n in os.listdir(root / directory) if n.endswith(".conf")})
    return sorted(found.items())


def known(root: Path) -> list[Known]:
    """Every line in force in a tree."""
    return [line for name, path in names(root) for line in parse(fsops.read(path), name)]


def write(root: Path, name: str, lines: Iterable[Line]) -> None:
    """Write `usr/lib/tmpfiles.d/<name>.conf`, sorted, together with the lines for other paths it had already."""
    path = root / DIRECTORY / f"{name}.conf"
    ours = {line.path: str(line) for line in lines}
    merged = {line.path: line.text for line in parse(fsops.read(path), name)} | ours
    if ours:
        body = "".join(f"{merged[key]}\n" for key in sorted(merged))
        fsops.write(root, f"{DIRECTORY}/{name}.conf", HEAD + body)
