"""`apt-ostree refresh-md` and `apt-ostree cleanup`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from apt_ostree.cli.common import change, verb
from apt_ostree.cli.options import DryRun, Json, Settings, Sources, Stateroot, Unchanged, Wait
from apt_ostree.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class RefreshOptions(Sources, Json, Stateroot, Wait):
    """Options of refresh-md."""


def refresh_md(settings: Settings, options: RefreshOptions) -> int:
    """Download the lists of available packages.

    Reads the sources in /etc/apt of the deployment that is changed next. Other commands do this by themselves when
    the lists are old or missing.
    """
    from apt_ostree.ops import refresh_md as op

    return change(settings, options, lambda context: op.run(context, op.Request()))


@dataclass(frozen=True, kw_only=True)
class CleanupOptions(Stateroot, Json, DryRun, Unchanged, Wait):
    base: Annotated[
        bool, typer.Option("--base", "-b", help="Remove left-over work directories and objects that nothing needs.")
    ] = False
    pending: Annotated[bool, typer.Option("--pending", "-p", help="Remove deployments that wait for a boot.")] = False
    rollback: Annotated[bool, typer.Option("--rollback", "-r", help="Remove the deployments to roll back to.")] = False
    repomd: Annotated[bool, typer.Option("--repomd", "-m", help="Remove the downloaded lists and packages.")] = False


def cleanup(settings: Settings, options: CleanupOptions) -> int:
    """Remove what is no longer needed and say how much space that gave.

    At least one of the options says what. The booted deployment and pinned ones are never removed.
    """
    if not (options.base or options.pending or options.rollback or options.repomd):
        raise UsageError(
            "cleanup needs to know what to remove: --base, --pending, --rollback or --repomd",
            hint="apt-ostree cleanup --base",
        )
    from apt_ostree.ops import cleanup as op

    request = op.Request(base=options.base, pending=options.pending, rollback=options.rollback, repomd=options.repomd)
    return change(settings, options, lambda context: op.run(context, request))


def register(app: typer.Typer) -> None:
    verb(
        app,
        "refresh-md",
        RefreshOptions,
        examples="""
        apt-ostree refresh-md
        """,
    )(refresh_md)
    verb(
        app,
        "cleanup",
        CleanupOptions,
        examples="""
        apt-ostree cleanup -bm             # caches only
        apt-ostree cleanup --rollback      # give up the way back
        """,
    )(cleanup)
