"""The README's way from an example treefile to a machine: composed, apt-ostree layered, a disk, and in by ssh."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.boot.test_boot_image import LOOK, healthy, make
from tests.support import basecache, travel
from tests.support.ground import Ground
from tests.support.process import run
from tests.support.qemu import BOOT_SECONDS, PATIENCE, Guest, Seen
from tests.support.sysroots import Base

pytestmark = pytest.mark.real

BRANCH = "mine/server"
# The machine stays up until somebody who came in by ssh says that it is enough.
STAY = f"{LOOK}\nfor _ in $(seq 600); do [ ! -e /run/enough ] || exit 0; sleep 1; done; exit 1"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def over_ssh(key: Path, port: int, command: str) -> str:
    """The answer of a machine that may still be on its way up."""
    argv = ["ssh", "-i", str(key), "-p", str(port), "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes"]
    argv += ["-o", f"UserKnownHostsFile={key}.hosts", "-o", "ConnectTimeout=20", "root@127.0.0.1", command]
    until = time.monotonic() + BOOT_SECONDS * PATIENCE
    while True:
        done = subprocess.run(argv, capture_output=True, text=True)
        if done.returncode == 0:
            return done.stdout
        assert done.returncode == 255 and time.monotonic() < until, done.stderr
        time.sleep(2)


def test_a_server_is_composed_and_answers_by_ssh(ground: Ground, work: Path) -> None:
    base, repo = basecache.base("debian-13-server"), work / "repo"
    run(["ostree", "init", "--mode=bare", f"--repo={repo}"])
    run(["ostree", "pull-local", f"--repo={repo}", base.repo, base.ref])
    program = travel.Program().build(work)
    where = ("--repo", repo, "--ref", base.ref, "--branch", BRANCH)
    ground.apt_ostree("compose", "install", *where, "--cache-only", program)
    checksum = run(["ostree", "rev-parse", f"--repo={repo}", BRANCH]).stdout.strip()
    mine = Base(repo=repo, ref=BRANCH, checksum=checksum)
    key, port = work / "key", free_port()
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key])
    disk = make(mine, work / "disk.qcow2", "--format=qcow2", "--ssh-key-file", f"{key}.pub")
    guest = Guest(disk, work / "guest", nic=f"user,model=virtio,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22")
    seen: list[Seen] = []
    boot = threading.Thread(target=lambda: seen.append(guest.run(STAY, seconds=BOOT_SECONDS)))
    boot.start()
    try:
        status = json.loads(over_ssh(key, port, "apt-ostree status --json"))
        assert "health" in over_ssh(key, port, "apt-ostree doctor")
    finally:
        over_ssh(key, port, "touch /run/enough")
        boot.join()
    healthy(seen[0], mine.checksum)
    (deployment,) = status["deployments"]
    assert deployment["booted"] and deployment["checksum"] == mine.checksum
