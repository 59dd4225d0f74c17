"""The record of what was deployed: JSON lines in our corner of the repo.

It lies there and not in /var, because it is about all stateroots, survives a rollback and a /var that is emptied,
and goes along with a sysroot that is worked on offline. Each record names its package changes itself, so that it
still says something when the commits are gone.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from apt_ostree import records
from apt_ostree.findings import Record
from apt_ostree.model import Deployment, Plan
from apt_ostree.paths import Store

LIMIT = 4 << 20  # bytes of the file; then the newest half is kept
_FORMAT = 1


def place(store: Store) -> Path:
    """Where the records are."""
    return store.root / "history.jsonl"


def record(plan: Plan, before: Deployment, made: Deployment) -> Record:
    """What there is to say of a transaction that is done: `before` would have booted next, now `made` does."""
    return Record(
        time=int(time.time()),
        command=plan.command,
        kind=str(plan.kind),
        stateroot=plan.stateroot,
        checksum=made.checksum,
        serial=made.serial,
        base_checksum=made.base_checksum,
        from_checksum=before.checksum,
        version=made.commit.version,
        refspec=made.origin.container_image_reference or made.origin.refspec,
        staged=made.staged,
        changes=plan.changes,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """What a run deployed that died before its end. `told`: its record stands. `keep`: rollback deployments that stay;
    None when what it did drops none."""

    record: Record
    told: bool
    keep: int | None


def begin(store: Store, plan: Plan, before: Deployment, keep: int | None) -> None:
    """Note what is about to be deployed: whoever comes after a writer that died can then do the rest. Raises OSError.

    `keep` is that of `Unfinished`.
    """
    coming = Record(
        time=int(time.time()),
        command=plan.command,
        kind=str(plan.kind),
        stateroot=plan.stateroot,
        checksum=plan.target,  # empty for a tree that is yet to be layered: `unfinished` goes by the base then
        base_checksum=plan.base.checksum,
        from_checksum=before.checksum,
        version=plan.base.version,
        refspec=plan.origin.container_image_reference or plan.origin.refspec,
        changes=plan.changes,
    )
    records.write(begun(store), {"first": before.id, "record": _encode(coming), "keep": keep})


def begun(store: Store) -> Path:
    """The note of a deploy under way."""
    return store.root / "history-begun.json"


def unfinished(store: Store, deployments: Iterable[Deployment]) -> Unfinished | None:
    """What was deployed by a run that died before it was through; None when it deployed nothing."""
    note = records.read(begun(store))
    try:
        coming = _decode(note["record"])
    except (ValueError, KeyError, TypeError):
        return None
    first = next((deployment for deployment in deployments if deployment.osname == coming.stateroot), None)
    if first is None or first.id == note.get("first") or first.base_checksum != coming.base_checksum:
        return None
    if coming.checksum not in ("", first.checksum):
        return None
    last, keep = next(iter(read(store)), None), note.get("keep")
    record = replace(
        coming,
        checksum=first.checksum,
        serial=first.serial,
        version=first.commit.version or coming.version,
        staged=first.staged,
    )
    return Unfinished(
        record=record,
        told=last is not None and last.id == first.id and last.time >= coming.time,
        keep=keep if isinstance(keep, int) and keep >= 1 else None,
    )


def append(store: Store, record: Record) -> None:
    """Add one record with a single write(2) and make it durable. The lock must be held. Raises OSError."""
    path = place(store)
    line = (json.dumps(_encode(record), separators=(",", ":"), ensure_ascii=False) + "\n").encode()
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        size = os.fstat(fd).st_size
        if size and os.pread(fd, 1, size - 1) != b"\n":
            line = b"\n" + line  # a power cut tore the last record: it is lost, this one is not
        os.write(fd, line)
        os.fsync(fd)
        size += len(line)
    finally:
        os.close(fd)
    if size > LIMIT:
        _shorten(path)


def _shorten(path: Path) -> None:
    """Keep the newest records, at most half of the limit; the last one always."""
    kept: list[bytes] = []
    size = 0
    for line in reversed(_lines(path)):
        size += len(line) + 1
        if kept and size > LIMIT // 2:
            break
        kept.insert(0, line + b"\n")
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    with os.fdopen(fd, "wb") as file:
        file.write(b"".join(kept))
        file.flush()
        os.fsync(fd)
    fresh.rename(path)


def read(store: Store) -> tuple[Record, ...]:
    """All records, newest first; lines that are no record are left out. Raises PermissionError."""
    found = []
    for line in reversed(_lines(place(store))):
        try:
            found.append(_decode(json.loads(line)))
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
    return tuple(found)


def _lines(path: Path) -> list[bytes]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError:
        raise
    except OSError:
        return []
    with os.fdopen(fd, "rb") as file:
        file.seek(max(0, os.fstat(fd).st_size - 2 * LIMIT))
        return [line for line in file.read(2 * LIMIT).split(b"\n") if line]


def _encode(record: Record) -> dict[str, object]:
    return {
        "format": _FORMAT,
        "time": record.time,
        "command": record.command,
        "kind": record.kind,
        "stateroot": record.stateroot,
        "checksum": record.checksum,
        "serial": record.serial,
        "base": record.base_checksum,
        "from": record.from_checksum,
        "version": record.version,
        "refspec": record.refspec,
        "staged": record.staged,
        "packages": [records.encode_change(change) for change in record.changes],
    }


def _decode(data: Mapping[str, object]) -> Record:
    if data["format"] != _FORMAT:
        raise ValueError("a record of another format")
    return Record(
        time=_number(data["time"]),
        command=str(data["command"]),
        kind=str(data["kind"]),
        stateroot=str(data["stateroot"]),
        checksum=str(data["checksum"]),
        serial=_number(data["serial"]),
        base_checksum=str(data["base"]),
        from_checksum=str(data["from"]),
        version=str(data["version"]),
        refspec=str(data["refspec"]),
        staged=bool(data["staged"]),
        changes=tuple(records.decode_change(item) for item in _items(data["packages"])),
    )


def _number(value: object) -> int:
    if not isinstance(value, int) or not 0 <= value < 1 << 40:
        raise ValueError("not a number that can be")
    return value


def _items(value: object) -> Iterable[object]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return value
