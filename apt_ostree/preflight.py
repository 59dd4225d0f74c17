"""Is there room? Asked before anything is fetched, so that no transaction dies of it half way."""

from __future__ import annotations

import os
import re
from pathlib import Path

from apt_ostree.errors import AptOstreeError
from apt_ostree.tools import ostree

HEADROOM = 64 * 1024 * 1024  # bytes that stay free for ostree's own bookkeeping
_BLOCKS = 1.15  # installed sizes are of content; files take whole blocks, and metadata comes on top

CLEANUP = "sudo apt-ostree cleanup --rollback --pending --repomd"

_DEPLOYMENT = 16 << 20  # bytes: some thousand directories, and a copy of /etc
_PERCENT = 3  # of ostree, when nothing is configured
_SIZE = re.compile(r"([0-9]+)([MGT])B")
_SHIFTS = {"M": 20, "G": 30, "T": 40}


def free_bytes(path: Path) -> int:
    """Bytes an unprivileged writer may still use on the file system of `path`."""
    info = os.statvfs(path)
    return info.f_bavail * info.f_frsize


def megabytes(size: int) -> str:
    """Bytes as people read them."""
    return f"{size / 1_000_000:.1f} MB"


def reserve(repo: Path) -> int:
    """Bytes ostree leaves free on the repo's file system: `core.min-free-space-*` (ostree.repo-config(5))."""
    size = _SIZE.fullmatch(ostree.config_get(repo, "core.min-free-space-size"))
    if size:
        return int(size[1]) << _SHIFTS[size[2]]
    percent = ostree.config_get(repo, "core.min-free-space-percent")
    info = os.statvfs(repo)
    return info.f_blocks * info.f_frsize * (int(percent) if percent.isdecimal() else _PERCENT) // 100


def check_space(repo: Path, *, download: int, installed: int, alone: bool = False) -> None:
    """Raise AptOstreeError (code `no-space`) unless downloads and the unpacked packages fit. Sizes in bytes.

    `alone`: a repo that no system is around, whose deployments could be cleaned up.
    """
    what = f"{megabytes(download)} to download, {megabytes(installed)} installed"
    _require(repo, download + int(installed * _BLOCKS), what, f"df -h {repo}" if alone else CLEANUP)


def check_pull(repo: Path, size: int) -> None:
    """Raise AptOstreeError (code `no-space`) unless a base of `size` new bytes fits."""
    _require(repo, size, f"{megabytes(size)} of the new base")


def check_deploy(deployments: Path) -> None:
    """Raise AptOstreeError (code `no-space`) unless a deployment's own files fit: all but /etc are links."""
    if (free := free_bytes(deployments)) < _DEPLOYMENT:
        raise full(deployments, _DEPLOYMENT, "directories and /etc of a deployment", free)


def _require(repo: Path, size: int, what: str, hint: str = CLEANUP) -> None:
    kept = max(reserve(repo), HEADROOM)
    if (free := free_bytes(repo)) < size + kept:
        raise full(repo, size + kept, f"{what}, {megabytes(kept)} that stay free", free, hint)


def full(place: Path, needed: int, what: str, free: int, hint: str = CLEANUP) -> AptOstreeError:
    """The error for a file system without room."""
    return AptOstreeError(
        f"not enough space on the file system of {place}: {megabytes(needed)} are needed ({what}), "
        f"{megabytes(free)} are free",
        hint=hint,
        code="no-space",
    )
