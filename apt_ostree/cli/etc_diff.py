"""`apt-ostree etc-diff`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from apt_ostree.cli.common import paths_of, verb
from apt_ostree.cli.options import Json, Settings
from apt_ostree.cli.screen import show


@dataclass(frozen=True, kw_only=True)
class EtcDiffOptions(Json):
    conflicts: Annotated[
        bool, typer.Option("--conflicts", help="Only files that were changed here and whose new default changed too.")
    ] = False
    deployment: Annotated[
        str,
        typer.Argument(
            metavar="DEPLOYMENT",
            help="An index of status, 'booted', 'pending', 'rollback' or an id. Without it: the booted or first one.",
        ),
    ] = ""


def etc_diff(settings: Settings, options: EtcDiffOptions) -> int:
    """Show what was changed in /etc.

    Compares a deployment's /etc with its defaults in /usr/etc: A is added, M modified, D removed; then what differs
    of content, mode, owner, type and link target. Extended attributes are not compared.

    When another deployment boots next, /etc is carried over to it. A conflict is a file that was changed here and
    whose default is another there: the local version is kept, and should perhaps be looked at.

    Needs no root, but then files that only root can read are not compared, which is said.
    """
    from apt_ostree.ops import etc_diff as op
    from apt_ostree.ui import etc_diff as view

    found = op.report(paths_of(settings), options.deployment, only_conflicts=options.conflicts)
    show(settings, options.json, lambda: view.as_json(found), lambda theme: view.text(found, theme=theme))
    return 0


def register(app: typer.Typer) -> None:
    verb(
        app,
        "etc-diff",
        EtcDiffOptions,
        examples="""
        apt-ostree etc-diff
        apt-ostree etc-diff --conflicts
        apt-ostree etc-diff rollback
        """,
    )(etc_diff)
