"""The systemd units say what the code does."""

from __future__ import annotations

from pathlib import Path

from apt_ostree.paths import Paths

DATA = Path(__file__).resolve().parents[2] / "apt_ostree/data"
UNITS, HOST = DATA / "systemd", DATA / "host"


def test_restage_costs_a_boot_nothing_when_there_is_nothing_to_do() -> None:
    paths = Paths(Path("/"))
    text = (UNITS / "apt-ostree-restage.service").read_text()
    found = {line.partition("=")[2] for line in text.splitlines() if line.startswith("ConditionPathExists=")}
    reasons = (paths.store.staged, paths.store.live)
    assert found == {str(paths.booted_marker), *(f"|{path}" for path in reasons)}


def test_restage_comes_before_no_unit_of_ostree() -> None:
    """`ostree admin deploy --stage` starts ostree-finalize-staged.service and waits until it has started; that one
    comes after ostree-boot-complete.service. Were restage before either, the boot would wait for ever.
    """
    lines = (UNITS / "apt-ostree-restage.service").read_text().splitlines()
    assert not any(line.startswith("Before=") for line in lines)
    assert "After=local-fs.target systemd-tmpfiles-setup.service ostree-boot-complete.service" in lines
    assert any(line.startswith("TimeoutStartSec=") for line in lines)


def test_the_reason_of_a_failure_is_kept_before_ostree_takes_it() -> None:
    lines = (HOST / "boot-complete.conf").read_text().splitlines()
    assert [line for line in lines if line.startswith("Exec")] == [
        "ExecStartPre=-/usr/bin/apt-ostree --quiet doctor --keep-failure"
    ]
