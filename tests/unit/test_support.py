"""The test ground is held to what it promises: a ground that lies makes every other test worthless."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tomllib
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import basecache, leaks, room
from tests.support.archive import HttpServer, LocalRepo, SigningKey
from tests.support.debs import DebBuilder, RawDeb, tampered, truncated
from tests.support.process import CHECKOUT, run
from tests.support.sysroots import changes, fingerprints


def _members(deb: Path) -> dict[str, tarfile.TarInfo]:
    data = subprocess.run(["dpkg-deb", "--fsys-tarfile", deb], check=True, capture_output=True).stdout
    path = deb.with_suffix(".tar")
    path.write_bytes(data)
    with tarfile.open(path) as tar:
        return {member.name: member for member in tar.getmembers()}


# --- packages


def test_a_built_package_has_all_that_was_asked_for(tmp_path: Path) -> None:
    built = DebBuilder(
        name="full",
        version="1:2.0-1",
        depends="dpkg",
        control={"Provides": "something"},
        files={"/etc/full.conf": "a=1\n", "usr/bin/full": b"#!/bin/sh\n"},
        dirs=["var/lib/full"],
        links={"usr/bin/alias": "full"},
        hardlinks={"usr/bin/twin": "/usr/bin/full"},
        modes={"usr/bin/full": 0o4755, "var/lib/full": 0o700},
        scripts={"postinst": "true"},
        conffiles=["/etc/full.conf"],
        triggers="interest-noawait /usr/share/full",
        templates="Template: full/x\nType: note\nDescription: x",
    ).build(tmp_path)
    assert built.name == "full_2.0-1_all.deb"
    members = _members(built)
    assert {"./etc/full.conf", "./usr/bin/full", "./usr/bin/alias", "./usr/bin/twin", "./var/lib/full"} <= set(members)
    twins = [members["./usr/bin/full"], members["./usr/bin/twin"]]
    assert [member.islnk() for member in twins].count(True) == 1
    assert {member.mode for member in twins} == {0o4755}
    assert members["./var/lib/full"].mode == 0o700
    assert {(member.uid, member.gid) for member in members.values()} == {(0, 0)}
    control = subprocess.run(["dpkg-deb", "--info", built], check=True, capture_output=True, text=True).stdout
    for word in ("conffiles", "postinst", "triggers", "templates", "Provides: something", "Depends: dpkg"):
        assert word in control


def test_the_same_package_has_the_same_bytes(tmp_path: Path, deb: Callable[..., DebBuilder]) -> None:
    one, two = (deb("same", files={"usr/share/same": "x"}).build(tmp_path / name) for name in "ab")
    assert one.read_bytes() == two.read_bytes()


def test_a_raw_package_that_is_sane_is_one_for_dpkg(tmp_path: Path) -> None:
    raw = RawDeb(name="raw", control_members={"postinst": "#!/bin/sh\n"})
    path = raw.directory("./usr/").directory("./usr/share/").file("./usr/share/raw", "abc").build(tmp_path)
    shown = subprocess.run(["dpkg-deb", "--show", path], check=True, capture_output=True, text=True).stdout
    assert shown == "raw\t1.0\n"
    assert _members(path)["./usr/share/raw"].size == 3


def test_raw_packages_hold_what_is_hostile(tmp_path: Path) -> None:
    raw = RawDeb(name="evil").file("../../etc/passwd", "x").symlink("./a", "/etc").file("./a/b", "through")
    raw.hardlink("./shadow", "/etc/shadow").device("./disk", 8, 0, block=True).fifo("./pipe")
    members = _members(raw.build(tmp_path))
    assert "../../etc/passwd" in members
    assert members["./a"].issym() and members["./a"].linkname == "/etc"
    assert members["./shadow"].linkname == "/etc/shadow"
    assert members["./disk"].isblk() and members["./pipe"].isfifo()


@pytest.mark.parametrize(
    "broken",
    [
        lambda folder: RawDeb(name="x").file("./x", "y" * 4096).build(folder, keep=-200),
        lambda folder: truncated(DebBuilder(name="x", files={"x": "y"}).build(folder), 300),
        lambda folder: RawDeb(name="x", control="nonsense").build(folder),
        lambda folder: RawDeb(name="x", drop=["control.tar.gz"]).build(folder),
        lambda folder: RawDeb(name="x", version_member="9.0\n").build(folder),
    ],
    ids=["cut-raw", "cut-built", "bad-control", "no-control", "future"],
)
def test_broken_packages_are_refused_by_dpkg(tmp_path: Path, broken: Callable[[Path], Path]) -> None:
    path = broken(tmp_path)
    for name in ("updates", "info", "triggers"):
        (tmp_path / "var/lib/dpkg" / name).mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").touch()
    unpack = ["dpkg", f"--root={tmp_path}", "--force-not-root", "--no-act", "--unpack", path]
    listing = ["dpkg-deb", "--contents", path]
    assert any(run(argv, check=False).returncode != 0 for argv in (unpack, listing))


def test_a_tampered_package_has_the_size_of_the_whole_one(tmp_path: Path) -> None:
    deb = DebBuilder(name="x").build(tmp_path)
    other = tampered(deb, tmp_path / "other.deb")
    assert other.stat().st_size == deb.stat().st_size
    assert other.read_bytes() != deb.read_bytes()


# --- the archive


def _apt(folder: Path, sources: str) -> Callable[..., str]:
    """apt-get with nothing of this machine: its own root, the given source."""
    for name in ("etc/sources.list.d", "etc/preferences.d", "state/lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    (folder / "etc/sources.list.d/local.sources").write_text(sources)
    (folder / "status").touch()
    (folder / "apt.conf").write_text(
        f'Dir "{folder}/"; Dir::Etc "etc"; Dir::State "state"; Dir::Cache "cache";'
        f'Dir::State::status "{folder}/status";'
        'Dir::Etc::main "/dev/null"; Dir::Etc::parts "/dev/null"; APT::Sandbox::User "root"; APT::Architecture "amd64";'
        'Acquire::Languages "none";'
    )

    def apt(*words: str) -> str:
        done = run(["apt-get", *words], cwd=folder, check=False, env={"APT_CONFIG": str(folder / "apt.conf")})
        return "" if done.returncode == 0 and "W:" not in done.stderr else done.output

    return apt


@pytest.mark.parametrize("transport", ["repo", "http_repo"])
def test_apt_accepts_the_signed_archive(
    transport: str, request: pytest.FixtureRequest, tmp_path: Path, deb: Callable[..., DebBuilder]
) -> None:
    archive: LocalRepo = request.getfixturevalue(transport)
    archive.publish(deb("hello", files={"usr/share/hello": "hi"}), deb("native", arch="amd64"), deb("old", arch="i386"))
    apt = _apt(tmp_path / "apt", archive.sources())
    assert apt("update") == ""
    assert apt("download", "hello", "native") == ""
    assert apt("download", "old") != ""  # of another architecture
    assert (tmp_path / "apt/hello_1.0_all.deb").is_file()


def test_apt_refuses_an_archive_signed_by_somebody_else(
    repo: LocalRepo, other_key: SigningKey, tmp_path: Path, deb: Callable[..., DebBuilder]
) -> None:
    sources = repo.sources()
    repo.key = other_key
    repo.publish(deb("hello"))
    assert "NO_PUBKEY" in _apt(tmp_path / "apt", sources)("update")


def test_apt_refuses_an_unsigned_archive(tmp_path: Path, deb: Callable[..., DebBuilder]) -> None:
    archive = LocalRepo(tmp_path / "archive", None)
    archive.publish(deb("hello"))
    assert "is not signed" in _apt(tmp_path / "apt", archive.sources())("update")


def test_the_key_can_be_a_file(repo: LocalRepo, signing_key: SigningKey, tmp_path: Path) -> None:
    for name in ("key.gpg", "key.asc"):
        path = signing_key.export(tmp_path / name)
        assert _apt(tmp_path / f"apt-{name}", repo.sources(signed_by=str(path)))("update") == ""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[HttpServer]:
    (tmp_path / "site").mkdir()
    (tmp_path / "site/file").write_bytes(b"0123456789")
    with HttpServer(tmp_path / "site").running() as server:
        yield server


def _get(server: HttpServer, path: str) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{server.uri}{path}", timeout=20) as answer:
        return bytes(answer.read())


def test_the_server_counts_fails_truncates_and_tampers(site: HttpServer) -> None:
    assert _get(site, "/file") == b"0123456789"
    site.tamper.add("file")
    assert _get(site, "/file") not in (b"0123456789", b"")
    site.tamper.clear()
    site.truncate["file"] = 4
    with pytest.raises(Exception, match="IncompleteRead"):
        _get(site, "/file")
    site.fail["file"] = 503
    with pytest.raises(urllib.error.HTTPError, match="503"):
        _get(site, "/file")
    site.heal()
    assert _get(site, "/file") == b"0123456789"
    assert site.requests["/file"] == 5


# --- leaks


def test_a_process_that_escapes_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "SETTLE", 0.2)
    before = leaks.Leaks.watch(tmp_path)
    # a daemon: its parent is gone at once, it has a session of its own
    done = run(["sh", "-c", "setsid sleep 600 >/dev/null 2>&1 & echo $!"])
    try:
        assert any("sleep 600" in sentence for sentence in before.found())
    finally:
        os.kill(int(done.stdout), 9)
    monkeypatch.undo()
    assert before.found() == []


def test_a_mount_is_seen_by_its_path(tmp_path: Path) -> None:
    """Without root: the parsing, on a table that has one with a space in it."""
    assert leaks.mounts(Path("/proc")) >= {"/proc"}
    assert leaks.mounts(tmp_path) == set()


# --- caches and snapshots


def test_toml_survives_a_round_trip() -> None:
    table = {"a": 'x"y\\z', "n": 3, "on": True, "list": ["p", "q"], "t": {"k": "v", "u": {"w": []}}}
    assert tomllib.loads(basecache.to_toml(table)) == table


def test_every_treefile_can_be_extended() -> None:
    for path in basecache.TREEFILES.glob("*.toml"):
        table = tomllib.loads(path.read_text())
        assert tomllib.loads(basecache.to_toml(table)) == table


def test_a_base_is_keyed_by_what_its_treefile_includes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APT_OSTREE_TEST_CACHE", str(tmp_path))
    monkeypatch.setattr(basecache, "TREEFILES", tmp_path)
    (tmp_path / "c.toml").write_text("n = 1\n")
    (tmp_path / "b.toml").write_text('include = ["c"]\n')
    plain, including = "n = 1\n", 'include = ["b.toml"]\n'
    before = [basecache._home("x", text) for text in (plain, including)]
    (tmp_path / "c.toml").write_text("n = 2\n")
    after = [basecache._home("x", text) for text in (plain, including)]
    assert before[0] == after[0] and before[1] != after[1]


def test_fingerprints_see_content_mode_and_links(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "sub/file").write_text("1")
    (tree / "link").symlink_to("sub")
    before = fingerprints(tree, relative_to=tmp_path)
    (tree / "sub/file").write_text("2")
    (tree / "link").unlink()
    (tree / "link").symlink_to("elsewhere")
    (tree / "sub").chmod(0o700)
    (tree / "new").touch()
    changed = changes(before, fingerprints(tree, relative_to=tmp_path))
    assert {"tree/sub", "tree/sub/file", "tree/link", "tree/new"} <= set(changed)


def test_workspaces_of_dead_sessions_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APT_OSTREE_TEST_CACHE", str(tmp_path))
    (tmp_path / "sessions/tmpdead/x").mkdir(parents=True)
    with basecache.workspace() as mine, basecache.workspace() as other:
        assert mine != other and mine.is_dir() and other.is_dir()
        assert not (tmp_path / "sessions/tmpdead").exists()
    assert list((tmp_path / "sessions").iterdir()) == []


@pytest.mark.root
def test_a_workspace_in_memory_has_its_bases_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APT_OSTREE_TEST_CACHE", str(tmp_path))
    monkeypatch.setattr(basecache, "_area", [])
    monkeypatch.setattr(room, "NEEDED", 1 << 20)
    monkeypatch.delenv(room.OFF, raising=False)
    home = tmp_path / "bases/some"
    home.mkdir(parents=True)
    (home / "checksum").write_text("1")
    with basecache.workspace(in_memory=True) as mine:
        if not os.path.ismount(mine.parent):  # a tmpfs of this kernel has no attributes of users
            assert tuple(map(int, os.uname().release.split(".")[:2])) < (6, 6)
            return
        with basecache.workspace(in_memory=True) as other:
            assert mine.parent == other.parent == tmp_path / "memory"
            near = basecache._near(home)
            assert near.stat().st_dev == mine.stat().st_dev and basecache._near(home) == near
            (home / "checksum").write_text("2")
            assert (basecache._near(home) / "checksum").read_text() == "2", "it was composed anew"
        assert os.path.ismount(mine.parent), "one is in it"
    assert not os.path.ismount(tmp_path / "memory") and basecache._near(home) == home


def test_a_workspace_is_on_disk_where_memory_is_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APT_OSTREE_TEST_CACHE", str(tmp_path))
    monkeypatch.setattr(room, "NEEDED", 1 << 60)
    with basecache.workspace(in_memory=True) as mine:
        assert mine.parent == tmp_path / "sessions" and not os.path.ismount(tmp_path / "memory")


# --- the rules of this repository's tests


def test_a_skip_fails_in_ci(tmp_path: Path) -> None:
    test = tmp_path / "test_it.py"
    test.write_text("import pytest\ndef test_a(): pytest.skip('no reason')\n")
    argv = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "tests.conftest",
        "-p",
        "no:cacheprovider",
        f"--rootdir={tmp_path}",
    ]
    for ci, returncode in (("", 0), ("true", 1)):
        done = run([*argv, test], check=False, env={"CI": ci, "PYTHONPATH": str(CHECKOUT)}, cwd=tmp_path)
        assert done.returncode == returncode, done.output


def test_help_names_every_target() -> None:
    text = (CHECKOUT / "Makefile").read_text()
    shown = run(["make", "-C", CHECKOUT]).stdout
    phony = next(line for line in text.splitlines() if line.startswith(".PHONY: help")).split()[1:]
    assert [name for name in phony if f"make {name} " not in shown] == []
