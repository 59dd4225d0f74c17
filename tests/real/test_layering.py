"""Behaviours of layering: what is requested is layered on the base, always anew, and goes without a trace."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.archive import LocalRepo
from tests.support.debs import DebBuilder
from tests.support.nshost import NamespaceHost
from tests.support.sysroots import Base, Sysroot, changes
from tests.support.verbs import tool

pytestmark = pytest.mark.real


def requested(sysroot: Sysroot) -> list[str]:
    return sysroot.apt_ostree("status", "--json").json["deployments"][0]["requested-packages"]


def test_b01_install_stages_and_leaves_the_booted_usr(host: NamespaceHost, http_repo: LocalRepo) -> None:
    http_repo.publish(tool("foo"))
    listing = ("find", "/usr/bin", "-printf", "%p %M %U:%G %s %l\\n")  # not links: the new tree shares the files
    before = host.run(*listing).stdout
    done = host.apt_ostree("install", "-y", "foo", "--json").json
    assert done["changed"] and done["reboot-needed"]
    assert done["deployment"]["staged"] and not done["deployment"]["booted"]
    assert host.is_staged()
    assert host.run(*listing).stdout == before
    assert not host.exists("/usr/bin/foo")
    host.reboot()
    assert host.run("foo").stdout == "1.0\n"
    assert host.run("dpkg-query", "-W", "-f=${Status}", "foo").stdout == "install ok installed"
    status = host.apt_ostree("status", "--json").json["deployments"]
    assert status[0]["booted"] and status[0]["requested-packages"] == ["foo"]
    assert status[0]["packages"] == ["foo"]


def test_b01_offline_uninstall_gives_the_base_again(sysroot: Sysroot, repo: LocalRepo, base: Base) -> None:
    repo.publish(tool("foo"))
    plain = sysroot.origin()
    sysroot.apt_ostree("install", "-y", "foo")
    assert sysroot.checksum() != base.checksum
    assert f"baserefspec={base.ref}" in sysroot.origin() and "requested=foo;" in sysroot.origin()
    assert (sysroot.default / "usr/bin/foo").is_file()
    sysroot.apt_ostree("uninstall", "-y", "foo")
    assert sysroot.checksum() == base.checksum
    assert f"\nrefspec={base.ref}" in sysroot.origin() and "requested" not in sysroot.origin()
    assert sysroot.origin().split() == plain.split()


def test_b02_operations_chain_without_a_reboot(host: NamespaceHost, http_repo: LocalRepo) -> None:
    http_repo.publish(tool("foo"), tool("bar"))
    host.apt_ostree("install", "-y", "foo")
    host.apt_ostree("install", "-y", "bar")
    host.apt_ostree("uninstall", "-y", "foo")
    deployments = host.apt_ostree("status", "--json").json["deployments"]
    pending = [d for d in deployments if not d["booted"]]
    assert len(pending) == 1 and pending[0]["staged"]
    assert pending[0]["requested-packages"] == ["bar"]
    host.reboot()
    assert host.exists("/usr/bin/bar") and not host.exists("/usr/bin/foo")


def test_b04_local_package_outlives_its_file(sysroot: Sysroot, repo: LocalRepo, tmp_path: Path) -> None:
    repo.publish(tool("foo", "2.0"), tool("bar"))
    deb = tool("foo", "1.0").build(tmp_path)
    sysroot.apt_ostree("install", "-y", str(deb))
    deb.unlink()
    sysroot.apt_ostree("install", "-y", "bar")
    assert "echo 1.0" in (sysroot.default / "usr/bin/foo").read_text()
    first = sysroot.apt_ostree("status", "--json").json["deployments"][0]
    assert first["requested-packages"] == ["bar"]
    assert len(first["requested-local-packages"]) == 1
    sysroot.apt_ostree("uninstall", "-y", "foo_1.0_all")
    assert not (sysroot.default / "usr/bin/foo").exists()


def test_b04_local_package_goes_by_name(sysroot: Sysroot, tmp_path: Path, base: Base) -> None:
    tool("foo").build(tmp_path)
    tool("bar").build(tmp_path)
    sysroot.apt_ostree("install", "-y", str(tmp_path))  # a directory of .debs
    assert (sysroot.default / "usr/bin/foo").exists() and (sysroot.default / "usr/bin/bar").exists()
    sysroot.apt_ostree("uninstall", "-y", "foo", "bar")
    assert sysroot.checksum() == base.checksum


def test_b06_conflict_with_the_base_is_refused(sysroot: Sysroot, repo: LocalRepo) -> None:
    repo.publish(tool("foo", control={"Conflicts": "hostname"}))
    before = sysroot.snapshot()
    done = sysroot.apt_ostree("install", "-y", "foo", check=3)
    assert "foo" in done.stderr and "hostname" in done.stderr
    assert changes(before, sysroot.snapshot()) == []


def test_b06_upgrade_of_the_base_is_refused(sysroot: Sysroot, repo: LocalRepo) -> None:
    repo.publish(DebBuilder(name="hostname", version="99.0", arch="amd64"), tool("foo", depends="hostname (>= 99)"))
    before = sysroot.snapshot()
    done = sysroot.apt_ostree("install", "-y", "foo", check=3)
    assert "foo" in done.stderr and "hostname" in done.stderr and "99" in done.stderr
    done = sysroot.apt_ostree("install", "-y", "hostname=99.0", "--json", check=3)
    assert done.json["error"]["code"] in ("base-would-change", "already-in-base")
    assert changes(before, sysroot.snapshot()) == []


def test_a_version_no_source_has_is_named_with_those_there_are(sysroot: Sysroot, repo: LocalRepo) -> None:
    repo.publish(tool("foo"), tool("bar"))
    sysroot.apt_ostree("install", "-y", "bar")
    before = sysroot.snapshot()
    told = sysroot.apt_ostree("install", "-y", "foo=99", "--json", check=3).json["error"]
    assert (told["code"], told["message"]) == ("no-version", "foo has no version '99'")
    assert [line.partition(" in ")[0] for line in told["details"]] == ["there is foo 1.0"]
    assert "foo=1.0" in told["hint"]
    told = sysroot.apt_ostree("install", "-y", "foo/nosuch", "--json", check=3).json["error"]
    assert told["message"] == "foo is in no suite 'nosuch'"
    assert changes(before, sysroot.snapshot()) == []


def test_b07_file_conflicts(sysroot: Sysroot, repo: LocalRepo) -> None:
    same, shared = {"Multi-Arch": "same"}, {"/usr/share/doc/twin/text": "same in both"}
    repo.publish(
        DebBuilder(name="thief", files={"/usr/bin/hostname": "not hostname"}),
        DebBuilder(name="heir", files={"/usr/bin/hostname": "heir"}, control={"Replaces": "hostname"}),
        DebBuilder(name="one", files={"/usr/share/one/same": "same"}),
        DebBuilder(name="two", files={"/usr/share/one/same": "other"}),
        *(DebBuilder(name="twin", arch=arch, control=same, files=shared) for arch in ("amd64", "i386")),
    )
    before = sysroot.snapshot()
    done = sysroot.apt_ostree("install", "-y", "thief", "--json", check=1)
    assert done.json["error"]["code"] == "file-conflict"
    assert "hostname" in done.json["error"]["message"] and "/usr/bin/hostname" in done.json["error"]["message"]
    done = sysroot.apt_ostree("install", "-y", "one", "two", check=1)
    assert "/usr/share/one/same" in done.stderr and "one" in done.stderr
    assert changes(before, sysroot.snapshot()) == []
    sysroot.apt_ostree("install", "-y", "heir", "twin:amd64", "twin:i386")
    assert (sysroot.default / "usr/bin/hostname").read_text() == "heir"
    # equal content is shared by the architectures of one package, and by nobody else (dpkg(1), Multi-Arch: same)
    assert (sysroot.default / "usr/share/doc/twin/text").read_text() == "same in both"


def test_b25_same_inputs_give_the_same_tree(sysroot: Sysroot, repo: LocalRepo) -> None:
    from tests.support.process import run

    script = "adduser --system --group _again; update-alternatives --install /usr/bin/again again /usr/bin/foo 10"
    repo.publish(tool("foo", scripts={"postinst": script}))
    contents = []
    for _ in range(2):
        sysroot.apt_ostree("install", "-y", "foo")
        root = run(["ostree", f"--repo={sysroot.repo}", "ls", "-d", "-C", sysroot.checksum(), "/"]).stdout
        contents.append(root.split()[4:6])
        sysroot.apt_ostree("uninstall", "-y", "foo")
        sysroot.apt_ostree("cleanup", "--rollback", "--pending", "--base")
        run(["ostree", f"--repo={sysroot.repo}", "prune", "--refs-only", "--depth=0"])
    assert contents[0] == contents[1]


def test_a_layered_commit_is_as_bootable_as_its_base(sysroot: Sysroot, repo: LocalRepo) -> None:
    repo.publish(tool("foo"))
    sysroot.apt_ostree("install", "-y", "foo")
    first = sysroot.apt_ostree("status", "--json").json["deployments"][0]
    for key in ("ostree.bootable", "ostree.linux"):
        assert first["layered-commit-meta"][key] == first["base-commit-meta"][key]
