"""initramfs-etc: files of /etc that the initramfs needs, in a small initrd of their own beside the big one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from apt_ostree import initrd, transaction
from apt_ostree.context import Context
from apt_ostree.errors import AptOstreeError, UsageError
from apt_ostree.model import Result, TransactionKind
from apt_ostree.planning import Change, Situation


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Paths to track and no longer to track; `sync` makes a deployment when tracked files have changed."""

    track: tuple[str, ...] = ()
    untrack: tuple[str, ...] = ()
    untrack_all: bool = False
    sync: bool = False


def run(context: Context, request: Request) -> Result:
    """Change what is tracked; the tree stays. Raises UsageError, AptOstreeError."""
    if request.untrack_all and (request.track or request.untrack):
        raise UsageError("--untrack-all goes with neither --track nor --untrack", hint="use two commands")
    track = tuple(initrd.tracked_path(path) for path in request.track)
    untrack = {initrd.tracked_path(path) for path in request.untrack}
    wanted = replace(request, track=track, untrack=tuple(untrack))
    return transaction.execute(context, lambda situation: _change(situation, wanted))


def _change(situation: Situation, request: Request) -> Change:
    before = situation.origin.initramfs_etc
    kept = () if request.untrack_all else tuple(path for path in before if path not in request.untrack)
    after = tuple(sorted({*kept, *request.track}))
    made = initrd.build(situation.merge.path, after)
    _refuse_missing(request.track, made.missing)
    return Change(
        kind=TransactionKind.INITRAMFS,
        origin=replace(situation.origin, initramfs_etc=after),
        base=situation.base,
        keep_tree=True,
        redeploy=request.sync and made.overlays != situation.first.overlays,
    )


def _refuse_missing(track: Sequence[str], missing: Sequence[str]) -> None:
    absent = sorted(set(track) & set(missing))
    if absent:
        raise AptOstreeError(f"there is no {', '.join(absent)} to track", hint="ls -l /etc", code="not-there")
