"""What runs at boot: `apt-ostree restage` and `apt-ostree boot-check`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from apt_ostree.cli.common import change, context, paths_of, seconds, verb
from apt_ostree.cli.options import DryRun, Json, Settings, Unchanged, Wait
from apt_ostree.errors import AptOstreeError


@dataclass(frozen=True, kw_only=True)
class RestageOptions(Json, DryRun, Unchanged, Wait):
    """Options of restage."""


def restage(settings: Settings, options: RestageOptions) -> int:
    """Stage again what a power cut took away.

    A staged deployment becomes the next boot when the system shuts down. When it cannot, because the power went, it is
    lost with /run; this stages it once more, with the origin, kernel arguments and lock it had. It does nothing when
    the deployment was finalised or given up, and when finalising it failed: then 'status' tells why.

    The unit apt-ostree-restage.service runs this at boot; 'Restage=false' in /etc/apt-ostree.conf switches it off.
    """
    from apt_ostree.ops import restage as op

    return change(settings, options, lambda context: op.run(context, op.Request()))


@dataclass(frozen=True, kw_only=True)
class BootCheckOptions(Json, DryRun, Wait):
    automatic: Annotated[
        bool,
        typer.Option("--automatic", help="Roll back a new deployment that fails a required check, and reboot into it."),
    ] = False
    timeout: Annotated[
        str, typer.Option("--timeout", metavar="SECONDS", help="End a check that runs longer; 120 if not given.")
    ] = "120"


def boot_check(settings: Settings, options: BootCheckOptions) -> int:
    """Check that the booted deployment works.

    Runs the programs in /etc/apt-ostree/health.d/required.d and wanted.d (and those an image brings in
    /usr/lib/apt-ostree/health.d; a file of the same name in /etc stands for it), in the order of their names, and
    records whether the deployment is good or bad: 'status' shows it. Wanted checks that fail are only reported. The
    exit status is 1 when a required check failed.

    With --automatic a deployment that was never found good or bad before, and fails, is rolled back to the one found
    good last, else to the next that was not found bad. That happens once: where a rollback went is never rolled back.
    The unit apt-ostree-boot-check.service does so at each boot. In /etc/apt-ostree.conf 'AutomaticRollback=false'
    switches it off, and 'RebootAfterRollback=false' leaves the reboot to you.
    """
    from apt_ostree.cli import screen
    from apt_ostree.ops import boot_check as op
    from apt_ostree.ops import reboot
    from apt_ostree.ui import boot_check as view

    request = op.Request(automatic=options.automatic, timeout=seconds("--timeout", options.timeout) or 0.0)
    with screen.reporting(settings, json=options.json) as reporter:
        found = op.execute(context(settings, options, reporter), request)
    screen.show(settings, options.json, lambda: view.as_json(found), lambda theme: view.text(found, theme=theme))
    if found.reboot:
        reboot.run(paths_of(settings))
    failed = any(check.required and check.passed is False for check in found.checks)
    return AptOstreeError.exit_code if failed else 0


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
    verb(
        app,
        "boot-check",
        BootCheckOptions,
        examples="""
        apt-ostree boot-check              # try the checks, change nothing else
        apt-ostree boot-check --automatic  # what happens at each boot
        """,
    )(boot_check)
