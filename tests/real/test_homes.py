"""Where homes are is the image's to say, in files beside the packages' own, and dpkg has nothing to complain of."""

from __future__ import annotations

from pathlib import Path

import pytest

from apt_ostree.tree import dpkgdb
from tests.support.archive import LocalRepo
from tests.support.debs import DebBuilder, repack
from tests.support.process import run
from tests.support.sysroots import Base, Sysroot, build

pytestmark = pytest.mark.real

CONF, BESIDE = "usr/etc/adduser.conf", "usr/etc/adduser.conf.distrib"


def verified(tree: Path) -> list[str]:
    """What `dpkg --verify` says of a deployment's /etc."""
    argv = ["dpkg", f"--root={tree}", f"--admindir={tree / dpkgdb.DATABASE}", "--verify"]
    return [line.split()[-1] for line in run(argv).stdout.splitlines() if " /etc/" in line]


def diverted(tree: Path) -> list[tuple[str, str]]:
    """Paths in /etc and who diverted them."""
    return sorted((found.path, found.by) for found in dpkgdb.diversions(tree) if found.path.startswith("/etc/"))


OURS = [("/etc/adduser.conf", "apt-ostree"), ("/etc/default/useradd", "apt-ostree")]


def test_a_new_version_brings_its_own(sysroot: Sysroot, work: Path) -> None:
    before = sysroot.default
    assert diverted(before) == OURS and verified(before) == []
    newer = (before / BESIDE).read_text() + "#\n\n\n# DHOME=/home\n# of 999"
    deb = repack(before, "adduser", "999", work, {"/etc/adduser.conf": newer})
    sysroot.apt_ostree("override", "replace", deb)
    after = sysroot.default
    assert (after / BESIDE).read_text() == newer
    assert (after / CONF).read_text() == "DHOME=/var/home".join(newer.rsplit("# DHOME=/home", 1)), "its last line"
    assert "Package: adduser\nStatus: install ok installed\n" in (after / dpkgdb.DATABASE / "status").read_text()
    database = [(tree / dpkgdb.DATABASE / "diversions").read_text() for tree in (before, after)]
    assert database[0] == database[1] and diverted(after) == OURS and verified(after) == []


def test_other_packages_may_have_a_say(sysroot: Sysroot, repo: LocalRepo) -> None:
    """As config packages of a site do it: a diversion of their own, another owner, and a name that is taken."""
    divert = "dpkg-divert --package site --rename --divert /etc/adduser.conf.site-orig --add /etc/adduser.conf"
    repo.publish(
        DebBuilder(name="site", files={"/etc/adduser.conf.site": "DHOME=/site\n"},
                   scripts={"preinst": divert, "postinst": "ln -s adduser.conf.site /etc/adduser.conf"}),
        DebBuilder(name="owner", control={"Replaces": "adduser"}, files={"/etc/adduser.conf": "SITE=1\n"},
                   conffiles=("/etc/adduser.conf",)),
        DebBuilder(name="taker", files={"/etc/adduser.conf.distrib": "X=1\n"}),
    )  # fmt: skip
    sysroot.apt_ostree("install", "-y", "site")
    assert diverted(sysroot.default) == [("/etc/adduser.conf", "site"), OURS[1]]
    assert (sysroot.default / CONF).readlink() == Path("adduser.conf.site"), "it is as they want it"
    sysroot.apt_ostree("install", "-y", "owner", "--uninstall", "site")
    assert (sysroot.default / CONF).read_text() == "SITE=1\nDHOME=/var/home\n"
    assert (sysroot.default / BESIDE).read_text() == "SITE=1\n" and diverted(sysroot.default) == OURS
    sysroot.apt_ostree("install", "-y", "taker", "--uninstall", "owner")
    tree = sysroot.default
    assert (tree / BESIDE).read_text() == "X=1\n" and diverted(tree) == OURS[1:]
    assert "DHOME=/var/home" in (tree / CONF).read_text() and verified(tree) == ["/etc/adduser.conf"]


def test_what_somebody_changed_is_kept_until_its_package_goes(base: Base, work: Path) -> None:
    tree, repo = work / "tree", work / "repo"
    run(["ostree", f"--repo={repo}", "init", "--mode=bare"])
    run(["ostree", f"--repo={repo}", "pull-local", base.repo, base.checksum])
    run(["ostree", f"--repo={repo}", "checkout", base.checksum, tree])
    mine = (tree / CONF).read_text() + "SITE=1\n"
    (tree / CONF).unlink()
    (tree / CONF).write_text(mine)
    commit = ["ostree", f"--repo={repo}", "commit", "--bootable", "-b", base.ref, "--add-metadata-string=version=2"]
    checksum = run([*commit, f"--tree=dir={tree}"]).stdout.strip()
    machine = build(work / "machine", Base(repo=repo, ref=base.ref, checksum=checksum))
    (work / "less").mkdir()
    machine.apt_ostree("override", "replace", repack(machine.default, "less", "999", work / "less"))
    assert (machine.default / CONF).read_text() == mine and not (machine.default / BESIDE).exists()
    assert diverted(machine.default) == OURS[1:] and verified(machine.default) == ["/etc/adduser.conf"]
    machine.apt_ostree("override", "remove", "adduser", "gnupg", "dirmngr")
    assert not (machine.default / CONF).exists() and diverted(machine.default) == OURS[1:]
    machine.close()
