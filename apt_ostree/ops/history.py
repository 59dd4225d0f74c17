"""history: what was deployed when, by which command, with which packages. Reads only and needs no root."""

from __future__ import annotations

from apt_ostree import history, host, sysroot
from apt_ostree.errors import NotRootError
from apt_ostree.findings import HistoryEntry, Record
from apt_ostree.model import Deployment
from apt_ostree.paths import Paths


def entries(paths: Paths, *, stateroot: str = "", limit: int = 0) -> tuple[HistoryEntry, ...]:
    """Records, newest first, at most `limit` (0: all). Raises NotOstreeError, NotRootError."""
    host.require_ostree(paths)
    try:
        records = history.read(paths.store)
        deployments = sysroot.load(paths).deployments
        if (last := history.unfinished(paths.store, deployments)) is not None and not last.told:
            records = (last.record, *records)
    except PermissionError as error:
        raise NotRootError(f"{error.filename} may be read by root only", hint="sudo apt-ostree history") from error
    kept = [record for record in records if stateroot in ("", record.stateroot)]
    return tuple(HistoryEntry(record=record, state=_state(record, deployments)) for record in kept[: limit or None])


def _state(record: Record, deployments: tuple[Deployment, ...]) -> str:
    deployment = next((d for d in deployments if d.id == record.id), None)
    if deployment is None:
        return "gone"
    for state in ("booted", "staged", "pending", "rollback"):
        if getattr(deployment, state):
            return state
    return "pending" if deployment.index == 0 else "deployed"
