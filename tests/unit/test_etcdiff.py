"""Conflicts of /etc: what libostree's merge keeps although the default is another now."""

from __future__ import annotations

from pathlib import Path

from apt_ostree.etcdiff import conflicts


def deployment(root: Path, default: str, mine: str) -> Path:
    for place, text in (("usr/etc", default), ("etc", mine)):
        (root / place).mkdir(parents=True)
        (root / place / "file").write_text(text)
    return root


def test_a_conflict_needs_a_default_that_changed(tmp_path: Path) -> None:
    """Checkouts do not link empty files: an inode that is another says nothing of them."""
    old = deployment(tmp_path / "old", default="", mine="filled at the first boot")
    assert conflicts(old, deployment(tmp_path / "same", default="", mine=""), staged=True) == ()
    assert conflicts(old, deployment(tmp_path / "new", default="shipped", mine=""), staged=True) == ("/etc/file",)
    assert (
        conflicts(old, deployment(tmp_path / "equal", default="filled at the first boot", mine=""), staged=True) == ()
    )
