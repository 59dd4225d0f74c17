"""What kind of word stands behind an option or argument, told by its metavar: one table for all shells."""

from __future__ import annotations

from enum import StrEnum

from apt_ostree.cli.pages import Entry, Page


class Kind(StrEnum):
    """Where a shell finds the words for a value."""

    NOTHING = "nothing"  # free text: a number, a new name
    CHOICES = "choices"
    DIRECTORY = "directory"
    FILE = "file"
    PACKAGE = "package"
    ASK = "ask"  # only the program knows


KINDS = {
    "DIR": Kind.DIRECTORY,
    "TREEFILE": Kind.FILE,
    "FILE": Kind.FILE,
    "PACKAGE": Kind.PACKAGE,
    "REQUESTED": Kind.ASK,
    "OVERRIDDEN": Kind.ASK,
    "REVISION": Kind.ASK,
    "FROM": Kind.ASK,
    "TO": Kind.ASK,
    "SCHEMA": Kind.ASK,
}


def kind(entry: Entry) -> Kind:
    """The kind of an entry's value."""
    return Kind.CHOICES if entry.choices else KINDS.get(entry.metavar, Kind.NOTHING)


def valued(entries: tuple[Entry, ...]) -> list[Entry]:
    """Options whose value may be the next word; an optional value is always in the same word."""
    return [entry for entry in entries if entry.metavar and not entry.optional_value]


def spellings(page: Page) -> list[str]:
    """The words that lead to a page, with its aliases."""
    above = page.words[:-1]
    return [" ".join(page.words), *(" ".join((*above, alias)) for alias in page.aliases)]


def single_quoted(text: str) -> str:
    """A word for bash or zsh."""
    return "'" + text.replace("'", "'\\''") + "'"
