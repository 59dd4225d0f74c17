"""Bad input and bad machines: a clear error with its exit code, no traceback, nothing changed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.support import sysroots
from tests.support.archive import LocalRepo, SigningKey
from tests.support.basecache import TREEFILES
from tests.support.debs import DebBuilder, RawDeb
from tests.support.ground import Ground
from tests.support.process import CHECKOUT, Done, run
from tests.support.sysroots import Base, Sysroot, changes

pytestmark = pytest.mark.real

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env", f"PYTHONPATH={CHECKOUT}")
CONTROL = "Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: x\nDescription: x\n"


@pytest.fixture(scope="module")
def archive(workspace: Path, signing_key: SigningKey) -> LocalRepo:
    made = LocalRepo(workspace / "bad-archive", signing_key)
    made.publish(DebBuilder(name="foo", files={"/usr/bin/foo": "foo"}), DebBuilder(name="foobar"))
    return made


@pytest.fixture(scope="module")
def shared(workspace: Path, template: Sysroot, archive: LocalRepo) -> Iterator[Sysroot]:
    """Nothing here may change a sysroot, so one is enough."""
    made = sysroots.clone(template, workspace / "bad-sysroot")
    made.use_sources({"local": archive.sources()})
    try:
        yield made
        made.fsck()
    finally:
        made.close()


def refused(sysroot: Sysroot, *words: str | Path, code: int, env: Mapping[str, str] | None = None) -> str:
    """The command fails with `code`, in words for people and in JSON, and nothing has changed; returns the words."""
    before = sysroot.snapshot()
    done = sysroot.apt_ostree(*words, check=code, env=env)
    assert changes(before, sysroot.snapshot()) == []
    assert sysroot.leftovers() == []
    assert_error(done)
    return done.stderr


def assert_error(done: Done) -> None:
    assert "Traceback" not in done.output and "internal error" not in done.output
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 and len(lines[0]) > len("error: ")


# --- names


def test_unknown_packages_are_all_named(shared: Sysroot) -> None:
    words = ("install", "-y", "fooo", "nothing-like-it", "foo", "foobaz")
    told = refused(shared, *words, code=3)
    first = told.splitlines()[[line.startswith("error:") for line in told.splitlines()].index(True)]
    assert "fooo" in first and "nothing-like-it" in first and "foobaz" in first
    assert "fooo: no such package; near: foo" in told and "foobaz: no such package; near: foobar" in told
    error = shared.apt_ostree(*words, "--json", check=3).json["error"]
    assert error["code"] == "not-found" and len(error["details"]) == 3 and error["hint"]


@pytest.mark.parametrize(
    "name",
    ["", " ", "-", "Foo", "foo bar", "foo=", "foo/", "foo;reboot", "foo=1.0/stable", "foo\nbar", "fünf", "$(id)",
     "foo:", "=1.0", "f" * 5000 + "!", "foo=1.0=2.0"],
)  # fmt: skip
@pytest.mark.parametrize("verb", ["install"])
def test_malformed_names(shared: Sysroot, verb: str, name: str) -> None:
    done = shared.apt_ostree(verb, "-y", "--", name, check=2)
    assert_error(done)
    assert "not a package name" in done.stderr and "htop" in done.stderr


def test_unknown_versions_and_suites(shared: Sysroot) -> None:
    assert "9.9" in refused(shared, "install", "-y", "foo=9.9", code=3)
    assert "nowhere" in refused(shared, "install", "-y", "foo/nowhere", code=3)
    assert "foo" in refused(shared, "install", "-y", "foo:riscv64", code=3)


def test_what_is_not_layered_is_not_uninstalled(shared: Sysroot) -> None:
    told = refused(shared, "uninstall", "-y", "hostname", "foo", code=3)
    assert "hostname" in told and "foo" in told


# --- the command line


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "command is missing"),
        (["instal", "foo"], " install\n"),
        (["install"], "PACKAGE is missing"),
        (["install", "--frobnicate", "foo"], "--frobnicate"),
        (["install", "--wait=soon", "foo"], "--wait"),
        (["install", "--wait", "5", "foo"], "--wait=5"),
        (["install", "--script-timeout=-1", "foo"], "--script-timeout"),
        (["install", "--disable-repo=nope", "foo"], "nope"),
        (["--color=blue", "status"], "--color"),
        (["--progress=loud", "status"], "--progress"),
        (["status", "surprise"], "surprise"),
        (["cleanup"], "--rollback"),
        (["deploy"], "REVISION is missing"),
        (["deploy", "color=blue"], "color=blue"),
        (["schema", "nonsense"], "nonsense"),
        (["db", "diff", "--format=xml"], "--format"),
    ],
)
def test_malformed_command_lines(shared: Sysroot, words: Sequence[str], told: str) -> None:
    done = shared.apt_ostree(*words, check=2)
    assert_error(done)
    assert told in done.stderr
    error = shared.apt_ostree(*words, "--json", check=2).json["error"]
    assert set(error) == {"code", "message", "hint", "details"} and error["code"] == "usage"


@pytest.mark.parametrize("revision", ["", "no-such-ref", "0" * 64, "99", "../../etc", "--help-me", "version=77"])
def test_unknown_revisions(shared: Sysroot, revision: str) -> None:
    before = shared.snapshot()
    done = shared.apt_ostree("deploy", "-y", "--", revision, check=1 if revision else 2)
    assert_error(done)
    assert changes(before, shared.snapshot()) == []


def test_an_unknown_stateroot(shared: Sysroot) -> None:
    told = refused(shared, "install", "-y", "foo", "--stateroot=fedora", code=6)
    assert "fedora" in told and "debian" in told


# --- files


def test_files_that_are_no_packages(shared: Sysroot, tmp_path: Path) -> None:
    text, empty = tmp_path / "text.deb", tmp_path / "empty.deb"
    text.write_text("this is not a package\n" * 100)
    empty.touch()
    (tmp_path / "dangling.deb").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe.deb")
    (tmp_path / "endless.deb").symlink_to("/dev/zero")
    (tmp_path / "error.deb").symlink_to("/proc/self/mem")
    (tmp_path / "empty-folder").mkdir()
    names = [
        "text.deb",
        "empty.deb",
        "dangling.deb",
        "pipe.deb",
        "endless.deb",
        "error.deb",
        "empty-folder",
        "not-there.deb",
    ]
    for name in names:
        assert name in refused(shared, "install", "-y", tmp_path / name, code=2)


def test_a_folder_with_one_bad_file(shared: Sysroot, tmp_path: Path) -> None:
    DebBuilder(name="good").build(tmp_path)
    (tmp_path / "bad.deb").write_text("bad")
    assert "bad.deb" in refused(shared, "install", "-y", tmp_path, code=2)


@pytest.mark.parametrize(
    "deb",
    [
        RawDeb(name="no-control", drop=("control.tar.gz",)),
        RawDeb(name="no-data", drop=("data.tar.gz",)),
        RawDeb(name="empty-control", control=""),
        RawDeb(name="nameless", control="Version: 1.0\nArchitecture: all\n"),
        RawDeb(name="bad-name", control=CONTROL.format(name="../evil", version="1.0")),
        RawDeb(name="bad-version", control=CONTROL.format(name="evil", version="one")),
        RawDeb(name="bad-format", version_member="9.9\n"),
    ],
    ids=lambda deb: deb.name,
)  # fmt: skip
def test_damaged_packages(shared: Sysroot, tmp_path: Path, deb: RawDeb) -> None:
    path = deb.build(tmp_path)
    before = shared.snapshot()
    done = shared.apt_ostree("install", "-y", path, check=False)
    assert done.returncode in (2, 7), done.output
    assert_error(done)
    assert path.name in done.stderr
    assert changes(before, shared.snapshot()) == []


# --- systems


def test_what_is_no_ostree_system(ground: Ground, tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere"):
        for words in (("status",), ("install", "-y", "foo"), ("rollback",), ("db", "diff")):
            done = ground.apt_ostree("--sysroot", place, *words, check=6)
            assert_error(done)
            absent = place if place != tmp_path else f"{place}/ostree"
            said, hint = done.stderr.splitlines()
            assert said == f"error: '{place}' is not an ostree system: there is no {absent}" and "--sysroot" in hint
    error = ground.apt_ostree("--sysroot", tmp_path, "status", "--json", check=6).json["error"]
    assert error["code"] == "not-ostree" and error["details"] == []
    probes = ground.apt_ostree("--sysroot", tmp_path, "doctor", "--json", check=False).json["probes"]
    assert [probe["state"] for probe in probes[:5]] == ["failed", "ok", "ok", "failed", "failed"]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A directory any user may read; pytest's are closed."""
    with tempfile.TemporaryDirectory(prefix="aot-open-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def test_a_plain_user_is_told_to_become_root(shared: Sysroot, ground: Ground, open_folder: Path) -> None:
    repo = open_folder / "repo"
    run(["ostree", "init", "--mode=bare", f"--repo={repo}"])
    treefile = shutil.copy(TREEFILES / "debian-13-minimal.toml", open_folder)
    for argv in (
        shared.argv("install", "-y", "foo"),
        shared.argv("install", "-y", "--dry-run", "foo"),
        shared.argv("rollback"),
        ground.argv("compose", "tree", treefile, "--repo", repo),
    ):
        done = run([*NOBODY, *argv], check=False).must(6)
        assert_error(done)
        assert "root" in done.stderr and "sudo" in done.stderr


@contextlib.contextmanager
def broken(path: Path, text: str) -> Iterator[None]:
    good = path.read_text()
    path.write_text(text)
    try:
        yield
    finally:
        path.write_text(good)


@pytest.mark.parametrize(
    "text", ["", "nonsense", "[origin]\n", "[origin\nrefspec=x", "[packages]\nrequested=foo;\n", "\0\1\2"]
)
def test_a_broken_origin_file(shared: Sysroot, text: str) -> None:
    origin = shared.default.parent / f"{shared.default.name}.origin"
    with broken(origin, text):
        told = refused(shared, "install", "-y", "foo", code=1)
        assert str(origin) in told and "hint:" in told
        assert shared.checksum()[:12] in shared.apt_ostree("status").output
        first = shared.apt_ostree("status", "--json").json["deployments"][0]
        assert first["checksum"] == shared.checksum() and first["requested-packages"] in ([], ["foo"])
        assert "origin-error" in first or "origin" not in first


def test_an_origin_with_a_malformed_request(shared: Sysroot, base: Base) -> None:
    origin = shared.default.parent / f"{shared.default.name}.origin"
    with broken(origin, f"[origin]\nbaserefspec={base.ref}\n\n[packages]\nrequested=foo;NOT A NAME;\n"):
        told = refused(shared, "install", "-y", "foobar", code=1)
        assert "NOT A NAME" in told
        assert shared.apt_ostree("status", "--json").json["deployments"][0]["origin-error"]


# --- compose


def test_compose_without_repo_or_ref(ground: Ground, base: Base, tmp_path: Path) -> None:
    treefile = TREEFILES / "debian-13-minimal.toml"
    for words in (
        ("compose", "install", "--repo", tmp_path / "nowhere", "--ref", base.ref, "--branch", "x", "foo"),
        ("compose", "tree", treefile, "--repo", tmp_path / "nowhere"),
        ("compose", "tree", treefile, "--repo", tmp_path, "--dry-run"),
    ):
        done = ground.apt_ostree(*words, check=1)
        assert_error(done)
        assert "there is no ostree repo" in done.stderr and "ostree repo init" in done.stderr
    done = ground.apt_ostree(
        "compose", "install", "--repo", base.repo, "--ref", "no/such", "--branch", "x", "foo", check=1
    )
    assert_error(done)
    assert "no/such" in done.stderr and "ostree refs" in done.stderr
    for words in (("compose", "install", "--ref", "a", "--branch", "b", "foo"), ("compose", "tree", treefile)):
        assert "--repo is missing" in ground.apt_ostree(*words, check=2).stderr


def test_compose_without_lists_or_with_an_unknown_package(ground: Ground, repo: LocalRepo, work: Path) -> None:
    """What helps here is no command of a system."""
    (work / "compose").mkdir()
    made = run(["ostree", "init", "--mode=bare", f"--repo={work / 'compose'}"]) and work / "compose"
    treefile = work / "tree.toml"
    (work / "key.asc").write_text(repo.key.armoured if repo.key else "")
    mirror = f'[[mirrors]]\nuri = "{repo.uri}"\nsuites = ["{{}}"]\nsigned-by = "{work}/key.asc"\n'
    head = 'suite = "stable"\nref = "x"\npackages = ["nosuchpackage"]\n'
    words = ("compose", "tree", treefile, "--repo", made, "--dry-run")
    treefile.write_text(head + mirror.format(repo.suite))
    done = ground.apt_ostree(*words, "--cache-only", check=3)
    assert "run it again without --cache-only" in done.stderr and "refresh-md" not in done.stderr
    repo.publish(DebBuilder(name="foo"))
    done = ground.apt_ostree(*words, check=3)
    assert "packages, suite and mirrors of the treefile" in done.stderr and "refresh-md" not in done.stderr
    treefile.write_text(head + mirror.format("stabel"))
    done = ground.apt_ostree(*words, check=1)
    assert f"the archive {repo.uri} has no suite 'stabel'" in done.stderr
    assert "hint: look at suite and mirrors of the treefile" in done.stderr


@pytest.mark.parametrize("branch", ["", "a b", "../x", "a//b", "-x", "apt-ostree/base/mine"])
def test_compose_on_a_malformed_branch(ground: Ground, base: Base, branch: str) -> None:
    """Refused before anything is built."""
    before = run(["ostree", "refs", f"--repo={base.repo}"]).stdout
    words = (
        "compose",
        "install",
        "--repo",
        base.repo,
        "--ref",
        base.ref,
        f"--branch={branch}",
        "-C",
        "hostname-nowhere",
    )
    done = ground.apt_ostree(*words, check=2)
    assert_error(done)
    assert "branch" in done.stderr
    assert run(["ostree", "refs", f"--repo={base.repo}"]).stdout == before


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('suite = "trixie"\nref = "x"\npakages = ["a"]\n', ("pakages", "line 3", "did you mean 'packages'?")),
        ('suite = "trixie"\nref = "x"\n[[mirrors]]\nurl = "http://x/"\n', ("url", "line 4", "did you mean 'uri'?")),
        ('suite = "trixie"\nref = \n', ("not TOML", "line 2")),
        ('suite = "trixie"\n', ("'ref' is missing",)),
        ('suite = 13\nref = "x"\n', ("suite", "line 1", "string")),
        ('suite = "trixie"\nref = "x"\npackages = "vim"\n', ("packages", "line 3", "list")),
        ('suite = "trixie"\nref = "a b"\n', ("ref", "line 2")),
        ("\0", ("not TOML",)),
    ],
)
def test_malformed_treefiles(ground: Ground, tmp_path: Path, text: str, told: Sequence[str]) -> None:
    treefile = tmp_path / "tree.toml"
    treefile.write_text(text)
    done = ground.apt_ostree("compose", "tree", treefile, "--repo", tmp_path, check=2)
    assert_error(done)
    assert "tree.toml" in done.stderr
    for words in told:
        assert words in done.stderr


def test_treefiles_that_cannot_be_read(ground: Ground, tmp_path: Path) -> None:
    (tmp_path / "latin1.toml").write_bytes(b'suite = "tr\xefxie"\n')
    for name in ("nowhere.toml", ".", "latin1.toml"):
        done = ground.apt_ostree("compose", "tree", tmp_path / name, "--repo", tmp_path, check=2)
        assert_error(done)


# --- machines


def path_without(program: str, folder: Path) -> str:
    """A PATH on which there is every program but one."""
    folder.mkdir()
    for place in ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"):
        for entry in Path(place).iterdir() if Path(place).is_dir() else ():
            if entry.name != program and not os.path.lexists(folder / entry.name):
                (folder / entry.name).symlink_to(entry)
    return str(folder)


@pytest.mark.parametrize(
    ("program", "package"),
    [("bwrap", "bubblewrap"), ("ostree", "ostree"), ("apt-get", "apt"), ("dpkg-deb", "dpkg"), ("mount", "mount")],
)
def test_a_missing_program(shared: Sysroot, tmp_path: Path, program: str, package: str) -> None:
    deb = DebBuilder(name="mine").build(tmp_path)
    env = {"PATH": path_without(program, tmp_path / "bin")}
    told = refused(shared, "install", "-y", deb, "foo", code=5, env=env)
    assert f"'{program}'" in told and f"apt-get install {package}\n" in told


@pytest.mark.parametrize(("program", "package"), [("mmdebstrap", "mmdebstrap"), ("ostree", "ostree")])
def test_a_missing_program_of_compose(ground: Ground, tmp_path: Path, program: str, package: str) -> None:
    repo = tmp_path / "repo"
    run(["ostree", "init", "--mode=bare", f"--repo={repo}"])
    env = {"PATH": path_without(program, tmp_path / "bin")}
    words = ("compose", "tree", TREEFILES / "debian-13-minimal.toml", "--repo", repo)
    done = ground.apt_ostree(*words, check=5, env=env)
    assert_error(done)
    assert f"'{program}'" in done.stderr and f"apt-get install {package}\n" in done.stderr


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_no_network(sysroot: Sysroot, repo: LocalRepo) -> None:
    sysroot.use_sources({"web": repo.sources(uri=f"http://127.0.0.1:{closed_port()}/")})
    told = refused(sysroot, "install", "-y", "foo", code=1)
    assert "package lists could not be fetched" in told and "network" in told and "--disable-repo" in told
    told = refused(sysroot, "install", "-y", "-C", "foo", code=3)
    assert "foo" in told and "refresh-md" in told
    assert "network" in refused(sysroot, "refresh-md", code=1)


def test_malformed_sources(sysroot: Sysroot) -> None:
    sysroot.use_sources({"odd": "Types: deb\nURIs: http://127.0.0.1/\n"})
    told = refused(sysroot, "install", "-y", "foo", code=1)
    assert "odd.sources" in told or "Suites" in told


@contextlib.contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """An ext4 file system of `size` bytes in a file, mounted."""
    image, place = folder / "disk.img", folder / "disk"
    with image.open("wb") as stream:
        stream.truncate(size)
    place.mkdir()
    run(["mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=1,nodiscard", image])
    run(["mount", "-o", "loop", image, place])
    try:
        yield place
    finally:
        run(["umount", place])
        until = time.monotonic() + 30  # the device goes when the last mount namespace of the machine let go of it
        while run(["losetup", "--associated", image]).stdout and time.monotonic() < until:
            time.sleep(0.1)
        image.unlink()


def free(path: Path) -> int:
    info = os.statvfs(path)
    return info.f_bavail * info.f_frsize


def test_a_full_disk(work: Path, base: Base, repo: LocalRepo) -> None:
    """Refused with numbers before anything is fetched; and when a package lies about its size, cleanly later."""
    repo.publish(
        DebBuilder(name="huge", control={"Installed-Size": str(9 * 1024 * 1024)}),
        DebBuilder(name="liar", control={"Installed-Size": "1"}, files={"/usr/share/liar": bytes(400_000_000)}),
        DebBuilder(name="foo", files={"/usr/bin/foo": "foo"}),
    )
    with small_disk(work, 700_000_000) as place:
        made = sysroots.build(place / "sysroot", base)
        made.use_sources({"local": repo.sources()})
        made.apt_ostree("refresh-md")
        assert 100_000_000 < free(place) < 400_000_000, free(place)
        told = refused(made, "install", "-y", "huge", code=1)
        assert "not enough space" in told and "9663.7 MB installed" in told and "are free" in told and "cleanup" in told
        error = json.loads(made.apt_ostree("install", "-y", "huge", "--json", check=1).stdout)["error"]
        assert error["code"] == "no-space"
        before = free(place)
        told = refused(made, "install", "-y", "liar", code=1)
        assert "No space left on device" in told or "full" in told
        assert free(place) > before - 20_000_000, "what was unpacked is gone again"
        made.apt_ostree("install", "-y", "foo")
        assert (made.default / "usr/bin/foo").exists()
        made.fsck()
        run(["chattr", "-f", "-i", *made.deployments()], check=False)
