"""`apt-ostree verify`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from apt_ostree.cli import screen
from apt_ostree.cli.common import context, verb
from apt_ostree.cli.options import Json, Settings
from apt_ostree.errors import VerificationError


@dataclass(frozen=True, kw_only=True)
class VerifyOptions(Json):
    fast: Annotated[
        bool, typer.Option("--fast", help="Read no contents: leave out 'ostree fsck' and stored packages.")
    ] = False


def verify(settings: Settings, options: VerifyOptions) -> int:
    """Verify that what is deployed is what was committed.

    Compares every file of every deployment with its object in the repository: what is replaced, missing, changed or
    added outside of /etc and /var is told. Verifies the OpenPGP signature of each base whose remote asks for one, and
    the ed25519 signature where ostree can; Debian's cannot, and a remote that asks for it does not verify then. At
    last every object is read and compared with its checksum by 'ostree fsck', and so are the local packages that are
    kept.

    Changes nothing, except that ostree remembers commits with broken objects as partial. The exit status is 7 when
    something does not verify.
    """
    from apt_ostree.ops import verify as op
    from apt_ostree.ui import verify as view

    with screen.reporting(settings, json=options.json) as reporter:
        checks = op.run(context(settings, options, reporter), fast=options.fast)
    screen.show(
        settings,
        options.json,
        lambda: view.as_json(checks),
        lambda theme: view.text(checks, verbose=settings.verbose > 0, theme=theme),
    )
    return 0 if view.whole(checks) else VerificationError.exit_code


def register(app: typer.Typer) -> None:
    verb(
        app,
        "verify",
        VerifyOptions,
        examples="""
        apt-ostree verify
        apt-ostree --sysroot /mnt verify --fast
        """,
    )(verify)
