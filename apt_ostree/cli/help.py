"""`--help` for 80 columns, and the click classes that show it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from apt_ostree.cli.pages import ALIASES, PROGRAM, Entry, Page, page
from apt_ostree.errors import UsageError

WIDTH = 79
INDENT = 2
GUTTER = 26


# Verbs that can begin in an empty repo.
_BEGINNERS = (("compose", "tree"), ("compose", "lockfile"), ("compose", "commit"))


class Verb(TyperCommand):
    """A command whose help is rendered by us."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Raises UsageError where the repo to compose in is missing: who begins has none."""
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            name = getattr(error.param, "name", "") if type(error).__name__ == "MissingParameter" else ""
            if name != "repo" or words_of(ctx) not in _BEGINNERS:
                raise
            hint = f"--repo DIR; {PROGRAM} repo init DIR --mode bare makes one"
            raise UsageError("--repo is missing", hint=hint) from None

    def format_help(self, ctx: Any, formatter: Any) -> None:
        formatter.write(render(page(self, words_of(ctx))))


class Verbs(TyperGroup):
    """A group whose help is rendered by us, and whose commands may have other names."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        formatter.write(render(page(self, words_of(ctx))))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name or alias, None when there is none."""
        return super().get_command(ctx, cmd_name) or super().get_command(ctx, ALIASES.get(cmd_name, ""))


def words_of(ctx: Any) -> tuple[str, ...]:
    """The words that led to a context: ("compose", "tree"), () for the program."""
    words: list[str] = []
    while ctx.parent is not None:
        words.insert(0, ctx.command.name or ctx.info_name)  # not what was typed, which may be an alias
        ctx = ctx.parent
    return tuple(words)


def render(one: Page) -> str:
    """The help text of a page, ending in a newline."""
    usage = textwrap.wrap(f"Usage: {one.usage}", WIDTH, subsequent_indent=" " * 8, break_on_hyphens=False)
    blocks = [usage, _wrapped(one.summary)]
    blocks += [_wrapped(text) for text in one.description]
    described = [(entry.usage.strip("[]"), entry.help) for entry in one.arguments if entry.help]
    options = [(", ".join(_names(entry)), entry.help) for entry in one.options]
    blocks += [_section("Arguments", described), _section("Options", options), _section("Commands", one.commands)]
    if one.examples:
        blocks.append(["Examples:", *(f"  {line}" for line in one.examples)])
    blocks.append(_wrapped(_footer(one)))
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _footer(one: Page) -> str:
    if not one.words:
        return f"'{PROGRAM} COMMAND --help' and apt-ostree-COMMAND(1) describe a command."
    if one.commands:
        return f"'{one.command} COMMAND --help' describes a command."
    return f"Global options may stand here too; '{PROGRAM} --help' lists them. Manual: {one.manual}(1)."


def _names(entry: Entry) -> Iterable[str]:
    return (entry.spelled(name) for name in entry.names)


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def _section(title: str, rows: Sequence[tuple[str, str]]) -> list[str]:
    """Two columns; a name that is too long for the first gets a line of its own."""
    lines = []
    for name, text in rows:
        wrapped = textwrap.wrap(text, WIDTH - GUTTER, break_long_words=False, break_on_hyphens=False) or [""]
        if INDENT + len(name) + 2 > GUTTER:
            lines.append(" " * INDENT + name)
        else:
            lines.append((" " * INDENT + name).ljust(GUTTER) + wrapped.pop(0))
        lines += [" " * GUTTER + line for line in wrapped]
    return [f"{title}:", *(line.rstrip() for line in lines)] if lines else []
