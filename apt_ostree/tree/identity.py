"""What must not be the same on two machines, or comes from the machine that built the image."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path

from apt_ostree.tree import fsops

_HOST_KEY = re.compile(r"ssh_host_\w+_key(\.pub)?")
_RESOLVER = "etc/resolv.conf"
_BOOTSTRAP = (
    "etc/.resolv.conf.systemd-resolved.bak",
    "etc/apt/apt.conf.d/99mmdebstrap",
    "etc/dpkg/dpkg.cfg.d/99mmdebstrap",
    "etc/hostname",
    "usr/sbin/policy-rc.d",
)
_UNINITIALIZED = "uninitialized\n"
_UNIT = "apt-ostree-sshd-keygen.service"
_SYSTEM = "usr/lib/systemd/system"
# sshd-keygen.service of Debian 13 asks for ConditionFirstBoot, which an empty machine-id never is (machine-id(5)).
_UNIT_TEXT = """\
[Unit]
Description=Make the SSH host keys this machine does not have yet
Documentation=man:ssh-keygen(1)
ConditionPathExists=|!/etc/ssh/ssh_host_rsa_key
ConditionPathExists=|!/etc/ssh/ssh_host_ecdsa_key
ConditionPathExists=|!/etc/ssh/ssh_host_ed25519_key
Before=ssh.service sshd.service ssh.socket

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/ssh-keygen -A
"""


def apply(root: Path, *, compose: bool, machine_id: str = "", given: Collection[str] = ()) -> None:
    """Take identity out of a tree with a real /etc. `compose`: also what the bootstrap left in its configuration.

    What has one of the `given` paths is no bootstrap's, but the treefile's. `machine_id` is what /etc/machine-id holds:
    nothing, or `uninitialized`.
    """
    etc = root / "etc"
    # empty: each machine gets its own id at first boot, without first-boot presets (machine-id(5))
    text = f"{machine_id}\n" if machine_id else ""
    if not compose and fsops.read(etc / "machine-id") == _UNINITIALIZED:
        text = _UNINITIALIZED  # the base was composed so
    if not fsops.is_file(etc / "machine-id") or fsops.read(etc / "machine-id") != text:
        fsops.remove(etc / "machine-id")
        fsops.write(root, "etc/machine-id", text, 0o444)
    _ssh(root)
    if compose:
        for rel in (*_BOOTSTRAP, *((_RESOLVER,) if fsops.is_file(root / _RESOLVER) else ())):
            if f"/{rel}" not in given:
                fsops.discard(root, rel)


def _ssh(root: Path) -> None:
    directory = root / "etc/ssh"
    if fsops.is_dir(root / "etc") and fsops.is_dir(directory):
        for name in os.listdir(directory):
            if _HOST_KEY.fullmatch(name):
                fsops.remove(directory / name)
    if fsops.is_file(root / "usr/sbin/sshd"):
        fsops.write(root, f"{_SYSTEM}/{_UNIT}", _UNIT_TEXT)
        for wanting in ("ssh.service.wants", "ssh.socket.wants"):
            fsops.link(root, f"{_SYSTEM}/{wanting}/{_UNIT}", f"../{_UNIT}")
    else:  # it may have been there in the base
        for rel in (_UNIT, f"ssh.service.wants/{_UNIT}", f"ssh.socket.wants/{_UNIT}"):
            fsops.discard(root, f"{_SYSTEM}/{rel}")
