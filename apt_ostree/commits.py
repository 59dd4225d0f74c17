"""Commit objects of a repo, read straight from their files.

A commit is stored uncompressed as `objects/xx/yyyy.commit` in every repo mode; its type is `(a{sv}aya(say)sstayay)`
(OSTREE_COMMIT_GVARIANT_STRING). Checksums are given whole; names are resolved by `ostree rev-parse`.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from apt_ostree import commitmeta, gvariant
from apt_ostree.errors import AptOstreeError, NotRootError
from apt_ostree.model import Commit

TYPE = "(a{sv}aya(say)sstayay)"
CHECKSUM = re.compile(r"[0-9a-f]{64}")
_DIGEST, _VARINT = 32, 10  # bytes
_KINDS = ("file", "dirtree", "dirmeta", "commit")
MAX_METADATA = 128 * 1024 * 1024  # bytes; libostree's OSTREE_MAX_METADATA_SIZE
MAX_TIME = 253402300799  # the last second datetime(3) can tell


class CommitError(AptOstreeError):
    """A commit is not in the repo, or cannot be read."""

    code = "no-commit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A commit and its metadata: str, int, bool, bytes, lists, tuples and dicts."""

    commit: Commit
    metadata: dict[str, object]
    root: str = ""  # checksum of the top directory's tree object
    root_meta: str = ""  # and of its owner, mode and attributes


def load(repo: Path, checksum: str) -> Loaded:
    """Read one commit. Raises CommitError, NotRootError when the repo may not be read, CommitMetaError."""
    data = _read(repo, checksum)
    try:
        metadata, parent, _, subject, _, timestamp, root, root_meta = gvariant.decode(data, TYPE)
    except gvariant.GVariantError as error:
        raise CommitError(
            f"the commit {checksum} is damaged: {error}", hint=f"sudo ostree fsck --repo={repo}", code="bad-commit"
        ) from error
    version = metadata.get("version", "")
    commit = Commit(
        checksum=checksum,
        # ostree stores it big-endian; a date of the year 10000 is none
        timestamp=min(int.from_bytes(timestamp.to_bytes(8, "little"), "big"), MAX_TIME),
        version=version if isinstance(version, str) else "",
        parent=parent.hex(),
        subject=subject,
        layer=commitmeta.decode_layer(metadata),
        metadata={key: _plain(value) for key, value in metadata.items() if not commitmeta.is_bulk(key)},
    )
    return Loaded(commit=commit, metadata=metadata, root=root.hex(), root_meta=root_meta.hex())


def ancestry(repo: Path, checksum: str) -> Iterator[Commit]:
    """A commit and its parents, newest first, as far as the repo has them."""
    seen: set[str] = set()
    while checksum and checksum not in seen:
        seen.add(checksum)
        try:
            commit = load(repo, checksum).commit
        except CommitError:
            return
        yield commit
        checksum = commit.parent


def regular(path: Path | bytes) -> IO[bytes]:
    """Open an object, or a file of a tree: a stranger's repo may have anything in its place.

    Raises CommitError (code `bad-object`) for a link, which would lead out of it, and for all else but a regular file.
    """
    shown = os.fsdecode(path)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise CommitError(f"'{shown}' is a symbolic link, not a file", code="bad-object") from error
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise CommitError(f"'{shown}' is not a regular file", code="bad-object")
    return os.fdopen(fd, "rb", buffering=0)


def metadata_object(path: Path) -> bytes:
    """Bytes of a commit, a directory or the like. Raises OSError, CommitError (code `bad-object`)."""
    with regular(path) as file:
        if os.fstat(file.fileno()).st_size > MAX_METADATA:
            raise CommitError(f"'{path}' has more than {MAX_METADATA} bytes", code="bad-object")
        return file.read()


def _read(repo: Path, checksum: str) -> bytes:
    if not CHECKSUM.fullmatch(checksum):
        raise CommitError(f"'{checksum}' is not the checksum of a commit")
    try:
        return metadata_object(_object(repo, checksum))
    except PermissionError as error:
        raise NotRootError(f"the repo {repo} may be read by root only", hint="sudo apt-ostree ...") from error
    except OSError as error:
        raise CommitError(
            f"the commit {checksum} is not in the repo {repo}", hint=f"see what there is: ostree refs --repo={repo}"
        ) from error


def _object(repo: Path, checksum: str) -> Path:
    """Where a commit object is: in the repo, or in the one its `core.parent` names (ostree.repo-config(5))."""
    path = repo / "objects" / checksum[:2] / f"{checksum[2:]}.commit"
    if not path.exists():
        for line in (repo / "config").read_text(errors="replace").splitlines():
            key, _, value = line.partition("=")
            if key.strip() == "parent":
                return Path(value.strip()) / path.relative_to(repo)
    return path


def missing_bytes(repo: Path, metadata: Mapping[str, object]) -> int | None:
    """Bytes a repo lacks of a commit; None unless the commit says its sizes (`ostree commit --generate-sizes`).

    `ostree.sizes` is an `aay`: 32 bytes of checksum, two varints (packed, unpacked) and, newer, the object's type.
    """
    listed = metadata.get("ostree.sizes")
    if not isinstance(listed, list):
        return None
    total = 0
    for item in listed:
        if isinstance(item, bytes) and len(item) > _DIGEST + 1:
            name, rest = item[:_DIGEST].hex(), item[_DIGEST:]
            _, rest = _varint(rest)
            size, _ = _varint(rest)
            objects = repo / "objects" / name[:2]
            if not any((objects / f"{name[2:]}.{kind}").exists() for kind in _KINDS):
                total += size
    return total


def _varint(data: bytes) -> tuple[int, bytes]:
    """Seven bits a byte, the lowest first; what follows."""
    value = 0
    for place, byte in enumerate(data[:_VARINT]):
        value |= (byte & 0x7F) << (7 * place)
        if not byte & 0x80:
            return value, data[place + 1 :]
    return value, b""


def whole(repo: Path, checksum: str) -> bool:
    """True when the repo has a commit with all of its content, as far as ostree knows (state/*.commitpartial)."""
    here = (repo / "objects" / checksum[:2] / f"{checksum[2:]}.commit").is_file()
    return here and not (repo / "state" / f"{checksum}.commitpartial").exists()


def _plain(value: object) -> object:
    """A value as JSON can hold it: bytes become hex."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return value
