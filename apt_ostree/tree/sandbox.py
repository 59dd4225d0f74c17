"""Where maintainer scripts run: the tree as root, nothing of the host, no network, services not started."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from apt_ostree import run
from apt_ostree.errors import AptOstreeError, ToolError
from apt_ostree.tools import bwrap

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "TERM": "dumb",
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBCONF_NONINTERACTIVE_SEEN": "true",
    # systemctl then only does what can be done on files: enable, disable, mask (systemctl(1))
    "SYSTEMD_OFFLINE": "1",
}

DEBS = "/run/apt-ostree/debs"

_ACCEPT = "#!/bin/sh\nexit 0\n"
_SHIMS = {
    # invoke-rc.d(8): 101 forbids every action
    "usr/sbin/policy-rc.d": "#!/bin/sh\nexit 101\n",
    # put off: the initramfs is made once at the end, the boot loader's files are libostree's
    "usr/sbin/update-initramfs": _ACCEPT,
    "usr/sbin/update-grub": _ACCEPT,
    "usr/bin/dracut": _ACCEPT,
}

_MOUNT_POINTS = ("/run/lock", "/run/media", "/run/apt-ostree")


def write_shims(directory: Path) -> Path:
    """Write the programs that stand in front of the tree's own while scripts run; returns the directory."""
    for name, text in _SHIMS.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    for path in (directory, *directory.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)
    return directory


def for_scripts(root: Path, debs: Path, *, epoch: int | None = None) -> tuple[str, ...]:
    """The sandbox in which dpkg and the scripts it calls run; `epoch` is what they are to take for the time."""
    return bwrap.prefix(
        root,
        binds=(("ro", debs, DEBS),) if debs.is_dir() else (),
        env=ENVIRONMENT if epoch is None else {**ENVIRONMENT, "SOURCE_DATE_EPOCH": str(epoch)},
        directories=_MOUNT_POINTS,
    )


def for_programs(root: Path) -> tuple[str, ...]:
    """The sandbox for the tree's own programs that only write to /var: the rest of the tree is read-only."""
    return bwrap.prefix(
        root, read_only=True, binds=(("rw", root / "var", "/var"),), env=ENVIRONMENT, directories=_MOUNT_POINTS
    )


def populate_var(tree: Path, on_line: Callable[[str], None]) -> None:
    """Fill the checkout's empty /var as its first boot would: the tree's own systemd-tmpfiles makes it.

    tmpfiles.d(5) lines may concern accounts or devices that are not here; those complaints are not ours
    (exit 65 and 73 of systemd-tmpfiles(8)). Raises AptOstreeError when the tree has no systemd-tmpfiles.
    """
    if not (tree / "usr/bin/systemd-tmpfiles").is_file():
        raise AptOstreeError(
            "the base has no systemd-tmpfiles, so its /var cannot be made",
            hint="add 'systemd' to the packages of its treefile and compose it again",
        )
    argv: Sequence[str] = ("systemd-tmpfiles", "--create", "--prefix=/var", "--exclude-prefix=/var/tmp")
    try:
        run.stream([*for_programs(tree), *argv], on_line)
    except ToolError as error:
        if error.returncode not in (65, 73):
            raise


def check_alive(root: Path, debs: Path) -> None:
    """After all scripts: the tree must still run a program. Raises AptOstreeError when it does not."""
    try:
        run.capture([*for_scripts(root, debs), "/usr/bin/true"])
    except ToolError as error:
        raise AptOstreeError(
            "a maintainer script destroyed the new tree: /usr/bin/true no longer runs in it",
            details=error.details,
            hint="the running system was not touched; leave the package out",
            code="tree-destroyed",
        ) from error
