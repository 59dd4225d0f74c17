"""systemctl(1)."""

from __future__ import annotations

from apt_ostree import run


def reboot() -> None:
    """`systemctl reboot`: asks for a reboot and returns at once. Raises ToolError, ToolMissingError."""
    run.capture(["systemctl", "reboot"])


def daemon_reload() -> None:
    """`systemctl daemon-reload`: systemd reads its units again. Raises ToolError, ToolMissingError."""
    run.capture(["systemctl", "daemon-reload"])
