"""`apt-ostree pin` and `apt-ostree unpin`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from apt_ostree.cli.common import change, verb
from apt_ostree.cli.options import DryRun, Json, Settings, Unchanged, Wait


@dataclass(frozen=True, kw_only=True)
class PinOptions(Json, DryRun, Unchanged, Wait):
    deployments: Annotated[
        list[str],
        typer.Argument(
            metavar="INDEX", help="Which deployments: their number in status -v, or booted, pending, rollback."
        ),
    ]


def pin(settings: Settings, options: PinOptions) -> int:
    """Keep deployments for good.

    A pinned deployment is removed by no later change and by no cleanup, and stays in the boot menu until it is
    unpinned. Deployments made from it are not pinned.
    """
    from apt_ostree.ops import pin as op

    request = op.Request(deployments=tuple(options.deployments))
    return change(settings, options, lambda context: op.run(context, request))


def unpin(settings: Settings, options: PinOptions) -> int:
    """Let pinned deployments go again.

    They are removed as any other, by the next change that has no use for them or by cleanup.
    """
    from apt_ostree.ops import pin as op

    request = op.Request(deployments=tuple(options.deployments), pin=False)
    return change(settings, options, lambda context: op.run(context, request))


def register(app: typer.Typer) -> None:
    verb(
        app,
        "pin",
        PinOptions,
        examples="""
        apt-ostree pin booted              # it works now; keep it
        apt-ostree pin 1 2
        """,
    )(pin)
    verb(
        app,
        "unpin",
        PinOptions,
        examples="""
        apt-ostree unpin 2
        """,
    )(unpin)
