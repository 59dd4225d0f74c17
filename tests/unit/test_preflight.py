"""How much is needed, how much stays free, and which /etc ostree cannot merge."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from apt_ostree import bootguard, commits, etcdiff, preflight
from apt_ostree.errors import AptOstreeError


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    repo = tmp_path / "repo"
    subprocess.run(["ostree", "init", "--mode=archive", f"--repo={repo}"], check=True)
    return repo


def test_a_commit_tells_its_sizes(archive: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "big").write_bytes(os.urandom(300_000))
    words = ["ostree", "commit", f"--repo={archive}", "--branch=x", f"--tree=dir={tree}"]
    plain = subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
    assert commits.missing_bytes(archive, commits.load(archive, plain).metadata) is None
    (tree / "more").write_bytes(os.urandom(200_000))
    sized = subprocess.run([*words, "--generate-sizes"], check=True, capture_output=True, text=True).stdout.strip()
    metadata = commits.load(archive, sized).metadata
    assert 500_000 <= (commits.missing_bytes(tmp_path / "none", metadata) or 0) < 502_000
    for name in (archive / "objects").rglob("*.filez"):  # as a bare repo has the one that is there
        if name.stat().st_size > 250_000:
            name.rename(name.with_suffix(".file"))
    assert 200_000 <= (commits.missing_bytes(archive, metadata) or 0) < 202_000
    assert commits.missing_bytes(archive, {"ostree.sizes": [b"x" * 33, b"\xff" * 60, 7]}) is not None


def test_what_ostree_keeps_free(archive: Path) -> None:
    info = os.statvfs(archive)
    assert preflight.reserve(archive) == info.f_blocks * info.f_frsize * 3 // 100
    for key, value, wanted in (("percent", "0", 0), ("size", "500MB", 500 << 20), ("size", "2GB", 2 << 30)):
        command = ["ostree", "config", f"--repo={archive}", "set", f"core.min-free-space-{key}", value]
        subprocess.run(command, check=True)
        assert preflight.reserve(archive) == wanted
    with pytest.raises(AptOstreeError) as caught:
        preflight.check_pull(archive, 1 << 60)
    assert caught.value.code == "no-space"


def test_a_full_repo_that_stands_alone_is_not_told_to_clean_deployments_up(archive: Path) -> None:
    hints = []
    for alone in (True, False):
        with pytest.raises(AptOstreeError) as caught:
            preflight.check_space(archive, download=0, installed=1 << 60, alone=alone)
        hints.append(caught.value.hint)
    assert hints == [f"df -h {archive}", "sudo apt-ostree cleanup --rollback --pending --repomd"]


def test_which_etc_cannot_be_merged(tmp_path: Path) -> None:
    defaults, etc = tmp_path / "usr/etc", tmp_path / "etc"
    for root in (defaults, etc):
        (root / "shared.d").mkdir(parents=True)
        (root / "shared.d/kept").write_text("default")
        (root / "edited").write_text("default")
        (root / "untouched").write_text("default")
    (etc / "edited").write_text("mine")
    (etc / "shared.d/mine").write_text("mine")
    (etc / "own.d").mkdir()
    (etc / "own.d/file").write_text("mine")
    same = {"shared.d": "d", "shared.d/kept": "-", "edited": "-", "untouched": "-"}
    assert etcdiff.unmergeable(tmp_path, same) == ()
    assert etcdiff.unmergeable(tmp_path, {}) == ()  # what has no default any more stays
    assert etcdiff.unmergeable(tmp_path, {**same, "untouched": "d", "own.d": "-"}) == ()
    [file] = etcdiff.unmergeable(tmp_path, {**same, "edited": "d"})
    assert "/etc/edited is a file here that was edited" in file
    [folder] = etcdiff.unmergeable(tmp_path, {"shared.d": "-"})
    assert "/etc/shared.d is a directory here, with /etc/shared.d/mine" in folder


def test_entries_are_cut_out_of_menus() -> None:
    one, ten = "/ostree/boot.0/debian/abc/1", "/ostree/boot.0/debian/abc/10"
    syslinux = f"TIMEOUT 10\nDEFAULT a\nLABEL a\n\tAPPEND ostree={one} x\nLABEL b\n\tAPPEND ostree={ten}\n"
    assert bootguard.without(syslinux, {one}) == f"TIMEOUT 10\nDEFAULT b\nLABEL b\n\tAPPEND ostree={ten}\n"
    assert bootguard.without(syslinux, {"/ostree/boot.1/debian/abc/1"}) == syslinux
    grub = f"set x\nmenuentry 'a' {{\nlinux ostree={one}\n}}\nmenuentry 'b' {{\nlinux ostree={ten}\n}}\n"
    assert bootguard.without(grub, {ten}) == f"set x\nmenuentry 'a' {{\nlinux ostree={one}\n}}\n"
