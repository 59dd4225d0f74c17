"""Model values for tests of how things look."""

from __future__ import annotations

from pathlib import Path

from apt_ostree import disk
from apt_ostree.model import (
    Commit,
    Deployment,
    DiffKind,
    LayerMeta,
    LocalPackage,
    Origin,
    Package,
    PackageChange,
    PackageRequest,
    Unlocked,
)
from apt_ostree.states import StatusReport, TransactionOwner

BASE = "b" * 64
LAYERED = "c" * 64
HTOP = Package(name="htop", version="3.4.1-5", arch="amd64", source="htop", size=1000)
LIBNL = Package(name="libnl-3-200", version="3.7.0-2", arch="amd64")
NANO = Package(name="nano", version="1:8.4-1", arch="amd64")
NEWER = Package(name="nano", version="1:8.5-1", arch="amd64")
LOCAL = LocalPackage(sha256="d" * 64, package=Package(name="mine", version="1.0", arch="all"))

CHANGES = (
    PackageChange(kind=DiffKind.ADDED, name="htop", arch="amd64", new=HTOP, repo="Debian:13.7/stable"),
    PackageChange(kind=DiffKind.REMOVED, name="libnl-3-200", arch="amd64", old=LIBNL),
    PackageChange(kind=DiffKind.UPGRADED, name="nano", arch="amd64", old=NANO, new=NEWER, security=True),
)


def base_commit() -> Commit:
    return Commit(checksum=BASE, timestamp=1700000000, version="13.7", metadata={"version": "13.7"})


def plain(*, index: int = 1, booted: bool = True) -> Deployment:
    """A deployment of the base itself."""
    return Deployment(
        index=index,
        osname="debian",
        checksum=BASE,
        serial=0,
        path=Path("/ostree/deploy/debian/deploy") / f"{BASE}.0",
        origin=Origin(refspec="debian/13", pinned=True),
        commit=base_commit(),
        booted=booted,
        kargs=("root=LABEL=root",),
    )


def layered() -> Deployment:
    """A staged deployment with everything in it."""
    layer = LayerMeta(
        base=BASE, packages=(HTOP, LIBNL), removals=(LIBNL,), replacements=((NANO, NEWER),), state_digest="e" * 64
    )
    requested = tuple(PackageRequest(name=name) for name in ("htop", "nano", *(f"package-{n}" for n in range(12))))
    return Deployment(
        index=0,
        osname="debian",
        checksum=LAYERED,
        serial=3,
        path=Path("/ostree/deploy/debian/deploy") / f"{LAYERED}.3",
        origin=Origin(
            refspec="debian/13",
            requested=requested,
            requested_local=(LOCAL,),
            overrides_remove=("libnl-3-200",),
            overrides_replace_local=(LocalPackage(sha256="f" * 64, package=NEWER),),
            regenerate_initramfs=True,
            initramfs_args=("--add", "lvm"),
            initramfs_etc=("/etc/crypttab",),
        ),
        commit=Commit(checksum=LAYERED, timestamp=1700000100, parent=BASE, layer=layer),
        base_commit=base_commit(),
        staged=True,
        pending=True,
        finalization_locked=True,
        unlocked=Unlocked.HOTFIX,
        kargs=("root=LABEL=root", 'note="a b"'),
    )


def report() -> StatusReport:
    """A pending deployment in front of the booted one, a busy system, and something wrong."""
    return StatusReport(
        deployments=(layered(), plain()),
        transaction=TransactionOwner(pid=42, command="apt-ostree install htop", phase="configure", since=0.0),
        changes=CHANGES,
        last_failure="No space left on device",
        problems=("the commit x is not in the repo",),
    )


def identity() -> disk.Identity:
    names = (f"00000000-0000-4000-8000-00000000000{number}" for number in range(5))
    return disk.Identity(
        disk=next(names), bios=next(names), efi=next(names), system=next(names), root=next(names), esp="1234abcd"
    )


def disk_image() -> disk.DiskImage:
    content = disk.Content(tree=300 * disk.MIB, kernel=40 * disk.MIB)
    return disk.DiskImage(
        command="compose image",
        changed=True,
        path="/images/disk.raw",
        format="raw",
        ref="debian/13",
        commit=BASE,
        stateroot="debian",
        kargs=("rw", "quiet"),
        login=("ssh-key",),
        layout=disk.lay_out(content, None, identity()),
        taken=350 * disk.MIB,
        duration={"deploy": 1.5},
    )
