"""What a stream can show: colour, width, characters. Plain escape codes, so that `status` need not load rich."""

from __future__ import annotations

import os
import shutil
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TextIO

PLAIN_WIDTH = 80  # columns of what is not a terminal


class Style(StrEnum):
    """SGR parameters (ECMA-48)."""

    BOLD = "1"
    DIM = "2"
    RED = "31;1"
    GREEN = "32"
    YELLOW = "33"


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """How to write to one stream. `terminal`: lines must fit into `width`, checksums are cut to do so."""

    colour: bool = False
    width: int = PLAIN_WIDTH
    terminal: bool = False
    unicode: bool = True

    def paint(self, text: str, style: Style) -> str:
        """The text in a style, or as it is where there is no colour."""
        return f"\x1b[{style}m{text}\x1b[0m" if self.colour and text else text

    @property
    def bullet(self) -> str:
        """The mark of the booted deployment."""
        return "●" if self.unicode else "*"


PLAIN = Theme()


def for_stream(stream: TextIO, colour: str = "auto") -> Theme:
    """The theme for a stream. `colour`: `auto` (a terminal without NO_COLOR, no-color.org), `always` or `never`."""
    try:
        terminal = stream.isatty()
    except ValueError:  # a closed stream
        terminal = False
    wanted = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    encoding = (getattr(stream, "encoding", None) or "utf-8").lower().replace("-", "")
    return Theme(
        colour={"always": True, "never": False}.get(colour, wanted),
        width=shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns if terminal else PLAIN_WIDTH,
        terminal=terminal,
        unicode=encoding.startswith("utf"),
    )


def clean(text: str) -> str:
    """Text of others (origins, versions, script output) without what could steer a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" if ord(c) < 256 else f"\\u{ord(c):04x}" for c in text)


def wrap(words: Iterable[str], width: int) -> list[str]:
    """Words in lines of at most `width` columns; a longer word stands alone."""
    return textwrap.wrap(
        " ".join(clean(word) for word in words), max(width, 20), break_long_words=False, break_on_hyphens=False
    ) or [""]


def size(count: int) -> str:
    """Bytes as people read them."""
    value = float(count)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"
