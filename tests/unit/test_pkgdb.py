"""Package lists and their differences."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from apt_ostree import commitmeta, pkgdb
from apt_ostree.errors import AptOstreeError
from apt_ostree.model import DiffKind, Package
from tests.support import tiny

VERSIONS = (
    "1",
    "1.0",
    "1.0~rc1",
    "1.0~~",
    "1.0+b1",
    "1.0-1",
    "1.0-1~bpo12+1",
    "1:0.1",
    "2.41-12",
    "10",
    "1.0-10",
    "1a",
)


def p(name: str, version: str, arch: str = "amd64") -> Package:
    return Package(name=name, version=version, arch=arch)


def test_versions_compare_as_dpkg_has_it() -> None:
    for a in VERSIONS:
        for b in VERSIONS:
            for relation, truth in (("lt", pkgdb.compare(a, b) < 0), ("eq", pkgdb.compare(a, b) == 0)):
                done = subprocess.run(["dpkg", "--compare-versions", a, relation, b], check=False)
                assert (done.returncode == 0) is truth, f"{a} {relation} {b}"


def test_no_version_is_an_error_of_ours() -> None:
    with pytest.raises(AptOstreeError, match="not a Debian version"):
        pkgdb.compare("", "1")


def test_diff() -> None:
    old = [p("same", "1"), p("up", "1"), p("down", "2"), p("gone", "1"), p("moved", "1", "all"), p("lib", "1")]
    new = [p("same", "1"), p("up", "1.1"), p("down", "1"), p("new", "1"), p("moved", "1"), p("lib", "1")]
    new.append(p("lib", "1", "i386"))
    found = [(c.name, c.arch, c.kind) for c in pkgdb.diff(old, new)]
    assert found == [
        ("down", "amd64", DiffKind.DOWNGRADED),
        ("gone", "amd64", DiffKind.REMOVED),
        ("lib", "i386", DiffKind.ADDED),
        ("moved", "amd64", DiffKind.UPGRADED),
        ("new", "amd64", DiffKind.ADDED),
        ("up", "amd64", DiffKind.UPGRADED),
    ]
    assert pkgdb.diff(old, old) == ()


def test_packages_come_from_metadata_else_from_the_tree(tmp_path: Path) -> None:
    made = tiny.sysroot(tmp_path / "sysroot")
    tree = tiny.tree(tmp_path / "tree")
    plain = made.commit(tree)
    assert [(q.name, q.version, q.source, q.size) for q in pkgdb.packages(made.repo, plain)] == [
        ("base-files", "13.8", "base-files", 350 * 1024),
        ("libc6", "2.41-12+b1", "glibc", 12 * 1024),
    ]
    listed = made.commit(tree, strings=commitmeta.encode(pkglist=(p("foo", "1"),)))
    assert pkgdb.packages(made.repo, listed) == (p("foo", "1"),)
    (tree / "usr/lib/sysimage/dpkg/status").unlink()
    with pytest.raises(AptOstreeError, match="no package list"):
        pkgdb.packages(made.repo, made.commit(tree))
