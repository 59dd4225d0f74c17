"""mount(8), umount(8) and unshare(2): a private mount namespace and the overlay in it."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from apt_ostree import run
from apt_ostree.errors import AptOstreeError

_CLONE_NEWNS = 0x00020000  # unshare(2)


def enter_private_namespace() -> None:
    """Give this process a mount namespace of its own, so that whatever we mount dies with us (mount_namespaces(7)).

    Raises AptOstreeError when the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS) != 0:
        raise AptOstreeError(f"cannot make a private mount namespace: {os.strerror(ctypes.get_errno())}")
    run.capture(["mount", "--make-rslave", "/"])


def overlay(lower: tuple[Path, ...], upper: Path, work: Path, target: Path) -> None:
    """Mount an overlay of `lower` (topmost first) with changes kept in `upper`.

    volatile: nothing is synced, the upper is thrown away on failure. index and redirect_dir are off, so that hard
    links and renames behave as on plain directories that happen to be on another file system
    (the kernel's Documentation/filesystems/overlayfs.rst).
    """
    # by names from where they are: in a whole path a colon or comma would end the option
    names = [os.path.relpath(path, target.parent) for path in (*lower, upper, work)]
    options = (
        f"lowerdir={':'.join(names[:-2])},upperdir={names[-2]},workdir={names[-1]},"
        "volatile,index=off,redirect_dir=off,metacopy=off,xino=off"
    )
    run.capture(["mount", "-t", "overlay", "apt-ostree", "-o", options, target], cwd=target.parent)


def remount_writable(target: Path) -> None:
    """Make a read-only mount writable in our namespace only."""
    run.capture(["mount", "-o", "remount,bind,rw", target])


def unmount(target: Path) -> None:
    """`umount`; a busy mount is detached, the namespace takes it along."""
    if run.capture(["umount", target], check=False).returncode != 0:
        run.capture(["umount", "--lazy", target], check=False)
