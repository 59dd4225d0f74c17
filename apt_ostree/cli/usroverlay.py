"""`apt-ostree usroverlay`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from apt_ostree.cli.common import change, verb
from apt_ostree.cli.options import DryRun, Json, Settings, Unchanged
from apt_ostree.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class UsroverlayOptions(Json, DryRun, Unchanged):
    hotfix: Annotated[bool, typer.Option("--hotfix", help="Keep the changes over reboots.")] = False
    transient: Annotated[
        bool, typer.Option("--transient", help="Keep /usr read-only, but for processes that remount it for themselves.")
    ] = False


def usroverlay(settings: Settings, options: UsroverlayOptions) -> int:
    """Make /usr of the running system writable.

    Puts an overlay over /usr: for trying something out or finding an error. What is written there is gone after a
    reboot, and nothing of it gets into later deployments. With --hotfix it is kept until another deployment is
    booted, and a copy of the unchanged deployment stays for rollback.
    """
    from apt_ostree.model import Unlocked
    from apt_ostree.ops import usroverlay as op

    if options.hotfix and options.transient:
        raise UsageError("--hotfix and --transient exclude each other", hint="apt-ostree usroverlay --hotfix")
    kept = Unlocked.HOTFIX if options.hotfix else Unlocked.DEVELOPMENT
    request = op.Request(state=Unlocked.TRANSIENT if options.transient else kept)
    return change(settings, options, lambda context: op.run(context, request))


def register(app: typer.Typer) -> None:
    verb(
        app,
        "usroverlay",
        UsroverlayOptions,
        examples="""
        apt-ostree usroverlay
        apt-ostree usroverlay --hotfix
        """,
    )(usroverlay)
