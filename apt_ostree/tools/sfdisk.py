"""sfdisk(8): the partition table of a disk image."""

from __future__ import annotations

from pathlib import Path

from apt_ostree import run


def write_table(image: Path, script: str) -> None:
    """Write the table that `script` describes (sfdisk(8), INPUT FORMATS). Raises ToolError, ToolMissingError."""
    run.capture(["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", "--wipe=never", image], stdin=script)
