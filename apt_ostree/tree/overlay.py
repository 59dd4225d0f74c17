"""The overlay that keeps scripts off the hard links, and the fold of its upper directory onto the checkout.

The checkout's files are the repo's own objects: one write in place would corrupt every deployment. So it is only
ever the lower layer; what changed is moved onto it afterwards, file by file, by rename.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from apt_ostree.tools import mount

_PRIVATE = ("trusted.overlay.", "user.overlay.")
_OPAQUE = "trusted.overlay.opaque"


@dataclass(frozen=True, slots=True)
class Overlay:
    """A mounted overlay: programs use `merged`, what they changed is in `upper`."""

    upper: Path
    merged: Path


@contextmanager
def mounted(work: Path, tree: Path, shim: Path) -> Iterator[Overlay]:
    """Mount `shim` above `tree` as lower layers; the shim's files are seen by scripts and never folded."""
    paths = [work / name for name in ("upper", "overlay-work", "merged")]
    for path in paths:
        path.mkdir()
    upper, inner, merged = paths
    shutil.copystat(tree, upper)
    mount.overlay((shim, tree), upper, inner, merged)
    try:
        yield Overlay(upper, merged)
    finally:
        mount.unmount(merged)


def fold(upper: Path, tree: Path, *, skip: frozenset[str] = frozenset()) -> int:
    """Move what an overlay's upper directory holds onto its lower tree; returns how many entries were folded.

    Whiteouts delete, opaque directories replace, others are merged (the kernel's overlayfs.rst). Top-level
    names in `skip` are left alone. Both must be on one file system.
    """
    count = 0
    for entry in sorted(os.scandir(upper), key=lambda item: item.name):
        if entry.name not in skip:
            count += _fold_entry(entry, tree / entry.name)
    _copy_metadata(upper, tree)
    return count


def _fold_entry(entry: os.DirEntry[str], target: Path) -> int:
    source = Path(entry.path)
    info = entry.stat(follow_symlinks=False)
    if is_whiteout(info):
        _remove(target)
        return 1
    if not stat.S_ISDIR(info.st_mode):
        _strip(source)
        if _is_directory(target):
            _remove(target)
        source.rename(target)
        return 1
    if _is_directory(target) and not _is_opaque(source):
        count = sum(_fold_entry(child, target / child.name) for child in list(os.scandir(source)))
        _copy_metadata(source, target)
        return count
    _remove(target)
    count = _clean(source)
    source.rename(target)
    return count


def is_whiteout(info: os.stat_result) -> bool:
    """True for an overlay's mark that a name was deleted: a 0:0 character device."""
    return stat.S_ISCHR(info.st_mode) and info.st_rdev == 0


def _is_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _is_opaque(path: Path) -> bool:
    try:
        return os.getxattr(path, _OPAQUE, follow_symlinks=False) == b"y"
    except OSError:
        return False


def _remove(path: Path) -> None:
    if _is_directory(path):
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _strip(path: Path) -> None:
    """Take overlayfs's own bookkeeping off, so that it does not end in the commit."""
    for name in os.listxattr(path, follow_symlinks=False):
        if name.startswith(_PRIVATE):
            os.removexattr(path, name, follow_symlinks=False)


def _clean(directory: Path) -> int:
    """Make a directory that moves as a whole an ordinary one: no bookkeeping, no whiteouts."""
    _strip(directory)
    count = 1
    for entry in list(os.scandir(directory)):
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            count += _clean(path)
        elif is_whiteout(entry.stat(follow_symlinks=False)):
            path.unlink()
        else:
            _strip(path)
            count += 1
    return count


def _copy_metadata(source: Path, target: Path) -> None:
    info = source.lstat()
    os.chown(target, info.st_uid, info.st_gid, follow_symlinks=False)
    target.chmod(stat.S_IMODE(info.st_mode))
    wanted = {name for name in os.listxattr(source, follow_symlinks=False) if not name.startswith(_PRIVATE)}
    for name in os.listxattr(target, follow_symlinks=False):
        if name not in wanted:
            os.removexattr(target, name, follow_symlinks=False)
    for name in sorted(wanted):
        os.setxattr(target, name, os.getxattr(source, name, follow_symlinks=False), follow_symlinks=False)
