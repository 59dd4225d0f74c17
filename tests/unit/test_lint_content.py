"""The lints of names, of /var, and of the package database."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from apt_ostree.linting import State
from tests.support.rootfs import clean, found, outcome, put


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return clean(tmp_path / "rootfs")


def test_utf8(root: Path) -> None:
    put(root, "usr/share/ä€")
    (root / "usr/share/link").symlink_to("ä")
    assert found(root, "utf8") == []
    folder = os.fsencode(root / "usr/share")
    os.mkdir(folder + b"/\xff")
    os.symlink(b"\xe4", folder + b"/latin")
    put(root, "usr/share/b/x")
    assert found(root, "utf8") == ["/usr/share/latin", "/usr/share/\\xff"]
    assert "\\xe4" in outcome(root, "utf8").findings[0].message


def test_var_log(root: Path) -> None:
    put(root, "var/log/empty", "")
    (root / "var/log/private").mkdir()
    assert found(root, "var-log") == []
    put(root, "var/log/apt/history.log")
    assert found(root, "var-log") == ["/var/log/apt/history.log"]


def test_var_tmpfiles(root: Path) -> None:
    for name in ("var/lib/known", "var/lib/seeded/below", "var/lib/unknown"):
        (root / name).mkdir(parents=True)
    put(root, "var/lib/seeded/file")
    put(root, "var/lib/known/file")
    (root / "var/link").symlink_to("lib")
    put(root, "usr/lib/tmpfiles.d/a.conf", "d /var/lib 0755\nd /var/lib/known\nC /var/lib/seeded\nr /var/lib/unknown\n")
    wrong = ["/var/lib/known/file", "/var/lib/unknown", "/var/link"]
    assert found(root, "var-tmpfiles", running=True) == wrong
    put(root, "etc/tmpfiles.d/a.conf", "d /var/lib\n")  # stands for the whole namesake
    assert len(found(root, "var-tmpfiles", running=True)) > len(wrong)
    assert outcome(root, "var-tmpfiles").state is State.SKIPPED


def test_dpkg_database(root: Path) -> None:
    assert found(root, "dpkg-database") == []
    (root / "var/lib").mkdir()
    (root / "var/lib/dpkg").symlink_to("../../usr/lib/sysimage/dpkg")
    assert found(root, "dpkg-database") == []
    (root / "var/lib/dpkg").unlink()
    os.rename(root / "usr/lib/sysimage/dpkg", root / "var/lib/dpkg")
    assert found(root, "dpkg-database") == ["/var/lib/dpkg", "/usr/lib/sysimage/dpkg/status"]
