"""`apt-ostree apply-live`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from apt_ostree.cli import dynamic
from apt_ostree.cli.common import change, verb
from apt_ostree.cli.options import DryRun, Json, Settings, Unchanged, Wait
from apt_ostree.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class ApplyLiveOptions(Json, DryRun, Unchanged, Wait):
    target: Annotated[
        str,
        typer.Option(
            "--target",
            metavar="CHECKSUM",
            autocompletion=dynamic.revisions,
            help="Make this commit live, not that of the pending deployment.",
        ),
    ] = ""
    allow_replacement: Annotated[
        bool, typer.Option("--allow-replacement", help="Also change and remove what is there, not only add.")
    ] = False
    reset: Annotated[bool, typer.Option("--reset", help="Go back to the commit that was booted.")] = False


def apply_live(settings: Settings, options: ApplyLiveOptions) -> int:
    """Use the changes of the pending deployment without a reboot.

    Mounts the /usr of the pending deployment, read-only and in one step, over the running one. Without
    --allow-replacement that is refused unless it only adds. Defaults in /etc follow where they were not changed here,
    users and directories of the new packages are made, and the services that still run replaced files are named.
    Another kernel needs a reboot.

    At reboot nothing of this is left: the pending deployment boots, with what was changed in /etc since. A run that was
    interrupted shows in 'status'; doing it again resumes it, and --reset takes it back.
    """
    if options.reset and (options.target or options.allow_replacement):
        raise UsageError(
            "--reset goes with neither --target nor --allow-replacement", hint="apt-ostree apply-live --reset"
        )
    from apt_ostree.ops import apply_live as op

    request = op.Request(target=options.target, allow_replacement=options.allow_replacement, reset=options.reset)
    return change(settings, options, lambda context: op.execute(context, request))


def register(app: typer.Typer) -> None:
    verb(
        app,
        "apply-live",
        ApplyLiveOptions,
        examples="""
        apt-ostree install htop && apt-ostree apply-live
        apt-ostree apply-live --dry-run
        apt-ostree apply-live --reset
        """,
    )(apply_live)
