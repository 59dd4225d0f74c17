"""Is there room in /boot? libostree copies kernel and initramfs there when a deployment is made.

For a staged one that is at shutdown, when nobody looks. So it is asked before anything is staged.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from apt_ostree import preflight
from apt_ostree.model import Deployment
from apt_ostree.paths import Paths
from apt_ostree.tools import ostree

MODULES = "/usr/lib/modules"
_NAMES = ("vmlinuz", "initramfs.img", "devicetree")
_ENTRIES = 1 << 20  # bytes: boot entries and the menu, written beside the former ones


def check(paths: Paths, checksum: str, stateroot: str, deployed: Iterable[Deployment], *, overlays: int = 0) -> None:
    """Raise AptOstreeError (code `no-space`) unless what a commit boots from fits into /boot.

    A file system that /boot shares with the repo takes hard links; one that has the same kernel and initramfs
    already, for a deployment of the same stateroot, takes only the small initrds: `overlays` bytes.
    """
    if not paths.boot.is_dir():
        return
    needed = _ENTRIES
    if paths.boot.stat().st_dev != paths.repo.stat().st_dev:
        needed += overlays
        files = _files(paths.repo, checksum)
        others = (deployment for deployment in deployed if deployment.osname == stateroot and not deployment.staged)
        if not any(_has(paths.repo, deployment, files) for deployment in others):
            needed += sum(size for _, size in files.values())
    if (free := preflight.free_bytes(paths.boot)) < needed:
        raise preflight.full(paths.boot, needed, f"kernel and initramfs of {checksum[:12]}", free)


def _files(repo: Path, checksum: str) -> dict[str, tuple[str, int]]:
    """What a commit boots from: path below / -> object and size in bytes."""
    found = {}
    for folder in ostree.ls(repo, checksum, MODULES):
        for entry in ostree.ls(repo, checksum, folder.path) if folder.kind == "d" else ():
            if Path(entry.path).name in _NAMES and entry.kind == "-":
                found[entry.path] = (entry.checksum, entry.size)
    return found


def _has(repo: Path, deployment: Deployment, files: dict[str, tuple[str, int]]) -> bool:
    """True when a deployment's files are those very objects (the sysroot's repo is a bare one)."""
    for path, (checksum, _) in files.items():
        mine, theirs = deployment.path / path.lstrip("/"), repo / "objects" / checksum[:2] / f"{checksum[2:]}.file"
        if not mine.is_file() or not theirs.is_file() or not mine.samefile(theirs):
            return False
    return True
