"""The nouns of publishing: signatures, summaries and static deltas of a repo. Standard library only, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

CONTAINER_REFS = "ostree/container/"  # where imported images and their layers are kept, as ostree-ext keeps them


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedCommit:
    """What `repo sign` did to one commit: who signs it afterwards, and whether that is new."""

    revision: str
    checksum: str
    signed_by: tuple[str, ...] = ()  # fingerprints of the keys that were asked for
    fresh: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """The answer of `repo sign`."""

    command: str
    commits: tuple[SignedCommit, ...]
    dry_run: bool = False

    @property
    def pending(self) -> bool:
        """True when a commit was, or with a dry run would be, signed."""
        return any(commit.fresh for commit in self.commits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A summary file: branch -> commit, delta -> digest of its superblock, issuers of its signatures."""

    branches: Mapping[str, str] = field(default_factory=dict)
    deltas: Mapping[str, str] = field(default_factory=dict)
    modified: int = 0  # seconds since the epoch, 0 when there is none
    signed_by: tuple[str, ...] = ()  # key ids, 16 hex digits each

    @property
    def warnings(self) -> tuple[str, ...]:
        """What its publisher may not want to be read: libostree puts every ref into a summary."""
        count = sum(name.startswith(CONTAINER_REFS) for name in self.branches)
        if not count:
            return ()
        return (
            f"{count} of the refs keep imported images ({CONTAINER_REFS}...), and tell where those came from: "
            "import into a repo of its own, and bring branches here with ostree pull-local",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Summarised:
    """The answer of `repo summary`: the summary as it is afterwards."""

    command: str
    summary: Summary
    changed: bool = False
    would_change: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of a delta. Sizes in bytes; an inline part travels inside the superblock."""

    size: int
    uncompressed: int
    objects: int
    inline: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """A static delta. `source` is the commit it starts from, empty for one from nothing; sizes in bytes.

    `plain` is what a client that has `source` pulls without the delta, None where the repo does not say.
    """

    source: str
    target: str
    superblock: int = 0
    timestamp: int = 0
    parts: tuple[Part, ...] = ()
    fallbacks: int = 0  # big objects that are fetched as they are
    fallback_size: int = 0
    plain: int | None = None
    fresh: bool = False

    @property
    def name(self) -> str:
        """As `ostree static-delta list` names it."""
        return f"{self.source}-{self.target}" if self.source else self.target

    @property
    def inline(self) -> bool:
        return any(part.inline for part in self.parts)

    @property
    def size(self) -> int:
        """Everything a client downloads for it."""
        return self.superblock + self.fallback_size + sum(part.size for part in self.parts if not part.inline)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The answer of `delta show`: deltas, and of those that cannot be read the name and why."""

    deltas: tuple[Delta, ...]
    damaged: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """The answer of `delta generate`."""

    command: str
    branch: str
    deltas: tuple[Delta, ...]  # of a dry run: without sizes
    changed: bool = False
    would_change: bool = False
    summary: Summary | None = None  # None: the repo has none, and no key was given to make one
    warnings: tuple[str, ...] = ()
    duration: Mapping[str, float] = field(default_factory=dict)
