"""oci export and import of a real Debian with its kernel, and how much of an image an update sends anew."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.support import ocitrees, registry
from tests.support.ground import Ground
from tests.support.ocilayout import Layout
from tests.support.ocitrees import REF
from tests.support.process import run
from tests.support.sysroots import Base
from tests.support.verbs import held_to

pytestmark = pytest.mark.real

ONE_CGROUP = """
umount --recursive /sys/fs/cgroup 2> /dev/null || :
mount -t cgroup2 none /sys/fs/cgroup && exec "$@"
"""


@pytest.fixture(scope="module")
def image(big_folder: Any, ground: Ground, base: Base) -> Path:
    """The base as an encapsulated image."""
    folder: Path = big_folder("debian")
    words = ("oci", "export", "--repo", base.repo, base.ref, f"oci:{folder}/image:13", "--json")
    told = held_to("oci-export", ground.apt_ostree(*words))
    assert len(told["layers"]) <= 64 and told["commit"] == base.checksum and told["architecture"] in ("amd64", "arm64")
    return folder / "image"


def test_debian_through_a_registry_and_back(image: Path, base: Base, work: Path, ground: Ground) -> None:
    names = {name for layer in Layout(image).manifest["layers"][1:] for name in _components(layer)}
    assert {"glibc", "systemd", "initramfs", "dpkg-database"} <= names
    assert ground.apt_ostree("oci", "verify", f"oci:{image}:13").stdout.count("is sound") == 1
    with registry.serving(work / "registry") as host:
        there = f"docker://{host}/debian:13"
        argv = ["skopeo", "copy", "--preserve-digests", "--dest-tls-verify=false", f"oci:{image}:13", there]
        run(argv)
        shown = run(["skopeo", "inspect", "--tls-verify=false", there]).json
        assert shown["Digest"] == Layout(image).index["manifests"][0]["digest"]
        target = ocitrees.repo(work / "target")
        words = ("oci", "import", "--repo", target, there, "--tls-verify=false", "--json")
        done = held_to("oci-import", ground.apt_ostree(*words))
    assert done["commit"] == base.checksum
    run(["ostree", "fsck", f"--repo={target}", "--quiet"])


def _components(layer: dict[str, Any]) -> list[str]:
    text: str = layer["annotations"]["ostree.components"]
    return text.split(",")


def test_umoci_and_libostree_read_it(image: Path, base: Base, work: Path) -> None:
    run(["umoci", "unpack", "--image", f"{image}:13", work / "bundle"])
    root = work / "bundle/rootfs"
    listed = run(["chroot", root, "dpkg-query", "--admindir=/usr/lib/sysimage/dpkg", "-W", "dpkg"]).stdout
    assert listed.startswith("dpkg\t")
    target = ocitrees.repo(work / "target")
    run(["ostree", "pull-local", "--untrusted", f"--repo={target}", root / "sysroot/ostree/repo", base.checksum])
    run(["ostree", "fsck", f"--repo={target}", "--quiet"])


def test_podman_shows_it(base: Base, work: Path, ground: Ground) -> None:
    """And runs its dpkg. crun wants one kind of cgroups, where a machine may have both, and may not raise limits."""
    run_root = Path(tempfile.mkdtemp(prefix="aot-"))
    podman = ("podman", "--root", work / "storage", "--runroot", run_root, "--storage-driver=vfs")
    try:
        place = f"containers-storage:[vfs@{work}/storage+{run_root}]localhost/debian:13"
        words = ("oci", "export", "--repo", base.repo, base.ref, place, "--format=plain", "--max-layers=1", "--json")
        told = ground.apt_ostree(*words).json
        shown = run([*podman, "image", "inspect", "localhost/debian:13"]).json[0]
        assert shown["Digest"] == told["digest"] and shown["Config"]["Cmd"] == ["/sbin/init"]
        limits = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=1000:1000")
        words = ("--rm", "--network=none", "--cgroups=disabled", *limits, "localhost/debian:13", "dpkg", "-l")
        ran = run(["unshare", "--mount", "sh", "-c", ONE_CGROUP, "sh", *podman, "run", *words])
        assert "ii  dpkg" in ran.stdout
    finally:
        shutil.rmtree(work / "storage", ignore_errors=True)
        shutil.rmtree(run_root, ignore_errors=True)


@pytest.mark.parametrize("previous", [True, False], ids=["with the image before", "without"])
def test_one_package_of_three_hundred(previous: bool, work: Path, ground: Ground) -> None:
    """At least nine tenths of the bytes are in layers that were there."""
    repo = ocitrees.repo(work / "repo", "bare-user")
    ocitrees.commit(repo, ocitrees.packages(work / "one", 300))
    words = ("oci", "export", "--repo", repo, REF, f"oci:{work}/image:t", "--json")
    ground.apt_ostree(*words)
    ocitrees.commit(repo, ocitrees.packages(work / "two", 300, changed="package150"))
    told = held_to("oci-export", ground.apt_ostree(*words, *(["--previous=auto"] if previous else [])))
    fresh = [layer for layer in told["layers"] if not layer["reused"]]
    assert told["reused-bytes"] >= 0.9 * told["bytes"], f"{told['reused-bytes']} of {told['bytes']}"
    assert len(fresh) == 3, "the commit, the package and dpkg's database"
