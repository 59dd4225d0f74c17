"""`apt-ostree doctor`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import typer

from apt_ostree.cli.common import context, paths_of, verb
from apt_ostree.cli.hints import for_sysroot
from apt_ostree.cli.options import Json, Settings
from apt_ostree.errors import AptOstreeError


@dataclass(frozen=True, kw_only=True)
class DoctorOptions(Json):
    restore_boot: Annotated[
        bool,
        typer.Option("--restore-boot", help="Put the former boot entries back when the present ones would not boot."),
    ] = False
    keep_failure: Annotated[
        bool,
        typer.Option("--keep-failure", help="Keep why the last staged deployment was not finalised, for 'status'."),
    ] = False


def doctor(settings: Settings, options: DoctorOptions) -> int:
    """Look whether everything is right for a change.

    Lists how an OSTree system is recognised, with the result of each method, then the programs that are needed, the
    space, the boot entries and what earlier runs left behind. Changes nothing.

    Each boot entry must have its kernel and initramfs, as its deployment has them, and stand in the boot loader's own
    menu. Every command that writes boot entries looks at that and puts the former ones back when it is not so. For a
    staged deployment ostree writes them when the system shuts down; --restore-boot then does the same. A drop-in of
    ostree-finalize-staged.service calls it. When ostree itself fails there, ostree-boot-complete.service tells so at
    the next boot, once, and forgets why; a drop-in calls --keep-failure before that.

    The exit status is 1 when something must be put right, and 0 when there are only warnings.
    """
    from apt_ostree.cli import screen
    from apt_ostree.ops import doctor as op
    from apt_ostree.ui import doctor as view

    for wanted, action in ((options.restore_boot, op.restore_boot), (options.keep_failure, op.keep_failure)):
        if wanted:
            with screen.reporting(settings, json=options.json) as reporter:
                action(context(settings, options, reporter))
    found = op.probes(paths_of(settings))
    probes = [replace(probe, hint=for_sysroot(probe.hint, settings.sysroot)) for probe in found]
    screen.show(settings, options.json, lambda: view.as_json(probes), lambda theme: view.text(probes, theme=theme))
    return 0 if view.healthy(probes) else AptOstreeError.exit_code


def register(app: typer.Typer) -> None:
    verb(
        app,
        "doctor",
        DoctorOptions,
        examples="""
        apt-ostree doctor
        apt-ostree --sysroot /mnt doctor
        """,
    )(doctor)
