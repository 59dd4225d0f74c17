"""`apt-ostree schema`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from apt_ostree.cli import dynamic
from apt_ostree.cli.common import verb
from apt_ostree.cli.options import Settings


@dataclass(frozen=True, kw_only=True)
class SchemaOptions:
    name: Annotated[
        str,
        typer.Argument(
            metavar="SCHEMA", autocompletion=dynamic.schemas, help="Which one; without it, their names are listed."
        ),
    ] = ""


def schema(settings: Settings, options: SchemaOptions) -> int:
    """Print the JSON Schema of an answer.

    What a command writes with --json is held to these schemas by the tests of apt-ostree.
    """
    from apt_ostree.ops import schema as op

    typer.echo(op.text(options.name) if options.name else "\n".join(op.names()))
    return 0


def register(app: typer.Typer) -> None:
    verb(
        app,
        "schema",
        SchemaOptions,
        examples="""
        apt-ostree schema
        apt-ostree schema status
        """,
    )(schema)
