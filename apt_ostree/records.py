"""Small JSON records of ours on disk: read with suspicion, written whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from apt_ostree.model import DiffKind, Package, PackageChange

MAX_BYTES = 4 << 20  # anything longer is no record of ours


def read(path: Path) -> dict[str, Any]:
    """The object in a file; empty when there is none, it is a link, may not be read, or holds something else."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(fd, "rb") as file:
            found = json.loads(file.read(MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def write(path: Path, record: Mapping[str, Any]) -> None:
    """Put a record in the place of the former one: synced before it gets the name. Raises OSError."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    with os.fdopen(fd, "w") as file:
        os.fchmod(fd, 0o644)  # plain users read them, whatever umask root has
        json.dump(record, file, indent=1, sort_keys=True)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)  # a power cut must not take the new name along
    finally:
        os.close(folder)


def text(record: Mapping[str, Any], key: str) -> str:
    """A value that must be text; empty when it is missing or something else."""
    value = record.get(key)
    return value if isinstance(value, str) else ""


def texts(record: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """A value that must be a list of texts; what is none is left out."""
    value = record.get(key)
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def encode_change(change: PackageChange) -> list[object]:
    """A package change as records have it: kind, name, both sides as [version, architecture], source, security."""
    old = [change.old.version, change.old.arch] if change.old else None
    new = [change.new.version, change.new.arch] if change.new else None
    return [str(change.kind), change.name, old, new, change.repo, change.security]


def decode_change(item: object) -> PackageChange:
    """The change `encode_change` wrote. Raises ValueError for anything else."""
    match item:
        case [str(kind), str(name), old, new, str(repo), bool(security)]:
            before, after = _side(name, old), _side(name, new)
            arch = (after or before or Package(name=name, version="", arch="")).arch
            return PackageChange(
                kind=DiffKind(kind), name=name, arch=arch, old=before, new=after, repo=repo, security=security
            )
    raise ValueError("not a package change")


def _side(name: str, value: object) -> Package | None:
    match value:
        case None:
            return None
        case [str(version), str(arch)]:
            return Package(name=name, version=version, arch=arch)
    raise ValueError("not a version and an architecture")
