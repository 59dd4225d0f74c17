"""Disks of compose image boot: by SeaBIOS and by OVMF, Debian 13 and Debian 12, and go on booting."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support import basecache, qemu
from tests.support.ground import Ground
from tests.support.process import CHECKOUT, run
from tests.support.qemu import Firmware, Guest, Seen
from tests.support.sysroots import Base

pytestmark = pytest.mark.real

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ me@there"

# What is asked of every boot.
LOOK = """
ask() { echo "== $1"; shift; "$@" 2>&1; }
ask status ostree admin status
ask usr findmnt --noheadings --output OPTIONS /usr
ask sysroot findmnt --noheadings --output OPTIONS /sysroot
ask written sh -c 'touch /usr/x /sysroot/x /x; echo $?'
ask cmdline cat /proc/cmdline
ask system systemctl is-system-running --wait
ask failed systemctl --failed --no-legend --plain
ask efi sh -c 'ls -d /sys/firmware/efi || :'
ask audit dpkg --audit
ask verify dpkg --verify
ask id cat /etc/machine-id
echo == rest
"""


def make(base: Base, target: Path, *words: str | Path) -> Path:
    """A disk of a base, with kernel arguments that make it boot quickly here."""
    argv: list[str | Path] = [sys.executable, "-m", "apt_ostree", "compose", "image", "--repo", base.repo, base.ref]
    # GRUB gauges its clock by the machine's: on one that is busy a second may take minutes
    argv += ["--menu-timeout=0"]
    run(
        [*argv, target, *(f"--karg={karg}" for karg in qemu.KARGS), *words],
        env={"PYTHONPATH": str(CHECKOUT)},
    )
    return target


def healthy(seen: Seen, commit: str) -> dict[str, str]:
    """The answers of a machine that is well and runs this commit."""
    answers = seen.must().sections
    booted = [line.split()[2] for line in answers["status"].splitlines() if line.startswith("*")]
    assert [name.partition(".")[0] for name in booted] == [commit], seen.output
    for place in ("usr", "sysroot"):
        assert answers[place].strip().splitlines()[-1].split(",")[0] == "ro", seen.output
    assert answers["written"].splitlines()[-1] == "1" and answers["written"].count("Read-only file system") == 2
    assert answers["failed"] == "" and answers["system"] == "running", seen.output
    assert (answers["audit"], answers["verify"]) == ("", "") and len(answers["id"]) == 32, seen.output
    return answers


def test_one_disk_boots_by_bios_and_uefi_and_goes_on(base: Base, work: Path) -> None:
    target = make(base, work / "disk.qcow2", "--format=qcow2")
    guest = Guest(target, work / "guest", credentials={"ssh.authorized_keys.root": KEY})

    seen = guest.run(
        f"{LOOK}\ncat /root/.ssh/authorized_keys\nostree admin deploy --stage --karg-append=second=1 {base.ref}"
    )
    first = healthy(seen, base.checksum)
    assert "No such file" in first["efi"] and KEY in first["rest"]

    # the deployment that was staged is GRUB's first entry now
    guest.firmware, guest.credentials = Firmware.UEFI, {}
    second = healthy(guest.run(f"{LOOK}\nostree admin set-default 1"), base.checksum)
    assert second["efi"] == "/sys/firmware/efi" and second["id"] == first["id"]
    assert "second=1" in second["cmdline"].split() and len(second["status"].split("origin refspec")) == 3

    guest.firmware = Firmware.BIOS
    third = healthy(guest.run(f"{LOOK}\ncat /root/.ssh/authorized_keys"), base.checksum)
    assert "second=1" not in third["cmdline"].split() and KEY in third["rest"]


def test_debian_12_boots(ground: Ground, work: Path) -> None:
    base = ground.copy(basecache.base("debian-12-minimal"), "bookworm")
    base = ground.with_files(base, qemu.UNIT_FILES)
    guest = Guest(make(base, work / "disk.raw"), work / "guest", credentials={"ssh.authorized_keys.root": KEY})
    answers = healthy(
        guest.run(f"{LOOK}\ncat /root/.ssh/authorized_keys\n. /etc/os-release; echo; echo $VERSION_ID"), base.checksum
    )
    assert KEY in answers["rest"] and answers["rest"].splitlines()[-1] == "12"
