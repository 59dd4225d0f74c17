"""`oci export`, `oci import` and `oci verify`: for people and for scripts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apt_ostree.containers import Checked, Exported, Imported
from apt_ostree.ui.theme import PLAIN, Theme, clean, size


def exported_json(done: Exported) -> dict[str, Any]:
    """`oci export --json`."""
    return {
        "command": done.command,
        "changed": done.changed,
        "image": done.image,
        "digest": done.digest,
        "format": done.format,
        "architecture": done.architecture,
        "commit": done.commit or None,
        "layers": [
            {
                "digest": layer.digest,
                "bytes": layer.size,
                "uncompressed-bytes": layer.uncompressed,
                "components": list(layer.components),
                "reused": layer.reused,
            }
            for layer in done.layers
        ],
        "sboms": [{"format": one.kind, "digest": one.digest} for one in done.sboms],
        "bytes": done.size,
        "reused-bytes": done.reused,
        "duration": dict(done.duration),
    }


def exported_text(done: Exported, theme: Theme = PLAIN) -> str:
    """Where the image is, and how big. Ends with a newline."""
    lines = [
        f"{done.image}: {done.format}, {done.architecture}, {len(done.layers)} layers, {size(done.size)}",
        f"  {done.digest}",
    ]
    if done.commit:
        lines.append(f"  commit {done.commit}")
    lines += [f"  {one.kind} bill of materials {one.digest}" for one in done.sboms]
    if done.reused:
        lines.append(f"  {size(done.reused)} of layers were there already")
    if not done.changed:
        lines.append("No change.")
    return "".join(f"{clean(line)}\n" for line in lines)


def imported_json(done: Imported) -> dict[str, Any]:
    """`oci import --json`."""
    return {
        "command": done.command,
        "changed": done.changed,
        "image": done.image,
        "digest": done.digest,
        "format": done.format,
        "commit": done.commit,
        "base-commit": done.base or None,
        "ref": done.ref or None,
        "layers": done.layers,
        "fetched-layers": done.fetched,
        "fetched-bytes": done.fetched_bytes,
        "reused-bytes": done.reused_bytes,
        "warnings": list(done.warnings),
        "duration": dict(done.duration),
    }


def imported_text(done: Imported, theme: Theme = PLAIN) -> str:
    """The commit, and what was fetched for it. Ends with a newline."""
    return "".join(f"{clean(line)}\n" for line in _imported_lines(done))


def _imported_lines(done: Imported) -> Iterator[str]:
    yield f"{done.commit}{f'  {done.ref}' if done.ref else ''}"
    if done.base and done.base != done.commit:
        yield f"  derived from {done.base}"
    yield f"  {done.format} image {done.digest}"
    kept = f"{size(done.reused_bytes)} were here"
    yield f"  {done.fetched} of {done.layers} layers fetched, {size(done.fetched_bytes)}; {kept}"
    if not done.changed:
        yield "No change."
    yield from (f"warning: {warning}" for warning in done.warnings)


def checked_json(done: Checked) -> dict[str, Any]:
    """`oci verify --json`."""
    return {
        "command": done.command,
        "image": done.image,
        "sound": done.sound,
        "digest": done.digest or None,
        "format": done.format or None,
        "architecture": done.architecture or None,
        "commit": done.commit or None,
        "layers": done.layers,
        "bytes": done.bytes,
        "findings": [{"part": finding.part, "message": finding.message} for finding in done.findings],
        "duration": dict(done.duration),
    }


def checked_text(done: Checked, theme: Theme = PLAIN) -> str:
    """What is wrong, or that all is well. Ends with a newline."""
    lines = [f"{finding.part}: {finding.message}" for finding in done.findings]
    if done.sound:
        lines = [f"{done.image} is sound: {done.format}, {done.architecture}, {done.layers} layers, {size(done.bytes)}"]
        lines += [f"  {done.digest}"]
    return "".join(f"{clean(line)}\n" for line in lines)
