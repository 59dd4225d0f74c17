"""etc-diff and the conflicts of status: what was changed in /etc, as ostree sees it, and where new defaults differ."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

import pytest

from apt_ostree.errors import AptOstreeError
from apt_ostree.ops import status as status_ops
from apt_ostree.paths import Paths
from apt_ostree.sysroot import load
from tests.support.archive import LocalRepo
from tests.support.ground import Ground
from tests.support.nshost import NamespaceHost
from tests.support.process import run
from tests.support.sysroots import Base, Sysroot
from tests.support.verbs import held_to, tool

pytestmark = pytest.mark.real

PLAIN = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "python3", "-m", "apt_ostree")


def newer(ground: Ground, sysroot: Sysroot, base: Base, files: Mapping[str, str]) -> str:
    """A commit in the sysroot's repo that is the base with other files."""
    return ground.with_files(replace(base, repo=sysroot.repo), files).checksum


def edit(sysroot: Sysroot) -> None:
    """One change of every kind."""
    etc = sysroot.default / "etc"
    sysroot.write("etc/issue", "mine\n")
    sysroot.write("etc/added.d/deep/file", "new\n")
    (etc / "added.d/link").symlink_to("nowhere")
    os.chmod(etc / "fstab" if (etc / "fstab").exists() else etc / "shells", 0o600)
    os.chown(etc / "host.conf", 12, 34)
    (etc / "issue.net").unlink()
    (etc / "os-release").unlink()
    (etc / "os-release").symlink_to("../usr/lib/other-release")
    run(["rm", "-r", etc / "skel"])
    (etc / "skel").write_text("a file now\n")
    run(["rm", "-r", etc / "kernel"])
    os.chmod(etc / "profile.d", 0o700)


def test_etc_diff_agrees_with_ostree(sysroot: Sysroot, ground: Ground, base: Base) -> None:
    edit(sysroot)
    read = held_to("etc-diff", sysroot.apt_ostree("etc-diff", "--json"))
    letters = {"added": "A", "modified": "M", "removed": "D"}
    ours = {(letters[change["kind"]], change["path"].removeprefix("/etc/")) for change in read["changes"]}
    told = run(["ostree", "admin", "config-diff", f"--sysroot={sysroot.path}", "--os=debian"]).stdout
    theirs = {(line[0], line[1:].strip()) for line in told.splitlines()}
    assert ours == theirs and len(ours) > 10
    by_path = {change["path"]: change for change in read["changes"]}
    assert by_path["/etc/issue"]["differs"] == ["content"] and by_path["/etc/profile.d"]["differs"] == ["mode"]
    assert by_path["/etc/host.conf"]["differs"] == ["owner"] and by_path["/etc/host.conf"]["local"]["gid"] == 34
    assert by_path["/etc/os-release"]["default"]["target"] == "../usr/lib/os-release"
    assert by_path["/etc/skel"]["differs"][0] == "type" and by_path["/etc/kernel"]["local"] is None
    assert read["conflicts"] == [] and read["against"] is None and read["problems"] == []
    text = sysroot.apt_ostree("etc-diff").stdout
    assert "M /etc/host.conf (owner 0:0 -> 12:34)\n" in text and "D /etc/issue.net\n" in text
    assert "(target ../usr/lib/os-release -> ../usr/lib/other-release)" in text
    conflicts_of_an_offline_deploy(sysroot, ground, base)


def conflicts_of_an_offline_deploy(sysroot: Sysroot, ground: Ground, base: Base) -> None:
    """Changed here and there is a conflict; the same change on both sides, or one on one side, is none."""
    (sysroot.default / "etc/skel").unlink()  # libostree does not merge a file with a directory
    (sysroot.default / "etc/skel").mkdir()
    sysroot.write("etc/motd", "agreed\n")
    new = {"usr/etc/issue": "theirs\n", "usr/etc/issue.net": "back\n", "usr/etc/added.d/deep/file": "their new one\n",
           "usr/etc/motd": "agreed\n", "usr/etc/bash.bashrc": "only theirs\n"}  # fmt: skip
    sysroot.apt_ostree("deploy", "--skip-branch-check", newer(ground, sysroot, base, new))
    wanted = ["/etc/added.d/deep/file", "/etc/issue", "/etc/issue.net"]
    read = held_to("etc-diff", sysroot.apt_ostree("etc-diff", "--json", "--conflicts"))
    assert read["conflicts"] == wanted == [change["path"] for change in read["changes"]]
    first, second = held_to("status", sysroot.apt_ostree("status", "--json"))["deployments"]
    assert first["etc-conflicts"] == wanted and second["etc-conflicts"] == [] and read["against"] == first["id"]
    assert sysroot.apt_ostree("etc-diff", "1", "--json", "--conflicts").json["conflicts"] == wanted
    assert "EtcConflicts: /etc/added.d/deep/file" in sysroot.apt_ostree("status").stdout
    assert (sysroot.default / "etc/issue").read_text() == "mine\n" and not (sysroot.default / "etc/issue.net").exists()
    sysroot.write("etc/issue", "theirs\n")  # looked at and settled
    assert "/etc/issue" not in sysroot.apt_ostree("status", "--json").json["deployments"][0]["etc-conflicts"]
    assert sysroot.apt_ostree("etc-diff", "7", "--json", check=1).json["error"]["code"] == "no-deployment"
    sysroot.apt_ostree("etc-diff", "booted", check=1)
    assert sysroot.apt_ostree("etc-diff", "rollback").stdout == sysroot.apt_ostree("etc-diff", "1").stdout
    (sysroot.deployments()[1] / "etc/added.d/deep").rename(sysroot.path / "moved")
    (sysroot.deployments()[1] / "etc/added.d/deep").symlink_to("/etc")  # leads out of the sysroot: it is not followed
    assert wanted[0] not in sysroot.apt_ostree("status", "--json").json["deployments"][0]["etc-conflicts"]


def test_b20_etc_edited_after_staging_is_kept_and_conflicts_are_reported(
    host: NamespaceHost, host_sysroot: Sysroot, ground: Ground, host_base: Base
) -> None:
    new = newer(ground, host_sysroot, host_base, {"usr/etc/issue": "theirs\n", "usr/etc/motd": "theirs\n"})
    host.apt_ostree("deploy", "--skip-branch-check", new)
    assert host.apt_ostree("status", "--json").json["deployments"][0]["etc-conflicts"] == []
    host.run("sh", "-c", "echo mine > /etc/issue; echo secret > /etc/motd; chmod 600 /etc/motd; echo x > /etc/mine")
    plain = host.run(*PLAIN, "status", "--json").json["deployments"]
    assert plain == host.apt_ostree("status", "--json").json["deployments"]
    assert plain[0]["etc-conflicts"] == ["/etc/issue", "/etc/motd"] and plain[0]["disk"] > 0
    read = held_to("etc-diff", host.apt_ostree("etc-diff", "--json"))
    assert read["conflicts"] == ["/etc/issue", "/etc/motd"] and read["against"] == plain[0]["id"]
    assert "/etc/mine" in {change["path"] for change in read["changes"]}
    limited = host.run(*PLAIN, "etc-diff").stdout
    assert "M /etc/issue (content) CONFLICT" in limited and "warning: cannot read" in limited
    assert "staged" in host.apt_ostree("etc-diff", "pending", check=1).stderr
    host.reboot()
    assert host.read("/etc/issue") == "mine\n" and host.read("/etc/mine") == "x\n"
    assert [d["etc-conflicts"] for d in host.apt_ostree("status", "--json").json["deployments"]] == [[], []]


def test_disk_is_what_only_one_deployment_has(sysroot: Sysroot, repo: LocalRepo) -> None:
    only = sysroot.apt_ostree("status", "--json").json["deployments"][0]["disk"]
    sizes = {path.lstat().st_ino: path.lstat().st_size for path in (sysroot.repo / "objects").rglob("*.file")}
    assert only == sum(sizes.values())
    repo.publish(tool("foo", control={"Description": "x"}))
    before = set((sysroot.repo / "objects").rglob("*.file"))
    sysroot.apt_ostree("install", "-y", "foo")
    fresh = sum(path.lstat().st_size for path in set((sysroot.repo / "objects").rglob("*.file")) - before)
    layered, base = (d["disk"] for d in sysroot.apt_ostree("status", "--json").json["deployments"])
    assert layered == fresh > 0 and base < 3_000_000  # dpkg's and other databases that the layer has in its own version
    assert "Disk: " in sysroot.apt_ostree("status", "-v").stdout and "Disk" not in sysroot.apt_ostree("status").stdout
    damaged = load(Paths(sysroot.path))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("apt_ostree.trees.parse", lambda *_: (_ for _ in ()).throw(AptOstreeError("x")))
        assert status_ops.usage(damaged) == {}
