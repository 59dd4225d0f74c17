"""One machine's life, through its own bootloader and without a network: each test is the next boot of it.

It runs apt-ostree from its .deb with Debian's own Python packages. `make test-guest`; the tests build on each other.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import travel
from tests.support.archive import SigningKey
from tests.support.ground import Ground
from tests.support.qemu import KARGS, Guest, Seen
from tests.support.sysroots import Base

pytestmark = pytest.mark.real

# Every boot: it has come up whole, and the disk that travels is there; what is written to that is forgotten.
COME_UP = f"""
set -eu -o pipefail
# no tty: drawing progress costs a slow machine more than the work
work() {{ echo "== $1"; apt-ostree "$@" 2>&1 | cat; }}
systemctl is-system-running --wait || systemctl --failed
mkdir -p {travel.PLACE} /run/under /run/over/up /run/over/work
mount -o ro LABEL={travel.LABEL} /run/under
mount -t overlay -o lowerdir=/run/under,upperdir=/run/over/up,workdir=/run/over/work overlay {travel.PLACE}
publish() {{ ostree refs --repo={travel.PLACE}/repo --create={travel.BRANCH} --force "made/$1"; }}
"""
STATUS = "echo '== status'; apt-ostree status --json\n"
WELL = """
echo '== failed'; systemctl --failed --no-legend --plain | cat
echo '== audit'; dpkg --audit
echo '== check'; apt-get check
"""
# What must be true after the power went, and after the next command.
FSCK = "echo '== fsck'; ostree fsck --repo=/ostree/repo > /run/said 2>&1 && echo clean || cat /run/said\n"
LEFT = "echo '== left'; ls -A /ostree/repo/extensions/apt-ostree/work\n"


@dataclass(frozen=True, slots=True)
class Life:
    """The machine, and the checksums of the versions of its base."""

    guest: Guest
    versions: dict[str, str]

    def boot(self, script: str) -> Seen:
        """The next boot, to the script's good end."""
        return self.guest.run(COME_UP + script, seconds=600).must()

    def version(self, deployment: dict[str, Any]) -> str:
        """Which version of the base a deployment has."""
        checksum = deployment.get("base-checksum") or deployment["checksum"]
        return next(version for version, known in self.versions.items() if known == checksum)


@pytest.fixture(scope="module")
def life(host_base: Base, signing_key: SigningKey, big_folder: Callable[[str], Path]) -> Life:
    """A disk of v1, and one with v1 to v3 of its base and a few packages."""
    folder = big_folder("guest")
    ground = Ground(folder)
    base = ground.copy(host_base, "repo")
    made = travel.versions(ground, base, folder / "debs")
    options = ["--size=4G", "--menu-timeout=0", *(f"--karg={karg}" for karg in KARGS)]
    where = ("--repo", base.repo, travel.BRANCH, folder / "disk.raw")
    ground.apt_ostree("compose", "image", *where, *options)
    luggage = travel.pack(made, signing_key, folder / "luggage")
    guest = Guest(folder / "disk.raw", folder / "boots", extra=(luggage,), durable=True)
    return Life(guest, {version: one.checksum for version, one in made.items()})


def deployments(seen: Seen) -> list[dict[str, Any]]:
    """What `status` said."""
    found: list[dict[str, Any]] = json.loads(seen.sections["status"])["deployments"]
    return found


def booted(seen: Seen) -> dict[str, Any]:
    """The deployment that runs."""
    return next(deployment for deployment in deployments(seen) if deployment["booted"])


def assert_well(seen: Seen, *, failed: str = "") -> None:
    """No unit failed but this one, and dpkg and apt have no complaint."""
    assert seen.sections["failed"].partition(" ")[0] == failed and "\n" not in seen.sections["failed"]
    assert seen.sections["audit"] == ""
    assert "E:" not in seen.sections["check"]


def test_v1_boots_and_a_package_is_staged(life: Life) -> None:
    seen = life.boot(f"""
        echo '== before'; apt-ostree status --json
        echo '== verify'; dpkg --verify
        echo '== analyze'; systemd-analyze
        echo '== mounts'; findmnt -no OPTIONS /usr; findmnt -no OPTIONS /sysroot
        echo '== setup'; rm -f /etc/apt/sources.list
        cp {travel.PLACE}/travel.sources /etc/apt/sources.list.d/
        ostree remote add --gpg-import={travel.PLACE}/key.gpg travel file://{travel.PLACE}/repo
        work rebase -y travel:{travel.BRANCH}
        work install -y keeper
        echo mine > /etc/mine.conf
        {STATUS}{WELL}
    """)
    before = json.loads(seen.sections["before"])["deployments"]
    assert [(one["booted"], one["checksum"]) for one in before] == [(True, life.versions["v1"])]
    assert seen.sections["verify"] == ""
    assert "Startup finished" in seen.sections["analyze"]
    assert all("ro" in line.split(",") for line in seen.sections["mounts"].splitlines())
    staged = deployments(seen)[0]
    assert staged["staged"] and staged["requested-packages"] == ["keeper"] and not booted(seen)["requested-packages"]
    assert_well(seen)


def test_the_package_runs_and_v2_is_staged(life: Life) -> None:
    seen = life.boot(f"""
        echo '== keeper'; systemctl is-active keeper; cat /var/lib/keeper/ran-as /var/lib/keeper/seed
        cat /etc/keeper.conf /etc/mine.conf
        echo edited > /etc/keeper.conf
        useradd alice
        publish v2
        work upgrade -y
        {STATUS}{WELL}
    """)
    assert seen.sections["keeper"].split() == ["active", "keeper", "seeded", "shipped", "mine"]
    assert booted(seen)["requested-packages"] == ["keeper"]
    staged = deployments(seen)[0]
    assert staged["staged"] and staged["requested-packages"] == ["keeper"]
    assert life.version(staged) == "v2" and life.version(booted(seen)) == "v1"
    assert_well(seen)


def test_v2_has_its_user_and_the_layer_and_is_left(life: Life) -> None:
    seen = life.boot(f"""
        echo '== newcomer'; systemctl is-active newcomer; journalctl -b -u newcomer -o cat | grep -x newcomer
        echo '== keeper'; systemctl is-active keeper; cat /etc/keeper.conf; id -un alice
        echo '== verify'; dpkg --verify || :
        {WELL}
        work rollback
        {STATUS}
        # as if something staged had not been finalised: the next boot tells it, though ostree takes the reason away
        unshare --mount sh -c 'mount -o remount,rw /boot; echo No space left > /boot/ostree/finalize-failure.stamp'
    """)
    assert seen.sections["newcomer"].split() == ["active", "newcomer"]
    assert seen.sections["keeper"].split() == ["active", "edited", "alice"]
    assert seen.sections["verify"] == "??5?????? c /etc/keeper.conf", "what the administrator edited"
    assert life.version(booted(seen)) == "v2" and life.version(deployments(seen)[0]) == "v1"
    assert_well(seen)


def test_back_in_v1_with_its_layer_v3_is_staged(life: Life) -> None:
    seen = life.boot(f"""
        echo '== keeper'; systemctl is-active keeper
        echo '== failure'; apt-ostree status
        ls /boot/ostree/finalize-failure.stamp 2> /dev/null || echo the stamp is gone
        publish v3
        work upgrade -y
        {STATUS}{WELL}
    """)
    assert "No space left" in seen.sections["failure"] and "the stamp is gone" in seen.sections["failure"]
    assert seen.sections["keeper"] == "active"
    assert life.version(booted(seen)) == "v1" and booted(seen)["requested-packages"] == ["keeper"]
    assert life.version(deployments(seen)[0]) == "v3"
    assert_well(seen, failed="ostree-boot-complete.service")  # that is how ostree tells


def test_v3_fails_its_check_and_the_machine_goes_back_by_itself(life: Life) -> None:
    console = life.guest.until_off(seconds=600).console
    assert "v3 (ostree:0)" in console and "reboot: Restarting system" in console
    seen = life.boot(f"""
        {STATUS}
        echo '== text'; apt-ostree status
        work uninstall -y keeper
        {WELL}
    """)
    assert life.version(booted(seen)) == "v1" and deployments(seen)[0]["booted"]
    assert "10-sick" in seen.sections["text"] and "No space left" not in seen.sections["text"]
    assert_well(seen)


def test_the_base_again_and_the_power_goes_during_an_install(life: Life) -> None:
    seen = life.guest.cut(
        f"{COME_UP}{STATUS}{WELL}\nwork install -y more",
        at="^Unpacking and configuring packages... done",
        seconds=600,
    )
    assert booted(seen)["checksum"] == life.versions["v1"]
    assert_well(seen)


def test_the_power_goes_while_a_deployment_is_finalised(life: Life) -> None:
    script = f"{COME_UP}{FSCK}{STATUS}{WELL}\nwork install -y more\n{LEFT}"
    seen = life.guest.cut(script, at="Stopping .*ostree-finalize-staged", seconds=900)
    assert seen.sections["fsck"] == "clean" and seen.sections["left"] == ""
    assert booted(seen)["checksum"] == life.versions["v1"] and booted(seen) == deployments(seen)[0]
    assert_well(seen)


def test_it_boots_and_goes_on(life: Life) -> None:
    seen = life.boot(f"""
        {FSCK}{STATUS}
        work uninstall -y more
        {LEFT}{WELL}
    """)
    assert seen.sections["fsck"] == "clean" and seen.sections["left"] == ""
    first = deployments(seen)[0]
    assert first["requested-packages"] == ["more"], "what was staged is there, or is staged again"
    assert_well(seen)
