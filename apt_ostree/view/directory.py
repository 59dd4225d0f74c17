"""A root file system in a directory, as a view. One file system: what is mounted below it is not looked into."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from apt_ostree.errors import AptOstreeError, NotRootError
from apt_ostree.view.model import Kind, Node, View, build

CAPABILITY = "security.capability"
_KINDS = {stat.S_IFREG: Kind.FILE, stat.S_IFDIR: Kind.DIRECTORY, stat.S_IFLNK: Kind.LINK}


def open_directory(root: Path, *, name: str = "") -> View:
    """Look at every path below `root`. Raises AptOstreeError (code `no-tree`), NotRootError for what is closed."""
    try:
        top = root.stat()
    except OSError as error:
        raise _none(root, error.strerror or "it cannot be read") from error
    if not stat.S_ISDIR(top.st_mode):
        raise _none(root, "it is not a directory")

    def reader(node: Node) -> bytes:
        with _permitted(root / node.path):
            fd = os.open(root / node.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(fd, "rb") as stream:
                return stream.read()

    running = os.path.samestat(top, Path("/").stat())
    return build(name or str(root), _walk(root, top.st_dev), reader, running=running)


def kind_of(mode: int) -> Kind:
    """The kind of st_mode."""
    return _KINDS.get(stat.S_IFMT(mode), Kind.OTHER)


def _none(root: Path, why: str) -> AptOstreeError:
    return AptOstreeError(
        f"'{root}' is no root file system: {why}",
        hint="name a directory that exists; a branch or checksum needs --repo DIR",
        code="no-tree",
    )


@contextlib.contextmanager
def _permitted(path: Path) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise NotRootError(f"'{path}' may not be read by you", hint="sudo apt-ostree ...") from error
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise AptOstreeError(
            f"'{str(path)[:100]}...' is longer than a path can be (4095 bytes, path_resolution(7))",
            hint="remove these directories in directories",
            code="refused-path",
        ) from error


def _walk(root: Path, device: int) -> Iterator[Node]:
    waiting = [""]
    while waiting:
        rel = waiting.pop()
        with contextlib.suppress(FileNotFoundError):  # of a running system: it has just gone
            for node in _entries(root, rel, device):
                yield node
                if node.kind is Kind.DIRECTORY and not node.mounted:
                    waiting.append(node.path)


def _entries(root: Path, rel: str, device: int) -> Iterator[Node]:
    """What is directly in a directory."""
    with _permitted(root / rel):
        names = os.listdir(root / rel)
    for name in names:
        path = f"{rel}/{name}" if rel else name
        with contextlib.suppress(FileNotFoundError), _permitted(root / path):
            yield _node(root, path, device)


def _node(root: Path, rel: str, device: int) -> Node:
    path = root / rel
    info = path.lstat()
    kind = kind_of(info.st_mode)
    return Node(
        rel,
        kind,
        mode=stat.S_IMODE(info.st_mode),
        uid=info.st_uid,
        gid=info.st_gid,
        size=info.st_size,
        target=os.readlink(path) if kind is Kind.LINK else "",  # noqa: PTH115 (a Path would change the target)
        capable=kind is Kind.FILE and _capable(path),
        mounted=info.st_dev != device,
    )


def _capable(path: Path) -> bool:
    try:
        return bool(os.getxattr(path, CAPABILITY, follow_symlinks=False))
    except OSError:
        return False  # it has none, or the file system knows of none
