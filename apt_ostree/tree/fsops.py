"""File operations below a tree that somebody else filled: no link is followed, no regular file is written in place.

The files of a checkout are hard links into the ostree repo, so content is changed by writing a new file and
renaming it. The directories above a path are looked at one by one: a tree whose `usr/share` is a link to `/etc`
must not lead us there.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from apt_ostree.errors import AptOstreeError

_OVERLAY = ("trusted.overlay.", "user.overlay.")
_MAX_TEXT = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing found by `walk`: `rel` is its path below the root, without a leading slash."""

    rel: str
    path: Path
    info: os.stat_result

    @property
    def mode(self) -> int:
        """Permission bits with setuid, setgid and sticky."""
        return stat.S_IMODE(self.info.st_mode)

    @property
    def is_dir(self) -> bool:
        return stat.S_ISDIR(self.info.st_mode)

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.info.st_mode)

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.info.st_mode)

    @property
    def is_whiteout(self) -> bool:
        return is_whiteout(self.info)


def is_whiteout(info: os.stat_result) -> bool:
    """True for an overlay's mark that a name was deleted: a 0:0 character device (the kernel's overlayfs.rst)."""
    return stat.S_ISCHR(info.st_mode) and info.st_rdev == 0


def walk(root: Path, rel: str = "") -> Iterator[Entry]:
    """Everything below `root/rel`, parents first, sorted by name; links are not followed."""
    top = root / rel
    if not is_dir(top):
        return
    for name in sorted(os.listdir(top)):
        path = top / name
        entry = Entry(f"{rel}/{name}" if rel else name, path, path.lstat())
        yield entry
        if entry.is_dir:
            yield from walk(root, entry.rel)


def is_dir(path: Path) -> bool:
    """True for a directory itself, not for a link to one."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def is_file(path: Path) -> bool:
    """True for a regular file itself."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def exists(path: Path) -> bool:
    """True for anything that has this name, dangling links too."""
    return os.path.lexists(path)


def remove(path: Path) -> None:
    """Remove whatever has this name; nothing when there is none. Never the root of the machine."""
    if is_dir(path):
        if path.samefile("/"):
            raise AptOstreeError(f"'{path}' is the root of this machine, and no part of a tree", code="unsafe-tree")
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def empty(path: Path) -> None:
    """Remove what is in a directory, keep the directory."""
    for name in os.listdir(path):
        remove(path / name)


def _names(rel: str) -> list[str]:
    """The names of a path below a root. Raises AptOstreeError (`unsafe-tree`).

    `..` is a real directory too, and a path that begins with a slash would replace the root it is put below.
    """
    names = rel.split("/")
    if not names[0] or "." in names or ".." in names:
        raise AptOstreeError(
            f"{rel!r} is no path below the tree", hint="write it without '.' and '..'", code="unsafe-tree"
        )
    return names


def parent_of(root: Path, rel: str) -> Path:
    """`root/rel` after its parents were found to be real directories; missing ones are made, 0755.

    Raises AptOstreeError (code `unsafe-tree`) when a parent is a link or a file, or the path has `.` or `..` in it.
    """
    here = root
    for name in _names(rel)[:-1]:
        here = here / name
        if not exists(here):
            here.mkdir(mode=0o755)
            here.chmod(0o755)
        elif not is_dir(here):
            raise AptOstreeError(
                f"/{here.relative_to(root)} in the tree is not a directory, so /{rel} cannot be written",
                hint="find the package that replaced it and leave it out",
                code="unsafe-tree",
            )
    return root / rel


def make_dir(root: Path, rel: str, mode: int = 0o755) -> Path:
    """A directory that exists afterwards, with this mode if it is new. Raises AptOstreeError (`unsafe-tree`)."""
    path = parent_of(root, rel)
    if not exists(path):
        path.mkdir()
        path.chmod(mode)
    parent_of(root, f"{rel}/x")  # a link or a file in its place is refused there
    return path


def discard(root: Path, rel: str) -> None:
    """Remove `root/rel` if it is there, unless the way leads through a link. Raises AptOstreeError (`unsafe-tree`)."""
    here = root
    for name in _names(rel)[:-1]:
        here = here / name
        if not is_dir(here):
            return
    remove(root / rel)


def write(root: Path, rel: str, content: bytes | str, mode: int = 0o644) -> None:
    """A regular file with new content, by rename. Raises AptOstreeError (`unsafe-tree`)."""
    path = parent_of(root, rel)
    data = content.encode(errors="surrogateescape") if isinstance(content, str) else content
    temporary = _fresh(path, data, mode)
    if is_dir(path):
        remove(path)
    temporary.rename(path)


def rewrite(path: Path, content: bytes | str) -> None:
    """Other content for a regular file that is there; owner, mode and xattrs stay. By new file and rename."""
    info = path.lstat()
    data = content.encode(errors="surrogateescape") if isinstance(content, str) else content
    temporary = _fresh(path, data, 0o600)
    os.chown(temporary, info.st_uid, info.st_gid)
    temporary.chmod(stat.S_IMODE(info.st_mode))
    set_xattrs(temporary, get_xattrs(path))
    temporary.rename(path)


def _fresh(path: Path, data: bytes, mode: int) -> Path:
    temporary = path.parent / f".apt-ostree-{os.getpid()}"
    temporary.unlink(missing_ok=True)
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with os.fdopen(fd, "wb") as stream:
        stream.write(data)
        os.fchmod(stream.fileno(), mode)
    return temporary


def link(root: Path, rel: str, target: str) -> None:
    """A symbolic link, in the place of whatever has the name. Raises AptOstreeError (`unsafe-tree`)."""
    path = parent_of(root, rel)
    remove(path)
    path.symlink_to(target)


def read(path: Path) -> str:
    """Content of a regular file, undecodable bytes kept as surrogates; empty when there is no such regular file."""
    return read_bytes(path).decode(errors="surrogateescape")


def read_bytes(path: Path) -> bytes:
    """Content of a regular file; empty when there is none (a link counts as none)."""
    if not is_file(path):
        return b""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as stream:
        return stream.read(_MAX_TEXT)


def move(source: Path, root: Path, rel: str) -> None:
    """Rename `source` to `root/rel`, merging directories: what is moved wins. Raises AptOstreeError (`unsafe-tree`)."""
    settle(source)
    target = parent_of(root, rel)
    if is_dir(source) and is_dir(target):
        for name in os.listdir(source):
            move(source / name, root, f"{rel}/{name}")
        copy_metadata(source, target)
        source.rmdir()
        return
    if exists(target):
        remove(target)
    source.rename(target)


def settle(path: Path) -> None:
    """Make what came from an overlay's upper directory ordinary: no whiteouts, none of overlayfs's xattrs."""
    strip(path)
    if is_dir(path):
        for name in os.listdir(path):
            child = path / name
            if is_whiteout(child.lstat()):
                child.unlink()
            else:
                settle(child)


def strip(path: Path) -> None:
    """Take overlayfs's own xattrs off one path."""
    for name in os.listxattr(path, follow_symlinks=False):
        if name.startswith(_OVERLAY):
            os.removexattr(path, name, follow_symlinks=False)


def get_xattrs(path: Path) -> dict[str, bytes]:
    """Extended attributes (capabilities and ACLs among them), without overlayfs's own."""
    names = os.listxattr(path, follow_symlinks=False)
    return {name: os.getxattr(path, name, follow_symlinks=False) for name in names if not name.startswith(_OVERLAY)}


def set_xattrs(path: Path, values: Mapping[str, bytes]) -> None:
    """Set extended attributes; others stay."""
    for name in sorted(values):
        os.setxattr(path, name, values[name], follow_symlinks=False)


def copy_metadata(source: Path, target: Path) -> None:
    """Owner, mode and xattrs of a directory onto another."""
    info = source.lstat()
    os.chown(target, info.st_uid, info.st_gid, follow_symlinks=False)
    target.chmod(stat.S_IMODE(info.st_mode))
    set_xattrs(target, get_xattrs(source))
