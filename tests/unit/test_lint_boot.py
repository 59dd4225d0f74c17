"""The lints of what the boot reads."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.rootfs import clean, found, outcome, put

CONF = "usr/lib/ostree/prepare-root.conf"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return clean(tmp_path / "rootfs")


def test_kernel(root: Path) -> None:
    put(root, "usr/lib/modules/6.12.2/extra/x.ko")  # modules without a kernel are none
    assert found(root, "kernel") == []
    put(root, "usr/lib/modules/6.12.2/vmlinuz")
    assert found(root, "kernel") == ["/usr/lib/modules/6.12.1/vmlinuz", "/usr/lib/modules/6.12.2/vmlinuz"]
    for version in ("6.12.1", "6.12.2"):
        (root / f"usr/lib/modules/{version}/vmlinuz").unlink()
    assert found(root, "kernel") == []


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("kargs = [", "TOML"),
        ("match-architectures = []", "no 'kargs'"),
        ('kargs = "quiet"', "'kargs'"),
        ("kargs = [1]", "'kargs'"),
        ('kargs = []\nmatch-architectures = "x86_64"', "'match-architectures'"),
        ("kargs = []\nother = 1", "'other'"),
    ],
)
def test_bootc_kargs(root: Path, text: str, word: str) -> None:
    assert found(root, "bootc-kargs") == []
    put(root, "usr/lib/bootc/kargs.d/20-note.txt", text)  # not read by bootc
    assert found(root, "bootc-kargs") == []
    put(root, "usr/lib/bootc/kargs.d/20.toml", text)
    assert found(root, "bootc-kargs") == ["/usr/lib/bootc/kargs.d/20.toml"]
    assert word in outcome(root, "bootc-kargs").findings[0].message


def test_bootc_kargs_that_are_no_text(root: Path) -> None:
    (root / "usr/lib/bootc/kargs.d/20.toml").write_bytes(b'kargs = ["\xff"]')
    assert found(root, "bootc-kargs") == ["/usr/lib/bootc/kargs.d/20.toml"]


@pytest.mark.parametrize(
    ("text", "fine"),
    [
        *[(f"[composefs]\nenabled = {word}\n", True) for word in ("yes", "true", "1", "maybe", "signed", "verity")],
        ("[root]\ntransient=true\n", True),
        ("[composefs]\nenabled = no\n", False),
        ("[root]\ntransient=false\n", False),
        ("[sysroot]\nreadonly=true\n", False),
        ("nonsense", False),
    ],
)
def test_baseimage_composefs(root: Path, text: str, fine: bool) -> None:
    put(root, CONF, text)
    assert found(root, "baseimage-composefs") == ([] if fine else [f"/{CONF}"])


@pytest.mark.parametrize("etc", ["etc", "usr/etc"])
def test_baseimage_composefs_reads_etc_first(root: Path, etc: str) -> None:
    os.rename(root / "etc", root / etc)
    put(root, f"{etc}/ostree/prepare-root.conf", "[composefs]\nenabled=no\n")
    assert found(root, "baseimage-composefs") == [f"/{etc}/ostree/prepare-root.conf"]
    put(root, f"{etc}/ostree/prepare-root.conf", "[composefs]\nenabled=yes\n")
    (root / CONF).unlink()
    assert found(root, "baseimage-composefs") == []
    (root / etc / "ostree/prepare-root.conf").unlink()
    assert found(root, "baseimage-composefs") == [f"/{CONF}"]
