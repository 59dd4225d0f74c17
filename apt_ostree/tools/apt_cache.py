"""apt-cache(8) with the system's own configuration."""

from __future__ import annotations

from apt_ostree import run


def pkgnames(prefix: str) -> tuple[str, ...]:
    """`apt-cache pkgnames`: names that begin with `prefix`. Raises ToolError."""
    return tuple(run.capture(["apt-cache", "pkgnames", "--", prefix]).stdout.split())
