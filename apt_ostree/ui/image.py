"""`compose image`: for people and for scripts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apt_ostree.disk import DiskImage, Partition
from apt_ostree.ui.theme import PLAIN, Theme, clean, size


def as_json(made: DiskImage) -> dict[str, Any]:
    """`compose image --json`."""
    return {
        "command": made.command,
        "changed": made.changed,
        "would-change": not made.changed,
        "path": made.path,
        "format": made.format,
        "ref": made.ref,
        "commit": made.commit,
        "stateroot": made.stateroot,
        "kargs": list(made.kargs),
        "login": list(made.login),
        "size": made.layout.size,
        "disk-bytes": made.taken,
        "root-uuid": made.layout.identity.root,
        "partitions": [_partition(part) for part in made.layout.partitions],
        "duration": dict(made.duration),
        "warnings": list(made.warnings),
    }


def _partition(part: Partition) -> dict[str, Any]:
    return {
        "number": part.number,
        "name": part.name,
        "type": part.type.lower(),
        "uuid": part.uuid,
        "start": part.start,
        "size": part.size,
        "filesystem": part.filesystem or None,
    }


def text(made: DiskImage, *, verbose: bool = False, theme: Theme = PLAIN) -> str:
    """The disk and its partitions. Ends with a newline."""
    return "".join(f"{clean(line)}\n" for line in _lines(made, verbose))


def _lines(made: DiskImage, verbose: bool) -> Iterator[str]:
    if made.changed:
        taken = f"it takes {size(made.taken)} as {made.format}"
        yield f"{made.path} is a disk of {size(made.layout.size)} with {made.ref}; {taken}."
    else:
        yield f"Dry run: {made.path} would be a disk of {size(made.layout.size)} with {made.ref}."
    for part in made.layout.partitions:
        yield f"  {part.number}  {part.name:<5} {part.filesystem or '-':<5} {size(part.size):>9}"
    yield f"Commit: {made.commit}"
    yield f"Kernel arguments: {' '.join(made.kargs)}"
    if not made.login:
        yield "Nobody can log in yet: give --root-password-file or --ssh-key-file, or a credential (see --help)."
    if verbose:
        yield from (f"{phase}: {seconds:.1f} s" for phase, seconds in made.duration.items())
