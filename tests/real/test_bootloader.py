"""What the boot loader finds: looked at after every write, and put back when it would not boot."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.archive import LocalRepo
from tests.support.debs import DebBuilder
from tests.support.nshost import NamespaceHost
from tests.support.process import run
from tests.support.sysroots import Sysroot, changes

pytestmark = pytest.mark.real

# an own generator of a GRUB menu (OSTREE_GRUB2_EXEC of libostree), which does harm when it is told to
GENERATOR = """#!/bin/sh
for word; do out=$last; last=$word; done
[ -n "$last" ] || exit 1
harm=$(cat HARM)
echo "set timeout=1" > "$last"
[ "$harm" = empty ] && exit 0
for entry in $(ls -r "$(dirname "$last")"/entries/*.conf); do
    echo "menuentry 'x' {" >> "$last"
    sed -n 's/^linux \\(.*\\)/ linux \\1/p; s/^options / options /p; s/^initrd / initrd /p' "$entry" >> "$last"
    echo "}" >> "$last"
done
"""


def probes(sysroot: Sysroot, start: str) -> list[tuple[str, str]]:
    found = sysroot.apt_ostree("doctor", "--json", check=False).json["probes"]
    return [(probe["state"], probe["detail"]) for probe in found if probe["name"].startswith(start)]


def menu(sysroot: Sysroot) -> str:
    return (sysroot.path / "boot/syslinux/syslinux.cfg").read_text()


def test_every_verb_writes_a_menu_that_boots(syslinux: Sysroot, repo: LocalRepo) -> None:
    repo.publish(DebBuilder(name="foo"))
    assert "first=1" in menu(syslinux)
    for words in (
        ("install", "-y", "foo"),
        ("kargs", "--append=second=2"),
        ("rollback",),
        ("uninstall", "-y", "foo"),
        ("cleanup", "--rollback"),
    ):
        syslinux.apt_ostree(*words)
        assert {state for state, _ in probes(syslinux, "boot entry")} == {"ok"}, words
        assert len(syslinux.entries()) == (1 if "cleanup" in words else 2), words
        assert menu(syslinux).count("LABEL ") == len(syslinux.entries())
    # a kernel that a full file system cut short, in an entry that was well: seen by the next write
    [kernel] = syslinux.path.glob("boot/ostree/*/vmlinuz-*")
    whole = kernel.read_bytes()
    kernel.unlink()
    kernel.write_bytes(whole[:1000])
    assert [state for state, _ in probes(syslinux, "boot entry")] == ["failed"]
    before = syslinux.snapshot()
    done = syslinux.apt_ostree("kargs", "--append=third=3", check=1)
    assert f"1000 bytes of {len(whole)}" in done.stderr and "doctor" in done.stderr
    assert changes(before, syslinux.snapshot()) == []
    kernel.write_bytes(whole[:-1] + b"x")
    assert "not what its deployment has" in syslinux.apt_ostree("kargs", "--append=third=3", check=1).stderr
    kernel.write_bytes(whole)
    syslinux.apt_ostree("kargs", "--append=third=3")


def test_an_empty_menu_is_taken_back(sysroot: Sysroot, repo: LocalRepo, tmp_path: Path) -> None:
    """The trap of the stock grub2 back end: its generator ends well and writes no entries, and libostree is content."""
    repo.publish(DebBuilder(name="foo"))
    boot, harm, generator = sysroot.path / "boot", tmp_path / "harm", tmp_path / "generator"
    (boot / "grub2").mkdir()
    (boot / "grub2/grub.cfg").symlink_to("../loader/grub.cfg")
    (boot / "loader/grub.cfg").write_text("")
    run(["ostree", "config", f"--repo={sysroot.repo}", "set", "sysroot.bootloader", "grub2"])
    generator.write_text(GENERATOR.replace("HARM", str(harm)))
    generator.chmod(0o755)
    env = {"OSTREE_GRUB2_EXEC": str(generator)}
    harm.write_text("none")
    sysroot.apt_ostree("install", "-y", "foo", env=env)
    sysroot.apt_ostree("kargs", "--append=x=1", env=env)
    assert (boot / "grub2/grub.cfg").read_text().count("menuentry") == 2
    assert {state for state, _ in probes(sysroot, "boot entry")} == {"ok"}
    (sysroot.default / "etc/default/grub").unlink()
    traps = [detail for state, detail in probes(sysroot, "grub2 back end") if state == "failed"]
    assert any("/etc/default/grub" in trap for trap in traps) and any("sysroot.bootprefix" in trap for trap in traps)
    harm.write_text("empty")
    before, menu = sysroot.snapshot(), (boot / "grub2/grub.cfg").read_text()
    for words in (("kargs", "--append=x=2"), ("rollback",), ("uninstall", "-y", "foo")):
        done = sysroot.apt_ostree(*words, check=1, env=env)
        assert "does not stand in" in done.stderr and "the former boot entries are back" in done.stderr
        assert changes(before, sysroot.snapshot()) == [], words
        run(["ostree", "admin", "status", f"--sysroot={sysroot.path}"])
    assert (boot / "grub2/grub.cfg").read_text() == menu
    # what is undeployed is gone; the entry that is left still stands in the menu, alone
    assert "does not stand in" in sysroot.apt_ostree("cleanup", "--rollback", check=1, env=env).stderr
    assert len(sysroot.entries()) == 1 and (boot / "grub2/grub.cfg").read_text().count("menuentry") == 1
    assert {state for state, _ in probes(sysroot, "boot entry")} == {"ok"}
    harm.write_text("none")
    sysroot.apt_ostree("kargs", "--append=x=2", env=env)
    assert len(sysroot.entries()) == 2


def test_what_a_shutdown_wrote_is_taken_back(host: NamespaceHost) -> None:
    """A staged deployment is finalised by libostree alone; the unit's drop-in looks at what it wrote."""
    boot, harm = host.sysroot.path / "boot", "/etc/harm"
    (boot / "grub2").mkdir()
    (boot / "grub2/grub.cfg").symlink_to("../loader/grub.cfg")
    (boot / "loader/grub.cfg").write_text("")
    run(["ostree", "config", f"--repo={host.sysroot.repo}", "set", "sysroot.bootloader", "grub2"])
    host.sysroot.write("etc/generator", GENERATOR.replace("HARM", harm), mode=0o755)  # libostree runs it in a tree
    env = {"OSTREE_GRUB2_EXEC": "/etc/generator"}

    def shut_down(how: str) -> list[str]:
        """A shutdown with a generator that works like this; how the boot entries and the finalisation look then."""
        host.run("sh", "-c", f"echo {how} > {harm}")
        host.apt_ostree("kargs", f"--append=harm={how}")
        host.run("ostree", "admin", "finalize-staged", env=env)
        told = host.apt_ostree("doctor", "--restore-boot", "--json", check=False)
        host.power_cut()
        host.boot()
        names = ("boot entry", "last staged deployment")
        return [probe["state"] for probe in told.json["probes"] if probe["name"].startswith(names)]

    first = host.deployment
    assert shut_down("none") == ["ok", "ok", "ok"]
    second = host.deployment
    assert second != first and "harm=none" in host.read("/proc/cmdline")
    menu = (boot / "grub2/grub.cfg").read_text()
    assert shut_down("empty") == ["failed", "ok"], "the entry of the deployment that finalising dropped is gone"
    assert host.deployment == second and "harm=empty" not in host.read("/proc/cmdline")
    kept = (boot / "grub2/grub.cfg").read_text()
    assert kept.count("menuentry") == 1 and menu.startswith(kept) and "harm=none" in kept
    assert "would not boot" in host.apt_ostree("status").stdout
    host.apt_ostree("restage")
    assert not host.is_staged(), "what cannot be finalised is not tried again and again"

    # what booted when something else was staged, in another boot, is nothing to go back to
    host.apt_ostree("kargs", "--append=another=1")
    note = host.sysroot.store / "boot-entries.json"
    boot_id = host.read("/proc/sys/kernel/random/boot_id").strip()
    assert boot_id in note.read_text()
    note.write_text(note.read_text().replace(boot_id, "another"))
    before = host.sysroot.snapshot()
    host.apt_ostree("doctor", "--restore-boot", check=False)
    host.run("ostree", "admin", "finalize-staged", env=env)
    finalised = host.sysroot.snapshot()
    host.apt_ostree("doctor", "--restore-boot", check=False)
    assert before != finalised == host.sysroot.snapshot()
