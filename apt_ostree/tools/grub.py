"""grub-mkimage(1): GRUB as one file, with the modules it needs inside."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from apt_ostree import run


def mkimage(platform: str, output: Path, *, prefix: str, config: Path, modules: Sequence[str], directory: Path) -> None:
    """`grub-mkimage --format=PLATFORM`: `config` runs before GRUB looks for `prefix`/grub.cfg. Raises ToolError."""
    run.capture([
        "grub-mkimage",
        f"--format={platform}",
        f"--directory={directory}",
        f"--prefix={prefix}",
        f"--config={config}",
        f"--output={output}",
        *modules,
    ])  # fmt: skip
