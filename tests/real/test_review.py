"""What a hostile package, tree or configuration tries on the machine that layers it: the host stays untouched."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.support.archive import LocalRepo
from tests.support.debs import DebBuilder, RawDeb
from tests.support.process import run
from tests.support.sysroots import Sysroot, changes, clone, fingerprints

pytestmark = pytest.mark.real

# Each script puts a link to a directory of the host where a tree rule writes, moves or deletes.
LINKS = {
    "automatic": "rm -rf /usr/lib/sysimage/apt; ln -s {v} /usr/lib/sysimage/apt",
    "state": "rm -rf /var/cache; ln -s {v} /var/cache",
    "homes": "rm -rf /etc/default; ln -s {v} /etc/default",
    "identity": "rm -rf /etc; ln -s {v} /etc",
    "factory": "rm -rf /usr/share/factory; ln -s {v} /usr/share/factory; chmod 0777 /var/lib; touch /var/lib/mine",
}


@pytest.fixture
def victim(work: Path) -> Path:
    """A directory of the host that looks like all that the rules look for."""
    path = work / "victim"
    for name in ("debconf/passwords.dat", "useradd", "machine-id", "extended_states", "shadow", "var/lib/state"):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text("of the host\n")
    return path


@pytest.mark.parametrize("way", LINKS)
def test_a_link_to_the_host_leads_nowhere(sysroot: Sysroot, repo: LocalRepo, victim: Path, way: str) -> None:
    script = LINKS[way].format(v=victim)
    repo.publish(DebBuilder(name="helper"), DebBuilder(name="evil", depends="helper", scripts={"postinst": script}))
    host, before = fingerprints(victim, relative_to=victim), sysroot.snapshot()
    done = sysroot.apt_ostree("install", "-y", "evil", check=False)
    assert changes(host, fingerprints(victim, relative_to=victim)) == []
    assert done.returncode == 1, done.output
    assert changes(before, sysroot.snapshot()) == []
    assert sysroot.leftovers() == []


def test_scripts_cannot_reach_files_by_handle(sysroot: Sysroot, repo: LocalRepo) -> None:
    # open_by_handle_at(2) on any mount of the host's file system: inode 2 is the host's root directory
    script = """exec perl -e '
        my $path = "/run/apt-ostree/debs"; my $handle = pack("IiII", 8, 1, 2, 0);
        my $at = syscall(2, $path, 0x10000, 0); die "no directory" if $at < 0;
        my $fd = syscall(304, $at, $handle, 0x10000);
        die "the root of the host is open" if $fd >= 0;'
    """
    repo.publish(DebBuilder(name="shocker", scripts={"postinst": script}))
    sysroot.apt_ostree("install", "-y", "shocker")


def test_scripts_do_not_see_the_proxy(sysroot: Sysroot, repo: LocalRepo) -> None:
    script = "for f in /proc/*/environ; do tr '\\0' '\\n' < $f; done > /usr/share/seen"
    repo.publish(DebBuilder(name="spy", scripts={"postinst": script}))
    sysroot.apt_ostree("install", "-y", "spy", env={"http_proxy": "http://me:hunter2@127.0.0.1:9/"})
    assert "hunter2" not in (sysroot.default / "usr/share/seen").read_text()


def test_a_very_deep_tree_is_refused_and_removed(sysroot: Sysroot, repo: LocalRepo) -> None:
    script = "exec perl -e 'chdir q(/usr/share); for (1..3000) { mkdir q(d); chdir q(d) or die }'"
    repo.publish(DebBuilder(name="deep", scripts={"postinst": script}), DebBuilder(name="good"))
    before = sysroot.snapshot()
    sysroot.apt_ostree("install", "-y", "deep", check=1)
    assert changes(before, sysroot.snapshot()) == []
    assert sysroot.leftovers() == []
    sysroot.apt_ostree("install", "-y", "good")


@pytest.mark.parametrize(
    "source",
    [
        ("x.list", "deb [trusted=yes allow-insecure=yes] {uri} stable main\n"),
        ("x.list", 'deb [ arch=amd64 Trusted="yes" ] {uri} stable main\n'),
        (
            "x.sources",
            "Types: deb\nURIs: {uri}\nSuites: stable\nComponents: main\ntrusted: yes\nAllow-Insecure: yes\n",
        ),
    ],
)
def test_sources_of_the_tree_cannot_ask_for_trust(sysroot: Sysroot, work: Path, source: tuple[str, str]) -> None:
    unsigned = LocalRepo(work / "unsigned", None)
    unsigned.publish(DebBuilder(name="foo"))
    sysroot.use_sources({})
    sysroot.write(f"etc/apt/sources.list.d/{source[0]}", source[1].format(uri=unsigned.uri))
    before = sysroot.snapshot()
    sysroot.apt_ostree("install", "-y", "foo", check=7)
    assert changes(before, sysroot.snapshot()) == []


@pytest.mark.parametrize(
    ("name", "kind", "code"),
    [
        ("a b'c#d", "inline", 0),
        ("a'b#c", "sources", 0),
        ("a'b#c", "list", 0),
        ("a b", "sources", 2),
        ('a"b', "inline", 2),
        ("a:b", "inline", 2),
        ("a,b", "inline", 2),
    ],
)
def test_odd_paths_and_linked_keys(
    work: Path, template: Sysroot, repo: LocalRepo, name: str, kind: str, code: int
) -> None:
    repo.publish(DebBuilder(name="foo"))
    made = clone(template, work / name)
    made.use_sources({})
    assert repo.key is not None
    made.write("etc/apt/keyrings/real.asc", repo.key.armoured)
    (made.default / "etc/apt/keyrings/k.asc").symlink_to("/etc/apt/keyrings/real.asc")
    text = {
        "list": f"deb [signed-by=/etc/apt/keyrings/k.asc] {repo.uri} stable main\n",
        "sources": repo.sources(signed_by="/etc/apt/keyrings/k.asc"),
        "inline": repo.sources(),
    }[kind]
    made.write(f"etc/apt/sources.list.d/x.{'list' if kind == 'list' else 'sources'}", text)
    try:
        made.apt_ostree("install", "-y", "foo", check=code)
        assert made.leftovers() == []
    finally:
        made.close()


def test_configuration_is_not_read_through_links_to_the_host(sysroot: Sysroot, repo: LocalRepo, work: Path) -> None:
    repo.publish(DebBuilder(name="foo"))
    secret = work / "auth.conf"
    secret.write_text("machine 127.0.0.1 login me password hunter2\n")
    (sysroot.default / "etc/apt/auth.conf").symlink_to(secret)
    (sysroot.default / "etc/apt/sources.list.d/secret.list").symlink_to(secret)
    sysroot.apt_ostree("install", "-y", "foo")
    assert "hunter2" not in "".join(p.read_text() for p in (sysroot.store / "apt/etc").rglob("*") if p.is_file())


@pytest.mark.parametrize("size", ["9" * 400, "-5", "12x"])
def test_sizes_nobody_believes(sysroot: Sysroot, tmp_path: Path, size: str) -> None:
    control = (
        f"Package: big\nVersion: 1\nArchitecture: all\nInstalled-Size: {size}\nMaintainer: x <x@x.invalid>\n"
        "Description: x\n"
    )
    deb = RawDeb(name="big", control=control).directory("./").build(tmp_path)
    done = sysroot.apt_ostree("install", "-y", deb, check=False)
    assert done.returncode in (0, 1, 2), done.output
    assert "internal error" not in done.output


@pytest.mark.parametrize("arch", ["../../x", "a;b", "x y", 'x"'])
def test_architectures_nobody_has(sysroot: Sysroot, tmp_path: Path, arch: str) -> None:
    control = f"Package: odd\nVersion: 1\nArchitecture: {arch}\nMaintainer: x <x@x.invalid>\nDescription: x\n"
    deb = RawDeb(name="odd", control=control).directory("./")
    deb.arch = "all"
    before = sysroot.snapshot()
    sysroot.apt_ostree("install", "-y", deb.build(tmp_path), check=2)
    assert changes(before, sysroot.snapshot()) == []


def test_the_log_is_not_written_through_a_link(sysroot: Sysroot, repo: LocalRepo, victim: Path) -> None:
    repo.publish(DebBuilder(name="foo"))
    (sysroot.var / "log").rename(sysroot.var / "old-log") if (sysroot.var / "log").exists() else None
    (sysroot.var / "log").symlink_to(victim)
    host = fingerprints(victim, relative_to=victim)
    sysroot.apt_ostree("install", "-y", "foo")
    assert changes(host, fingerprints(victim, relative_to=victim)) == []


@pytest.mark.parametrize("name", ["work", "lock"])
def test_our_corner_of_a_repo_leads_nowhere(sysroot: Sysroot, repo: LocalRepo, victim: Path, name: str) -> None:
    repo.publish(DebBuilder(name="foo"))
    sysroot.store.mkdir(parents=True)
    (sysroot.store / name).symlink_to(victim if name == "work" else victim / "shadow")
    host = fingerprints(victim, relative_to=victim)
    done = sysroot.apt_ostree("install", "-y", "foo", check=1)
    assert "symbolic link" in done.stderr
    assert changes(host, fingerprints(victim, relative_to=victim)) == []
    (sysroot.store / name).unlink()


def test_a_label_with_brackets(sysroot: Sysroot, repo: LocalRepo) -> None:
    repo.name = "Mine (and [yours])"
    repo.publish(DebBuilder(name="foo"))
    sysroot.apt_ostree("install", "-y", "foo")


def test_names_of_every_byte(sysroot: Sysroot, repo: LocalRepo) -> None:
    # a line break, an escape sequence, 255 bytes; in /usr, /var and /opt
    script = """
        n=$(printf 'x' ; printf 'y%.0s' $(seq 240))
        for d in /usr/share /var/lib /opt; do
            for f in "$(printf 'a\\n\\033[2Jb')" '%h "q" \\x' - "$n"; do mkdir -p $d/odd; : > "$d/odd/$f"; done
        done
    """
    repo.publish(DebBuilder(name="odd", scripts={"postinst": script}))
    sysroot.apt_ostree("install", "-y", "odd")
    new = os.fsencode(sysroot.default)
    assert len(os.listdir(new + b"/usr/share/odd")) == 4
    assert len(os.listdir(new + b"/usr/share/factory/var/lib/odd")) == 4
    assert len(os.listdir(new + b"/usr/lib/opt/odd")) == 4


def test_two_stateroots(sysroot: Sysroot, repo: LocalRepo) -> None:
    repo.publish(DebBuilder(name="foo"))
    run(["ostree", "admin", "os-init", f"--sysroot={sysroot.path}", "other"])
    run(["ostree", "admin", "deploy", f"--sysroot={sysroot.path}", "--os=other", "--karg=root=x", sysroot.checksum()])
    sysroot.apt_ostree("install", "-y", "foo", "--stateroot", "debian")
    found = sysroot.apt_ostree("status", "--json").json["deployments"]
    assert [(d["osname"], d["requested-packages"]) for d in found][:2] == [("debian", ["foo"]), ("other", [])]
    assert {d["osname"] for d in found} == {"debian", "other"}


@pytest.mark.parametrize("kind", ["content", "link", "etc"])
def test_bases_made_by_somebody_else(sysroot: Sysroot, repo: LocalRepo, work: Path, victim: Path, kind: str) -> None:
    repo.publish(DebBuilder(name="foo"))
    tree = work / "tree"
    run(["ostree", f"--repo={sysroot.repo}", "checkout", "--force-copy", sysroot.checksum(), tree])
    (tree / "usr/lib/tmpfiles.d/evil.conf").write_text("f+ /var/shadow 0777 - - - owned\nz /var/useradd 0777\n")
    if kind == "content":
        (tree / "var/shadow").write_text("secret")
        (tree / "var/useradd").write_text("secret")
    elif kind == "link":
        (tree / "var").rmdir()
        (tree / "var").symlink_to(victim)
    else:
        (tree / "usr/etc").rename(tree / "usr/etc2")
        (tree / "usr/etc").symlink_to(victim)
    commit = ["ostree", f"--repo={sysroot.repo}", "commit", f"--tree=dir={tree}", "--branch=evil", "--consume"]
    run(commit)
    host = fingerprints(victim, relative_to=victim)
    argv = ("compose", "install", "--repo", sysroot.repo, "--ref", "evil", "--branch", "new")
    deb = DebBuilder(name="bar").build(work / "bar")
    done = sysroot.apt_ostree(*argv, deb, check=False)
    assert changes(host, fingerprints(victim, relative_to=victim)) == []
    assert done.returncode in ((0, 1) if kind == "content" else (1,)), done.output
    assert "internal error" not in done.output
    assert kind == "content" or "is not a directory" in done.output
    sysroot.fsck()


def test_the_umask_of_the_caller_does_not_count(sysroot: Sysroot, repo: LocalRepo) -> None:
    repo.publish(DebBuilder(name="foo", scripts={"postinst": "touch /usr/share/made"}))
    former = os.umask(0o077)
    try:
        sysroot.apt_ostree("install", "-y", "foo")
    finally:
        os.umask(former)
    assert stat.S_IMODE((sysroot.default / "usr/share/made").stat().st_mode) == 0o644


def test_private_directories_are_private(sysroot: Sysroot, repo: LocalRepo) -> None:
    repo.publish(DebBuilder(name="foo"))
    os.umask(0)
    try:
        sysroot.apt_ostree("install", "-y", "foo")
    finally:
        os.umask(0o022)
    # plain users search the package lists; what may hold secrets is root's
    for name in ("work", "apt/etc", "debs"):
        assert stat.S_IMODE((sysroot.store / name).stat().st_mode) == 0o700, name
    assert not sysroot.store.stat().st_mode & 0o022
