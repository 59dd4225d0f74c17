"""composefs: wanted by a treefile, refused where it would not boot, told by doctor."""

from __future__ import annotations

from pathlib import Path

import pytest

from apt_ostree import composefs
from apt_ostree.errors import AptOstreeError
from apt_ostree.tools import bwrap
from apt_ostree.tree import mounting, sandbox
from tests.support.process import run
from tests.support.sysroots import Base, Sysroot
from tests.support.verbs import held_to

pytestmark = pytest.mark.real


def probe(sysroot: Sysroot, code: int = 0) -> dict[str, str]:
    done = sysroot.apt_ostree("doctor", "--json", check=False)
    assert code == 0 or done.returncode != 0
    found: dict[str, str] = next(each for each in held_to("doctor", done)["probes"] if each["name"] == "composefs")
    return found


def deployed(sysroot: Sysroot) -> dict[str, str]:
    """Deployments, their /etc and origins, boot entries; not the directories that our own refs come and go in."""
    return {path: what for path, what in sysroot.snapshot().items() if "repo/refs" not in path}


def demanding(sysroot: Sysroot, base: Base, setting: str, work: Path) -> str:
    """A branch in the sysroot whose tree has this setting."""
    overlay, branch = work / setting, f"composefs/{setting}"
    config = overlay / composefs.CONFIG
    config.parent.mkdir(parents=True)
    config.write_text(composefs.render(setting))
    trees = (f"--tree=ref={base.checksum}", f"--tree=dir={overlay}")
    run(["ostree", "commit", f"--repo={sysroot.repo}", f"--branch={branch}", "--bootable", "--owner-uid=0", *trees])
    return branch


def test_debian_13_cannot_and_says_so(work: Path, base: Base) -> None:
    tree = work / "tree"
    run(["ostree", "checkout", f"--repo={base.repo}", "--require-hardlinks", base.checksum, tree])
    before = (tree / composefs.CONFIG).read_text()
    prefix = bwrap.prefix(tree, env=sandbox.ENVIRONMENT)
    with pytest.raises(AptOstreeError, match="built without composefs"):
        mounting.apply(tree, "yes", prefix)
    assert (tree / composefs.CONFIG).read_text() == before
    assert mounting.apply(tree, "no", prefix) == ()
    (told,) = mounting.apply(tree, "maybe", prefix)
    assert "not used" in told
    assert composefs.setting((tree / composefs.CONFIG).read_text()) == "maybe"
    assert "readonly=true" in (tree / composefs.CONFIG).read_text()
    assert run(["ostree", "cat", f"--repo={base.repo}", base.checksum, f"/{composefs.CONFIG}"]).stdout == before


def test_a_commit_that_would_not_boot_is_not_deployed(sysroot: Sysroot, base: Base, work: Path) -> None:
    """This machine's ostree makes no images, as those of Debian 12 and 13 do not."""
    assert not composefs.supported()
    yes, maybe = (demanding(sysroot, base, setting, work) for setting in ("yes", "maybe"))
    before = deployed(sysroot)
    refused = held_to("error", sysroot.apt_ostree("rebase", f":{yes}", "--json", check=5))["error"]
    assert "boots from a composefs image only" in refused["message"]
    assert deployed(sysroot) == before
    sysroot.apt_ostree("rebase", f":{maybe}")
    assert probe(sysroot)["state"] == "ok" and "0 of 2 deployments" in probe(sysroot)["detail"]
    run(["ostree", "admin", "deploy", f"--sysroot={sysroot.path}", "--os=debian", yes])  # as others would do it
    told = probe(sysroot, code=1)
    assert told["state"] == "failed" and "cannot boot" in told["detail"]
    run(["chattr", "-i", sysroot.default])
    (sysroot.default / composefs.IMAGE).write_bytes(b"")
    assert probe(sysroot)["state"] == "ok" and "1 of " in probe(sysroot)["detail"]
    (sysroot.default / composefs.IMAGE).unlink()
