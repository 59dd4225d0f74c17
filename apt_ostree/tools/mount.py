"""mount(8), umount(8) and unshare(2): a private mount namespace and the overlay in it."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from apt_ostree import run
from apt_ostree.errors import AptOstreeError

_CLONE_NEWNS = 0x00020000  # unshare(2)
_CLONE_FS = 0x00000200
_AT_FDCWD = -100  # openat(2)
_AT_EMPTY_PATH = 0x1000
_OPEN_TREE_CLONE = 1  # linux/mount.h
_MOUNT_ATTR_RDONLY = 1
_MOVE_MOUNT_F_EMPTY_PATH = 4

T = TypeVar("T")


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


def attach_read_only(source: Path, target: Path) -> None:
    """Mount a directory read-only over another, in one step: open_tree(2), mount_setattr(2), move_mount(2).

    Unlike a bind mount that is remounted, it is never seen writable or half done. Raises OSError.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    tree = _called(libc.open_tree(_AT_FDCWD, os.fsencode(source), _OPEN_TREE_CLONE | os.O_CLOEXEC), "open_tree")
    try:
        read_only = (ctypes.c_uint64 * 4)(_MOUNT_ATTR_RDONLY, 0, 0, 0)  # struct mount_attr
        size = ctypes.c_size_t(ctypes.sizeof(read_only))
        _called(libc.mount_setattr(tree, b"", _AT_EMPTY_PATH, read_only, size), "mount_setattr")
        flags = _MOVE_MOUNT_F_EMPTY_PATH
        _called(libc.move_mount(tree, b"", _AT_FDCWD, os.fsencode(target), flags), "move_mount")
    finally:
        os.close(tree)


def loop(image: Path, target: Path, *, offset: int, size: int) -> None:
    """Mount the ext4 in a part of a file, in bytes. Raises ToolError.

    mount(8) makes the loop device, and the kernel lets it go with the mount (LO_FLAGS_AUTOCLEAR, loop(4)): in a
    namespace of ours it outlives neither the mount nor us, however we end.
    """
    # noinit_itable: nobody fills the inode tables in the background, the image stays sparse (ext4(5))
    options = f"loop,offset={offset},sizelimit={size},noinit_itable,nosuid,nodev"
    run.capture(["mount", "-t", "ext4", "-o", options, image, target])


def unmount_strictly(target: Path) -> None:
    """Take a mount off; what was written to it is in its file or device then. Raises ToolError when it is in use."""
    run.capture(["umount", target])


def detach(target: Path) -> None:
    """Take the topmost mount off; programs that use it keep it until they end (umount2(2), MNT_DETACH)."""
    run.capture(["umount", "--lazy", target])


def _called(result: int, name: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


class Outside:
    """The mount namespace of the system, to be opened before we enter our own.

    Ours as it is then, when PID 1 has the same one; else that of PID 1: a service may have a namespace of its own.
    """

    def __init__(self) -> None:
        mine, first = Path("/proc/self/ns/mnt"), Path("/proc/1/ns/mnt")
        same = mine.stat().st_ino == first.stat().st_ino
        self._namespace = os.open(mine if same else first, os.O_RDONLY | os.O_CLOEXEC)
        self._root = os.open("/" if same else "/proc/1/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> Outside:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._namespace)
        os.close(self._root)

    def run(self, work: Callable[[], T]) -> T:
        """Do something there, and return or raise what it does: in a thread, since a thread can leave alone."""
        done: list[T] = []
        failed: list[BaseException] = []

        def body() -> None:
            try:
                self._enter()
                done.append(work())
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=body)
        thread.start()
        thread.join()
        if failed:
            raise failed[0]
        return done[0]

    def _enter(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        _called(libc.unshare(_CLONE_FS), "unshare")  # setns(2) wants a root and working directory of its own
        _called(libc.setns(self._namespace, _CLONE_NEWNS), "setns")
        os.fchdir(self._root)
        os.chroot(".")
