"""What runs at boot: `apt-ostree restage` and `apt-ostree boot-check`."""

from __future__ import annotations

from dataclasses import dataclass

import typer

from apt_ostree.cli.common import change, verb
from apt_ostree.cli.options import DryRun, Json, Settings, Unchanged, Wait


@dataclass(frozen=True, kw_only=True)
class RestageOptions(Json, DryRun, Unchanged, Wait):
    """Options of restage."""


def restage(settings: Settings, options: RestageOptions) -> int:
    """Stage again what a power cut took away.

    A staged deployment becomes the next boot when the system shuts down. When it cannot, because the power went, it is
    lost with /run; this stages it once more, with the origin, kernel arguments and lock it had. It does nothing when
    the deployment was finalised or given up, and when finalising it failed: then 'status' tells why.

    The unit apt-ostree-restage.service runs this at boot; 'Restage=no' in /etc/apt-ostree.conf switches it off.
    """
    from apt_ostree.ops import restage as op

    return change(settings, options, lambda context: op.run(context, op.Request()))


def register(app: typer.Typer) -> None:
    verb(
        app,
        "restage",
        RestageOptions,
        examples="""
        apt-ostree restage
        apt-ostree restage --dry-run
        """,
    )(restage)
