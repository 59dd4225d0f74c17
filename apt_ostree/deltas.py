"""Static deltas of a repo, read from their superblocks, and what a pull without them would take.

A superblock has the type of OSTREE_STATIC_DELTA_SUPERBLOCK_FORMAT. `ostree static-delta show` cannot read a delta
whose parts are inside of it, and says nothing of the plain pull.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from apt_ostree import commits, gvariant
from apt_ostree.errors import AptOstreeError
from apt_ostree.publishing import Delta, Part
from apt_ostree.trees import Trees, object_path

TYPE = "(a{sv}tayay(a{sv}aya(say)sstayay)aya(uayttay)a(yaytt))"
SIGNED_TYPE = "(taya{sv})"  # OSTREE_STATIC_DELTA_SIGNED_FORMAT: a superblock in an envelope
_MAGIC = b"OSTSGNDT"
_NAME = re.compile(r"(?:(?P<source>[0-9a-f]{64})-)?(?P<target>[0-9a-f]{64})")
_OBJECT = 33  # bytes: an object's type and its checksum


class DeltaError(AptOstreeError):
    """A static delta is not in the repo, or cannot be read."""

    code = "no-delta"


def parse_name(name: str) -> tuple[str, str] | None:
    """`FROM-TO` or `TO` -> (from, to) as whole checksums, None for anything else."""
    match = _NAME.fullmatch(name)
    return (match["source"] or "", match["target"]) if match else None


def names(repo: Path) -> tuple[str, ...]:
    """Names of all deltas of a repo, sorted."""
    return tuple(sorted(filter(None, (_name_of(path) for path in repo.glob("deltas/??/*/superblock")))))


def _name_of(superblock: Path) -> str:
    encoded = superblock.parent.parent.name + superblock.parent.name
    try:
        words = [base64.b64decode(f"{word.replace('_', '/')}=", validate=True).hex() for word in encoded.split("-")]
    except ValueError:
        return ""
    name = "-".join(words)
    return name if parse_name(name) else ""


def folder(repo: Path, source: str, target: str) -> Path:
    """Where the files of a delta are (ostree's static deltas: base64 with `_` for `/`, split after two letters)."""
    words = [base64.b64encode(bytes.fromhex(word)).decode().rstrip("=") for word in (source, target) if word]
    encoded = "-".join(word.replace("/", "_") for word in words)
    return repo / "deltas" / encoded[:2] / encoded[2:]


def exists(repo: Path, source: str, target: str) -> bool:
    """True when the repo has the delta."""
    return (folder(repo, source, target) / "superblock").is_file()


def digest(repo: Path, name: str) -> str:
    """sha256 of a delta's superblock, as a summary lists it. Raises DeltaError."""
    return hashlib.sha256(_read(repo, *_parts_of(name))).hexdigest()


def load(repo: Path, name: str) -> Delta:
    """Read one delta. Raises DeltaError."""
    source, target = _parts_of(name)
    data = _read(repo, source, target)
    try:
        inner = gvariant.decode(data, SIGNED_TYPE)[1] if data.startswith(_MAGIC) else data
        metadata, timestamp, _, _, _, _, metas, fallbacks = gvariant.decode(inner, TYPE)
    except (gvariant.GVariantError, IndexError) as error:
        raise DeltaError(f"the delta {name} is damaged: {error}", hint="make it anew", code="bad-delta") from error
    swapped = metadata.get("ostree.endianness") == ord("B")
    return Delta(
        source=source,
        target=target,
        superblock=len(data),
        timestamp=_swap(timestamp, 8),
        parts=tuple(_part(number, meta, metadata, swapped) for number, meta in enumerate(metas)),
        fallbacks=len(fallbacks),
        fallback_size=sum(_size(size, swapped) for _, _, size, _ in fallbacks),
    )


def _parts_of(name: str) -> tuple[str, str]:
    parts = parse_name(name)
    if parts is None:
        raise DeltaError(f"'{name}' is not the name of a delta", hint="apt-ostree delta show --repo REPO")
    return parts


def _read(repo: Path, source: str, target: str) -> bytes:
    try:
        return (folder(repo, source, target) / "superblock").read_bytes()
    except OSError as error:
        name = Delta(source=source, target=target).name
        raise DeltaError(
            f"there is no delta {name} in '{repo}'", hint=f"apt-ostree delta show --repo {repo}"
        ) from error


def _part(number: int, meta: tuple[Any, ...], metadata: dict[str, Any], swapped: bool) -> Part:
    _, _, size, uncompressed, objects = meta
    return Part(
        size=_size(size, swapped),
        uncompressed=_size(uncompressed, swapped),
        objects=len(objects) // _OBJECT,
        inline=any(key.endswith(f"/{number}") for key in metadata if key.startswith("deltas/")),
    )


def _size(value: int, swapped: bool) -> int:
    return _swap(value, 8) if swapped else value


def _swap(value: int, width: int) -> int:
    return int.from_bytes(value.to_bytes(width, "little"), "big")


def plain_size(repo: Path, source: str, target: str) -> int | None:
    """Bytes a client that has `source` pulls for `target` without a delta: each object it lacks, as it is served.

    None where not all of these are in the repo as an archive has them, compressed. Raises CommitError, TreeError.
    """
    trees = Trees(repo)
    had = set(_objects(repo, trees, source)) if source else set[tuple[str, str]]()
    wanted = set(_objects(repo, trees, target)) - had
    total = 0
    for checksum, kind in wanted:
        try:
            total += object_path(repo, checksum, kind).stat().st_size
        except OSError:
            return None
    return total


def _objects(repo: Path, trees: Trees, checksum: str) -> Iterator[tuple[str, str]]:
    """Every object of a commit: its checksum and how its file ends in an archive repo."""
    loaded = commits.load(repo, checksum)
    yield checksum, "commit"
    yield loaded.root, "dirtree"
    for _, tree in trees.walk(loaded.root):
        for found in tree.files.values():
            yield found, "filez"
        for below, meta in tree.dirs.values():
            yield below, "dirtree"
            yield meta, "dirmeta"
