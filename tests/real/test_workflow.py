"""The daily work of an image-based distribution, as the script of it that people can run by themselves."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support import sysroots
from tests.support.process import CHECKOUT, run
from tests.support.sysroots import Base

pytestmark = pytest.mark.real

SCRIPT = CHECKOUT / "tests/real/test-bootc-apt-ostree.sh"


def test_from_a_base_to_machines_that_follow_it(base: Base, work: Path) -> None:
    place = work / "workflow"
    env = {"APT_OSTREE": f"{sys.executable} -m apt_ostree", "PYTHONPATH": str(CHECKOUT)}
    done = run([SCRIPT, base.repo, base.ref, place], env=env)
    assert "\n== Done" in done.stdout and "signatures: " in done.stdout
    sysroots.remove(place)
