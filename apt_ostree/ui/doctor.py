"""`doctor`: for people and for scripts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apt_ostree.states import Probe, ProbeState
from apt_ostree.ui.theme import PLAIN, Style, Theme, clean

_STYLES = {ProbeState.OK: Style.GREEN, ProbeState.WARNING: Style.YELLOW, ProbeState.FAILED: Style.RED}


def healthy(probes: Sequence[Probe]) -> bool:
    """True when nothing failed; warnings do no harm."""
    return all(probe.state is not ProbeState.FAILED for probe in probes)


def as_json(probes: Sequence[Probe]) -> dict[str, Any]:
    """`doctor --json`."""
    return {
        "healthy": healthy(probes),
        "probes": [
            {"name": probe.name, "state": str(probe.state), "detail": probe.detail, "hint": probe.hint}
            for probe in probes
        ],
    }


def text(probes: Sequence[Probe], *, theme: Theme = PLAIN) -> str:
    """A line for each probe: state, name, what was seen; a hint below what is not well. Ends with a newline."""
    width = max((len(probe.name) for probe in probes), default=0)
    lines = []
    for probe in probes:
        state = theme.paint(f"{probe.state:<7}", _STYLES[probe.state])
        lines.append(f"{state}  {clean(probe.name):<{width}}  {clean(probe.detail)}".rstrip())
        if probe.hint:
            lines.append(f"{'':<{width + 11}}{theme.paint('hint: ' + clean(probe.hint), Style.DIM)}")
    counts = {state: sum(1 for probe in probes if probe.state is state) for state in ProbeState}
    lines.append(
        f"{counts[ProbeState.OK]} well, {counts[ProbeState.WARNING]} to know about, {counts[ProbeState.FAILED]} failed"
    )
    return "\n".join(lines) + "\n"
