"""initramfs and initramfs-etc: an initramfs of the deployment's own, and a small one of files in /etc."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.support.archive import LocalRepo
from tests.support.debs import DebBuilder
from tests.support.nshost import NamespaceHost
from tests.support.process import run
from tests.support.sysroots import Base, Sysroot, changes
from tests.support.verbs import held_to, tool, whole
from tests.unit.test_initrd import unpacked

pytestmark = pytest.mark.real


def small(sysroot: Sysroot, index: int = 0) -> bytes | None:
    """The small initrd of a boot entry, None when it has none."""
    entry = sorted((sysroot.path / "boot/loader/entries").glob("*.conf"), key=lambda path: path.name)[::-1][index]
    files = [line.split()[1] for line in entry.read_text().splitlines() if line.startswith("initrd ")]
    assert 1 <= len(files) <= 2
    return (sysroot.path / f"boot/{files[1]}").read_bytes() if len(files) == 2 else None


def big(deployment: Path) -> Path:
    (found,) = deployment.glob("usr/lib/modules/*/initramfs.img")
    return found


def test_initramfs_of_its_own(sysroot: Sysroot, repo: LocalRepo, base: Base) -> None:
    repo.publish(tool("foo"))
    origin = sysroot.origin()
    assert "the base's" in sysroot.apt_ostree("initramfs").stdout
    for words in (("--enable", "--disable"), ("--arg=x",), ("--disable", "--arg=x"), ("--enable", "--arg=")):
        sysroot.apt_ostree("initramfs", *words, check=2)
    sysroot.apt_ostree("initramfs", "--disable", "--unchanged-exit-77", check=77)
    before = whole(sysroot)
    assert held_to("result", sysroot.apt_ostree("initramfs", "--enable", "-n", "--json"))["would-change"]
    assert changes(before, whole(sysroot)) == []
    sysroot.use_sources({"dead": "Types: deb\nURIs: file:///nowhere\nSuites: x\nComponents: main\n"})
    # no package is asked for, so no archive is needed
    words = ("initramfs", "--enable", "--arg=--include", "--arg=/usr/bin/true", "--arg=/usr/bin/made by us")
    answer = held_to("result", sysroot.apt_ostree(*words, "--json"))
    assert answer["changed"] and "initramfs" in answer["duration"] and answer["deployment"]["regenerate-initramfs"]
    listing = run(["chroot", sysroot.default, "lsinitrd", "/" + str(big(sysroot.default).relative_to(sysroot.default))])
    assert "usr/bin/made by us" in listing.stdout and "ostree-prepare-root" in listing.stdout
    shown = held_to("initramfs", sysroot.apt_ostree("initramfs", "--json"))
    assert shown["regenerate"] and shown["initramfs-args"][-1] == "/usr/bin/made by us"
    assert "Initramfs: regenerate" in sysroot.apt_ostree("status").stdout
    assert f"baserefspec={base.ref}" in sysroot.origin() and sysroot.checksum() != base.checksum
    # the boot entry has it, and the repo's own file was not written to (fsck at the end of the test)
    entry = sysroot.entries()[0]
    assert (sysroot.path / f"boot{entry['initrd']}").read_bytes() == big(sysroot.default).read_bytes()
    repeated = (*words, "--unchanged-exit-77")
    sysroot.apt_ostree(*repeated, check=77)
    sysroot.apt_ostree("initramfs", "--disable")
    assert sysroot.checksum() == base.checksum and sysroot.origin() == origin


def test_tracked_files_of_etc(sysroot: Sysroot, repo: LocalRepo) -> None:
    repo.publish(tool("foo"))
    sysroot.write("etc/crypttab", "data UUID=1\n", mode=0o600)
    assert "No files" in sysroot.apt_ostree("initramfs-etc").stdout
    before = sysroot.snapshot()
    for bad in ("/usr/bin/true", "/etc/../usr", "etc/crypttab"):
        sysroot.apt_ostree("initramfs-etc", "--track", bad, check=2)
    sysroot.apt_ostree("initramfs-etc", "--track", "/etc/nothing", check=1)
    sysroot.apt_ostree("initramfs-etc", "--untrack-all", "--unchanged-exit-77", check=77)
    assert changes(before, sysroot.snapshot()) == []
    track = ("initramfs-etc", "--track", "/etc/crypttab", "--track", "/etc/issue")
    assert held_to("result", sysroot.apt_ostree(*track, "--json"))["changed"]
    first = small(sysroot)
    assert first and unpacked(first)["etc/crypttab"][1] == b"data UUID=1\n"
    assert small(sysroot, 1) is None
    assert sysroot.apt_ostree("initramfs-etc").stdout == "/etc/crypttab\n/etc/issue\n"
    assert "InitramfsEtc" in sysroot.apt_ostree("status").stdout
    sysroot.apt_ostree("initramfs-etc", "--force-sync", "--unchanged-exit-77", check=77)
    sysroot.apt_ostree("kargs", "--append=x")  # carried by what makes a deployment, though ostree does not
    assert small(sysroot) == first
    sysroot.write("etc/crypttab", "data UUID=2\n", mode=0o600)
    assert held_to("result", sysroot.apt_ostree("initramfs-etc", "--force-sync", "--json"))["changed"]
    second = small(sysroot)
    assert second and unpacked(second)["etc/crypttab"][1] == b"data UUID=2\n" and small(sysroot, 1) == first
    sysroot.apt_ostree("rollback")
    assert small(sysroot) == first and small(sysroot, 1) == second
    (sysroot.default / "etc/crypttab").unlink()
    done = sysroot.apt_ostree("install", "-y", "foo")
    assert "/etc/crypttab is tracked" in done.stderr
    third = small(sysroot)
    assert third and set(unpacked(third)) == {"etc", "etc/issue"}
    sysroot.apt_ostree("initramfs-etc", "--untrack-all")
    assert small(sysroot) is None and "initramfs-etc" not in sysroot.origin()


def test_tracked_files_of_a_booted_machine(host: NamespaceHost, host_sysroot: Sysroot) -> None:
    host.run("sh", "-c", "echo one > /etc/mine")
    host.apt_ostree("initramfs-etc", "--track", "/etc/mine")
    host.apt_ostree("initramfs-etc", "--force-sync", "--unchanged-exit-77", check=77)  # as the staged one has it
    host.run("sh", "-c", "echo two > /etc/mine")
    assert host.apt_ostree("initramfs-etc", "--force-sync", "--json").json["changed"]
    host.reboot()
    made = small(host_sysroot)
    assert made and unpacked(made)["etc/mine"][1] == b"two\n"
    name = f"boot/ostree/initramfs-overlays/{hashlib.sha256(made).hexdigest()}.img"
    assert (host_sysroot.path / name).is_file()


def test_b17_another_kernel_in_the_place_of_the_bases(sysroot: Sysroot, repo: LocalRepo, base: Base) -> None:
    """With an initramfs for it; dpkg knows where it is, and of the former nothing is left."""
    old = next((sysroot.default / "usr/lib/modules").iterdir()).name
    new, modules = "9.9.9-toy", "/usr/lib/modules/9.9.9-toy"
    repo.publish(
        DebBuilder(
            name=f"linux-image-{new}",
            files={f"/boot/vmlinuz-{new}": "k", f"/boot/config-{new}": "CONFIG_BLK_DEV_INITRD=y\nCONFIG_RD_ZSTD=y\n",
                   f"{modules}/modules.order": "", f"{modules}/modules.builtin": ""},
            scripts={"postinst": f"depmod {new}", "postrm": f"rm -f {modules}/modules.*"},
        ),
        DebBuilder(name="meta", depends=f"linux-image-{new}"),
    )  # fmt: skip
    for name in ("meta", f"linux-image-{new}"):
        error = sysroot.apt_ostree("install", "-y", name, "--json", check=3).json["error"]
        assert error["code"] == "kernel" and f"override remove linux-image-{old} --install" in error["hint"]
    remove = ("override", "remove", "-y", "linux-image-cloud-amd64", f"linux-image-{old}")
    assert sysroot.apt_ostree(*remove, "--json", check=3).json["error"]["code"] == "kept"
    sysroot.apt_ostree(*remove, "--install", "meta")
    tree = sysroot.default
    assert [place.name for place in (tree / "usr/lib/modules").iterdir()] == [new]
    listing = run(["chroot", tree, "lsinitrd", f"{modules}/initramfs.img"]).stdout
    assert "ostree-prepare-root" in listing and f"lib/modules/{new}/modules.dep" in listing and old not in listing
    assert sysroot.entries()[0]["linux"].endswith(f"vmlinuz-{new}")
    database = f"--admindir={tree}/usr/lib/sysimage/dpkg"
    assert run(["dpkg-query", database, "--search", f"/boot/vmlinuz-{new}"]).stdout.startswith("local diversion from")
    assert "/boot/" not in run(["dpkg", database, f"--root={tree}", "--verify"], check=False).stdout
    assert old not in (tree / "usr/lib/sysimage/dpkg/diversions").read_text()
    error = sysroot.apt_ostree("uninstall", "-y", "meta", "--json", check=3).json["error"]
    assert f"override reset linux-image-{old}" in error["hint"]
    sysroot.apt_ostree("override", "reset", "-y", "--all", "--uninstall", "meta")
    assert sysroot.checksum() == base.checksum
