"""Overrides of base packages: gone or another version, only as named, carried over bases, and back again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.support import sysroots
from tests.support.archive import LocalRepo
from tests.support.debs import DebBuilder, repack
from tests.support.ground import Ground
from tests.support.nshost import NamespaceHost
from tests.support.oracle import Pair
from tests.support.plainchroot import PlainChroot
from tests.support.process import run
from tests.support.sysroots import Base, Sysroot, changes
from tests.support.verbs import held_to, says, tool

pytestmark = pytest.mark.real


ALPHA = DebBuilder(
    name="alpha",
    files={
        "/usr/bin/alpha": "#!/bin/sh\n",
        "/etc/alpha.conf": "a=1\n",
        "/etc/alpha.d/other.conf": "b=1\n",
        "/usr/share/greek/text": "alpha's\n",
        "/usr/share/greek/alpha": "alpha\n",
        "/var/lib/alpha/seed": "seed\n",
        "/opt/alpha/tool": "tool\n",
    },
    dirs=("/var/lib/greek",),
    conffiles=("/etc/alpha.conf", "/etc/alpha.d/other.conf"),
    scripts={
        "preinst": "dpkg-divert --package alpha --divert /usr/share/greek/text.beta --rename --add"
        " /usr/share/greek/text",
        "postinst": "adduser --system --group _alpha; update-alternatives --install /usr/bin/greek greek"
        " /usr/bin/alpha 50; echo made > /var/lib/alpha/made; echo log > /var/log/alpha.log",
        "prerm": "update-alternatives --remove greek /usr/bin/alpha",
        "postrm": "[ $1 != remove ] || dpkg-divert --package alpha --divert /usr/share/greek/text.beta --rename"
        " --remove /usr/share/greek/text\n[ $1 != purge ] || { rm -rf /var/lib/alpha; deluser _alpha; }",
    },
    depends="beta",
)
BETA = DebBuilder(
    name="beta",
    files={"/usr/bin/beta": "#!/bin/sh\n", "/usr/share/greek/text": "beta's\n"},
    dirs=("/var/lib/greek",),
    scripts={
        "postinst": "update-alternatives --install /usr/bin/greek greek /usr/bin/beta 10",
        "prerm": "[ $1 = upgrade ] || update-alternatives --remove greek /usr/bin/beta",
    },
)


def pair(version: str) -> tuple[DebBuilder, DebBuilder]:
    """Two that only go together."""
    return tool("gamma", version, depends=f"delta (= {version})"), tool("delta", version)


FIRST = (
    ALPHA,
    BETA,
    *pair("1.0"),
    tool("zeta", depends="eta"),
    tool("eta"),
    tool("theta"),
    tool("iota"),
    tool("kappa"),
)
SECOND = (tool("theta", "2.5"), tool("iota", "2.0"), tool("foo"))


@dataclass(frozen=True)
class Lab:
    """Two bases with packages of our own: commits that know of no layering, as a compose makes them."""

    first: Base
    second: Base
    template: Sysroot


def _base(ground: Ground, base: Base, packages: tuple[DebBuilder, ...], folder: Path, name: str) -> Base:
    debs = [package.build(folder / name) for package in packages]
    where = ("--repo", base.repo, "--ref", base.ref, "--branch", f"made/{name}")
    ground.apt_ostree("compose", "install", *where, "--cache-only", *debs)
    commit = ["ostree", "commit", f"--repo={base.repo}", f"--branch=lab/{name}", "--bootable"]
    done = run([*commit, f"--tree=ref=made/{name}", f"--add-metadata-string=version={name}"])
    return replace(base, ref=f"lab/{name}", checksum=done.stdout.strip())


@pytest.fixture(scope="module")
def lab(ground: Ground, base: Base, big_folder: Callable[[str], Path]) -> Iterator[Lab]:
    folder = big_folder("override-lab")
    copy = ground.copy(base, "override-repo")
    first = _base(ground, copy, FIRST, folder, "first")
    second = _base(ground, copy, SECOND, folder, "second")
    template = sysroots.build(folder / "template", first)
    run(["ostree", "pull-local", f"--repo={template.repo}", copy.repo, second.ref])
    yield Lab(first, second, template)
    template.close()
    sysroots.remove(folder)


@pytest.fixture
def machine(lab: Lab, work: Path, repo: LocalRepo) -> Iterator[Sysroot]:
    """A sysroot on the first base, with `repo` as its source."""
    made = sysroots.clone(lab.template, work / "sysroot")
    made.use_sources({"local": repo.sources()})
    yield made
    assert made.leftovers() == []
    made.fsck()
    made.close()


def first(sysroot: Sysroot) -> Any:
    return held_to("status", sysroot.apt_ostree("status", "--json"))["deployments"][0]


def refused(sysroot: Sysroot, *words: str | Path) -> Any:
    return held_to("error", sysroot.apt_ostree("override", *words, "--json", check=3))["error"]


def test_b17_remove_leaves_no_trace(machine: Sysroot, lab: Lab) -> None:
    before, plain = machine.default, machine.origin()
    machine.write("etc/alpha.conf", "mine\n")
    answer = held_to("result", machine.apt_ostree("override", "remove", "alpha", "--json"))
    assert [(p["name"], p["old"]) for p in answer["packages"]["removed"]] == [("alpha", "1.0")]
    tree = machine.default
    status = (tree / "usr/lib/sysimage/dpkg/status").read_text()
    assert "Package: alpha\n" in (before / "usr/lib/sysimage/dpkg/status").read_text()
    assert "Package: alpha\n" not in status
    found = run(["find", tree / "usr", "-name", "*alpha*"]).stdout.split()
    assert found == [], "nothing of it is left, conffiles, tmpfiles lines, seeds and /opt included"
    assert (tree / "usr/share/greek/text").read_text() == "beta's\n", "the diversion went"
    assert not (tree / "usr/share/greek/text.beta").exists()
    assert (tree / "usr/etc/alternatives/greek").readlink() == Path("/usr/bin/beta")
    lines = "".join(path.read_text() for path in (tree / "usr/lib/tmpfiles.d").glob("apt-ostree-*"))
    assert "alpha" not in lines and "d /var/lib/greek " in lines, "beta has that directory as well"
    for name in ("passwd", "group"):
        accounts = (tree / "usr/etc" / name).read_text(), (before / "usr/etc" / name).read_text()
        entries = [next(line for line in text.splitlines() if line.startswith("_alpha:")) for text in accounts]
        assert entries[0] == entries[1], "accounts stay: the host's files may be theirs"
    assert (tree / "etc/alpha.conf").read_text() == "mine\n", "what the administrator changed is kept"
    assert not (tree / "etc/alpha.d/other.conf").exists()
    shown = first(machine)
    assert shown["requested-base-removals"] == ["alpha"] and shown["base-checksum"] == lab.first.checksum
    assert shown["base-removals"] == [["alpha_1.0_all", "alpha", 0, "1.0", "", "all"]]
    assert re.search(r"RemovedBasePackages: alpha 1\.0", machine.apt_ostree("status").stdout)
    diff = held_to("db-diff", machine.apt_ostree("db", "diff", "--json"))
    assert [(name, kind) for name, kind, _ in diff["pkgdiff"]] == [("alpha", 1)]
    assert "no effect: alpha is removed already" in refused(machine, "remove", "alpha")["message"]
    machine.apt_ostree("override", "remove", "alpha", "--idempotent", "--unchanged-exit-77", check=77)
    machine.apt_ostree("override", "reset", "alpha")
    assert machine.checksum() == lab.first.checksum and machine.origin().split() == plain.split()


def test_b17_refusals(machine: Sysroot, repo: LocalRepo) -> None:
    repo.publish(*pair("2.0"), tool("eta", "2.0"), tool("other"), tool("wants", depends="eta (>= 2)"))
    before = machine.snapshot()
    error = refused(machine, "remove", "eta")
    assert error["code"] == "base-would-change" and error["details"] == ["zeta 1.0 would be removed"]
    assert "override remove eta zeta" in error["hint"]
    error = refused(machine, "replace", "delta=2.0")
    assert error["details"] == ["gamma 1.0 would become 2.0"]
    assert "override replace delta=2.0 gamma=2.0" in error["hint"]
    for name, why in (("bash", "essential"), ("systemd", "boot")):
        error = refused(machine, "remove", name)
        assert error["code"] == "kept" and why in error["details"][0]
    kernel = next((machine.default / "usr/lib/modules").iterdir()).name
    assert "linux-image" in refused(machine, "remove", f"linux-image-{kernel}")["details"][0]  # its metapackage
    error = refused(machine, "remove", "libcurl3t64-gnutls")
    assert any("ostree 2" in line and "does not boot without it" in line for line in error["details"]), error
    assert "override" not in error["hint"]
    assert refused(machine, "remove", "nothing-of-the-kind")["code"] == "no-effect"
    assert "is not in the base" in refused(machine, "replace", "other=1.0")["message"]
    assert "the base has eta 1.0 already" in refused(machine, "replace", "eta=1.0")["message"]
    assert "9.9" in str(refused(machine, "replace", "eta=9.9"))
    assert "is not overridden" in refused(machine, "reset", "eta")["message"]
    assert "--all" in machine.apt_ostree("override", "reset", "--all", "eta", check=2).stderr
    assert "eta/SUITE" in machine.apt_ostree("override", "replace", "eta", check=2).stderr
    machine.apt_ostree("override", "reset", "--all", "--unchanged-exit-77", check=77)
    machine.apt_ostree("reset", "--unchanged-exit-77", check=77)
    done = machine.apt_ostree("install", "-y", "wants", "--json", check=3)
    assert "override replace eta=2.0 --install=wants" in done.json["error"]["hint"]
    machine.apt_ostree("override", "remove", "theta", "--dry-run")
    assert changes(before, machine.snapshot()) == []
    machine.apt_ostree("override", "remove", "eta", "zeta", "--install", "other")
    assert not says(machine, "eta") and not says(machine, "zeta") and says(machine, "other") == "1.0"
    assert machine.apt_ostree("install", "-y", "eta", "--json", check=3).json["error"]["code"] == "both-ways"


def test_b17_replace_newer_older_same_and_a_pair(machine: Sysroot, repo: LocalRepo, work: Path, lab: Lab) -> None:
    repo.publish(*pair("2.0"), tool("theta", "3.0"), tool("iota", "0.5"), tool("foo"))
    backports = LocalRepo(work / "backports", repo.key, suite="backports", name="backports")
    backports.publish(tool("kappa", "1.5~bpo1"))
    machine.use_sources({"local": repo.sources(), "backports": backports.sources()})
    machine.apt_ostree("override", "replace", "delta=2.0", "gamma=2.0", "theta=3.0", "iota=0.5", "kappa/backports")
    versions = {name: says(machine, name) for name in ("gamma", "delta", "theta", "iota", "kappa")}
    assert versions == {"gamma": "2.0", "delta": "2.0", "theta": "3.0", "iota": "0.5", "kappa": "1.5~bpo1"}
    assert "replace=delta=2.0;gamma=2.0;iota=0.5;kappa=1.5~bpo1;theta=3.0;" in machine.origin()
    rebuilt = replace(tool("eta"), files={"/usr/bin/eta": "#!/bin/sh\necho rebuilt\n"}).build(work / "debs")
    machine.apt_ostree("override", "replace", rebuilt, "--install", "foo")
    rebuilt.unlink()
    assert says(machine, "eta") == "rebuilt" and says(machine, "foo") == "1.0" and says(machine, "zeta") == "1.0"
    shown = first(machine)
    assert shown["requested-base-local-replacements"] == ["eta_1.0_all"] and shown["packages"] == ["foo"]
    (pair_,) = shown["base-local-replacements"]
    assert [item[0] for item in pair_] == ["eta_1.0_all", "eta_1.0_all"]
    remote = shown["base-remote-replacements"]["archive"]
    assert ["iota_0.5_all", "iota_1.0_all"] in [[new[0], old[0]] for new, old in remote]
    text = machine.apt_ostree("status").stdout
    assert "Overrides:" in text and "iota 1.0 -> 0.5" in text and re.search(r"LayeredPackages: foo\n", text)
    diff = held_to("db-diff", machine.apt_ostree("db", "diff", "--json", lab.first.checksum, machine.checksum()))
    kinds = {name: kind for name, kind, _ in diff["pkgdiff"]}
    assert kinds == {"delta": 2, "foo": 0, "gamma": 2, "iota": 3, "kappa": 2, "theta": 2}
    machine.apt_ostree("cleanup", "--repomd")
    answer = held_to("result", machine.apt_ostree("override", "reset", "theta", "iota", "--dry-run", "--json"))[
        "packages"
    ]
    assert [p["name"] for p in answer["downgraded"]] == ["theta"] and [p["name"] for p in answer["upgraded"]] == [
        "iota"
    ]
    machine.apt_ostree("override", "remove", "iota", "--uninstall", "foo")
    assert says(machine, "theta") == "3.0" and says(machine, "eta") == "rebuilt" and not says(machine, "foo")
    assert not says(machine, "iota") and "iota=" not in machine.origin(), "the newest word on a package wins"
    machine.apt_ostree("reset", "--initramfs", "--unchanged-exit-77", check=77)
    machine.apt_ostree("reset", "-o", "--install", "foo")
    assert says(machine, "foo") and says(machine, "iota") == "1.0" and "[overrides]" not in machine.origin()
    machine.apt_ostree("reset")
    assert machine.checksum() == lab.first.checksum and f"\nrefspec={lab.first.ref}" in machine.origin()
    assert "overrides" not in machine.origin()


def test_b17_carried_over_bases_and_retired(machine: Sysroot, repo: LocalRepo, lab: Lab) -> None:
    repo.publish(tool("theta", "2.0"), tool("iota", "0.5"), tool("extra"))
    machine.apt_ostree("override", "replace", "theta=2.0", "iota=0.5", "--remove", "kappa", "--install", "extra")
    old = machine.checksum()
    answer = held_to("result", machine.apt_ostree("deploy", "-y", "--skip-branch-check", lab.second.ref, "--json"))
    said = "\n".join(answer["warnings"])
    assert "replacement theta=2.0 is no longer needed and was dropped: base has theta 2.5" in said
    assert "the removal of kappa is inactive" in said and "iota" not in said
    versions = [says(machine, name) for name in ("theta", "iota", "extra", "kappa")]
    assert versions == ["2.5", "0.5", "1.0", ""], "what holds an older version is not overtaken by a newer base"
    assert "theta" not in machine.origin() and "remove=kappa;" in machine.origin()
    shown = first(machine)
    assert shown["base-removals"] == [] and shown["requested-base-removals"] == ["kappa"]
    assert re.search(r"InactiveOverrides: remove kappa", machine.apt_ostree("status", "-v").stdout)
    machine.apt_ostree("rollback")
    assert machine.checksum() == old and "theta=2.0" in machine.origin()
    machine.apt_ostree("rollback")
    held_to("result", machine.apt_ostree("deploy", "-y", "--skip-branch-check", lab.first.ref, "--json"))
    assert [says(machine, name) for name in ("theta", "kappa", "iota")] == ["1.0", "", "0.5"], "the removal revived"


def test_b03_inactive_when_the_base_has_it_and_layered_again(machine: Sysroot, repo: LocalRepo, lab: Lab) -> None:
    repo.publish(tool("foo", "1.2"))
    machine.apt_ostree("install", "-y", "foo")
    assert says(machine, "foo") == "1.2" and first(machine)["packages"] == ["foo"]
    dry = machine.apt_ostree("deploy", "--dry-run", "--skip-branch-check", lab.second.ref)
    said = machine.apt_ostree("deploy", "-y", "--skip-branch-check", lab.second.ref)
    changed = f"Base: first ({lab.first.checksum[:12]}) -> second ({lab.second.checksum[:12]})\n"
    for told in (dry, said):
        assert changed in told.stdout
        assert told.stderr.count("foo is in the base now; the request is kept, inactive") == 1
    assert machine.checksum() == lab.second.checksum and says(machine, "foo") == "1.0", "the base's own"
    shown = first(machine)
    assert shown["requested-packages"] == ["foo"] and shown["packages"] == []
    assert re.search(r"InactiveRequests: foo", machine.apt_ostree("status", "-v").stdout)
    machine.apt_ostree("deploy", "-y", "--skip-branch-check", lab.first.ref)
    assert says(machine, "foo") == "1.2" and first(machine)["packages"] == ["foo"]


def test_a_layered_commit_is_deployed_with_more(machine: Sysroot, repo: LocalRepo) -> None:
    repo.publish(tool("one"), tool("two"))
    machine.apt_ostree("install", "-y", "one")
    layered = machine.checksum()
    machine.apt_ostree("uninstall", "-y", "one")
    machine.apt_ostree("deploy", "-y", layered, "--install", "two")
    assert says(machine, "one") == says(machine, "two") == "1.0"
    assert sorted(first(machine)["requested-packages"]) == ["one", "two"]


def test_b17_oracle_real_packages_go_and_change_as_with_apt(sysroot: Sysroot, base: Base, work: Path) -> None:
    """systemd-resolved: units, an account, D-Bus, conffiles. less: alternatives, and a version nobody has."""
    ours = work / "ours"
    less = repack(sysroot.default, "less", "668-1+local", work)
    sysroot.apt_ostree("override", "remove", "systemd-resolved", "--replace", less)
    run(["ostree", f"--repo={sysroot.repo}", "checkout", "--require-hardlinks", sysroot.checksum(), ours])
    plain = PlainChroot.of_commit(base.repo, base.checksum, work / "plain")
    (plain.root / "var/cache/less.deb").write_bytes(less.read_bytes())
    plain.run("apt-get", "-y", "purge", "systemd-resolved")
    plain.run("dpkg", "--force-confnew", "-i", "/var/cache/less.deb")
    plain.settle()
    left = Pair(plain.root, ours).unexplained()
    assert not left, f"{len(left)} differences that no rule intends:\n" + "\n".join(str(d) for d in left[:60])
    database = ours / "usr/lib/sysimage/dpkg"
    status = (database / "status").read_text()
    assert "Version: 668-1+local\n" in status and "Package: systemd-resolved\n" not in status
    assert run(["dpkg", f"--admindir={database}", "--audit"], check=False).stdout == ""


def test_b17_on_a_booted_machine(host: NamespaceHost, http_repo: LocalRepo) -> None:
    """The same with the machine's own apt, which is another one than offline."""
    path = "/usr/bin/hostname"
    other = {"files": {path: "#!/bin/sh\necho another\n"}, "modes": {path: 0o755}}
    http_repo.publish(DebBuilder(name="hostname", version="99.0", arch="amd64", **other))
    done = host.apt_ostree("override", "remove", "libcurl3t64-gnutls", "--json", check=3)
    assert done.json["error"]["code"] == "base-would-change" and "ostree" in str(done.json["error"]["details"])
    answer = host.apt_ostree("override", "replace", "hostname=99.0", "--remove", "less", "--json").json
    assert answer["deployment"]["staged"] and [p["name"] for p in answer["packages"]["removed"]] == ["less"]
    assert host.exists("/usr/bin/less") and host.run("hostname").stdout != "another\n"
    host.reboot()
    assert not host.exists("/usr/bin/less") and host.run("hostname").stdout == "another\n"
    assert host.run("dpkg", "--audit").stdout == ""
    answer = host.apt_ostree("reset", "--json").json
    assert [p["name"] for p in answer["packages"]["added"]] == ["less"] and answer["deployment"]["packages"] == []
