"""status: what there is, what boots next, who is busy. Reads only and needs no root."""

from __future__ import annotations

import contextlib
from pathlib import Path

from apt_ostree import commits, health, host, lock, pkgdb, staged, sysroot
from apt_ostree.errors import AptOstreeError
from apt_ostree.live import record as live
from apt_ostree.model import PackageChange
from apt_ostree.ops import bases, etc_diff
from apt_ostree.paths import Paths
from apt_ostree.states import StatusReport
from apt_ostree.trees import Trees, object_path


def report(paths: Paths, *, booted_only: bool = False, disk: bool = False) -> StatusReport:
    """Gather a status; `disk`: also what each deployment takes, which costs a moment.

    Raises NotOstreeError, NotRootError; a broken origin or commit is told in the report.
    """
    host.require_ostree(paths)
    system = sysroot.load(paths)
    shown = tuple(d for d in system.deployments if d.booted) if booted_only else system.deployments
    alive = live.current(paths, system.booted)
    automatic, problem = bases.automatic(system)
    return StatusReport(
        deployments=shown,
        transaction=lock.owner(paths.store),
        changes=() if booted_only else _changes(system),
        last_failure=staged.failure(paths),
        etc_conflicts=() if booted_only else etc_diff.conflicts(system)[0],
        disk=usage(system) if disk else {},
        booted_only=booted_only,
        live_replaced=alive.replaced,
        live_inprogress=alive.inprogress,
        live_changes=_live_changes(system, alive.replaced),
        health={d.id: health.read(paths, d.osname).of(d) for d in shown},
        update=bases.update(system),
        automatic=automatic,
        bases=bases.states(system, shown),
        problems=(*system.problems, problem) if problem else system.problems,
    )


def _live_changes(system: sysroot.Sysroot, replaced: str) -> tuple[PackageChange, ...]:
    if system.booted is None or not replaced:
        return ()
    repo = system.paths.repo
    with contextlib.suppress(AptOstreeError):
        return pkgdb.diff(pkgdb.packages(repo, system.booted.checksum), pkgdb.packages(repo, replaced))
    return ()


def usage(system: sysroot.Sysroot) -> dict[str, int]:
    """Bytes only one deployment takes, by its id; deployments whose commit cannot be read are left out.

    That is the size of the objects of its tree that lie at a path where no other deployment has the same object,
    each object counted once; its own /etc and its kernel in /boot are not in it. Directories that two trees share
    are not looked into, so this costs what differs: 20 ms for a layer, half a second for another Debian.
    """
    repo = system.paths.repo
    trees = Trees(repo)
    roots: dict[str, str] = {}
    for deployment in system.deployments:
        with contextlib.suppress(AptOstreeError):
            roots[deployment.id] = commits.load(repo, deployment.checksum).root
    found = {}
    for name, root in roots.items():
        with contextlib.suppress(AptOstreeError):
            others = [other for key, other in roots.items() if key != name]
            found[name] = sum(_size(repo, checksum) for checksum in set(trees.own(root, others)))
    return found


def _size(repo: Path, checksum: str) -> int:
    try:
        return object_path(repo, checksum, "file").lstat().st_size
    except OSError:
        return 0


def _changes(system: sysroot.Sysroot) -> tuple[PackageChange, ...]:
    """Packages of the next boot against the booted deployment; none where a commit does not list its packages."""
    booted, following = system.booted, system.deployments[:1]
    if booted is None or following[0].checksum == booted.checksum:
        return ()
    repo = system.paths.repo
    try:
        return pkgdb.diff(pkgdb.packages(repo, booted.checksum), pkgdb.packages(repo, following[0].checksum))
    except AptOstreeError:
        return ()  # a tree that was not made by us: there is nothing to compare, and status must not fail of it
