"""systemd-sysusers(8) and systemd-tmpfiles(8)."""

from __future__ import annotations

from collections.abc import Sequence

from apt_ostree import run


def sysusers() -> run.Completed:
    """`systemd-sysusers`: the users and groups of sysusers.d that are not there yet."""
    return run.capture(["systemd-sysusers"], check=False)


def tmpfiles(*prefixes: str) -> run.Completed:
    """`systemd-tmpfiles --create` of what lies below the prefixes."""
    return run.capture(["systemd-tmpfiles", "--create", *(f"--prefix={prefix}" for prefix in prefixes)], check=False)


def sysusers_inline(prefix: Sequence[str], lines: Sequence[str]) -> None:
    """`systemd-sysusers --inline`: make the accounts these lines of sysusers.d(5) name, in a tree. Raises ToolError."""
    run.capture([*prefix, "systemd-sysusers", "--inline", *lines])
