"""`repo sign`, `repo summary` and `delta`: for people and for scripts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from apt_ostree.publishing import Delta, Generated, Shown, Signed, Summarised, Summary
from apt_ostree.ui.theme import PLAIN, Theme, clean, size

SHORT = 10  # digits of a checksum that people are shown


def signed_json(signed: Signed) -> dict[str, Any]:
    """`repo sign --json`."""
    return {
        "command": signed.command,
        "changed": signed.pending and not signed.dry_run,
        "would-change": signed.pending and signed.dry_run,
        "commits": [
            {
                "revision": commit.revision,
                "checksum": commit.checksum,
                "signed-by": list(commit.signed_by),
                "new": commit.fresh,
            }
            for commit in signed.commits
        ],
    }


def signed_text(signed: Signed, theme: Theme = PLAIN) -> str:
    """A line for each commit. Ends with a newline."""
    words = "Dry run: would be signed" if signed.dry_run else "signed"
    return "".join(
        f"{clean(commit.revision)} ({commit.checksum[:SHORT]}): {words if commit.fresh else 'was signed already'}\n"
        for commit in signed.commits
    )


def _summary(summary: Summary) -> dict[str, Any]:
    return {
        "branches": dict(summary.branches),
        "deltas": list(summary.deltas),
        "modified": summary.modified,
        "signed-by": list(summary.signed_by),
    }


def summary_json(done: Summarised) -> dict[str, Any]:
    """`repo summary --json`."""
    flags = {"command": done.command, "changed": done.changed, "would-change": done.would_change}
    return {**flags, **_summary(done.summary), "warnings": list(done.summary.warnings)}


def summary_text(done: Summarised, theme: Theme = PLAIN) -> str:
    """What the summary says. Ends with a newline."""
    return "".join(f"{clean(line)}\n" for line in _summary_lines(done))


def _summary_lines(done: Summarised) -> Iterator[str]:
    if done.would_change:
        yield "Dry run: the summary would be written anew. Now it says:"
    summary = done.summary
    width = max((len(name) for name in summary.branches), default=0)
    yield from (f"{name:<{width}}  {commit}" for name, commit in summary.branches.items())
    yield f"Deltas:   {len(summary.deltas)}"
    yield f"Signed:   {', '.join(summary.signed_by) or 'no'}"
    yield f"Modified: {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(summary.modified)) if summary.modified else '-'}"


def delta_json(delta: Delta) -> dict[str, Any]:
    """One delta; of one that is not made yet the sizes are 0."""
    return {
        "name": delta.name,
        "from": delta.source or None,
        "to": delta.target,
        "new": delta.fresh,
        "bytes": delta.size,
        "plain-bytes": delta.plain,
        "superblock-bytes": delta.superblock,
        "inline": delta.inline,
        "parts": [
            {
                "bytes": part.size,
                "uncompressed-bytes": part.uncompressed,
                "objects": part.objects,
                "inline": part.inline,
            }
            for part in delta.parts
        ],
        "fallbacks": {"objects": delta.fallbacks, "bytes": delta.fallback_size},
        "timestamp": delta.timestamp,
    }


def generated_json(done: Generated) -> dict[str, Any]:
    """`delta generate --json`."""
    return {
        "command": done.command,
        "changed": done.changed,
        "would-change": done.would_change,
        "branch": done.branch,
        "deltas": [delta_json(delta) for delta in done.deltas],
        "summary": _summary(done.summary) if done.summary else None,
        "warnings": list(done.warnings),
        "duration": dict(done.duration),
    }


def shown_json(shown: Shown) -> dict[str, Any]:
    """`delta show --json`."""
    damaged = [{"name": name, "error": error} for name, error in shown.damaged.items()]
    return {"deltas": [delta_json(delta) for delta in shown.deltas], "damaged": damaged}


def generated_text(done: Generated, theme: Theme = PLAIN) -> str:
    """Each delta with its sizes, and who signs the summary. Ends with a newline."""
    lines = [line for delta in done.deltas for line in _delta_lines(delta)]
    if not done.changed:
        lines.append("Dry run: nothing was made." if done.would_change else "No change.")
    if done.summary is None:
        lines.append("There is no summary: clients learn of deltas by it. Make one: apt-ostree repo summary")
    elif done.changed:
        told = "tells of them" if done.deltas else "is written anew"
        lines.append(f"The summary {told}, signed by: {', '.join(done.summary.signed_by) or 'nobody'}")
    lines += [f"warning: {warning}" for warning in done.warnings]
    return "".join(f"{clean(line)}\n" for line in lines)


def shown_text(shown: Shown, theme: Theme = PLAIN) -> str:
    """Each delta with its sizes, at last what cannot be read. Ends with a newline."""
    lines = [line for delta in shown.deltas for line in _delta_lines(delta)]
    lines += [f"error: {error}" for error in shown.damaged.values()]
    return "".join(f"{clean(line)}\n" for line in lines or ["There are no static deltas."])


def _delta_lines(delta: Delta) -> Iterator[str]:
    way = f"{delta.source[:SHORT] or 'nothing'} -> {delta.target[:SHORT]}"
    if not delta.superblock:
        yield f"{way}: to be made"
        return
    plain = "" if delta.plain is None else f", {size(delta.plain)} without it"
    if delta.plain:
        plain += f" ({100 * delta.size / delta.plain:.0f} %)"
    yield f"{way}: {size(delta.size)}{plain}"
    yield f"  superblock  {size(delta.superblock):>9}"
    for number, part in enumerate(delta.parts):
        where = ", inline" if part.inline else ""
        yield f"  part {number:<6} {size(part.size):>9}  {part.objects} objects of {size(part.uncompressed)}{where}"
    if delta.fallbacks:
        yield f"  as they are {size(delta.fallback_size):>9}  {delta.fallbacks} objects"
