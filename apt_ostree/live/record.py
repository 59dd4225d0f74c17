"""What is live now, as it was written down; it counts for the boot and the deployment it was written in only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from apt_ostree import records
from apt_ostree.commits import CHECKSUM
from apt_ostree.model import Deployment
from apt_ostree.paths import Paths, Store
from apt_ostree.tools import coreutils, ostree

REF = "apt-ostree/live"


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """`replaced`: the commit whose /usr is mounted. `inprogress`: the one a run began with and did not end."""

    deployment: str = ""  # id of the booted one
    boot_id: str = ""
    replaced: str = ""
    inprogress: str = ""
    etc: tuple[str, ...] = ()  # paths below /etc that are of that commit, not of the deployment


def tree(store: Store, checksum: str) -> Path:
    """Where the /usr of a live commit is checked out: a tree of its own, which no undeploy takes away."""
    return store.root / "live" / checksum / "usr"


def read(paths: Paths) -> Live:
    """The record, of whatever boot; an empty one when there is none or it is damaged."""
    found = records.read(paths.store.live)
    sums = {key: records.text(found, key) for key in ("replaced", "inprogress")}
    if any(value and not CHECKSUM.fullmatch(value) for value in sums.values()):
        return Live()
    safe = tuple(rel for rel in records.texts(found, "etc") if rel and ".." not in rel.split("/") and rel[0] != "/")
    return Live(
        deployment=records.text(found, "deployment"),
        boot_id=records.text(found, "boot-id"),
        replaced=sums["replaced"],
        inprogress=sums["inprogress"],
        etc=safe,
    )


def current(paths: Paths, booted: Deployment | None) -> Live:
    """What is live in this boot; empty when nothing is."""
    found = read(paths)
    return found if booted and found.boot_id == paths.boot_id and found.deployment == booted.id else Live()


def write(paths: Paths, live: Live) -> None:
    """Put a record on disk, and hold the commit it is about. Raises OSError, ToolError."""
    if checksum := live.inprogress or live.replaced:
        ostree.ref_create(paths.repo, REF, checksum)
    else:
        _drop_ref(paths)
    records.write(
        paths.store.live,
        {
            "deployment": live.deployment,
            "boot-id": live.boot_id,
            "replaced": live.replaced,
            "inprogress": live.inprogress,
            "etc": list(live.etc),
        },
    )


def forget(paths: Paths) -> None:
    """Nothing is live any more: its trees, its ref and the record go. Raises OSError, ToolError."""
    coreutils.remove(paths.store.root / "live")
    _drop_ref(paths)
    paths.store.live.unlink(missing_ok=True)


def _drop_ref(paths: Paths) -> None:
    if (paths.repo / "refs/heads" / REF).exists():
        ostree.ref_delete(paths.repo, REF)
