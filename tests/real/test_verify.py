"""verify: what is deployed is what was committed, or it is said what is not."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from apt_ostree import commits, trees
from tests.support.archive import SigningKey
from tests.support.nshost import NamespaceHost
from tests.support.process import run
from tests.support.remote import Remote
from tests.support.sysroots import Base, Sysroot, changes
from tests.support.verbs import held_to, tool, whole

pytestmark = pytest.mark.real


def checks(sysroot: Sysroot, *words: str, code: int = 0) -> dict[str, dict[str, Any]]:
    read = held_to("verify", sysroot.apt_ostree("verify", "--json", *words, check=code))
    assert read["whole"] is (code == 0)
    return {check["name"].split()[0]: check for check in reversed(read["checks"])}  # of deployments the first


def object_of(sysroot: Sysroot, path: str) -> Path:
    """The object that a path of the first deployment's commit is."""
    read = trees.Trees(sysroot.repo)
    folder, _, name = path.rpartition("/")
    found = dict(read.walk(commits.load(sysroot.repo, sysroot.checksum()).root))
    return trees.object_path(sysroot.repo, found[folder].files[name], "file")


def spoil(path: Path) -> None:
    """Other content of the same size in a file of its own: the object is a link into the cached base."""
    data = bytearray(path.read_bytes())
    data[0] ^= 0xFF
    fresh = path.with_name("spoilt")
    fresh.write_bytes(data)
    shutil.copystat(path, fresh)
    fresh.replace(path)


def test_verify(sysroot: Sysroot, tmp_path: Path) -> None:
    sysroot.apt_ostree("install", "-y", tool("mine").build(tmp_path))
    before = whole(sysroot)
    found = checks(sysroot)
    assert [check["state"] for check in found.values()] == ["ok", "ok", "ok", "skipped"]
    assert "Everything is whole." in sysroot.apt_ostree("verify", "--fast").stdout
    assert changes(before, whole(sysroot)) == []
    sysroot.check = False
    usr = sysroot.default / "usr"
    (usr / "bin/env").rename(usr / "bin/vne")
    spoil(usr / "bin/mine")
    copy = usr / "bin/true.copy"
    shutil.copy2(usr / "bin/true", copy)  # what cannot be linked is copied: that is as good
    copy.replace(usr / "bin/true")
    os.chmod(usr / "share/doc", 0o700)
    run(["rm", "-r", usr / "share/man", usr / "share/info"])
    (usr / "share/man").symlink_to("/etc")
    problems = checks(sysroot, "--fast", code=7)["deployment"]["problems"]
    assert sorted(problems) == sorted([
        "/usr/bin/env is missing", "/usr/bin/vne is added", "/usr/bin/mine is replaced",
        "/usr/share/doc is changed: 0:0 0700, not 0:0 0755", "/usr/share/info is missing",
        "/usr/share/man is replaced: it is no directory",
    ])  # fmt: skip
    text = sysroot.apt_ostree("verify", "--fast", check=7).stdout
    assert "/usr/bin/env is missing" in text and "1 of 3 checks failed." in text


def test_verify_of_a_damaged_repo(sysroot: Sysroot, tmp_path: Path) -> None:
    sysroot.apt_ostree("install", "-y", tool("mine").build(tmp_path))
    sysroot.check = False
    damaged, gone = object_of(sysroot, "usr/bin/mine"), object_of(sysroot, "usr/bin/env")
    spoil(damaged)  # as if somebody had written through the link: the deployment has the same bytes
    (sysroot.default / "usr/bin/mine").unlink()
    (sysroot.default / "usr/bin/mine").hardlink_to(damaged)
    gone.unlink()
    (deb,) = (sysroot.store / "debs").glob("*.deb")
    deb.write_bytes(deb.read_bytes()[:-1])
    found = checks(sysroot, code=7)
    assert found["local"]["problems"] == ["mine_1.0_all is damaged"]
    told = "\n".join(found["repository"]["problems"])
    assert f"{damaged.parent.name}{damaged.stem}" in told and ":/usr/bin/mine)" in told and ":/usr/bin/env)" in told
    (broken,) = {p for p in found["deployment"]["problems"]}
    assert broken.startswith("/usr/bin/env is there, but its object ")
    assert checks(sysroot, "--fast", code=7).keys() == {"signature", "deployment"}


def test_verify_of_signatures(sysroot: Sysroot, base: Base, remote: Remote, other_key: SigningKey) -> None:
    assert checks(sysroot, "--fast")["signature"]["state"] == "skipped"
    remote.subscribe(sysroot)
    unsigned = checks(sysroot, "--fast", code=7)["signature"]
    assert unsigned["problems"] == ["there is no signature"]
    rel = Path("objects") / base.checksum[:2] / f"{base.checksum[2:]}.commitmeta"
    shutil.copy(remote.bare / rel, sysroot.repo / rel)
    assert checks(sysroot, "--fast")["signature"]["state"] == "ok"
    run(["ostree", "remote", "delete", f"--repo={sysroot.repo}", "origin"])
    assert "not configured" in checks(sysroot, "--fast", code=7)["signature"]["detail"]
    remote.subscribe(sysroot, key=other_key)
    assert "public key not found" in checks(sysroot, "--fast", code=7)["signature"]["problems"][0]
    run(["ostree", "config", f"--repo={sysroot.repo}", "set", '--group=remote "origin"', "gpg-verify", "false"])
    assert checks(sysroot, "--fast")["signature"]["detail"] == "the remote 'origin' asks for none"
    run(["ostree", "config", f"--repo={sysroot.repo}", "set", '--group=remote "origin"', "sign-verify", "ed25519"])
    asked = checks(sysroot, "--fast", code=7)["ed25519"]  # no ostree of Debian can: what is asked for is not verified
    assert asked["state"] == "failed" and "without ed25519 signatures" in asked["problems"][0]


def test_verify_on_a_booted_machine(host: NamespaceHost) -> None:
    read = held_to("verify", host.apt_ostree("verify", "--json"))
    assert [check["state"] for check in read["checks"]] == ["skipped", "ok", "skipped", "ok"]
    plain = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "python3", "-m", "apt_ostree")
    assert host.run(*plain, "verify", "--json", check=False).must(6).json["error"]["code"] == "not-root"
    host.sysroot.store.mkdir(parents=True, exist_ok=True)
    with (host.sysroot.store / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert "a transaction runs" in host.apt_ostree("verify", "--fast", check=4).stderr
