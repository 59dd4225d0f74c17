"""`history`: for people and for scripts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from apt_ostree.findings import HistoryEntry
from apt_ostree.ui import changes as words
from apt_ostree.ui.jsonshape import changes_json
from apt_ostree.ui.theme import PLAIN, Style, Theme, clean


def as_json(entries: Iterable[HistoryEntry]) -> dict[str, Any]:
    """`history --json`."""
    return {"entries": [_entry(found) for found in entries]}


def _entry(found: HistoryEntry) -> dict[str, Any]:
    record = found.record
    return {
        "time": record.time,
        "command": record.command,
        "kind": record.kind,
        "id": record.id,
        "osname": record.stateroot,
        "checksum": record.checksum,
        "serial": record.serial,
        "base-checksum": record.base_checksum,
        "from-checksum": record.from_checksum,
        "version": record.version,
        "origin": record.refspec,
        "staged": record.staged,
        "state": found.state,
        "packages": changes_json(record.changes),
    }


def text(entries: Iterable[HistoryEntry], *, theme: Theme = PLAIN) -> str:
    """`history` for people, newest first. Ends with a newline."""
    blocks = ["\n".join(_lines(found, theme)) for found in entries]
    return "\n\n".join(blocks) + "\n" if blocks else "Nothing has been deployed by apt-ostree yet.\n"


def _lines(found: HistoryEntry, theme: Theme) -> Iterator[str]:
    record = found.record
    moment = datetime.fromtimestamp(record.time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    yield f"{moment}  {theme.paint(clean(record.command), Style.BOLD)}"
    yield f"  Deployment: {clean(record.id)} ({found.state})"
    if record.refspec:
        version = f" {clean(record.version)}" if record.version else ""
        yield f"  Base: {clean(record.refspec)}{version}"
    yield from (f"  {line}" for line in words.block(record.changes, theme))
