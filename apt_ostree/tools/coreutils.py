"""cp(1), where Python's copies would lose owners, times or extended attributes."""

from __future__ import annotations

from pathlib import Path

from apt_ostree import run


def copy_contents(source: Path, target: Path) -> None:
    """`cp --archive` of what is in a directory into another that exists."""
    run.capture(["cp", "--archive", "--reflink=auto", "--no-target-directory", source, target])
