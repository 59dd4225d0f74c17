"""bwrap(1): a sandbox is a value, the argv prefix that runs a program in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

# What maintainer scripts need on files and accounts, and nothing that reaches beyond the tree (capabilities(7)).
# Not CAP_DAC_READ_SEARCH: with it open_by_handle_at(2) opens any file of the host's file system.
CAPABILITIES = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
)


def prefix(
    root: Path,
    *,
    read_only: bool = False,
    binds: Sequence[tuple[str, Path, str]] = (),
    env: Mapping[str, str] | None = None,
    directories: Sequence[str] = (),
) -> tuple[str, ...]:
    """The argv prefix for a program with `root` as its root.

    `binds` are (`ro` or `rw`, source, target); `directories` are made in the fresh /run and /tmp.
    No network, no host path but the binds, /proc, /dev, /run and /tmp of its own, /sys read-only.
    """
    argv: list[str] = [
        "bwrap",
        *("--ro-bind" if read_only else "--bind", str(root), "/"),
        *("--proc", "/proc"),
        *("--dev", "/dev"),
        *("--ro-bind", "/sys", "/sys"),
        *("--tmpfs", "/run"),
        *("--perms", "1777", "--tmpfs", "/tmp"),  # noqa: S108  a path inside the sandbox
    ]
    for directory in directories:
        argv += ["--dir", directory]
    for mode, source, target in binds:
        argv += ["--ro-bind" if mode == "ro" else "--bind", str(source), target]
    argv += ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--unshare-net"]
    argv += ["--hostname", "localhost", "--die-with-parent", "--new-session", "--chdir", "/"]
    argv += ["--cap-drop", "ALL"]
    for capability in CAPABILITIES:
        argv += ["--cap-add", capability]
    argv += ["--clearenv"]
    for name, value in (env or {}).items():
        argv += ["--setenv", name, value]
    return (*argv, "--")


def overlaid(pairs: Sequence[tuple[Path, Path]]) -> tuple[str, ...]:
    """The argv prefix for a program of this machine that sees the directories `source` in the place of `target`."""
    argv = ["bwrap", "--dev-bind", "/", "/"]
    for source, target in pairs:
        argv += ["--ro-bind", str(source), str(target)]
    return (*argv, "--die-with-parent", "--")
