"""mkfs.fat(8): FAT in a part of a disk image."""

from __future__ import annotations

from pathlib import Path

from apt_ostree import run

_SECTOR = 512  # bytes


def fat32(image: Path, *, offset: int, size: int, volume_id: str, label: str) -> None:
    """Make a FAT32 of `size` bytes at the byte `offset` of a file; `volume_id` is eight hex digits. Raises ToolError.

    Clusters of one sector: below 65,525 clusters it would not be a FAT32 (Microsoft's FAT specification).
    """
    run.capture([
        "mkfs.fat",
        "-F", "32",
        "-s", "1",
        "-i", volume_id,
        "-n", label,
        f"--offset={offset // _SECTOR}",
        image,
        str(size // 1024),
    ])  # fmt: skip
