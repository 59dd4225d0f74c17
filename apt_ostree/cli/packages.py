"""`apt-ostree search`, `show`, `provides` and `why`: questions about packages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from apt_ostree.cli import dynamic, screen
from apt_ostree.cli.common import context, verb
from apt_ostree.cli.options import Archive, Json, Settings, Stateroot

if TYPE_CHECKING:
    from apt_ostree.transaction import Context

Answer = TypeVar("Answer")


@dataclass(frozen=True, kw_only=True)
class Question(Archive, Json, Stateroot):
    """What every question to the package sources understands."""


@dataclass(frozen=True, kw_only=True)
class SearchOptions(Question):
    words: Annotated[list[str], typer.Argument(metavar="WORD", help="A word or regular expression; all must fit.")]
    names_only: Annotated[bool, typer.Option("--names-only", help="Look at names only, not at summaries.")] = False


def search(settings: Settings, options: SearchOptions) -> int:
    """Search the package sources by name and summary.

    Of packages that are in the deployment that boots next, the version is shown and whether the base has it, an
    override exchanged it or it is layered.

    The lists are those that were fetched last. Needs no root.
    """
    from apt_ostree.ops import search as op
    from apt_ostree.ui import packages as view

    request = op.Request(words=tuple(options.words), names_only=options.names_only)
    found = _ask(settings, options, lambda context: op.search(context, request))
    screen.show(
        settings, options.json, lambda: view.search_json(found), lambda theme: view.search_text(found, theme=theme)
    )
    return 0


@dataclass(frozen=True, kw_only=True)
class ShowOptions(Question):
    packages: Annotated[
        list[str],
        typer.Argument(metavar="PACKAGE", autocompletion=dynamic.available, help="The name of a package."),
    ]


def show(settings: Settings, options: ShowOptions) -> int:
    """Show packages: what they are, how they are installed, and which source has which version.

    Version is the one that install would take; the base's own packages stay as they are, whatever a source has.

    The lists are those that were fetched last. Needs no root.
    """
    from apt_ostree.ops import search as op
    from apt_ostree.ui import packages as view

    found = _ask(settings, options, lambda context: op.show(context, options.packages))
    screen.show(settings, options.json, lambda: view.show_json(found), lambda theme: view.show_text(found, theme=theme))
    return 0


@dataclass(frozen=True, kw_only=True)
class ProvidesOptions(Question):
    query: Annotated[str, typer.Argument(metavar="WHAT", help="A path, or a virtual package like 'awk'.")]


def provides(settings: Settings, options: ProvidesOptions) -> int:
    """Find the package that has a file or provides a capability.

    A word with a slash is a path of the booted (else the first) deployment; its packages are asked as 'dpkg -S' does
    it. Paths that packages name differently are found: /bin is /usr/bin, /usr/etc is /etc. Package sources do not
    list the files of packages that are not installed.

    Any other word is a capability: packages of that name, and those that provide it, installed or in the package
    sources.

    Needs no root.
    """
    from apt_ostree.ops import provides as op
    from apt_ostree.ui import packages as view

    found = _ask(settings, options, lambda context: op.provides(context, options.query))
    screen.show(
        settings, options.json, lambda: view.provides_json(found), lambda theme: view.provides_text(found, theme=theme)
    )
    return 0


@dataclass(frozen=True, kw_only=True)
class WhyOptions(Json, Stateroot):
    package: Annotated[str, typer.Argument(metavar="PACKAGE", help="The name of an installed package.")]


def why(settings: Settings, options: WhyOptions) -> int:
    """Tell why a package is in the deployment that boots next.

    It is in the base, was requested, or is at the end of a chain of dependencies and recommendations that begins at a
    request: then the shortest chain is shown.

    Needs no root.
    """
    from apt_ostree.ops import why as op
    from apt_ostree.ui import packages as view

    found = _ask(settings, options, lambda context: op.why(context, options.package))
    screen.show(settings, options.json, lambda: view.why_json(found), lambda theme: view.why_text(found, theme=theme))
    return 0


def _ask(settings: Settings, options: Any, work: Callable[[Context], Answer]) -> Answer:
    with screen.reporting(settings, json=options.json) as reporter:
        return work(context(settings, options, reporter))


def register(app: typer.Typer) -> None:
    verb(
        app,
        "search",
        SearchOptions,
        examples="""
        apt-ostree search process viewer
        apt-ostree search --names-only '^htop'
        """,
    )(search)
    verb(
        app,
        "show",
        ShowOptions,
        examples="""
        apt-ostree show htop
        apt-ostree show --json htop | jq -r '.packages[0].candidate'
        """,
    )(show)
    verb(
        app,
        "provides",
        ProvidesOptions,
        examples="""
        apt-ostree provides /usr/bin/env
        apt-ostree provides mail-transport-agent
        """,
    )(provides)
    verb(
        app,
        "why",
        WhyOptions,
        examples="""
        apt-ostree why libnl-3-200
        """,
    )(why)
