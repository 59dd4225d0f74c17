"""`etc-diff`: for people and for scripts."""

from __future__ import annotations

import stat
from typing import Any

from apt_ostree.findings import EtcChange, EtcEntry, EtcReport
from apt_ostree.ui.theme import PLAIN, Style, Theme, clean

_LETTERS = {"added": "A", "modified": "M", "removed": "D"}  # as `ostree admin config-diff` has them
_STYLES = {"added": Style.GREEN, "modified": Style.YELLOW, "removed": Style.RED}
_TYPES = ((stat.S_ISDIR, "directory"), (stat.S_ISLNK, "link"), (stat.S_ISREG, "file"))


def as_json(report: EtcReport) -> dict[str, Any]:
    """`etc-diff --json`."""
    return {
        "deployment": report.deployment,
        "against": report.against or None,
        "changes": [
            {
                "path": change.path,
                "kind": change.kind,
                "differs": list(change.differs),
                "conflict": change.conflict,
                "local": _entry(change.mine),
                "default": _entry(change.default),
            }
            for change in report.changes
        ],
        "conflicts": [change.path for change in report.changes if change.conflict],
        "problems": list(report.problems),
    }


def _entry(entry: EtcEntry | None) -> dict[str, Any] | None:
    if entry is None:
        return None
    return {
        "type": _type(entry),
        "mode": f"{stat.S_IMODE(entry.mode):04o}",
        "uid": entry.uid,
        "gid": entry.gid,
        "size": entry.size,
        "target": entry.target or None,
    }


def _type(entry: EtcEntry) -> str:
    return next((name for test, name in _TYPES if test(entry.mode)), "other")


def text(report: EtcReport, *, theme: Theme = PLAIN) -> str:
    """One line a path: A, M or D, the path, and how it differs."""
    lines = [_line(change, theme) for change in report.changes]
    if any(change.conflict for change in report.changes):
        lines.append(f"Conflicts: the defaults changed as well in {clean(report.against)}; the local version is kept.")
    lines += [theme.paint(f"warning: {clean(problem)}", Style.YELLOW) for problem in report.problems]
    return "\n".join(lines or ["Nothing differs."]) + "\n"


def _line(change: EtcChange, theme: Theme) -> str:
    letter = theme.paint(_LETTERS[change.kind], _STYLES[change.kind])
    how = _difference(change)
    conflict = theme.paint(" CONFLICT", Style.RED) if change.conflict else ""
    return f"{letter} {clean(change.path)}{f' ({how})' if how else ''}{conflict}"


def _difference(change: EtcChange) -> str:
    old, new = change.default, change.mine
    if old is None or new is None:
        return ""
    words = {
        "type": f"{_type(old)} -> {_type(new)}",
        "mode": f"mode {stat.S_IMODE(old.mode):04o} -> {stat.S_IMODE(new.mode):04o}",
        "owner": f"owner {old.uid}:{old.gid} -> {new.uid}:{new.gid}",
        "target": f"target {clean(old.target)} -> {clean(new.target)}",
        "content": "content",
    }
    return ", ".join(words[what] for what in change.differs)
