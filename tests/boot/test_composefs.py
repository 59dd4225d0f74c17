"""Debian sid, whose ostree mounts a deployment from a composefs image: the tree, the deployment, the boot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.boot.test_boot_image import make
from tests.support import basecache, sysroots
from tests.support.archive import LocalRepo
from tests.support.ground import Ground
from tests.support.nshost import NamespaceHost
from tests.support.process import run
from tests.support.qemu import Guest
from tests.support.sysroots import Base, Sysroot
from tests.support.verbs import held_to, tool

pytestmark = pytest.mark.real

# a mirror of a mirror may be some days behind: what sid was then will do
MIRROR = {
    "uri": "http://deb.debian.org/debian",
    "signed-by": "/usr/share/keyrings/debian-archive-keyring.gpg",
    "check-valid-until": False,
}
SID = {"suite": "sid", "ref": "debian/sid/x86_64/minimal", "automatic-version-prefix": "sid", "mirrors": [MIRROR]}
IMAGE = ".ostree.cfs"


def sid(setting: str) -> Base:
    """Debian sid with apt-ostree's needs and this `composefs` in its treefile."""
    return basecache.base(extra=basecache.HOST_PACKAGES, keys={**SID, "composefs": setting})


@pytest.fixture
def demanding(work: Path, http_repo: LocalRepo) -> Iterator[Sysroot]:
    """A sysroot whose tree has `composefs = "yes"`. The ostree of this machine deploys it first, without an image."""
    made = sysroots.build(work / "sysroot", sid("yes"))
    made.use_sources({"local": http_repo.sources()})
    yield made
    assert made.leftovers() == []
    made.fsck()
    made.close()


def test_a_layer_is_deployed_with_an_image(demanding: Sysroot, http_repo: LocalRepo) -> None:
    http_repo.publish(tool("foo"))
    config = (demanding.default / "usr/lib/ostree/prepare-root.conf").read_text()
    assert "enabled=yes" in config and not (demanding.default / IMAGE).exists()
    with NamespaceHost(demanding) as host:
        assert "composefs" in host.run("ostree", "--version").stdout
        told = next(
            one
            for one in held_to("doctor", host.apt_ostree("doctor", "--json", check=False))["probes"]
            if one["name"] == "composefs"
        )
        assert told["state"] == "failed" and "cannot boot" in told["detail"]
        host.apt_ostree("install", "-y", "foo")
        host.shutdown()
    assert (demanding.default / "usr/bin/foo").exists() and (demanding.default / IMAGE).stat().st_size > 0


def test_it_boots_from_the_image(ground: Ground, big_folder: Callable[[str], Path]) -> None:
    """The first deployment is of another ostree and has no image; the one the machine makes itself has."""
    folder = big_folder("sid")
    base = ground.copy(sid("maybe"), "sid-repo")
    guest = Guest(make(base, folder / "disk.qcow2", "--format=qcow2"), folder / "guest")
    look = "echo == root; findmnt --noheadings --output FSTYPE,SOURCE /; echo == rest\n"
    first = guest.run(f"{look}ostree admin deploy --stage --karg-append=second=1 {base.ref}").must()
    assert "composefs" not in first.sections["root"]
    second = guest.run(f"{look}cat /proc/cmdline; systemctl --failed --no-legend --plain").must()
    assert "composefs" in second.sections["root"] and "second=1" in second.sections["rest"]
    run(["qemu-img", "check", "-q", guest.disk])
