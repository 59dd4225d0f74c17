"""Kernel arguments that GRUB does not hand over: refused where GRUB reads the entries, and only there."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.support.sysroots import Sysroot, changes

pytestmark = pytest.mark.real

DEAD = "x=it's"
CHANGED = "systemd.mask=dev-x\\x2dy.swap"


def by_grub(sysroot: Sysroot) -> Path:
    """From here on GRUB reads the menu, as on a disk of compose image."""
    config = sysroot.path / "boot/grub/grub.cfg"
    config.parent.mkdir(exist_ok=True)
    config.write_text("syslinux_source -r ($root)/boot/ -s ($root)/boot/loader/syslinux.cfg\n")
    return config


def entries(sysroot: Sysroot) -> list[tuple[str, str]]:
    found = sysroot.apt_ostree("doctor", "--json", check=False).json["probes"]
    return [(probe["state"], probe["detail"]) for probe in found if probe["name"].startswith("boot entry")]


def test_new_arguments(syslinux: Sysroot) -> None:
    by_grub(syslinux)
    before = syslinux.snapshot()
    for karg in (DEAD, "a={b}", "a=b|c", "slub_debug=FZ,a;P,b", "memmap=10M$1G", CHANGED):
        for more in ((), ("--dry-run",)):
            done = syslinux.apt_ostree("kargs", f"--append={karg}", *more, check=2)
            assert karg in done.stderr and "GRUB takes" in done.stderr and "hint:" in done.stderr
    assert changes(before, syslinux.snapshot()) == []
    syslinux.apt_ostree("kargs", '--append=slub_debug="FZ,a;P,b"', '--append=note="a b"')
    assert {state for state, _ in entries(syslinux)} == {"ok"}


def test_another_loader_reads_them_as_they_are(syslinux: Sysroot) -> None:
    syslinux.apt_ostree("kargs", f"--append={DEAD}", f"--append={CHANGED}")
    assert {state for state, _ in entries(syslinux)} == {"ok"}
    config = by_grub(syslinux)
    (state, what), *_ = entries(syslinux)
    assert state == "failed" and DEAD in what
    # nothing carries it on, and there is a way out
    before = syslinux.snapshot()
    for words in (("kargs", "--append=y=1"), ("initramfs-etc", "--track=/etc/passwd")):
        done = syslinux.apt_ostree(*words, check=1)
        assert DEAD in done.stderr and shlex.quote(f"--delete={DEAD}") in done.stderr
    assert changes(before, syslinux.snapshot()) == []
    syslinux.apt_ostree("kargs", f"--delete={DEAD}")
    assert [state for state, _ in entries(syslinux)] == ["warning", "failed"]
    # back to what boots nothing: the entries it would write are refused as well
    before = syslinux.snapshot()
    assert DEAD in syslinux.apt_ostree("rollback", check=1).stderr
    assert changes(before, syslinux.snapshot()) == []
    syslinux.apt_ostree("cleanup", "--rollback")
    assert [state for state, _ in entries(syslinux)] == ["warning"]
    syslinux.apt_ostree("kargs", "--append=y=1")  # what GRUB only changes stays
    config.unlink()
    assert {state for state, _ in entries(syslinux)} == {"ok"}


def test_a_menu_of_grubs_own(sysroot: Sysroot) -> None:
    """libostree's grub2 back end copies the options as they are, too."""
    boot = sysroot.path / "boot"
    options = sysroot.entries()[0]["options"]
    sysroot.apt_ostree("kargs", f"--append={CHANGED}", "--dry-run")
    (boot / "loader/grub.cfg").write_text(f"menuentry 'x' {{\nlinux /x {options}\n}}\n")
    assert "GRUB takes" in sysroot.apt_ostree("kargs", f"--append={CHANGED}", "--dry-run", check=2).stderr
