"""A deployment's /etc against its defaults in /usr/etc, and against the defaults of another deployment.

What counts as a change is what libostree's merge looks at (ostree_diff_dirs without xattrs): type, mode, owner,
content, the target of a link. The trees belong to somebody else: links are never followed, only regular files are
opened.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from apt_ostree.errors import AptOstreeError
from apt_ostree.findings import EtcChange, EtcEntry

DEFAULTS = "usr/etc"
_HOW = {"added": "added", "modified": "edited"}
_CHUNK = 1 << 16


@dataclass(slots=True)
class Reading:
    """A comparison under way, with the paths that could not be read."""

    unreadable: list[str] = field(default_factory=list)

    def changes(self, defaults: Path, current: Path, rel: str = "") -> Iterator[EtcChange]:
        """What is not as the default, by path. Of a directory that is gone, only itself is told, as ostree does."""
        before, after = self._list(defaults / rel), self._list(current / rel)
        for name in sorted(before.keys() | after.keys()):
            path = f"{rel}/{name}" if rel else name
            old, new = before.get(name), after.get(name)
            if new is None:
                yield EtcChange(path=f"/etc/{path}", kind="removed", default=_entry(defaults / path, old))
            elif old is None:
                yield from self._added(current, path, new)
            else:
                yield from self._both(defaults, current, path, (old, new))

    def _both(
        self, defaults: Path, current: Path, path: str, infos: tuple[os.stat_result, os.stat_result]
    ) -> Iterator[EtcChange]:
        old, new = infos
        differs = self.differs(defaults / path, current / path)
        if differs:
            yield EtcChange(
                path=f"/etc/{path}",
                kind="modified",
                mine=_entry(current / path, new),
                default=_entry(defaults / path, old),
                differs=differs,
            )
        if stat.S_ISDIR(old.st_mode) and stat.S_ISDIR(new.st_mode):
            yield from self.changes(defaults, current, path)

    def _added(self, current: Path, path: str, info: os.stat_result) -> Iterator[EtcChange]:
        yield EtcChange(path=f"/etc/{path}", kind="added", mine=_entry(current / path, info))
        if stat.S_ISDIR(info.st_mode):
            for name, below in sorted(self._list(current / path).items()):
                yield from self._added(current, f"{path}/{name}", below)

    def _list(self, folder: Path) -> dict[str, os.stat_result]:
        try:
            with os.scandir(folder) as entries:
                return {entry.name: entry.stat(follow_symlinks=False) for entry in entries}
        except PermissionError:
            self.unreadable.append(str(folder))
            return {}
        except FileNotFoundError:
            return {}

    def differs(self, one: Path, other: Path) -> tuple[str, ...]:
        """In which ways two paths differ; a path that is not there differs in its type. Empty: they are the same."""
        a, b = _lstat(one), _lstat(other)
        if a is None or b is None:
            return () if a is b else ("type",)
        if os.path.samestat(a, b):
            return ()
        found = []
        if stat.S_IFMT(a.st_mode) != stat.S_IFMT(b.st_mode):
            found.append("type")
        elif stat.S_ISLNK(a.st_mode) and _target(one) != _target(other):
            found.append("target")
        elif stat.S_ISREG(a.st_mode) and (a.st_size != b.st_size or not self._same_content(one, other)):
            found.append("content")
        if stat.S_IMODE(a.st_mode) != stat.S_IMODE(b.st_mode):
            found.append("mode")
        if (a.st_uid, a.st_gid) != (b.st_uid, b.st_gid):
            found.append("owner")
        return tuple(found)

    def _same_content(self, one: Path, other: Path) -> bool:
        """True as well when it cannot be told, which is then a problem."""
        try:
            with _open(one) as a, _open(other) as b:
                while (piece := a.read(_CHUNK)) == b.read(_CHUNK):
                    if not piece:
                        return True
                return False
        except PermissionError as error:
            self.unreadable.append(str(error.filename or other))
            return True


def conflicts(merge: Path, new: Path, *, staged: bool) -> tuple[str, ...]:
    """Paths of /etc where both the local version and the default changed: ostree keeps the local one.

    `merge` is the deployment whose /etc is carried over, `new` the one with new defaults. While that is staged, its
    /etc is not there yet; afterwards a conflict is over when the file became something else. Paths that cannot be
    read are left out: a plain user sees fewer.
    """
    reading = Reading()
    found = []
    for path in _changed_defaults(merge / DEFAULTS, new / DEFAULTS):
        before, default = merge / DEFAULTS / path, new / DEFAULTS / path
        mine = _unlinked(merge / "etc", path)
        if not all(reading.differs(*pair) for pair in ((before, mine), (mine, default), (before, default))):
            continue
        if staged or not reading.differs(mine, _unlinked(new / "etc", path)):
            found.append(f"/etc/{path}")
    return tuple(found)


def unmergeable(merge: Path, kinds: Mapping[str, str]) -> tuple[str, ...]:
    """What keeps ostree from merging a deployment's /etc into a new tree: sentences, empty when nothing does.

    `kinds` are the new tree's defaults: path below /etc -> `d`, `-` or `l`. ostree gives up where a file that was
    added or edited here is a directory there, and where a directory with such files is a file there
    (copy_modified_config_file and ensure_directory_from_template of libostree).
    """
    found: dict[str, str] = {}
    whole: set[str] = set()  # directories that are taken over as they are, with all that is in them
    for change in Reading().changes(merge / DEFAULTS, merge / "etc"):
        path = change.path.removeprefix("/etc/")
        if change.mine is None:
            continue
        if stat.S_ISDIR(change.mine.mode):
            whole.add(path)
        elif kinds.get(path) == "d":
            found[path] = f"{change.path} is a file here that was {_HOW[change.kind]}, and a directory in the new tree"
        for parent in (str(parent) for parent in Path(path).parents[:-1]):
            if kinds.get(parent) == "-" and not whole & {parent, *map(str, Path(parent).parents)}:
                found[parent] = f"/etc/{parent} is a directory here, with {change.path}, and a file in the new tree"
    return tuple(found.values())


def _unlinked(root: Path, rel: str) -> Path:
    """The path below `root`, or one that is not there when a link on the way would lead elsewhere."""
    folders = Path(rel).parents[:-1]
    return root / "\n" if any((root / folder).is_symlink() for folder in folders) else root / rel


def _changed_defaults(old: Path, new: Path, rel: str = "") -> Iterator[str]:
    """Paths (files and links) in which two trees of defaults may differ.

    Both are links into one repo, so that inodes rule nearly all out; empty files are never linked by a checkout.
    """
    before, after = _infos(old / rel), _infos(new / rel)
    for name in sorted(before.keys() | after.keys()):
        a, b = before.get(name), after.get(name)
        path = f"{rel}/{name}" if rel else name
        if a is not None and b is not None and os.path.samestat(a, b):
            continue
        directories = [info is not None and stat.S_ISDIR(info.st_mode) for info in (a, b)]
        if not all(directories):
            yield path
        if any(directories):
            yield from _changed_defaults(old, new, path)


def _infos(folder: Path) -> dict[str, os.stat_result]:
    try:
        if folder.is_symlink():
            return {}
        with os.scandir(folder) as entries:
            return {entry.name: entry.stat(follow_symlinks=False) for entry in entries}
    except OSError:
        return {}


def _lstat(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EACCES):
            return None
        raise AptOstreeError(f"cannot look at {path}: {error.strerror}") from error


def _open(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")


def _target(link: Path) -> str:
    return os.readlink(link)  # noqa: PTH115 (a Path would lose what `a//b` and `a/b` differ in)


def _entry(path: Path, info: os.stat_result | None) -> EtcEntry | None:
    if info is None:
        return None
    target = _target(path) if stat.S_ISLNK(info.st_mode) else ""
    size = info.st_size if stat.S_ISREG(info.st_mode) else 0
    return EtcEntry(mode=info.st_mode, uid=info.st_uid, gid=info.st_gid, size=size, target=target)
