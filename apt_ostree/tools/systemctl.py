"""systemctl(1)."""

from __future__ import annotations

from apt_ostree import run


def reboot() -> None:
    """`systemctl reboot`: asks for a reboot and returns at once. Raises ToolError, ToolMissingError."""
    run.capture(["systemctl", "reboot"])
