"""Hostile packages and archives: refused, and nothing has changed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.archive import LocalRepo
from tests.support.debs import DebBuilder, RawDeb, tampered, truncated
from tests.support.sysroots import Sysroot, changes

pytestmark = pytest.mark.real

OUTSIDE = Path("/etc/apt-ostree-escape-test")


def refused(sysroot: Sysroot, *words: str | Path, code: int) -> str:
    """The command fails with `code` and nothing has changed; returns what it said."""
    before = sysroot.snapshot()
    done = sysroot.apt_ostree("install", "-y", *words, check=code)
    assert changes(before, sysroot.snapshot()) == []
    assert sysroot.leftovers() == []
    assert "Traceback" not in done.output
    return done.stderr


def test_b09_unsigned_archive(sysroot: Sysroot, work: Path) -> None:
    unsigned = LocalRepo(work / "unsigned", None)
    unsigned.publish(DebBuilder(name="foo"))
    sysroot.use_sources({"unsigned": unsigned.sources()})
    assert "sign" in refused(sysroot, "foo", code=7)


def test_b09_tampered_package_of_an_archive(sysroot: Sysroot, http_repo: LocalRepo) -> None:
    web = http_repo.server
    assert web is not None
    http_repo.publish(DebBuilder(name="foo", files={"/usr/share/foo/data": os.urandom(5000)}))
    sysroot.use_sources({"http": http_repo.sources()})
    sysroot.apt_ostree("refresh-md")
    web.tamper.add(".deb")
    refused(sysroot, "foo", code=7)
    web.heal()
    web.truncate[".deb"] = 300
    message = refused_with_any(sysroot, "foo", codes=(1, 7))
    assert "foo" in message or "download" in message
    web.heal()
    sysroot.apt_ostree("install", "-y", "foo")


def refused_with_any(sysroot: Sysroot, *words: str, codes: tuple[int, ...]) -> str:
    before = sysroot.snapshot()
    done = sysroot.apt_ostree("install", "-y", *words, check=False)
    assert done.returncode in codes, done.output
    assert changes(before, sysroot.snapshot()) == []
    return done.stderr


def test_b09_truncated_and_damaged_files(sysroot: Sysroot, tmp_path: Path) -> None:
    good = DebBuilder(name="foo", files={"/usr/share/foo/data": os.urandom(50_000)}).build(tmp_path / "good")
    cut = truncated(good, 20_000)
    assert refused_with_any(sysroot, str(cut), codes=(2, 7))
    bent = tampered(good, tmp_path / "bent.deb")
    assert refused_with_any(sysroot, str(bent), codes=(2, 7))


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("dotdot", lambda deb: deb.file("./../../../etc/apt-ostree-escape-test", "x")),
        ("absolute", lambda deb: deb.file("/etc/apt-ostree-escape-test", "x")),
        ("hardlink", lambda deb: deb.hardlink("./usr/share/stolen", "/etc/shadow")),
        ("hardlink-up", lambda deb: deb.hardlink("./usr/share/stolen", "../../../etc/shadow")),
        ("through", lambda deb: deb.symlink("./usr/way", "/etc").file("./usr/way/apt-ostree-escape-test", "x")),
        ("climbing", lambda deb: deb.symlink("./usr/share/way", "../../../../../../etc")),
        ("device", lambda deb: deb.device("./usr/share/null", 1, 3)),
        ("newline", lambda deb: deb.file("./usr/share/a\nb", "x")),
    ],
)  # fmt: skip
def test_b09_paths_out_of_the_tree(
    sysroot: Sysroot, tmp_path: Path, name: str, make: Callable[[RawDeb], RawDeb]
) -> None:
    deb = make(RawDeb(name=f"evil-{name}")).build(tmp_path)
    before = OUTSIDE.exists()
    assert f"evil-{name}" in refused(sysroot, deb, code=1)
    assert OUTSIDE.exists() == before
    debs = sysroot.store / "debs"
    assert not debs.is_dir() or not list(debs.iterdir())


def test_b10_failing_script_is_named(sysroot: Sysroot, repo: LocalRepo) -> None:
    # dpkg goes on with the next package before it gives up
    after = DebBuilder(name="careful", scripts={"postinst": "echo nothing wrong here"})
    repo.publish(DebBuilder(name="broken", scripts={"postinst": "echo the last words\nexit 3"}), after)
    before = sysroot.snapshot()
    done = sysroot.apt_ostree("install", "-y", "broken", "careful", "--json", check=1)
    error = done.json["error"]
    assert error["message"] == "the postinst script of package broken failed: exit code 3"
    assert any("the last words" in line for line in error["details"])
    assert changes(before, sysroot.snapshot()) == []
    logs = sorted((sysroot.var / "log/apt-ostree").glob("*.log"))
    assert logs and "broken.postinst: the last words" in logs[-1].read_text()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_b11_hanging_script_is_ended(sysroot: Sysroot, repo: LocalRepo, signum: int) -> None:
    marker = "sleep 98765"
    repo.publish(
        DebBuilder(name="hangs", scripts={"postinst": f"echo hanging\ntrap '' TERM INT\n{marker} & wait; {marker}"})
    )
    before = sysroot.snapshot()
    process = sysroot.start("install", "-y", "hangs")
    wait_for(lambda: "hanging" in newest_log(sysroot))
    start = time.monotonic()
    os.kill(process.pid, signum)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert time.monotonic() - start < 20  # 5 s on an idle machine; what counts is that it ends by itself
    assert "nothing was changed" in errors
    assert marker not in subprocess.run(["ps", "ax"], capture_output=True, text=True, check=True).stdout
    assert changes(before, sysroot.snapshot()) == []


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.05)


def newest_log(sysroot: Sysroot) -> str:
    logs = sorted((sysroot.var / "log/apt-ostree").glob("*.log"))
    return logs[-1].read_text() if logs else ""


def test_b11_script_timeout(sysroot: Sysroot, repo: LocalRepo) -> None:
    repo.publish(DebBuilder(name="slow", scripts={"postinst": "sleep 98765"}))
    before = sysroot.snapshot()
    done = sysroot.apt_ostree("install", "-y", "slow", "--script-timeout", "2", "--json", check=1)
    assert done.json["error"]["code"] == "script-timeout" and "slow.postinst" in done.json["error"]["message"]
    assert changes(before, sysroot.snapshot()) == []


def test_b12_rm_rf_stays_in_the_tree(sysroot: Sysroot, repo: LocalRepo) -> None:
    repo.publish(DebBuilder(name="bomb", scripts={"postinst": "rm -rf --no-preserve-root / || true"}))
    witness = sysroot.path / "witness"
    witness.write_text("here")
    message = refused(sysroot, "bomb", code=1)
    assert "bomb" in message or "destroyed" in message
    assert witness.read_text() == "here" and Path("/usr/bin/true").exists()
    sysroot.fsck()


def test_b13_scripts_see_no_network_host_or_capability(sysroot: Sysroot, repo: LocalRepo, tmp_path: Path) -> None:
    spy = tmp_path / "secret-of-the-host"
    spy.write_text("secret")
    script = f"""
        test "$(tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' ')" = lo
        test ! -e {spy}
        test -z "$(ls -A /tmp)"
        test ! -e /sysroot/ostree
        grep CapPrm /proc/self/status > /usr/share/seen-capabilities
        if mount -t tmpfs none /mnt 2>/dev/null; then exit 11; fi
        if mknod /tmp/sda b 8 0 2>/dev/null; then exit 12; fi
        if date -s 2001-01-01 2>/dev/null; then exit 13; fi
        if touch /sys/kernel/profiling 2>/dev/null; then exit 14; fi
        test "$$" -lt 1000
        env > /usr/share/seen-environment
    """
    repo.publish(DebBuilder(name="spy", scripts={"postinst": script}))
    sysroot.apt_ostree("install", "-y", "spy", env={"SECRET_TOKEN": "hunter2"})
    seen = (sysroot.default / "usr/share/seen-environment").read_text()
    permitted = int((sysroot.default / "usr/share/seen-capabilities").read_text().split()[1], 16)
    assert permitted.bit_count() == 9
    assert "hunter2" not in seen and "DEBIAN_FRONTEND=noninteractive" in seen


def test_b14_edits_in_place_reach_the_new_tree_only(sysroot: Sysroot, repo: LocalRepo) -> None:
    script = """
        echo appended >> /usr/lib/os-release
        chmod 0700 /usr/bin/hostname
        chown 7:8 /usr/bin/dircolors
        setcap cap_net_raw+ep /usr/bin/cat
        echo changed >> /etc/issue
        rm /usr/bin/factor
        mv /usr/share/doc/hostname /usr/share/doc/renamed
    """
    repo.publish(DebBuilder(name="editor", scripts={"postinst": script}))
    old = sysroot.default
    before = {name: (old / name).lstat() for name in ("usr/bin/hostname", "usr/bin/dircolors", "usr/bin/cat")}
    release = (old / "usr/lib/os-release").read_text()
    sysroot.apt_ostree("install", "-y", "editor")
    new = sysroot.default
    for name, info in before.items():
        now = (old / name).lstat()
        assert (now.st_mode, now.st_uid, now.st_gid) == (info.st_mode, info.st_uid, info.st_gid)
    assert "security.capability" not in os.listxattr(old / "usr/bin/cat")
    assert (old / "usr/lib/os-release").read_text() == release
    assert (new / "usr/lib/os-release").read_text() == release + "appended\n"
    assert (new / "usr/bin/hostname").stat().st_mode & 0o777 == 0o700
    assert ((new / "usr/bin/dircolors").stat().st_uid, (new / "usr/bin/dircolors").stat().st_gid) == (7, 8)
    assert "security.capability" in os.listxattr(new / "usr/bin/cat")
    assert not (new / "usr/bin/factor").exists() and (new / "usr/share/doc/renamed").is_dir()
    assert not (new / "usr/share/doc/hostname").exists()
    sysroot.fsck()


@pytest.mark.parametrize("path", ["/usr/local/bin/tool", "/data/file"])
def test_refused_paths_name_package_and_file(sysroot: Sysroot, repo: LocalRepo, path: str) -> None:
    repo.publish(DebBuilder(name="misplaced", files={path: "x"}))
    message = refused(sysroot, "misplaced", code=1)
    assert "misplaced" in message and path.rsplit("/", 1)[0].split("/")[1] in message
