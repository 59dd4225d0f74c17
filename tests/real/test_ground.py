"""The ground of the real tests: sysroots are whole and separate, the namespace host is a booted machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import basecache, leaks
from tests.support.archive import LocalRepo
from tests.support.debs import DebBuilder
from tests.support.nshost import NamespaceHost
from tests.support.process import run
from tests.support.sysroots import Base, Sysroot, changes

pytestmark = pytest.mark.real


def test_a_fresh_sysroot_boots_the_base(sysroot: Sysroot, base: Base) -> None:
    assert sysroot.checksum() == base.checksum
    assert sysroot.origin() == f"[origin]\nrefspec={base.ref}\n"
    status = run(["ostree", "admin", "status", f"--sysroot={sysroot.path}"]).stdout
    assert f"debian {base.checksum}.0" in status
    assert {"root=LABEL=root", "rw", "quiet"} <= set(sysroot.entries()[0]["options"].split())


def test_objects_are_links_and_etc_is_not(sysroot: Sysroot, template: Sysroot, base: Base) -> None:
    program = Path("usr/bin/dpkg")
    mine, theirs = sysroot.default / program, template.default / program
    assert mine.stat().st_ino == theirs.stat().st_ino
    assert len([path for path in base.repo.rglob("*.commit") if path.stat().st_nlink > 1]) > 0
    for path in (sysroot.default / "etc").rglob("*"):
        assert path.is_dir() or path.lstat().st_nlink == 1, path
    for path in (*sysroot.path.glob("boot/loader/entries/*"), sysroot.repo / "config", *sysroot.path.rglob("*.origin")):
        assert path.stat().st_nlink == 1, path


def test_a_snapshot_sees_what_a_transaction_could_change(sysroot: Sysroot) -> None:
    before = sysroot.snapshot()
    assert sysroot.snapshot() == before
    sysroot.write("etc/motd", "hello\n")
    run(["ostree", "refs", f"--repo={sysroot.repo}", "--create=new", sysroot.checksum()])
    named = sysroot.default.name
    (sysroot.default.parent / f"{named}.origin").write_text("[origin]\nrefspec=other\n")
    changed = changes(before, sysroot.snapshot())
    assert {"ostree/repo/refs/heads/new"} <= set(changed)
    assert any(path.endswith("/etc/motd") for path in changed)
    assert any(path.endswith(f"{named}.origin") for path in changed)
    run(["ostree", "admin", "deploy", f"--sysroot={sysroot.path}", "--os=debian", sysroot.checksum()])
    assert any(path.startswith("boot/loader") for path in changes(before, sysroot.snapshot()))


def test_a_change_in_one_sysroot_is_not_seen_in_another(sysroot: Sysroot, template: Sysroot) -> None:
    before = template.snapshot()
    sysroot.write("etc/hostname", "changed\n")
    run(["ostree", "admin", "deploy", f"--sysroot={sysroot.path}", "--os=debian", sysroot.checksum()])
    assert changes(before, template.snapshot()) == []


def test_fsck_sees_an_edit_in_place(work: Path) -> None:
    """Not on the cached base, which would be broken by it: on a repo of one file."""
    made = Sysroot(work / "broken", check=False)
    (made.path / "tree").mkdir(parents=True)
    (made.path / "tree/file").write_text("whole")
    made.repo.parent.mkdir()
    run(["ostree", "init", f"--repo={made.repo}", "--mode=bare"])
    run(["ostree", "commit", f"--repo={made.repo}", "--branch=x", f"--tree=dir={made.path / 'tree'}"])
    made.fsck()
    next(made.repo.rglob("*.file")).write_text("edited")
    with pytest.raises(AssertionError, match="fsck"):
        made.fsck()


def test_the_second_look_for_a_base_is_the_cached_one(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(basecache, "_compose", None)
    assert basecache.base() == base


def test_apt_ostree_runs_on_the_sysroot(sysroot: Sysroot, base: Base) -> None:
    status = sysroot.apt_ostree("status", "--json").json
    assert [entry["checksum"] for entry in status["deployments"]] == [base.checksum]
    assert sysroot.apt_ostree("no-such-command", check=2).stdout == ""


# --- the namespace host


def test_the_host_is_booted(host: NamespaceHost, host_base: Base) -> None:
    assert f"* debian {host_base.checksum}.0" in host.ostree_status()
    assert "ostree=/ostree/boot." in host.read("/proc/cmdline")
    for path in ("/usr/new", "/sysroot/new"):
        assert "Read-only" in host.run("touch", path, check=False).stderr
    host.run("touch", "/etc/new", "/var/new")
    assert (host.sysroot.var / "new").exists()


def test_the_host_runs_the_checkout_with_debians_python(host: NamespaceHost, host_base: Base) -> None:
    status = host.apt_ostree("status", "--json").json
    assert [entry["booted"] for entry in status["deployments"]] == [True]
    where = host.run(
        "python3", "-c", "import sys, apt_ostree, typer; print(sys.version_info[:2], typer.__file__)"
    ).stdout
    assert where.startswith("(3, 13) /usr/lib/python3/dist-packages/")


def test_staged_deployments_wait_for_the_reboot(host: NamespaceHost) -> None:
    host.run("sh", "-c", "echo before > /etc/before")
    host.run("ostree", "admin", "deploy", "--stage", host.booted_checksum())
    assert host.is_staged()
    host.run("sh", "-c", "echo after > /etc/after")
    first = host.deployment
    host.reboot()
    assert host.deployment != first
    assert not host.is_staged()
    assert (host.read("/etc/before"), host.read("/etc/after")) == ("before\n", "after\n")
    assert host.ostree_status().startswith("* debian")


def test_a_power_cut_loses_what_is_staged(host: NamespaceHost) -> None:
    host.run("ostree", "admin", "deploy", "--stage", host.booted_checksum())
    first = host.deployment
    host.power_cut()
    host.boot()
    assert host.deployment == first
    assert not host.is_staged()


def test_apt_inside_reaches_the_local_archive(
    host: NamespaceHost, http_repo: LocalRepo, deb: Callable[..., DebBuilder]
) -> None:
    http_repo.publish(deb("hello-ground"))
    host.run("apt-get", "update", "-o", "APT::Sandbox::User=root")
    assert "1.0" in host.run("apt-cache", "policy", "hello-ground").stdout


def test_files_can_be_shown_to_the_host(host: NamespaceHost, work: Path, deb: Callable[..., DebBuilder]) -> None:
    path = deb("shown").build(work / "debs")
    assert host.run("dpkg-deb", "--field", host.expose(path), "Package").stdout == "shown\n"
    assert path.name in host.run("ls", host.expose(path.parent)).stdout


def test_nothing_of_a_host_is_left(host_sysroot: Sysroot, workspace: Path) -> None:
    before = leaks.Leaks.watch(workspace)
    machine = NamespaceHost(host_sysroot)
    with pytest.raises(RuntimeError), machine, machine.running("sleep", "600") as process:
        assert process.poll() is None
        machine.run("sh", "-c", "setsid sleep 600 >/dev/null 2>&1 &")
        raise RuntimeError("in the middle of a test")
    assert before.found() == []
    assert not machine.root.exists()


def test_leaks_sees_mounts_and_loop_devices(work: Path, workspace: Path) -> None:
    before = leaks.Leaks.watch(workspace)
    image, point = work / "image", work / "point with space"
    point.mkdir()
    with image.open("wb") as stream:
        stream.truncate(1 << 20)
    device = run(["losetup", "--find", "--show", image]).stdout.strip()
    run(["mount", "-t", "tmpfs", "tmpfs", point])
    try:
        assert before.found() == [f"mount {point} is left", f"loop device {Path(device).name} is left"]
    finally:
        run(["umount", point])
        run(["losetup", "--detach", device])
    assert before.found() == []
