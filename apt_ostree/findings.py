"""The nouns of questions: what history, search, why, etc-diff and verify answer. Standard library only, no I/O."""

from __future__ import annotations

from dataclasses import dataclass

from apt_ostree.model import PackageChange


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One transaction that was deployed. `time` is seconds since the epoch."""

    time: int
    command: str
    kind: str
    stateroot: str
    checksum: str
    serial: int = 0
    base_checksum: str = ""
    from_checksum: str = ""  # what would have booted next before it
    version: str = ""
    refspec: str = ""
    staged: bool = False
    changes: tuple[PackageChange, ...] = ()

    @property
    def id(self) -> str:
        """The deployment it made, as status names it."""
        return f"{self.stateroot}-{self.checksum}.{self.serial}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """A record, and what became of its deployment: `booted`, `staged`, `pending`, `rollback`, `deployed` or `gone`."""

    record: Record
    state: str
