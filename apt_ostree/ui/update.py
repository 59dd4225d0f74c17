"""An update that could be had: for people and for scripts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from apt_ostree.model import DiffKind, Update
from apt_ostree.ui.jsonshape import changes_json
from apt_ostree.ui.theme import PLAIN, Style, Theme, clean

_KINDS = (DiffKind.UPGRADED, DiffKind.DOWNGRADED, DiffKind.REMOVED, DiffKind.ADDED)


def as_json(update: Update) -> dict[str, Any]:
    """`cached-update` of status, `update` of upgrade."""
    counts = Counter(change.kind for change in update.changes)
    return {
        "osname": update.osname,
        "origin": update.refspec,
        "checksum": update.checksum,
        "version": update.version,
        "timestamp": update.timestamp,
        "ref-has-new-commit": update.new_base,
        "packages": changes_json(update.changes),
        "diff": {str(kind): counts[kind] for kind in _KINDS},
        "security": update.security,
        "downloaded": update.downloaded,
        "checked": int(update.checked),
    }


def lines(update: Update, theme: Theme = PLAIN) -> Iterator[str]:
    """`AvailableUpdate:` and what is known of it, as the last part of status has it."""
    yield "AvailableUpdate:"
    moment = datetime.fromtimestamp(update.timestamp, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if update.new_base:
        yield f"        Version: {clean(update.version)} ({moment})" if update.version else f"      Timestamp: {moment}"
        yield f"         Commit: {update.checksum}"
    counts = Counter(change.kind for change in update.changes)
    if counts:
        yield f"           Diff: {', '.join(f'{counts[kind]} {kind}' for kind in _KINDS if counts[kind])}"
    names = [clean(change.name) for change in update.changes if change.security]
    if names:
        yield theme.paint(f"       Security: {len(names)} ({', '.join(names)})", Style.YELLOW)
    if update.downloaded:
        yield "     Downloaded: yes"
