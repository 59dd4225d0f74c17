"""mtools(1): files on a FAT inside a disk image, without mounting it."""

from __future__ import annotations

from pathlib import Path

from apt_ostree import run


def mmd(image: Path, offset: int, *directories: str) -> None:
    """`mmd`: make directories, given from the top, on the FAT at a byte offset. Raises ToolError."""
    run.capture(["mmd", "-i", f"{image}@@{offset}", *(f"::/{directory}" for directory in directories)])


def mcopy(image: Path, offset: int, source: Path, target: str) -> None:
    """`mcopy`: copy a file to a path of the FAT at a byte offset. Raises ToolError."""
    run.capture(["mcopy", "-i", f"{image}@@{offset}", source, f"::/{target}"])
