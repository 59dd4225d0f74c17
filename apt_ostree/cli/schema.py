"""`apt-ostree schema`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Optional

import typer

from apt_ostree.cli import dynamic
from apt_ostree.cli.common import verb
from apt_ostree.cli.options import Settings

RESULT = "result"


@dataclass(frozen=True, kw_only=True)
class SchemaOptions:
    names: Annotated[
        Optional[list[str]],  # noqa: UP045 (click 8.1 takes no default but None for any number of arguments)
        typer.Argument(
            metavar="SCHEMA",
            autocompletion=dynamic.schemas,
            help="A schema, or the words of a command whose answer is wanted; without it, the schemas are listed.",
        ),
    ] = None


def schema(settings: Settings, options: SchemaOptions) -> int:
    """Print the JSON Schema of an answer.

    Commands that change something answer with 'result'; every failure is an 'error'; the others have schemas of their
    own name, like 'db-diff'.

    What a command writes with --json is held to these schemas by the tests of apt-ostree.
    """
    from apt_ostree.ops import schema as op

    name = "-".join(options.names or ())
    typer.echo(op.text(_meant(name, op.names())) if name else "\n".join(op.names()))
    return 0


def _meant(name: str, known: Collection[str]) -> str:
    """The schema of that name; for a command that has none of its own, the one of results."""
    from apt_ostree.cli import app, pages

    if name in known:
        return name
    found = next((page for page in pages.verbs(app.command()) if name in ("-".join(page.words), *page.aliases)), None)
    answers = found is not None and any("--json" in entry.names for entry in found.options)
    return RESULT if answers else name


def register(app: typer.Typer) -> None:
    verb(
        app,
        "schema",
        SchemaOptions,
        examples="""
        apt-ostree schema
        apt-ostree schema status
        apt-ostree schema db diff
        """,
    )(schema)
