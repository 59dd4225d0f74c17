"""A small initrd of tracked files in /etc: for programs that run before the deployment is mounted."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from apt_ostree import cpio
from apt_ostree.errors import AptOstreeError, UsageError

LIMIT = 64 << 20  # bytes; /boot is small, and this is for a few settings
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """An archive (empty when there is nothing to put in), and the tracked paths that are not there."""

    archive: bytes = b""
    missing: tuple[str, ...] = ()

    @property
    def overlays(self) -> tuple[str, ...]:
        """What `Deployment.overlays` is of a deployment that has this archive."""
        return (hashlib.sha256(self.archive).hexdigest(),) if self.archive else ()


def tracked_path(text: str) -> str:
    """A path to track, as the origin has it. Raises UsageError unless it is one below /etc, without detours."""
    path = PurePosixPath(text)
    if text.endswith("/") and len(text) > 1:
        text = text.rstrip("/")
    if str(path) != text or path.parts[:2] != ("/", "etc") or ".." in path.parts or len(path.parts) < 3:
        raise UsageError(f"'{text}' is not a path below /etc", hint="apt-ostree initramfs-etc --track /etc/crypttab")
    if any(ord(character) < 32 for character in text):
        raise UsageError(f"there is a control character in {text!r}")
    return text


def build(root: Path, tracked: Sequence[str]) -> Made:
    """Archive the tracked files and directories of the deployment at `root`; links go in as links, never followed.

    The same content gives the same bytes. Raises AptOstreeError for what is neither file, directory nor link, for a
    path that leads through a link, and for more than LIMIT.
    """
    members: dict[str, cpio.Member] = {}
    missing = []
    top = os.open(root, _DIRECTORY)
    try:
        for path in sorted(set(tracked)):
            try:
                for member in _track(top, tracked_path(path).lstrip("/").split("/")):
                    members.setdefault(member.name, member)
            except FileNotFoundError:
                missing.append(path)
            _check(members)
    finally:
        os.close(top)
    if len(missing) == len(set(tracked)):
        return Made(missing=tuple(missing))
    # sorted by parts: a directory then stands before what is in it
    ordered = sorted(members.values(), key=lambda member: member.name.split("/"))
    return Made(archive=cpio.archive(ordered), missing=tuple(missing))


def _check(members: dict[str, cpio.Member]) -> None:
    size = sum(len(member.data) for member in members.values())
    if size > LIMIT:
        raise AptOstreeError(
            f"the tracked files are too large for a small initrd: {size} bytes",
            hint="apt-ostree initramfs-etc --untrack",
        )


def _track(top: int, parts: list[str]) -> list[cpio.Member]:
    """One tracked path: its parents, itself, and what is below it. All or nothing of it is returned."""
    found = []
    here = os.dup(top)
    try:
        for depth, part in enumerate(parts[:-1], 1):
            name = "/".join(parts[:depth])
            found.append(_member(here, part, name))
            if not stat.S_ISDIR(found[-1].mode):
                raise AptOstreeError(f"/{'/'.join(parts)} leads through /{name}, which is no directory", code="initrd")
            here = _into(here, part)
        found += _below(here, parts[-1], "/".join(parts))
    finally:
        os.close(here)
    return found


def _into(here: int, name: str) -> int:
    below = os.open(name, _DIRECTORY, dir_fd=here)
    os.close(here)
    return below


def _below(here: int, part: str, name: str) -> Iterator[cpio.Member]:
    member = _member(here, part, name)
    yield member
    if stat.S_ISDIR(member.mode):
        below = os.open(part, _DIRECTORY, dir_fd=here)
        try:
            for entry in sorted(os.listdir(below)):
                yield from _below(below, entry, f"{name}/{entry}")
        finally:
            os.close(below)


def _member(here: int, part: str, name: str) -> cpio.Member:
    info = os.stat(part, dir_fd=here, follow_symlinks=False)
    data = b""
    if stat.S_ISLNK(info.st_mode):
        data = os.readlink(part, dir_fd=here).encode(errors="surrogateescape")
    elif stat.S_ISREG(info.st_mode):
        with os.fdopen(os.open(part, _FILE, dir_fd=here), "rb") as file:
            info = os.fstat(file.fileno())
            data = file.read(LIMIT + 1)
    elif not stat.S_ISDIR(info.st_mode):
        raise AptOstreeError(f"/{name} is neither a file, a directory nor a link", hint="leave it out", code="initrd")
    return cpio.Member(name=name, mode=info.st_mode, uid=info.st_uid, gid=info.st_gid, data=data)
