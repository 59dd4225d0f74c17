"""The systemd units say what the code does."""

from __future__ import annotations

from pathlib import Path

from apt_ostree.paths import Paths

UNITS = Path(__file__).resolve().parents[2] / "apt_ostree/data/systemd"


def test_restage_costs_a_boot_nothing_when_there_is_nothing_to_do() -> None:
    paths = Paths(Path("/"))
    text = (UNITS / "apt-ostree-restage.service").read_text()
    found = {line.partition("=")[2] for line in text.splitlines() if line.startswith("ConditionPathExists=")}
    reasons = (paths.store.staged, paths.store.live, paths.finalize_failure)
    assert found == {str(paths.booted_marker), *(f"|{path}" for path in reasons)}
