"""kargs: one edit is one deployment of the same tree; what was set is carried from then on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.archive import LocalRepo
from tests.support.nshost import NamespaceHost
from tests.support.sysroots import KARGS, Base, Sysroot, changes
from tests.support.verbs import held_to, tool, whole

pytestmark = pytest.mark.real

QUOTED = 'note="a b"'


def booting(sysroot: Sysroot, index: int = 0) -> list[str]:
    """The arguments of a boot entry as the boot loader has them."""
    words: list[str] = re.findall(r'(?:[^\s"]|"[^"]*")+', sysroot.entries()[index]["options"])
    return [word for word in words if not word.startswith("ostree=")]


def editor(path: Path, script: str) -> dict[str, str]:
    """An editor that edits by itself."""
    path.write_text(f"#!/bin/sh\nset -e\n{script}\n")
    path.chmod(0o755)
    return {"VISUAL": f"{path} -x", "TERM": "dumb"}


def test_editing_an_offline_sysroot(sysroot: Sysroot, tmp_path: Path, base: Base) -> None:
    assert sysroot.apt_ostree("kargs").stdout == " ".join(KARGS) + "\n"
    before = whole(sysroot)
    dry = ("kargs", "--append=debug", "--delete=quiet", "--dry-run", "--json")
    answer = held_to("result", sysroot.apt_ostree(*dry))
    assert answer["would-change"] and answer["kargs"] == {"old": [*KARGS], "new": ["root=LABEL=root", "rw", "debug"]}
    assert changes(before, whole(sysroot)) == []
    snapshot = sysroot.snapshot()
    for refused, code in (("--append=ostree=/x", 2), ("--delete=nothing", 1), ("--deploy-index=7", 2)):
        sysroot.apt_ostree("kargs", refused, "--append=x", check=code)
    sysroot.apt_ostree("kargs", "--import-proc-cmdline", check=2)
    sysroot.apt_ostree("kargs", "--append=x", "--lock-finalization", check=2)
    sysroot.apt_ostree("kargs", "--append-if-missing=quiet", "--unchanged-exit-77", check=77)
    assert changes(snapshot, sysroot.snapshot()) == []

    words = ("--append=console=tty0", "--append=console=ttyS0", f"--append={QUOTED}", "--replace=quiet=1")
    text = sysroot.apt_ostree("kargs", *words).stdout
    assert "  - quiet\n" in text and f"  + {QUOTED}\n" in text and "  - rw" not in text
    wanted = ["root=LABEL=root", "rw", "quiet=1", "console=tty0", "console=ttyS0", QUOTED]
    assert booting(sysroot) == wanted and sysroot.checksum() == base.checksum
    error = sysroot.apt_ostree("kargs", "--delete=console", check=1).stderr
    assert "console=tty0, console=ttyS0" in error and "--delete=console=tty0" in error
    shown = held_to("kargs", sysroot.apt_ostree("kargs", "--json", "--deploy-index=1"))
    assert shown["kargs"] == [*KARGS] and shown["deployment"].endswith(".0")

    by_hand = editor(tmp_path / "edit", 'test "$1" = -x; sed -i -e "s/^rw$/ro  added/" -e "/tty0/d" "$2"')
    answer = held_to("result", sysroot.apt_ostree("kargs", "--editor", "--json", env=by_hand))
    wanted = ["root=LABEL=root", "ro", "added", "quiet=1", "console=ttyS0", QUOTED]
    assert answer["changed"] and answer["kargs"]["new"] == wanted == booting(sysroot)
    same = editor(tmp_path / "same", 'echo seen; grep -q "^added$" "$2"')
    done = sysroot.apt_ostree("kargs", "--editor", "--unchanged-exit-77", env=same, check=77)
    assert "seen" not in done.stdout
    broken = editor(tmp_path / "broken", "exit 3")
    assert "exit code 3" in sysroot.apt_ostree("kargs", "--editor", env=broken, check=1).stderr
    empty = editor(tmp_path / "empty", ': > "$2"')
    sysroot.apt_ostree("kargs", "--editor", env=empty, check=1)
    assert booting(sysroot) == wanted


def test_b18_kargs_are_carried(sysroot: Sysroot, repo: LocalRepo, base: Base) -> None:
    repo.publish(tool("foo"), tool("bar"))
    sysroot.apt_ostree("install", "-y", "foo")
    layered = sysroot.checksum()
    sysroot.use_sources({"dead": "Types: deb\nURIs: file:///nowhere\nSuites: x\nComponents: main\n"})
    sysroot.apt_ostree("kargs", f"--append={QUOTED}", "--delete=quiet")  # resolves nothing, so it needs no archive
    assert sysroot.checksum() == layered and "requested=foo;" in sysroot.origin()
    mine = booting(sysroot)
    assert mine == ["root=LABEL=root", "rw", QUOTED]
    sysroot.use_sources({"local": repo.sources()})
    (sysroot.default / "etc/apt/sources.list.d/dead.sources").unlink(missing_ok=True)
    sysroot.apt_ostree("install", "-y", "bar")
    assert booting(sysroot) == mine
    sysroot.apt_ostree("rollback")
    assert booting(sysroot) == mine and sysroot.checksum() == layered
    sysroot.apt_ostree("uninstall", "-y", "foo")
    assert booting(sysroot) == mine and sysroot.checksum() == base.checksum
    sysroot.apt_ostree("deploy", "-y", base.checksum, "--install", "bar")
    assert booting(sysroot) == mine
    assert sysroot.apt_ostree("status", "--json").json["deployments"][0]["kargs"] == mine


def test_kargs_of_a_booted_machine(host: NamespaceHost, host_sysroot: Sysroot) -> None:
    assert host.apt_ostree("kargs", "--import-proc-cmdline").stdout.split() == [*KARGS]
    answer = held_to("result", host.apt_ostree("kargs", f"--append={QUOTED}", "--append=console=tty0", "--json"))
    assert answer["deployment"]["staged"] and answer["reboot-needed"]
    wanted = [*KARGS, QUOTED, "console=tty0"]
    # a second edit goes on from the staged deployment, and replaces it
    host.apt_ostree("kargs", "--append=console=ttyS0", "--delete=quiet")
    wanted = [karg for karg in wanted if karg != "quiet"] + ["console=ttyS0"]
    assert host.apt_ostree("kargs", "--json").json["kargs"] == wanted
    host.apt_ostree("kargs", "--import-proc-cmdline", "--append=more")  # from the running kernel: ours are left out
    assert host.apt_ostree("kargs", "--json").json["kargs"] == [*KARGS, "more"]
    host.apt_ostree("kargs", "--replace=quiet=2", f"--append={QUOTED}")
    host.reboot()
    assert booting(host_sysroot) == [*KARGS[:-1], "quiet=2", "more", QUOTED]
    plain = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "python3", "-m", "apt_ostree", "kargs")
    assert QUOTED in host.run(*plain).stdout
    host.run(*plain, "--append=x", check=False).must(6)
    host.run(*plain, "--editor", check=False).must(6)
    host.apt_ostree("rollback")
    assert host.apt_ostree("kargs").stdout.split() == [*KARGS]
