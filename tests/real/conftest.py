"""Fixtures of the tests on real trees."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import ocitrees
from tests.support.process import run
from tests.support.sysroots import Sysroot


@pytest.fixture(scope="module")
def toy(big_folder: Callable[[str], Path]) -> Path:
    """A bare repo with the toy commit."""
    folder = big_folder("toy")
    made = ocitrees.repo(folder / "repo")
    ocitrees.commit(made, ocitrees.toy(folder / "tree"), *ocitrees.BOOTABLE)
    return made


@pytest.fixture
def syslinux(sysroot: Sysroot) -> Sysroot:
    """The sysroot with libostree's syslinux back end, as a disk has it."""
    link = sysroot.path / "boot/syslinux/syslinux.cfg"
    link.parent.mkdir()
    link.symlink_to("../loader/syslinux.cfg")
    (sysroot.path / "boot/loader/syslinux.cfg").write_text("TIMEOUT 10\n")
    run(["ostree", "config", f"--repo={sysroot.repo}", "set", "sysroot.bootloader", "syslinux"])
    sysroot.apt_ostree("kargs", "--append=first=1")
    return sysroot
