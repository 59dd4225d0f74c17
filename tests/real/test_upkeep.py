"""Keeping house: pin, cleanup, cancel, locked finalisation, an overlay on /usr."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.real.test_concurrency import holding, wait_for
from tests.support.archive import LocalRepo
from tests.support.debs import DebBuilder
from tests.support.nshost import NamespaceHost
from tests.support.process import run
from tests.support.sysroots import Base, Sysroot, changes
from tests.support.verbs import held_to, tool, whole

pytestmark = pytest.mark.real


def pinned(sysroot: Sysroot) -> list[bool]:
    return [found["pinned"] for found in sysroot.apt_ostree("status", "--json").json["deployments"]]


def test_b22_pinned_survives_cleanup_and_is_not_copied(sysroot: Sysroot, repo: LocalRepo, base: Base) -> None:
    repo.publish(tool("foo"), tool("bar"))
    sysroot.apt_ostree("install", "-y", "foo")
    layered, before = sysroot.checksum(), whole(sysroot)
    assert held_to("result", sysroot.apt_ostree("pin", "0", "1", "--dry-run", "--json"))["would-change"]
    assert changes(before, whole(sysroot)) == []
    for word in ("7", "booted"):
        assert "status -v" in sysroot.apt_ostree("pin", "0", "--", word, check=2).stderr
    assert pinned(sysroot) == [False, False], "all or none"
    assert held_to("result", sysroot.apt_ostree("pin", "1", "0", "1", "--json"))["changed"]
    assert pinned(sysroot) == [True, True] and "Pinned: yes" in sysroot.apt_ostree("status").stdout
    sysroot.apt_ostree("pin", "1", "--unchanged-exit-77", check=77)
    sysroot.apt_ostree("cleanup", "-prb", "--unchanged-exit-77", check=77)
    sysroot.apt_ostree("install", "-y", "bar")
    assert pinned(sysroot) == [False, True, True] and "pinned" not in sysroot.origin()
    assert [sysroot.checksum(deployment) for deployment in sysroot.deployments()][1:] == [layered, base.checksum]
    indexes = [str(index) for index, pin in enumerate(pinned(sysroot)) if pin]
    sysroot.apt_ostree("unpin", *indexes)
    assert len(indexes) == 2 and not any(pinned(sysroot))
    assert "Would drop debian-" in sysroot.apt_ostree("cleanup", "-r", "-n").stdout
    answer = held_to("result", sysroot.apt_ostree("cleanup", "--rollback", "--json"))
    assert answer["changed"] and answer["disk-bytes"] < 0 and len(sysroot.deployments()) == 1
    assert run(["ostree", "show", f"--repo={sysroot.repo}", layered], check=False).returncode != 0
    sysroot.apt_ostree("cleanup", "-brm")
    sysroot.apt_ostree("cleanup", "-bprm", "--unchanged-exit-77", check=77)


def test_b11_cancel_from_another_terminal(sysroot: Sysroot, repo: LocalRepo) -> None:
    marker = "sleep 76543"
    repo.publish(
        DebBuilder(name="hangs", scripts={"postinst": f"trap '' TERM INT\necho hanging\n{marker}"}), tool("foo")
    )
    assert "No transaction" in sysroot.apt_ostree("cancel").stdout
    sysroot.apt_ostree("cancel", "--unchanged-exit-77", check=77)
    before = sysroot.snapshot()
    process = sysroot.start("install", "-y", "hangs")
    logs = sysroot.var / "log/apt-ostree"
    wait_for(lambda: any("hanging" in path.read_text() for path in logs.glob("*.log")))
    assert str(process.pid) in sysroot.apt_ostree("cancel", "--dry-run").stdout and process.poll() is None
    answer = held_to("result", sysroot.apt_ostree("cancel", "--json"))
    assert answer["changed"] and str(process.pid) in answer["message"]
    _output, error = process.communicate(timeout=60)
    assert process.returncode == 130 and "nothing was changed" in error
    assert marker not in run(["ps", "ax"]).stdout
    assert sysroot.leftovers() == [] and changes(before, sysroot.snapshot()) == []
    assert sysroot.apt_ostree("status", "--json").json["transaction"] is None

    # a record that names somebody else: nobody is signalled on its word
    bystander = os.fork()
    if bystander == 0:
        signal.pause()
        os._exit(0)
    try:
        with holding(sysroot, "checkout", "layer") as holder:
            lock = sysroot.store / "lock"
            lock.write_text(lock.read_text().replace(str(holder.pid), str(bystander)))
            assert "lock-owner" in sysroot.apt_ostree("cancel", "--json", check=1).stdout
            assert holder.poll() is None and os.waitpid(bystander, os.WNOHANG) == (0, 0)
    finally:
        os.kill(bystander, signal.SIGKILL)
        os.waitpid(bystander, 0)
    sysroot.apt_ostree("install", "-y", "foo")


def fake_reboot(host: NamespaceHost) -> dict[str, str]:
    """A systemctl that notes what it is asked for: the namespace host has no systemd to reboot it."""
    script = "mkdir -p /run/stand-in; printf '#!/bin/sh\\necho $* >> /run/stand-in/asked\\n' > /run/stand-in/systemctl"
    host.run("sh", "-c", f"{script}; chmod 755 /run/stand-in/systemctl")
    return {"PATH": "/run/stand-in:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


def test_b21_b20_finalisation(host: NamespaceHost, http_repo: LocalRepo, host_sysroot: Sysroot) -> None:
    http_repo.publish(tool("foo"), tool("bar"))
    finalize = ("finalize-deployment",)
    assert "no deployment is staged" in host.apt_ostree(*finalize, "--allow-missing-checksum", check=1).stderr
    base = host.booted_checksum()
    answer = held_to("result", host.apt_ostree("install", "-y", "foo", "--lock-finalization", "--json"))
    staged = answer["deployment"]["checksum"]
    assert answer["deployment"]["finalization-locked"] and "finalize-deployment" in answer["message"]
    assert "locked" in host.apt_ostree("status").stdout
    # the switch is held over a shutdown
    host.run("ostree", "admin", "finalize-staged")
    assert host_sysroot.checksum() == base and host.is_staged()
    env = fake_reboot(host)
    host.apt_ostree(*finalize, env=env, check=2)
    for wrong in ("0" * 64, staged[:6], base[:-1] + "x"):
        error = host.apt_ostree(*finalize, wrong, env=env, check=1).stderr
        assert f"is {staged}, not {wrong}" in error
    assert "Would" in host.apt_ostree(*finalize, staged, "--dry-run", env=env).stdout
    assert not host.exists("/run/stand-in/asked") and host.exists("/run/ostree/staged-deployment-locked")
    assert held_to("result", host.apt_ostree(*finalize, staged[:12], "--json", env=env))["changed"]
    assert host.read("/run/stand-in/asked") == "reboot\n"
    assert "not locked" in host.apt_ostree(*finalize, base, env=env, check=1).stderr
    host.apt_ostree(*finalize, base, "--allow-unlocked", env=env)  # the base it was made from will do
    assert host.read("/run/stand-in/asked") == "reboot\n" * 2

    # locked, then staged again without: nothing holds that one back
    host.apt_ostree("kargs", "--append=x", "--lock-finalization")
    assert host.apt_ostree("status", "--json").json["deployments"][0]["finalization-locked"]
    host.apt_ostree("kargs", "--append=y")
    assert not host.apt_ostree("status", "--json").json["deployments"][0]["finalization-locked"]
    # b20: what is written to /etc after the staging is there after the switch
    host.run("sh", "-c", "echo late > /etc/late; echo late >> /etc/issue; rm /etc/issue.net")
    host.reboot()
    assert host.booted_checksum() == staged and host.run("foo").stdout == "1.0\n"
    assert host.read("/etc/late") == "late\n" and host.read("/etc/issue").endswith("late\n")
    assert not host.exists("/etc/issue.net")
    assert {"x", "y"} <= set(host.apt_ostree("kargs").stdout.split())

    # pending and rollback as seen from the booted one
    host.apt_ostree("pin", "booted", "rollback")
    host.apt_ostree("install", "-y", "bar")
    assert "staged" in host.apt_ostree("pin", "pending", check=1).stderr
    host.apt_ostree("cleanup", "--pending", "--rollback")
    assert not host.is_staged() and len(host_sysroot.deployments()) == 2

    # a try on the running system; systemd makes all mounts shared, and so libostree's comes out of its namespace
    host.run("mount", "--make-rshared", "/")
    host.apt_ostree("usroverlay", "--hotfix", "--transient", check=2)
    assert "Would unlock" in host.apt_ostree("usroverlay", "-n").stdout
    assert host.run("touch", "/usr/mine", check=False).returncode != 0
    assert held_to("result", host.apt_ostree("usroverlay", "--json"))["changed"]
    host.run("touch", "/usr/mine")
    status = host.apt_ostree("status", "--json").json["deployments"]
    assert [found["unlocked"] for found in status if found["booted"]] == ["development"]
    host.apt_ostree("usroverlay", "--unchanged-exit-77", check=77)
    assert "as development" in host.apt_ostree("usroverlay", "--hotfix", check=1).stderr
    host.reboot()
    assert not host.exists("/usr/mine")


def test_only_on_the_running_system(sysroot: Sysroot, tmp_path: Path) -> None:
    for words in (("usroverlay",), ("finalize-deployment", "abc"), ("install", "xx", "--lock-finalization")):
        assert "the running system" in sysroot.apt_ostree(*words, check=2).stderr
    assert (
        "not an ostree system"
        in run([*sysroot.argv()[:3], "--sysroot", tmp_path, "cancel"], check=False).must(6).stderr
    )


def test_as_many_rollback_deployments_as_the_setting_says(sysroot: Sysroot) -> None:
    def append(*numbers: int) -> None:
        for number in numbers:
            sysroot.apt_ostree("kargs", f"--append=n={number}")

    def kept() -> list[str]:
        return [word for entry in sysroot.entries() for word in entry["options"].split() if word.startswith("n=")]

    append(1, 2)
    assert len(sysroot.entries()) == 2, "as ostree does it"
    for wrong in ("0", "many", "21", "-1"):
        sysroot.write("etc/apt-ostree.conf", f"[Daemon]\nRollbackDeployments={wrong}\n")
        assert "from 1 to 20" in sysroot.apt_ostree("kargs", "--append=x", check=2).stderr
    sysroot.write("etc/apt-ostree.conf", "[Daemon]\nRollbackDeployments=2\n")
    append(3, 4, 5)
    assert len(sysroot.entries()) == 3 and len(kept()) == 5 + 4 + 3
    assert "2 kept; 0 pinned" in sysroot.apt_ostree("doctor", check=False).stdout
    sysroot.write("etc/apt-ostree.conf", "")
    append(6)
    assert len(sysroot.entries()) == 2


def test_rollback_deployments_of_a_booted_machine(host: NamespaceHost) -> None:
    """libostree would drop them when it finalises what is staged."""
    host.run("sh", "-c", "printf '[Daemon]\\nRollbackDeployments=2\\n' > /etc/apt-ostree.conf")
    booted = [host.deployment.name]
    for number in range(3):
        host.apt_ostree("kargs", f"--append=n={number}")
        host.reboot()
        booted.insert(0, host.deployment.name)
    status = host.apt_ostree("status", "--json").json["deployments"]
    assert [f"{found['checksum']}.{found['serial']}" for found in status] == booted[:3]
    assert not any(found["pinned"] for found in status)
    host.apt_ostree("cleanup", "--rollback")
    assert len(host.apt_ostree("status", "--json").json["deployments"]) == 1
