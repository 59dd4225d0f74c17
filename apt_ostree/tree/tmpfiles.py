"""tmpfiles.d(5): lines are written, escaped, read back and merged here; nobody else knows the format."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from apt_ostree.tree import fsops

DIRECTORY = "usr/lib/tmpfiles.d"
OVERRIDES = "etc/tmpfiles.d"
PREFIX = "apt-ostree-"

_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._+:@=,~-")
_HEAD = "# Written by apt-ostree from what the packages have in /var; see tmpfiles.d(5).\n"
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|[0-7]{3}|.)")
_LETTERS = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "s": 32}

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
    """A path as a field: C-style escapes for what is not plain, `%%` for a percent sign (it starts a specifier)."""
    return "".join(_escaped(byte) for byte in os.fsencode(path))


def escape_argument(text: str) -> str:
    """An argument field. A lone `-` would mean "none"."""
    return "\\x2d" if text == "-" else escape(text)


def _escaped(byte: int) -> str:
    if byte in _PLAIN:
        return chr(byte)
    return "%%" if byte == ord("%") else f"\\x{byte:02x}"


def unescape(field: str) -> str:
    """The path a field stands for; specifiers other than `%%` are left as they are."""

    def one(match: re.Match[str]) -> str:
        code = match[1]
        if code[0] == "x" and len(code) == 3:
            return os.fsdecode(bytes([int(code[1:], 16)]))
        if code.isdigit():
            return os.fsdecode(bytes([int(code, 8) & 255]))
        return chr(_LETTERS[code]) if code in _LETTERS else code

    text = _ESCAPE.sub(one, field)
    # neighbouring escapes make one UTF-8 letter together
    return os.fsdecode(os.fsencode(text)).replace("%%", "%")


def parse(text: str, name: str) -> list[Known]:
    """Lines of one file that name a type and a path; what cannot be read is left to systemd-tmpfiles."""
    found = []
    for raw in text.splitlines():
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        fields = _fields(line)
        if len(fields) >= 2:
            path = unescape(fields[1])
            found.append(Known(fields[0][:1], path.rstrip("/") or "/", name, line))
    return found


def _fields(line: str) -> list[str]:
    try:
        if '"' not in line and "'" not in line:
            return line.split(None, 2)
        lexer = shlex.shlex(line, posix=True)
        lexer.whitespace_split = True
        lexer.commenters = ""
        lexer.escape = ""
        return list(lexer)
    except ValueError:
        return []


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
        fsops.write(root, f"{DIRECTORY}/{name}.conf", _HEAD + body)
