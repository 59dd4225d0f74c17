"""The lints of accounts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from apt_ostree.tree import users
from tests.support.rootfs import FILES, clean, found, outcome, put

SYSUSERS = "usr/lib/sysusers.d/image.conf"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return clean(tmp_path / "rootfs")


def messages(root: Path, name: str) -> str:
    return "\n".join(item.message for item in outcome(root, name).findings)


def test_every_account_has_a_line(root: Path) -> None:
    assert found(root, "sysusers") == [] and found(root, "sysusers-ids") == []
    put(root, "etc/passwd", FILES["etc/passwd"] + "new:x:102:102::/:/bin/sh\nben:x:1001:1001::/:/bin/sh\n")
    put(root, "etc/group", FILES["etc/group"] + "new:x:102:\n")
    assert found(root, "sysusers") == ["/etc/passwd", "/etc/passwd", "/etc/group"]
    assert "user new" in messages(root, "sysusers") and "user ben" in messages(root, "sysusers")
    assert found(root, "sysusers-ids") == ["/etc/passwd", "/etc/group"]
    assert "ben" not in messages(root, "sysusers-ids"), "people are no system accounts"
    os.rename(root / "etc", root / "usr/etc")
    assert found(root, "sysusers-ids") == ["/usr/etc/passwd", "/usr/etc/group"]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("u svc -", "no id"),
        ("u svc /usr/bin/x", "no id"),
        ("u svc 102", "it is 102"),
        ("u! svc 101:101\ng svc 103", "group svc (101), in sysusers.d it is 103"),
        ("u svc 101:101", "group svc (101) without a line"),
        ("m svc people", "user svc (101) without a line"),
    ],
)
def test_ids_that_are_others(root: Path, line: str, what: str) -> None:
    put(root, SYSUSERS, FILES[SYSUSERS].replace("u svc 101 'A \"service\"'", line))
    assert what in messages(root, "sysusers-ids")
    assert found(root, "sysusers-ids")


def test_the_first_line_counts_and_etc_stands_for_usr(root: Path) -> None:
    put(root, "usr/lib/sysusers.d/zz.conf", "u svc 999\n")
    assert found(root, "sysusers-ids") == []
    put(root, "usr/lib/sysusers.d/aa.conf", "u svc 999\n")
    assert found(root, "sysusers-ids") == ["/etc/passwd", "/etc/group"]
    put(root, "etc/sysusers.d/aa.conf", "")
    assert found(root, "sysusers-ids") == []


def test_what_the_tree_rules_write_is_what_is_asked_for(root: Path) -> None:
    put(root, "etc/passwd", FILES["etc/passwd"] + "odd:x:103:0:a \"b\" 'c':/nonexistent:/bin/sh\n")
    (root / SYSUSERS).unlink()
    assert found(root, "sysusers-ids")
    users.apply(root)
    assert found(root, "sysusers-ids") == [] and found(root, "sysusers") == []
