"""The nouns of apt-ostree: frozen dataclasses and enumerations. Standard library only, no I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class TransactionKind(StrEnum):
    """What a transaction does to the stateroot."""

    DEPLOY = "deploy"
    ROLLBACK = "rollback"
    PKG_CHANGE = "pkg-change"
    REBASE = "rebase"
    UPGRADE = "upgrade"
    KARGS = "kargs"
    INITRAMFS = "initramfs"


class Unlocked(StrEnum):
    """States of `ostree admin unlock` (ostree-admin-unlock(1))."""

    NONE = "none"
    DEVELOPMENT = "development"
    HOTFIX = "hotfix"
    TRANSIENT = "transient"


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One installed or installable binary package. `size` is in bytes (the archive's, or installed for pkglists)."""

    name: str
    version: str
    arch: str
    source: str = ""
    size: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """Identity within one system: multi-arch packages may be there once per architecture."""
        return (self.name, self.arch)

    @property
    def nevra(self) -> str:
        """name_version_arch, the id status.md and the origin file use."""
        return f"{self.name}_{self.version}_{self.arch}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageRequest:
    """What the user asked of the archive: `name`, `name=version`, `name/suite`, `name:arch`."""

    name: str
    arch: str = ""
    version: str = ""
    suite: str = ""

    def __str__(self) -> str:
        arch = f":{self.arch}" if self.arch else ""
        version = f"={self.version}" if self.version else ""
        suite = f"/{self.suite}" if self.suite else ""
        return f"{self.name}{arch}{version}{suite}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalPackage:
    """A .deb the user brought: kept by content in our own store, named in the origin file."""

    sha256: str
    package: Package
    path: Path | None = None  # where the file was found; None once it lives only in the store

    @property
    def nevra(self) -> str:
        return self.package.nevra

    def __str__(self) -> str:
        return f"{self.sha256}:{self.nevra}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Intent of one deployment. `text` is the file as read, so that unknown groups and keys survive."""

    refspec: str = ""
    requested: tuple[PackageRequest, ...] = ()
    requested_local: tuple[LocalPackage, ...] = ()
    override_commit: str = ""
    container_image_reference: str = ""
    image_digest: str = ""  # of the manifest the base was made from
    overrides_remove: tuple[str, ...] = ()
    overrides_replace: tuple[PackageRequest, ...] = ()  # name=version; name/suite only until it is resolved
    overrides_replace_local: tuple[LocalPackage, ...] = ()
    overrides_base: tuple[PackageRequest, ...] = ()  # name=version: what the base had when it was replaced
    regenerate_initramfs: bool = False
    initramfs_args: tuple[str, ...] = ()
    initramfs_etc: tuple[str, ...] = ()
    recommends: bool = True
    pinned: bool = False
    hold_base: bool = False  # `override_commit` was asked for by name in a rebase: upgrade does not move it
    base_repo: str = ""  # path of the repo the branch is pulled from; empty: the refspec's remote, or our repo
    skipped: tuple[PackageRequest, ...] = ()  # requests an upgrade left out (--skip-layer); the next one tries again
    text: str = field(default="", compare=False, repr=False)

    @property
    def local_debs(self) -> tuple[LocalPackage, ...]:
        """Every .deb of the user this origin needs: they are nowhere but in our store."""
        return (*self.requested_local, *self.overrides_replace_local)

    @property
    def layered(self) -> bool:
        """True when a deployment of this origin needs a tree of its own."""
        return self.packaged or self.regenerate_initramfs

    @property
    def packaged(self) -> bool:
        """True when packages are asked for or overridden, so that apt has to be asked."""
        return bool(
            self.requested
            or self.requested_local
            or self.overrides_remove
            or self.overrides_replace
            or self.overrides_replace_local
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerMeta:
    """What a layered commit says of itself (`apt-ostree.*` metadata keys)."""

    base: str
    packages: tuple[Package, ...] = ()  # all that were added: requested and pulled in
    removals: tuple[Package, ...] = ()
    replacements: tuple[tuple[Package, Package], ...] = ()  # (base's, ours)
    state_digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One OSTree commit as the repo describes it. `timestamp` is seconds since the epoch."""

    checksum: str
    timestamp: int = 0
    version: str = ""
    parent: str = ""
    subject: str = ""
    layer: LayerMeta | None = None  # None: a base commit
    metadata: dict[str, object] = field(default_factory=dict, compare=False, repr=False)  # without the long lists


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One deployment as it is on disk."""

    index: int  # position in boot order; 0 boots next
    osname: str
    checksum: str
    serial: int
    path: Path
    origin: Origin
    origin_error: str = ""  # why the origin file could not be read; origin is then empty
    commit: Commit
    base_commit: Commit | None = None  # set when layered
    booted: bool = False
    staged: bool = False
    pending: bool = False
    rollback: bool = False
    unlocked: Unlocked = Unlocked.NONE
    finalization_locked: bool = False
    kargs: tuple[str, ...] = ()
    overlays: tuple[str, ...] = ()  # sha256 of the small initrds beside the first (ostree-admin-deploy(1))

    @property
    def id(self) -> str:
        return f"{self.osname}-{self.checksum}.{self.serial}"

    @property
    def base_checksum(self) -> str:
        """Checksum of the commit the tree was made from: itself when nothing is layered."""
        return self.commit.layer.base if self.commit.layer else self.checksum


class DiffKind(StrEnum):
    ADDED = "added"
    REMOVED = "removed"
    UPGRADED = "upgraded"
    DOWNGRADED = "downgraded"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageChange:
    """One line of a package diff. `repo` and `security` are known only for packages that come from an archive."""

    kind: DiffKind
    name: str
    arch: str
    old: Package | None = None
    new: Package | None = None
    repo: str = ""
    security: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPackage:
    """A package of a resolution, with where it comes from."""

    package: Package
    sha256: str = ""
    uri: str = ""
    filename: str = ""
    download_size: int = 0  # bytes
    installed_size: int = 0  # bytes
    repo: str = ""  # "Debian:13.7/stable"
    local: LocalPackage | None = None
    requested: bool = False
    replaces: Package | None = None  # the base's package it stands for, when that is overridden

    @property
    def security(self) -> bool:
        return "-Security:" in self.repo or "-security" in self.repo


class StepKind(StrEnum):
    UNPACK = "unpack"
    CONFIGURE = "configure"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One dpkg call of the order apt worked out (Pre-Depends make several rounds)."""

    kind: StepKind
    keys: tuple[tuple[str, str], ...]  # (name, arch)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What apt would do to the base for a set of requests: only what is overridden changes in the base."""

    packages: tuple[PlannedPackage, ...] = ()
    removals: tuple[Package, ...] = ()  # of the base
    steps: tuple[Step, ...] = ()
    inactive: tuple[PackageRequest, ...] = ()  # requested, but the base provides them
    sources: tuple[str, ...] = ()  # sha256 of the Release files the answer rests on
    foreign: tuple[str, ...] = ()  # architectures the base does not have yet and a request needs

    @property
    def download_size(self) -> int:
        return sum(p.download_size for p in self.packages if p.local is None)

    @property
    def installed_size(self) -> int:
        return sum(p.installed_size for p in self.packages)

    @property
    def added(self) -> tuple[Package, ...]:
        """What the base does not have in any version."""
        return tuple(p.package for p in self.packages if p.replaces is None)

    @property
    def replacements(self) -> tuple[tuple[Package, Package], ...]:
        """(base's, ours) of every package that is exchanged."""
        return tuple((p.replaces, p.package) for p in self.packages if p.replaces is not None)

    @property
    def keeps_base(self) -> bool:
        """True when the base itself is the answer."""
        return not self.packages and not self.removals


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """A base commit that has to be brought into the repo, and from where."""

    checksum: str
    branch: str = ""  # the ref that moves to it; empty: none
    remote: str = ""  # of the repo's remotes
    path: str = ""  # or a repo on this machine
    image: str = ""  # or a container image: its reference; `path` is then where it was looked at
    digest: str = ""  # of that image's manifest
    root: str = ""  # the tree whose policy and registries count for it
    size: int | None = None  # bytes the repo lacks of it, where the commit says


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """What a pull brought, in bytes. `saved`: how much less came than was written, thanks to a static delta."""

    transferred: int = 0
    static_delta: bool = False
    saved: int = 0
    image: str = ""  # the image it was, by its digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What an upgrade would deploy, or has downloaded: `cached-update` of status. Times in seconds since the epoch."""

    osname: str
    refspec: str
    checksum: str  # of the base
    version: str = ""
    timestamp: int = 0
    new_base: bool = False
    start: str  # checksum of the deployment this was worked out for
    changes: tuple[PackageChange, ...] = ()
    downloaded: bool = False
    checked: float = 0.0

    @property
    def security(self) -> int:
        """How many of the packages come from a security archive."""
        return sum(change.security for change in self.changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything a transaction will do, complete and free of effects."""

    kind: TransactionKind
    command: str  # what the user typed, for history and logs
    stateroot: str
    origin: Origin  # of the new deployment
    base: Commit
    merge: Deployment | None  # whose /etc is carried; None for the first deployment
    former_base: Commit | None = None  # of the deployment that would boot next
    resolution: Resolution | None = None  # None: the base commit itself is deployed
    target: str = ""  # checksum that is deployed as it is (deploy of base, rollback); empty when layering
    changes: tuple[PackageChange, ...] = ()  # against the deployment that would boot next
    warnings: tuple[str, ...] = ()
    no_change: str = ""  # why nothing is to be done; empty when there is something to do
    state_digest: str = ""
    kargs: tuple[str, ...] = ()  # of the new deployment, without ostree=
    pull: Pull | None = None  # None: the base is in the repo


@dataclass(frozen=True, slots=True, kw_only=True)
class KargsChange:
    """Kernel arguments before and after, without ostree=."""

    old: tuple[str, ...]
    new: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeCommit:
    """A commit of a treefile: of the tree itself (`layer` is empty) or of a layer. No `checksum`: it would be made."""

    ref: str
    layer: str = ""
    checksum: str = ""
    parent: str = ""
    packages: int = 0  # how many its tree has
    fresh: bool = False  # false: it was there already


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a verb did. `duration` is seconds by phase, `*_bytes` are bytes."""

    command: str
    changed: bool
    would_change: bool = False  # nothing was changed, but only because a dry run or a mere download was asked for
    deployment: Deployment | None = None
    changes: tuple[PackageChange, ...] = ()
    kargs: KargsChange | None = None  # for the verb that edits them
    download_bytes: int = 0
    disk_bytes: int = 0
    duration: dict[str, float] = field(default_factory=dict)
    reboot_needed: bool = False
    warnings: tuple[str, ...] = ()
    message: str = ""  # the sentence people see at the end
    commit: str = ""  # for compose verbs: the checksum that was made, the last when there are several
    commits: tuple[MadeCommit, ...] = ()  # for compose tree: the tree's commit and its layers', in order
    restart: tuple[str, ...] = ()  # services that still run what apply-live replaced
    start: tuple[str, ...] = ()  # service units that are new and that nobody started
    base: Commit | None = None  # what the deployment was, or would be, made from
    former_base: Commit | None = None  # of the deployment that booted next before
    pulled: Pulled | None = None  # what it took to have the base here
    update: Update | None = None  # for upgrade: what there is
    brief: bool = False  # people are shown numbers of packages, not their names
