"""apply-live: the pending deployment's changes in the running system, whole or not at all, and gone at reboot."""

from __future__ import annotations

from typing import Any

import pytest

from apt_ostree import faults
from tests.support.archive import LocalRepo
from tests.support.debs import DebBuilder
from tests.support.nshost import NamespaceHost
from tests.support.verbs import held_to

pytestmark = pytest.mark.real


def foo(version: str) -> DebBuilder:
    return DebBuilder(
        name="foo", version=version, conffiles=["/etc/foo.conf", "/etc/foo.d/more"],
        files={
            "/usr/share/foo/data": f"data of {version}\n" * 500, "/etc/foo.conf": f"of {version}\n",
            "/etc/foo.d/more": f"more of {version}\n",
            "/usr/lib/tmpfiles.d/foo.conf": "d /var/lib/foo 0750 root root -\n",
            "/usr/lib/systemd/system/foo.service": "[Service]\nExecStart=/bin/true\n",
        },
    )  # fmt: skip


def booted(host: NamespaceHost) -> Any:
    listed = held_to("status", host.apt_ostree("status", "--json"))["deployments"]
    return next(deployment for deployment in listed if deployment["booted"])


def test_additions_interruptions_and_the_way_back(host: NamespaceHost, http_repo: LocalRepo) -> None:
    http_repo.publish(foo("1.0"))
    assert "no pending" in host.apt_ostree("apply-live", "--unchanged-exit-77", check=77).stdout
    host.apt_ostree("install", "-y", "foo")
    target = host.apt_ostree("status", "--json").json["deployments"][0]["checksum"]
    before, mounts = host.sysroot.snapshot(), host.read("/proc/self/mountinfo")
    answer = held_to("result", host.apt_ostree("apply-live", "--dry-run", "--json"))
    assert answer["would-change"] and [p["name"] for p in answer["packages"]["added"]] == ["foo"]
    assert host.sysroot.snapshot() == before and not (host.sysroot.store / "live").exists()

    for seam in faults.LIVE_POINTS:  # killed at each seam, one after the other: each run resumes the one before
        host.apt_ostree("apply-live", check=False, env={"APT_OSTREE_FAULT": f"{seam}:kill"})
        state = booted(host)
        assert state["live-inprogress"] == target and "live-replaced" not in state, seam
        assert "LiveInterrupted" in host.apt_ostree("status").stdout
    answer = held_to("result", host.apt_ostree("apply-live", "--json"))
    assert answer["changed"] and answer["new-services"] == ["foo.service"] and not answer["reboot-needed"]
    state = booted(host)
    assert state["live-replaced"] == target and "live-inprogress" not in state
    assert "LiveCommit" in (text := host.apt_ostree("status").stdout) and "LiveDiff: 1 added" in text
    assert (
        host.read("/usr/share/foo/data").startswith("data of 1.0") and host.read("/etc/foo.d/more") == "more of 1.0\n"
    )
    assert host.exists("/var/lib/foo") and "foo" in host.run("dpkg", "-l", "foo").stdout
    assert "Read-only" in host.run("touch", "/usr/x", check=False).stderr
    assert host.read("/proc/self/mountinfo").count(" /usr ro") == mounts.count(" /usr ro") + 1
    host.apt_ostree("apply-live", "--unchanged-exit-77", check=77)

    answer = held_to("result", host.apt_ostree("apply-live", "--reset", "--json"))
    assert answer["changed"] and not host.exists("/usr/share/foo") and not host.exists("/etc/foo.conf")
    assert not host.exists("/etc/foo.d") and host.read("/proc/self/mountinfo") == mounts
    assert "live-replaced" not in booted(host)
    host.apt_ostree("apply-live", "--reset", "--unchanged-exit-77", check=77)

    host.apt_ostree("apply-live", "--target", target[:12])
    host.run("sh", "-c", "echo mine > /etc/foo.conf")
    host.power_cut()
    host.boot()
    assert not host.exists("/usr/share/foo") and "live-replaced" not in booted(host)
    host.apt_ostree("restage")  # what the unit does at boot
    assert not (host.sysroot.store / "live").exists() and not host.exists("/etc/foo.d")
    assert host.read("/etc/foo.conf") == "mine\n", "changed here, so it is not taken away"


def test_replacement_names_what_runs_the_old(host: NamespaceHost, http_repo: LocalRepo) -> None:
    http_repo.publish(foo("1.0"), foo("2.0"))
    host.apt_ostree("install", "-y", "foo=1.0")
    host.reboot()
    host.run("sh", "-c", "echo mine > /etc/foo.conf")
    host.apt_ostree("install", "-y", "foo=2.0")
    done = host.apt_ostree("apply-live", check=1)
    for words in ("upgraded: foo", "--allow-replacement", "/usr/share/foo/data"):
        assert words in done.stderr
    mapped = (
        "import mmap; f = open('/usr/share/foo/data'); m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ);"
        "print('mapped', flush=True); import time; time.sleep(600)"
    )
    with host.running("python3", "-c", mapped) as process:
        assert process.stdout and process.stdout.readline() == "mapped\n"
        answer = held_to("result", host.apt_ostree("apply-live", "--allow-replacement", "--json"))
    assert [name.partition(" ")[0] for name in answer["restart-services"]] == ["python3"]
    assert any("/etc/foo.conf" in warning for warning in answer["warnings"])
    assert host.read("/usr/share/foo/data").startswith("data of 2.0") and host.read("/etc/foo.conf") == "mine\n"
    assert host.read("/etc/foo.d/more") == "more of 2.0\n"
    host.reboot()
    assert host.read("/usr/share/foo/data").startswith("data of 2.0") and host.read("/etc/foo.conf") == "mine\n"
    host.apt_ostree("restage")
    assert not (host.sysroot.store / "live").exists() and "live-replaced" not in booted(host)
