"""`apt-ostree history`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from apt_ostree.cli.common import paths_of, verb
from apt_ostree.cli.options import Json, Settings, Stateroot
from apt_ostree.cli.screen import show
from apt_ostree.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class HistoryOptions(Stateroot, Json):
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", help="Show the last N; 10 if not given, 0 for all.")
    ] = 10


def history(settings: Settings, options: HistoryOptions) -> int:
    """Show what was deployed when, by which command, and which packages that changed.

    Every change that was deployed is recorded beside the repository, for all stateroots; the record is kept when
    deployments and their commits are gone. What other tools deployed is not in it.

    Needs no root.
    """
    from apt_ostree.ops import history as op
    from apt_ostree.ui import history as view

    if options.limit < 0:
        raise UsageError(f"--limit: {options.limit} is below zero", hint="apt-ostree history --limit 0")
    found = op.entries(paths_of(settings), stateroot=options.stateroot, limit=options.limit)
    show(settings, options.json, lambda: view.as_json(found), lambda theme: view.text(found, theme=theme))
    return 0


def register(app: typer.Typer) -> None:
    verb(
        app,
        "history",
        HistoryOptions,
        examples="""
        apt-ostree history
        apt-ostree history -n 1
        apt-ostree history --json | jq -r '.entries[].command'
        """,
    )(history)
