"""The command tree as plain values: the one source of --help, man pages and completions.

Only attributes that click and every Typer version share are read, and what a person reads is rendered by us, so the
generated files are the same whichever version made them.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

PROGRAM = "apt-ostree"
ALIASES = {"remove": "uninstall", "update": "upgrade"}
HELP_NAMES = ("-h", "--help")

# Typer's own completion options: they write into the home directory what packages install for everybody.
COMPLETION = frozenset({"install_completion", "show_completion"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One option or argument. `metavar` is empty for a flag; alternatives in it are separated by `|`."""

    names: tuple[str, ...]
    metavar: str = ""
    help: str = ""
    required: bool = False
    multiple: bool = False
    optional_value: bool = False

    @property
    def choices(self) -> tuple[str, ...]:
        return tuple(self.metavar.split("|")) if "|" in self.metavar else ()

    @property
    def usage(self) -> str:
        """An argument as the usage line has it: PACKAGE..., [REVISION]."""
        word = self.metavar + ("..." if self.multiple else "")
        return word if self.required else f"[{word}]"

    def spelled(self, name: str) -> str:
        """One name with its value: `--color=auto|always|never`, `--wait[=SECONDS]`."""
        if not self.metavar or not name.startswith("--"):
            return name
        return f"{name}[={self.metavar}]" if self.optional_value else f"{name}={self.metavar}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One command, or a group of them. `words` is empty for the program itself."""

    words: tuple[str, ...]
    summary: str
    description: tuple[str, ...] = ()
    arguments: tuple[Entry, ...] = ()
    options: tuple[Entry, ...] = ()
    examples: tuple[str, ...] = ()
    commands: tuple[tuple[str, str], ...] = ()  # name, summary
    aliases: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        return " ".join((PROGRAM, *self.words))

    @property
    def manual(self) -> str:
        return "-".join((PROGRAM, *self.words))

    @property
    def usage(self) -> str:
        tail = [entry.usage for entry in self.arguments] or (["COMMAND"] if self.commands else [])
        needed = [entry.spelled(entry.names[-1]) for entry in self.needed]
        return " ".join((self.command, *needed, "[OPTION...]", *tail))

    @property
    def needed(self) -> tuple[Entry, ...]:
        """Options that must be given."""
        return tuple(entry for entry in self.options if entry.required)


HELP_ENTRY = Entry(names=HELP_NAMES, help="Show this help and exit.")


def pages(command: Any, words: tuple[str, ...] = ()) -> Iterator[Page]:
    """Walk a click command: its own page, then those of its commands by name; hidden ones are left out."""
    yield page(command, words)
    for name, child in _children(command):
        yield from pages(child, (*words, name))


def verbs(command: Any) -> Iterator[Page]:
    """The pages of commands that do something: no groups."""
    return (found for found in pages(command) if not found.commands)


def _children(command: Any) -> list[tuple[str, Any]]:
    commands: dict[str, Any] = getattr(command, "commands", {})
    return sorted((name, child) for name, child in commands.items() if not child.hidden)


def page(command: Any, words: tuple[str, ...]) -> Page:
    """The page of one click command."""
    summary, *description = _paragraphs(command.help or "")
    helps: dict[str, str] = getattr(command.callback, "helps", {})
    entries = [(param, _entry(param, helps.get(param.name, ""))) for param in command.params if not _skipped(param)]
    options = [entry for param, entry in entries if param.param_type_name == "option"]
    return Page(
        words=words,
        summary=summary,
        description=tuple(description),
        arguments=tuple(entry for param, entry in entries if param.param_type_name == "argument"),
        options=(*sorted(options, key=lambda entry: entry.names[-1]), HELP_ENTRY),
        examples=tuple((command.epilog or "").splitlines()),
        commands=tuple((name, _paragraphs(child.help or "")[0]) for name, child in _children(command)),
        aliases=tuple(alias for alias, name in ALIASES.items() if words == (name,)),
    )


def _skipped(param: Any) -> bool:
    return bool(getattr(param, "hidden", False)) or param.name in {"help", *COMPLETION}


def _entry(param: Any, text: str) -> Entry:
    from apt_ostree.cli.argv import OPTIONAL_VALUES

    names = (*param.opts, *param.secondary_opts)
    flag = bool(getattr(param, "is_flag", False) or getattr(param, "count", False))
    return Entry(
        names=tuple(sorted(names, key=lambda name: name.startswith("--"))),
        metavar="" if flag else param.metavar or "",
        help=" ".join(text.split()),
        required=bool(param.required),
        multiple=bool(getattr(param, "multiple", False)) or param.nargs == -1,
        optional_value=any(name in OPTIONAL_VALUES for name in names),
    )


def _paragraphs(text: str) -> list[str]:
    """Paragraphs of a docstring, each on one line; there is always a first one."""
    return [" ".join(block.split()) for block in inspect.cleandoc(text).split("\n\n")]
