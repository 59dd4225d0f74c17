"""Reboot into what was made."""

from __future__ import annotations

from apt_ostree.errors import UsageError
from apt_ostree.paths import Paths
from apt_ostree.tools import systemctl


def check(paths: Paths) -> None:
    """Raises UsageError when `paths` are not those of the running system: only that can be rebooted."""
    if not paths.is_running_root:
        raise UsageError(
            f"--reboot is for the running system, and this is the one below '{paths.sysroot}'",
            hint="leave --reboot out",
        )


def run(paths: Paths) -> None:
    """Start a reboot. Raises UsageError as `check` does, ToolError when systemd refuses."""
    check(paths)
    systemctl.reboot()
