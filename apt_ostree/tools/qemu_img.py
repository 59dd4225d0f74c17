"""qemu-img(1): other formats of a disk image."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from apt_ostree import run


def convert(source: Path, target: Path, target_format: str, on_line: Callable[[str], None]) -> None:
    """`qemu-img convert` of a raw image; what is zero takes no room. Raises ToolError."""
    run.stream(["qemu-img", "convert", "-f", "raw", "-O", target_format, source, target], on_line)
