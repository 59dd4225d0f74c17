"""`apt-ostree doctor`."""

from __future__ import annotations

from dataclasses import dataclass

import typer

from apt_ostree.cli.common import paths_of, show, verb
from apt_ostree.cli.options import Json, Settings
from apt_ostree.errors import AptOstreeError
from apt_ostree.model import ProbeState


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

    probes = op.probes(paths_of(settings))
    show(settings, options, probes)
    return AptOstreeError.exit_code if any(probe.state is ProbeState.FAILED for probe in probes) else 0


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
