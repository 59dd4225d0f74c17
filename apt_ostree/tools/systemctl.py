"""systemctl(1)."""

from __future__ import annotations

from collections.abc import Sequence

from apt_ostree import run


def reboot() -> None:
    """`systemctl reboot`: asks for a reboot and returns at once. Raises ToolError, ToolMissingError."""
    run.capture(["systemctl", "reboot"])


def daemon_reload() -> None:
    """`systemctl daemon-reload`: systemd reads its units again. Raises ToolError, ToolMissingError."""
    run.capture(["systemctl", "daemon-reload"])


def offline(prefix: Sequence[str], verb: str, units: Sequence[str]) -> None:
    """`systemctl enable`, `disable`, `mask` or `set-default` on the files of a tree. Raises ToolError.

    `prefix` is a sandbox with SYSTEMD_OFFLINE=1.
    """
    run.capture([*prefix, "systemctl", verb, "--", *units])
