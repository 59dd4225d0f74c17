"""Every path apt-ostree touches below a sysroot, as properties of one value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

EXTENSION = "extensions/apt-ostree"


@dataclass(frozen=True, slots=True)
class Store:
    """Our own corner of an ostree repo: caches and work dirs, on the repo's file system so that hard links work."""

    repo: Path

    @property
    def root(self) -> Path:
        return self.repo / EXTENSION

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def debs(self) -> Path:
        """Packages by sha256: `<sha256>.deb`."""
        return self.root / "debs"

    @property
    def work(self) -> Path:
        """Private work dirs; whatever is here while nobody holds the lock is left over and may go."""
        return self.root / "work"

    @property
    def staged(self) -> Path:
        """The record of what is staged (staged.py)."""
        return self.root / "staged.json"

    @property
    def boot_entries(self) -> Path:
        """What booted when the staged deployment was made (bootguard.py)."""
        return self.root / "boot-entries.json"

    @property
    def retained(self) -> Path:
        """Which deployments are pinned by us for the next finalisation (retention.py)."""
        return self.root / "retained.json"

    @property
    def staged_initrds(self) -> Path:
        """Copies of the small initrds of what is staged."""
        return self.root / "staged-initrds"

    @property
    def live(self) -> Path:
        """The record of what is live (live/record.py)."""
        return self.root / "live.json"

    @property
    def finalize_failure(self) -> Path:
        """Why the last finalisation failed, kept from libostree's own stamp."""
        return self.root / "finalize-failure.json"

    @property
    def apt(self) -> Path:
        """Private apt state: lists, generated sources."""
        return self.root / "apt"


@dataclass(frozen=True, slots=True)
class Paths:
    """Paths of one sysroot: `/` for the running system, or where an offline sysroot is mounted."""

    sysroot: Path

    @property
    def physical(self) -> Path:
        """The physical root: on a booted system it is mounted at /sysroot (ostree-prepare-root(1))."""
        return self.sysroot / "sysroot" if self.is_running_root else self.sysroot

    @property
    def is_running_root(self) -> bool:
        return self.sysroot == Path("/")

    @property
    def ostree(self) -> Path:
        return self.sysroot / "ostree"

    @property
    def repo(self) -> Path:
        return self.ostree / "repo"

    @property
    def deploy(self) -> Path:
        return self.ostree / "deploy"

    @property
    def boot(self) -> Path:
        return self.sysroot / "boot"

    @property
    def loader_entries(self) -> Path:
        return self.boot / "loader" / "entries"

    @property
    def booted_marker(self) -> Path:
        return self.sysroot / "run/ostree-booted"

    @property
    def staged(self) -> Path:
        """Written by `ostree admin deploy --stage` (only on a running system)."""
        return self.sysroot / "run/ostree/staged-deployment"

    @property
    def staged_lock(self) -> Path:
        """While this is there, a shutdown finalises no staged deployment (ostree_sysroot_finalize_staged)."""
        return self.staged.with_name("staged-deployment-locked")

    @property
    def finalize_failure(self) -> Path:
        """libostree's note that finalising failed: the error as plain text, until ostree-boot-complete.service ran."""
        return self.boot / "ostree/finalize-failure.stamp"

    @property
    def boot_id(self) -> str:
        """The kernel's name for this boot (random(4)); empty where there is no /proc."""
        try:
            return (self.sysroot / "proc/sys/kernel/random/boot_id").read_text().strip()
        except OSError:
            return ""

    @property
    def _records(self) -> Path:
        """Notes for status: where the running system may be written to, else our corner of the repo."""
        return self.sysroot / "var/lib/apt-ostree" if self.is_running_root else self.store.root

    @property
    def update(self) -> Path:
        """What the last download or automatic run found: `cached-update` of status."""
        return self._records / "cached-update.json"

    @property
    def automatic(self) -> Path:
        """How the last automatic update went."""
        return self._records / "automatic.json"

    @property
    def checked_update(self) -> Path:
        """What `upgrade --check` found; not in the sysroot, which a check leaves as it is."""
        return self.sysroot / "run/apt-ostree/cached-update.json"

    @property
    def cmdline(self) -> Path:
        return self.sysroot / "proc/cmdline"

    @property
    def store(self) -> Store:
        return Store(self.repo)

    @property
    def log(self) -> Path:
        """Logs of every run: the sysroot's var/log on a running system, else the stateroot-independent one."""
        return self.sysroot / "var/log/apt-ostree"
