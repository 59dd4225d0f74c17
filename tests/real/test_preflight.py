"""What would make a deployment fail half way, or at shutdown, is found before anything is written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.archive import LocalRepo
from tests.support.process import run
from tests.support.remote import Remote
from tests.support.sysroots import Sysroot, changes
from tests.support.verbs import tool

pytestmark = pytest.mark.real


@pytest.fixture
def small_boot(client: Sysroot) -> Iterator[Path]:
    """/boot on a file system of its own, with one kernel in it and no room for another."""
    boot, kept = client.path / "boot", client.path / "boot.kept"
    run(["cp", "-a", boot, kept])
    used = int(run(["du", "-sm", kept]).stdout.split()[0])
    run(["mount", "-t", "tmpfs", "-o", f"size={used + 4}m,mode=755", "boot", boot])
    try:
        run(["cp", "-a", f"{kept}/.", boot])
        yield boot
    finally:
        run(["umount", boot])


def test_a_full_boot_is_found_before_the_deployment(
    client: Sysroot, remote: Remote, repo: LocalRepo, small_boot: Path
) -> None:
    repo.publish(tool("foo"))
    client.apt_ostree("kargs", "--append=x=1")  # the kernel that is there takes no room again
    client.apt_ostree("install", "-y", "foo")
    [modules] = (client.default / "usr/lib/modules").iterdir()
    image = f"usr/lib/modules/{modules.name}/initramfs.img"
    remote.release("13.2", files={image: "another initramfs" * 400_000})
    before = client.snapshot()
    done = client.apt_ostree("upgrade", "-y", check=1)
    assert f"not enough space on the file system of {small_boot}" in done.stderr and "cleanup" in done.stderr
    same = changes(before, client.snapshot())
    assert [path for path in same if "refs/" not in path] == []  # what was pulled is kept for the next time
    run(["mount", "-o", "remount,size=200m", small_boot])
    client.apt_ostree("upgrade", "-y")
    assert {probe["state"] for probe in client.apt_ostree("doctor", "--json", check=False).json["probes"]
            if probe["name"].startswith("boot entry")} == {"ok"}  # fmt: skip


def test_what_ostree_leaves_free_counts(client: Sysroot, remote: Remote, repo: LocalRepo) -> None:
    """Its reserve stands for a file system that is nearly full; the static delta tells how much a pull brings."""
    repo.publish(tool("foo"))
    remote.release("13.2", files={"usr/share/big": "x" * 100_000}, delta=True)
    run(["ostree", "config", f"--repo={client.repo}", "set", "core.min-free-space-size", "900TB"])
    before = client.snapshot()
    for words in (("upgrade", "-y"), ("install", "-y", "foo")):
        done = client.apt_ostree(*words, check=1)
        assert "not enough space on the file system of" in done.stderr and "that stay free" in done.stderr
    assert changes(before, client.snapshot()) == []


def test_etc_that_cannot_be_merged_is_found_before(client: Sysroot, remote: Remote, repo: LocalRepo) -> None:
    repo.publish(tool("foo"))
    client.write("etc/clash", "a file of the administrator\n")
    remote.release("13.2", files={"usr/etc/clash/inner": "a default\n"})
    before = client.snapshot()
    for words in (("upgrade", "-y"), ("upgrade", "-y", "--install", "foo")):
        done = client.apt_ostree(*words, check=1)
        assert "cannot merge /etc" in done.stderr and "/etc/clash is a file here" in done.stderr
        assert [path for path in changes(before, client.snapshot()) if "refs/" not in path] == []
    (client.default / "etc/clash").unlink()
    client.apt_ostree("upgrade", "-y")
    assert (client.default / "etc/clash/inner").read_text() == "a default\n"
