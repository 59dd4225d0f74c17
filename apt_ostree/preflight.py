"""Is there room? Asked before anything is fetched, so that no transaction dies of it half way."""

from __future__ import annotations

import os
from pathlib import Path

from apt_ostree.errors import AptOstreeError

HEADROOM = 64 * 1024 * 1024  # bytes that stay free for ostree's own bookkeeping
_BLOCKS = 1.15  # installed sizes are of content; files take whole blocks, and metadata comes on top


def free_bytes(path: Path) -> int:
    """Bytes an unprivileged writer may still use on the file system of `path`."""
    info = os.statvfs(path)
    return info.f_bavail * info.f_frsize


def megabytes(size: int) -> str:
    """Bytes as people read them."""
    return f"{size / 1_000_000:.1f} MB"


def check_space(repo: Path, *, download: int, installed: int) -> None:
    """Raise AptOstreeError (code `no-space`) unless downloads and the unpacked packages fit. Sizes in bytes."""
    needed = download + int(installed * _BLOCKS) + HEADROOM
    free = free_bytes(repo)
    if free < needed:
        raise AptOstreeError(
            f"not enough space on the file system of {repo}: {megabytes(needed)} are needed "
            f"({megabytes(download)} to download, {megabytes(installed)} installed), {megabytes(free)} are free",
            hint="sudo apt-ostree cleanup --rollback --pending --repomd",
            code="no-space",
        )
