"""`apt-ostree status`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from apt_ostree.cli.common import paths_of, verb
from apt_ostree.cli.options import Json, Settings
from apt_ostree.cli.screen import show


@dataclass(frozen=True, kw_only=True)
class StatusOptions(Json):
    booted: Annotated[bool, typer.Option("--booted", "-b", help="Only the booted deployment.")] = False


def status(settings: Settings, options: StatusOptions) -> int:
    """Show the deployments: what is booted, what boots next, what is layered.

    The first one boots next; a dot marks the one that is booted. With -v there is more about each, among it requests
    that are inactive because the base has the package.

    Needs no root. The JSON has the keys and types of rpm-ostree's.
    """
    from apt_ostree.ops import status as op
    from apt_ostree.ui import status as view

    report = op.report(paths_of(settings), booted_only=options.booted, disk=options.json or settings.verbose > 0)
    show(
        settings,
        options.json,
        lambda: view.as_json(report),
        lambda theme: view.text(report, verbose=settings.verbose > 0, theme=theme),
    )
    return 0


def register(app: typer.Typer) -> None:
    verb(
        app,
        "status",
        StatusOptions,
        examples="""
        apt-ostree status
        apt-ostree status --json | jq -r '.deployments[0].checksum'
        apt-ostree --sysroot /mnt status -v
        """,
    )(status)
