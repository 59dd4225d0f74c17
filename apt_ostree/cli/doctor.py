"""`apt-ostree doctor`."""

from __future__ import annotations

from dataclasses import dataclass

import typer

from apt_ostree.cli.common import paths_of, verb
from apt_ostree.cli.options import Json, Settings
from apt_ostree.cli.screen import show
from apt_ostree.errors import AptOstreeError


@dataclass(frozen=True, kw_only=True)
class DoctorOptions(Json):
    """Options of doctor."""


def doctor(settings: Settings, options: DoctorOptions) -> int:
    """Look whether everything is right for a change.

    Lists how an OSTree system is recognised, with the result of each method, then the programs that are needed, the
    space, the boot entries and what earlier runs left behind. Changes nothing.

    The exit status is 1 when something must be put right, and 0 when there are only warnings.
    """
    from apt_ostree.ops import doctor as op
    from apt_ostree.ui import doctor as view

    probes = op.probes(paths_of(settings))
    show(settings, options.json, lambda: view.as_json(probes), lambda theme: view.text(probes, theme=theme))
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
