"""mke2fs(8): ext4 in a part of a disk image."""

from __future__ import annotations

from pathlib import Path

from apt_ostree import run

_BYTES_PER_INODE = 8192  # an ostree repo has many small files: half of mke2fs.conf(5)'s ratio


def ext4(image: Path, *, offset: int, size: int, uuid: str, label: str) -> None:
    """Make an ext4 of `size` bytes at the byte `offset` of a file; blocks that are zero stay holes. Raises ToolError.

    The inode tables are not written: the image's holes are zero already.
    """
    options = f"offset={offset},lazy_itable_init=1,lazy_journal_init=1,nodiscard"
    run.capture([
        "mke2fs", "-q", "-F",
        "-t", "ext4",
        "-b", "4096",
        "-m", "1",
        "-i", str(_BYTES_PER_INODE),
        "-L", label,
        "-U", uuid,
        "-E", options,
        image,
        f"{size // 1024}k",
    ])  # fmt: skip
