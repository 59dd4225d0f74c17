"""status: what there is, what boots next, who is busy. Reads only and needs no root."""

from __future__ import annotations

from apt_ostree import host, lock, pkgdb, sysroot
from apt_ostree.errors import AptOstreeError
from apt_ostree.model import PackageChange, StatusReport
from apt_ostree.paths import Paths


def report(paths: Paths, *, booted_only: bool = False) -> StatusReport:
    """Gather a status. Raises NotOstreeError, NotRootError; a broken origin or commit is told in the report."""
    host.require_ostree(paths)
    system = sysroot.load(paths)
    shown = tuple(d for d in system.deployments if d.booted) if booted_only else system.deployments
    return StatusReport(
        deployments=shown,
        transaction=lock.owner(paths.store),
        changes=() if booted_only else _changes(system),
        last_failure=sysroot.last_failure(paths),
        problems=system.problems,
    )


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
