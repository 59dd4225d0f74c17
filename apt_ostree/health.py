"""What the checks after a boot said of each deployment: a record in the stateroot's /var, by deployment id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from apt_ostree import records
from apt_ostree.model import Deployment
from apt_ostree.paths import Paths
from apt_ostree.states import Health, HealthState

MAX_TRIES = 3  # starts of the checks without an end (a machine that hangs in them), then a deployment counts as bad


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """All that is on record. `rolled_back_to`: the deployment the last automatic rollback went to."""

    entries: Mapping[str, Health] = field(default_factory=dict)
    rolled_back_from: str = ""
    rolled_back_to: str = ""

    def of(self, deployment: Deployment) -> Health:
        """What is known of a deployment; of one that is not on record, that it is untested."""
        return self.entries.get(deployment.id, Health())


def file_of(paths: Paths, osname: str) -> Path:
    """Where a stateroot has its record; it belongs to the stateroot's /var, whether that is mounted or not."""
    return paths.deploy / osname / "var/lib/apt-ostree/health.json"


def read(paths: Paths, osname: str) -> Book:
    """The record of a stateroot; an empty one when there is none or it is damaged."""
    return parse(records.read(file_of(paths, osname)))


def parse(record: dict[str, Any]) -> Book:
    """A record as read -> Book; entries that make no sense are left out."""
    listed = record.get("deployments")
    back = record.get("rollback")
    back = back if isinstance(back, dict) else {}
    return Book(
        entries={
            str(name): _entry(value)
            for name, value in (listed.items() if isinstance(listed, dict) else ())
            if isinstance(value, dict)
        },
        rolled_back_from=records.text(back, "from"),
        rolled_back_to=records.text(back, "to"),
    )


def _entry(value: dict[str, Any]) -> Health:
    state, when, tries = records.text(value, "state"), value.get("when"), value.get("tries")
    return Health(
        state=HealthState(state) if state in set(HealthState) else HealthState.UNTESTED,
        failed=records.texts(value, "failed"),
        when=when if isinstance(when, int) else 0,
        tries=tries if isinstance(tries, int) else 0,
    )


def write(path: Path, book: Book, present: Iterable[Deployment]) -> None:
    """Put a record on disk, without the deployments that are gone. Raises OSError."""
    names = {deployment.id for deployment in present}
    records.write(
        path,
        {
            "deployments": {
                name: {
                    "state": str(entry.state),
                    "failed": list(entry.failed),
                    "when": entry.when,
                    "tries": entry.tries,
                }
                for name, entry in book.entries.items()
                if name in names
            },
            "rollback": {"from": book.rolled_back_from, "to": book.rolled_back_to},
        },
    )


def known_bad(paths: Paths, osname: str, checksum: str) -> str:
    """Which checks a commit failed when it was booted; empty when it was not found bad."""
    start = f"{osname}-{checksum}."
    for name, entry in read(paths, osname).entries.items():
        if name.startswith(start) and entry.state is HealthState.BAD:
            return ", ".join(entry.failed) or "its checks"
    return ""


def way_back(book: Book, deployments: Iterable[Deployment], booted: Deployment) -> Deployment | None:
    """Where an automatic rollback goes: the deployment found good last, else the next that was not found bad.

    None when there is none, or when the booted one is where the last automatic rollback went: once, never in a loop.
    """
    if book.rolled_back_to == booted.id:
        return None
    others = [d for d in deployments if d.osname == booted.osname and not d.staged and d.id != booted.id]
    good = [d for d in others if book.of(d).state is HealthState.GOOD]
    if good:
        return max(good, key=lambda d: (book.of(d).when, -d.index))
    untested = [d for d in others if book.of(d).state is HealthState.UNTESTED]
    return untested[0] if untested else None
