"""The nouns of questions: what history, search, why, etc-diff and verify answer. Standard library only, no I/O."""

from __future__ import annotations

from dataclasses import dataclass

from apt_ostree.model import Commit, Package, PackageChange


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """How a package is in the deployment that boots next: `where` is empty, `base`, `layered` or `override`."""

    where: str = ""
    version: str = ""
    requested: bool = False  # the origin asks for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One package that a search found."""

    name: str
    summary: str
    presence: Presence


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A version of a package, and the source that has it."""

    version: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What `show` tells of one package. `candidate` is what `install` would take; `fields` are those of its record."""

    name: str
    candidate: str
    arch: str
    presence: Presence
    fields: dict[str, str]
    offers: tuple[Offer, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A package that has a file or provides a capability. `installed`: in the deployment that was asked."""

    name: str
    version: str = ""
    arch: str = ""
    provides: str = ""  # the path as its file list has it, or the capability with its version
    installed: bool = False
    diverts: bool = False  # it does not have the file, it moved another package's away


@dataclass(frozen=True, slots=True, kw_only=True)
class Provided:
    """What `provides` tells. Of a file, only installed packages are known: archives do not list theirs."""

    query: str
    is_file: bool
    providers: tuple[Provider, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One link of a chain: `package` has the `relation` (Depends, Recommends, ...) that `needs` satisfies."""

    package: str
    relation: str
    text: str  # the relation as the package has it: "libfoo1 (>= 2) | libfoo2"
    needs: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a package is in a deployment; `why` is `base`, `override`, `requested`, `dependency` or `layered`.

    Only a dependency has a chain, from a request to the package.
    """

    package: str
    version: str
    arch: str
    why: str
    request: str = ""  # what the origin asks for, as it was typed
    chain: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EtcEntry:
    """What there is at a path. `mode` has the type bits of stat(2)."""

    mode: int
    uid: int
    gid: int
    size: int = 0
    target: str = ""  # of a link


@dataclass(frozen=True, slots=True, kw_only=True)
class EtcChange:
    """A path of /etc that is not as the default: `kind` is `added`, `removed` or `modified`."""

    path: str  # absolute: /etc/...
    kind: str
    mine: EtcEntry | None = None
    default: EtcEntry | None = None
    differs: tuple[str, ...] = ()  # of what is modified: `type`, `mode`, `owner`, `content`, `target`
    conflict: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EtcReport:
    """What `etc-diff` tells of one deployment. `against` is the one whose new defaults the conflicts are with."""

    deployment: str
    against: str = ""
    changes: tuple[EtcChange, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageVersion:
    """What `db version` tells of one revision: equal digests are equal sets of packages."""

    revision: str
    commit: Commit
    count: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing `verify` looked at: `state` is `ok`, `failed`, or `skipped` when there was nothing to look at."""

    name: str
    state: str
    detail: str
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageList:
    """What `db list` tells of one revision."""

    revision: str
    checksum: str
    packages: tuple[Package, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageDiff:
    """What `db diff` tells. The names are what the user called the two sides."""

    from_name: str
    from_checksum: str
    to_name: str
    to_checksum: str
    changes: tuple[PackageChange, ...] = ()
