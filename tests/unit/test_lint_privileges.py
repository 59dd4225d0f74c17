"""The lint of files that give privileges. No root is needed: setuid is a bit, and overrides name ids."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from apt_ostree.lint import privileges
from apt_ostree.view.model import Kind, Node, build
from tests.support.rootfs import clean, found, outcome, put

DPKG = "usr/lib/sysimage/dpkg"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return clean(tmp_path / "rootfs")


def owns(root: Path, *paths: str, database: str = DPKG) -> None:
    put(root, f"{database}/info/foo.list", "".join(f"{path}\n" for path in ("/.", *paths)))


@pytest.mark.parametrize(
    ("path", "listed"),
    [
        ("usr/bin/su", "/usr/bin/su"),
        ("usr/bin/su", "/bin/su"),  # through the link of a merged /usr
        ("usr/lib/opt/app/sandbox", "/opt/app/sandbox"),
        ("usr/share/factory/var/games/score", "/var/games/score"),
        ("usr/share/factory/var/opt/app/sandbox", "/opt/app/sandbox"),
    ],
)
@pytest.mark.parametrize("mode", [0o4755, 0o2755])
def test_a_privileged_file_is_a_packages(root: Path, path: str, listed: str, mode: int) -> None:
    put(root, path, mode=mode)
    assert found(root, "privileges") == [f"/{path}"]
    owns(root, f"{listed}.other")
    assert found(root, "privileges") == [f"/{path}"]
    owns(root, listed)
    assert found(root, "privileges") == []


def test_what_gives_no_privileges_may_be_anybodys(root: Path) -> None:
    put(root, "usr/bin/plain", mode=0o755)
    (root / "usr/share/shared").mkdir(parents=True)
    (root / "usr/share/shared").chmod(0o2775)
    assert found(root, "privileges") == []


def test_a_diverted_file_is_still_its_packages(root: Path) -> None:
    put(root, "usr/bin/su.distrib", mode=0o4755)
    put(root, f"{DPKG}/diversions", "/usr/bin/su\n/usr/bin/su.distrib\nlocal\n")
    assert found(root, "privileges") == []
    put(root, f"{DPKG}/diversions", "/usr/bin/su.distrib\n/usr/bin/other\nlocal\n")
    assert found(root, "privileges") == ["/usr/bin/su.distrib"]


def test_capabilities() -> None:
    files = {"usr/lib/sysimage/dpkg/status": b"x", "usr/lib/sysimage/dpkg/info/foo.list": b"/usr/bin/ping\n"}
    folders = ("usr", "usr/bin", "usr/lib", "usr/lib/sysimage", DPKG, f"{DPKG}/info")
    nodes = [Node(path, Kind.DIRECTORY) for path in folders] + [Node(path, Kind.FILE) for path in files]
    nodes += [Node(f"usr/bin/{name}", Kind.FILE, mode=0o755, capable=True) for name in ("ping", "pong")]
    view = build("made", nodes, lambda node: files[node.path])
    assert [item.path for item in privileges.privileges(view)] == ["/usr/bin/pong"]


@pytest.mark.parametrize("place", ["usr/bin/tool", "usr/etc/tool"])
def test_overrides(root: Path, place: str) -> None:
    listed = "/bin/tool" if place.startswith("usr/bin") else "/etc/tool"
    if place.startswith("usr/etc"):
        os.rename(root / "etc", root / "usr/etc")
    put(root, place, mode=0o4750)
    owns(root, listed)
    owner = f"#{os.getuid()} #{os.getgid()}"
    put(root, f"{DPKG}/statoverride", f"{owner} 4750 {listed}\n{owner} 0700 /var/not/here\nnonsense\n")
    assert found(root, "privileges") == []
    put(root, f"{DPKG}/statoverride", f"{owner} 0755 {listed}\n")
    assert found(root, "privileges") == [f"/{place}"]
    put(root, f"{DPKG}/statoverride", f"nobodyknows #{os.getgid()} 4750 {listed}\n")
    assert found(root, "privileges") == [f"/{place}"]
    assert "nobodyknows" in outcome(root, "privileges").findings[0].message


def test_a_debian_tree_with_its_database_in_var(root: Path) -> None:
    put(root, "usr/bin/su", mode=0o4755)
    (root / "var/lib").mkdir()
    os.rename(root / DPKG, root / "var/lib/dpkg")
    assert found(root, "privileges") == ["/usr/bin/su"]
    owns(root, "/usr/bin/su", database="var/lib/dpkg")
    assert found(root, "privileges") == []
