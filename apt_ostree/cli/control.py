"""`apt-ostree cancel` and `apt-ostree finalize-deployment`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from apt_ostree.cli.common import change, paths_of, verb
from apt_ostree.cli.options import DryRun, Json, Settings, Unchanged, Wait


@dataclass(frozen=True, kw_only=True)
class CancelOptions(Json, DryRun, Unchanged):
    """Options of cancel."""


def cancel(settings: Settings, options: CancelOptions) -> int:
    """End the transaction that another process runs.

    It ends as with Ctrl-C in its own terminal: what it has built is thrown away and nothing is changed. The command
    waits for that. The switch to a new deployment is never torn apart: once it has begun, cancelling is too late, and
    that is told as an error. When no transaction is running, there is nothing to do.
    """
    from apt_ostree.ops import cancel as op

    return change(settings, options, lambda context: op.run(context, op.Request()))


@dataclass(frozen=True, kw_only=True)
class FinalizeOptions(Json, DryRun, Wait):
    checksum: Annotated[
        str,
        typer.Argument(
            metavar="CHECKSUM",
            help="The commit that must be the staged one: of the deployment or of its base; seven digits are enough.",
        ),
    ] = ""
    allow_missing_checksum: Annotated[
        bool, typer.Option("--allow-missing-checksum", help="Take whatever is staged.")
    ] = False
    allow_unlocked: Annotated[
        bool, typer.Option("--allow-unlocked", help="Also when the staged deployment is not locked.")
    ] = False


def finalize_deployment(settings: Settings, options: FinalizeOptions) -> int:
    """Unlock the staged deployment and reboot into it.

    A deployment that was made with --lock-finalization is held back: shutdowns and reboots do not switch to it. This
    command says that it may, and reboots. The checksum makes sure that it is the one that was looked at.
    """
    from apt_ostree.ops import finalize as op
    from apt_ostree.ops import reboot

    request = op.Request(
        checksum=options.checksum,
        allow_missing_checksum=options.allow_missing_checksum,
        allow_unlocked=options.allow_unlocked,
    )
    code = change(settings, options, lambda context: op.run(context, request))
    if not options.dry_run:
        reboot.run(paths_of(settings))
    return code


def register(app: typer.Typer) -> None:
    verb(
        app,
        "cancel",
        CancelOptions,
        examples="""
        apt-ostree cancel
        """,
    )(cancel)
    verb(
        app,
        "finalize-deployment",
        FinalizeOptions,
        examples="""
        apt-ostree install --lock-finalization nginx
        apt-ostree finalize-deployment 3f2a9c0
        apt-ostree finalize-deployment --allow-missing-checksum
        """,
    )(finalize_deployment)
