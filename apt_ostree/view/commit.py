"""A commit as a view, read from the objects of its repo: no checkout, owners and modes are those of the commit.

What libostree's ostree-core.h and ostree-repo.c say of the modes of a repo:
`bare`: a file's object is the file itself; `bare-user`: a regular file whose owner, mode and type are in the xattr
user.ostreemeta, `(uuua(ayay))`; `bare-user-only`: the file itself, owned by root, nothing else is kept;
`archive`: a `.filez`, whose header `(tuuuusa(ayay))` is followed by raw deflate. Integers are big-endian.
"""

from __future__ import annotations

import contextlib
import os
import stat
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from apt_ostree import commits, repos
from apt_ostree.errors import AptOstreeError, NotRootError
from apt_ostree.trees import TreeError, Trees, object_path
from apt_ostree.view.directory import CAPABILITY, kind_of
from apt_ostree.view.model import Kind, Node, View, build

_META = struct.Struct(">III")  # uid, gid, mode
_HEADER = struct.Struct(">I4x")  # bytes of the header that follows
_ARCHIVED = struct.Struct(">QIIII")  # size, uid, gid, mode, rdev
_USER_META = "user.ostreemeta"
_MARK = CAPABILITY.encode() + b"\0"
_TARGET_MAX = 4096  # PATH_MAX of Linux

Look = Callable[[Path], Node]


def open_commit(repo: Path, checksum: str, *, name: str = "") -> View:
    """Look at every path of a commit. Raises CommitError, NotRootError, AptOstreeError (code `repo-mode`)."""
    mode = repos.mode(repo)
    look = {"archive": _archived, "bare": _bare, "bare-user": _bare_user, "bare-user-only": _bare_only}.get(mode)
    if look is None:
        raise AptOstreeError(
            f"the repo {repo} is of the mode {mode}, which is not read here",
            hint=f"pull the commit into another: ostree --repo=OTHER pull-local {repo} {checksum}",
            code="repo-mode",
        )
    suffix = "filez" if mode == "archive" else "file"
    root = commits.load(repo, checksum).root
    nodes = _nodes(repo, root, suffix, look)
    return build(name or checksum, nodes, partial(_content, repo, archived=mode == "archive"))


def _nodes(repo: Path, root: str, suffix: str, look: Look) -> Iterator[Node]:
    metas: dict[str, tuple[int, int, int]] = {}
    known: dict[str, Node] = {}
    for path, tree in Trees(repo).walk(root):
        prefix = f"{path}/" if path else ""
        for name, (_, meta) in tree.dirs.items():
            if meta not in metas:
                metas[meta] = _directory(repo, meta)
            uid, gid, mode = metas[meta]
            yield Node(f"{prefix}{name}", Kind.DIRECTORY, mode=mode, uid=uid, gid=gid)
        for name, checksum in tree.files.items():
            if checksum not in known:
                with _found(repo, checksum):
                    known[checksum] = replace(look(object_path(repo, checksum, suffix)), object=checksum)
            yield replace(known[checksum], path=f"{prefix}{name}")


@contextlib.contextmanager
def _found(repo: Path, checksum: str) -> Iterator[None]:
    """Trouble with an object, in words."""
    try:
        yield
    except PermissionError as error:
        raise NotRootError(f"the repo {repo} may be read by root only", hint="sudo apt-ostree ...") from error
    except (OSError, struct.error, ValueError, zlib.error) as error:
        raise TreeError(
            f"the object {checksum} in the repo {repo} is missing or damaged",
            hint=f"sudo ostree fsck --repo={repo}",
            code="bad-object",
        ) from error


def _directory(repo: Path, checksum: str) -> tuple[int, int, int]:
    with _found(repo, checksum):
        uid, gid, mode = _META.unpack_from(commits.metadata_object(object_path(repo, checksum, "dirmeta")))
    return uid, gid, stat.S_IMODE(mode)


def _bare(path: Path) -> Node:
    info = path.lstat()
    kind = kind_of(info.st_mode)
    target = os.readlink(path) if kind is Kind.LINK else ""  # noqa: PTH115 (a Path would change the target)
    mode = stat.S_IMODE(info.st_mode)
    capable = CAPABILITY in os.listxattr(path, follow_symlinks=False)
    return Node("", kind, mode, info.st_uid, info.st_gid, info.st_size, target, capable)


def _bare_only(path: Path) -> Node:
    return replace(_bare(path), uid=0, gid=0)


def _bare_user(path: Path) -> Node:
    meta = os.getxattr(path, _USER_META, follow_symlinks=False)
    uid, gid, mode = _META.unpack_from(meta)
    kind = kind_of(mode)
    target = os.fsdecode(commits.metadata_object(path)[:_TARGET_MAX].rstrip(b"\0")) if kind is Kind.LINK else ""
    return Node("", kind, stat.S_IMODE(mode), uid, gid, path.lstat().st_size, target, _MARK in meta)


def _archived(path: Path) -> Node:
    with commits.regular(path) as file:
        header = file.read(_HEADER.unpack(file.read(_HEADER.size))[0])
    size, uid, gid, mode, _ = _ARCHIVED.unpack_from(header)
    end = header.index(b"\0", _ARCHIVED.size)
    target = os.fsdecode(header[_ARCHIVED.size : end])
    return Node("", kind_of(mode), stat.S_IMODE(mode), uid, gid, size, target, _MARK in header[end:])


def _content(repo: Path, node: Node, *, archived: bool) -> bytes:
    path = object_path(repo, node.object, "filez" if archived else "file")
    try:
        with _found(repo, node.object):
            with commits.regular(path) as file:
                data = file.read()
            return data if not archived else _inflate(data, node.size)
    except NotRootError as error:
        raise NotRootError(f"/{node.path} of the commit may not be read by you", hint="sudo apt-ostree ...") from error


def _inflate(data: bytes, size: int) -> bytes:
    start = _HEADER.size + _HEADER.unpack_from(data)[0]
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data[start:], max(size, 1))[:size]
