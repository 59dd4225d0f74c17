"""/etc follows from one set of defaults to another: what the administrator changed stays as it is.

The same rule goes forth (booted defaults -> live ones) and back. New content comes by new file and rename.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from apt_ostree.errors import AptOstreeError
from apt_ostree.tree import fsops


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """`touched`: paths below /etc that follow, parents first. `kept`: those that were changed here and stay."""

    touched: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


def plan(old: Path, new: Path, etc: Path) -> Moves:
    """What changes when /etc follows from the defaults in `old` to those in `new`. Changes nothing."""
    before = {entry.rel for entry in fsops.walk(old)}
    after = {entry.rel for entry in fsops.walk(new)}
    touched, kept = [], []
    for rel in sorted(before | after):
        if _same(old / rel, new / rel):
            continue
        if _same(etc / rel, new / rel):
            continue
        if not _reachable(etc, rel):
            kept.append(rel)
            continue
        ours = not fsops.exists(etc / rel) if rel not in before else _same(etc / rel, old / rel)
        both_directories = fsops.is_dir(etc / rel) and (fsops.is_dir(new / rel) or fsops.is_dir(old / rel))
        if ours or (both_directories and rel not in after):
            touched.append(rel)
        elif not both_directories:
            kept.append(rel)
    return Moves(touched=tuple(touched), kept=tuple(kept))


def _reachable(etc: Path, rel: str) -> bool:
    """No parent is a link or a file: the administrator may have led a directory elsewhere."""
    parents = [etc / parent for parent in Path(rel).parents][:-1]
    return all(fsops.is_dir(parent) or not fsops.exists(parent) for parent in parents)


def follow(touched: Iterable[str], new: Path, etc: Path) -> None:
    """Make these paths as they are in `new`: copied, or removed where it has none. Raises AptOstreeError, OSError."""
    wanted = sorted(touched)
    for rel in wanted:
        if fsops.exists(new / rel):
            _copy(new / rel, etc, rel)
    for rel in reversed(wanted):
        if not fsops.exists(new / rel):
            _remove(etc, rel)


def _copy(source: Path, etc: Path, rel: str) -> None:
    target = fsops.parent_of(etc, rel)
    info = source.lstat()
    if stat.S_ISDIR(info.st_mode):
        fsops.make_dir(etc, rel, stat.S_IMODE(info.st_mode))
        fsops.copy_metadata(source, target)
        return
    if fsops.is_dir(target):
        raise AptOstreeError(f"/etc/{rel} is a directory here and a file in the new tree", code="live-etc")
    fresh = target.with_name(f".{target.name}.apt-ostree")
    fresh.unlink(missing_ok=True)
    if stat.S_ISLNK(info.st_mode):
        fresh.symlink_to(source.readlink())
    elif stat.S_ISREG(info.st_mode):
        shutil.copyfile(source, fresh, follow_symlinks=False)
        fsops.copy_metadata(source, fresh)
    else:
        return
    fresh.rename(target)


def _remove(etc: Path, rel: str) -> None:
    path = etc / rel
    if fsops.is_dir(path):
        if not os.listdir(path):
            path.rmdir()
    else:
        fsops.discard(etc, rel)


def _same(one: Path, other: Path) -> bool:
    """Type, mode, owner and content are the same; two paths that are not there are the same too."""
    here, there = _info(one), _info(other)
    if here is None or there is None:
        return here is there
    if os.path.samestat(here, there):
        return True
    if (here.st_mode, here.st_uid, here.st_gid) != (there.st_mode, there.st_uid, there.st_gid):
        return False
    if stat.S_ISLNK(here.st_mode):
        return one.readlink() == other.readlink()
    if stat.S_ISREG(here.st_mode):
        return here.st_size == there.st_size and fsops.read_bytes(one) == fsops.read_bytes(other)
    return stat.S_ISDIR(here.st_mode)


def _info(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
