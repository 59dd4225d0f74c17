"""mtools(1): files on a FAT inside a disk image, without mounting it.

They run in the image's directory: a name ends for them at the first @@, wherever that is in a path.
"""

from __future__ import annotations

from pathlib import Path

from apt_ostree import run


def mmd(image: Path, offset: int, *directories: str) -> None:
    """`mmd`: make directories, given from the top, on the FAT at a byte offset. Raises ToolError."""
    targets = [f"::/{directory}" for directory in directories]
    run.capture(["mmd", "-i", f"{image.name}@@{offset}", *targets], cwd=image.parent)


def mcopy(image: Path, offset: int, source: Path, target: str) -> None:
    """`mcopy`: copy a file to a path of the FAT at a byte offset. Raises ToolError."""
    run.capture(["mcopy", "-i", f"{image.name}@@{offset}", source, f"::/{target}"], cwd=image.parent)
