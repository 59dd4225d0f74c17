"""On a booted system /usr and /sysroot are read-only, and apt and dpkg say what to run instead."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.archive import LocalRepo
from tests.support.nshost import NamespaceHost
from tests.support.process import CHECKOUT
from tests.support.verbs import tool

pytestmark = pytest.mark.real

GUARD = "/run/guard/guard"


def place(host: NamespaceHost) -> None:
    """What `make install` does with the files of data/host, with the script where the read-only /usr lets us put it."""
    texts = {path.name: path.read_text().replace("@GUARD@", GUARD) for path in host_files()}
    script = """
    mkdir -p /run/guard /etc/dpkg/dpkg.cfg.d
    printf %s "$1" > /run/guard/guard; chmod 755 /run/guard/guard
    printf %s "$2" > /etc/apt/apt.conf.d/20apt-ostree; printf %s "$3" > /etc/dpkg/dpkg.cfg.d/apt-ostree
    """
    host.run("sh", "-ec", script, "sh", texts["guard"], texts["apt.conf"], texts["dpkg.cfg"])


def host_files() -> list[Path]:
    return sorted((CHECKOUT / "apt_ostree/data/host").iterdir())


def test_apt_and_dpkg_name_the_right_command(host: NamespaceHost, http_repo: LocalRepo, tmp_path: Path) -> None:
    http_repo.publish(tool("foo"))
    place(host)
    host.run("apt-get", "update")
    for words, said in (
        ("apt-get install -y foo", "    apt-ostree install foo\n"),
        ("apt-get -yo Debug::NoLocking=1 install foo hostname", "    apt-ostree install foo hostname\n"),
        ("apt install foo", "    apt-ostree install foo\n"),
        ("apt-get autoremove", "    apt-ostree uninstall PACKAGE\n"),
        ("setpriv --reuid=nobody apt -o Debug::NoLocking=1 install foo", "    sudo apt-ostree install foo\n"),
        ("apt-get remove -y hostname", "    apt-ostree uninstall hostname\n"),
        ("apt-get -y dist-upgrade", "    apt-ostree upgrade\n"),
        ("apt-get install -y nosuch", "    apt-ostree install nosuch\n"),
        ("dpkg --configure -a", "image-based system"),
    ):
        done = host.run(*words.split(), check=False)
        assert done.returncode != 0 and said in done.stderr, words
        assert done.stderr.count("This is an image-based system") == 1, words
    assert not host.run("sh", "-c", "ls /var/cache/apt/archives/*.deb", check=False).stdout, "nothing was downloaded"
    for words in ("apt-get -s install foo", "apt-get -qsy install foo", "apt list foo", "apt-cache search foo",
                  "dpkg -l hostname", "apt-get update", "apt-get download --print-uris foo"):  # fmt: skip
        done = host.run(*words.split())
        assert "image-based" not in done.stderr, words
    local = host.expose(tool("mine").build(tmp_path))
    assert "apt-ostree install ./FILE.deb" in host.run("dpkg", "-i", local, check=False).stderr
    root = "mkdir -p /tmp/r/var/lib/dpkg; cd /tmp/r/var/lib/dpkg; mkdir info updates triggers; touch status available"
    host.run("sh", "-ec", f"{root}; dpkg --root=/tmp/r --force-not-root --unpack {local}")

    # our own use of them is not held up, in the resolver or in the sandbox
    host.apt_ostree("install", "-y", "foo")
    host.run("sh", "-c", "printf '[Daemon]\\nPackageManagerHint=false\\n' > /etc/apt-ostree.conf")
    assert "image-based" not in host.run("dpkg", "--configure", "-a", check=False).stderr
    host.run("sh", "-c", "rm /etc/apt-ostree.conf; mv /run/ostree-booted /run/elsewhere")
    assert "image-based" not in host.run("apt-get", "install", "-y", "foo", check=False).stderr
    host.run("mv", "/run/elsewhere", "/run/ostree-booted")


def test_doctor_sees_what_can_be_written(host: NamespaceHost) -> None:
    text = host.apt_ostree("doctor", check=False).stdout
    assert "mmdebstrap" not in text, "what only composing needs"
    assert "read-only /usr" in text and text.count("mounted read-only") == 2
    host.run("mount", "-o", "remount,bind,rw", "/sysroot")
    host.run("mount", "-o", "remount,bind,rw", "/usr")
    done = host.apt_ostree("doctor", check=1)
    assert "prepare-root.conf" in done.stdout and "remount,bind,ro /usr" in done.stdout


def test_make_install_places_it(tmp_path: Path) -> None:
    dry = subprocess.run(
        ["make", "-n", "install", f"DESTDIR={tmp_path}", "PREFIX=/usr"], cwd=CHECKOUT, capture_output=True, text=True
    )
    for name in ("etc/apt/apt.conf.d/20apt-ostree", "etc/dpkg/dpkg.cfg.d/apt-ostree", "usr/libexec/apt-ostree/guard",
                 "usr/lib/systemd/system"):  # fmt: skip
        assert f"{tmp_path}/{name}" in dry.stdout, dry.stderr
