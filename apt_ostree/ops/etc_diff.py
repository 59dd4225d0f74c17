"""etc-diff: what was changed in /etc, and where new defaults disagree with that. Reads only."""

from __future__ import annotations

from dataclasses import replace

from apt_ostree import etcdiff, host, sysroot
from apt_ostree.errors import AptOstreeError
from apt_ostree.findings import EtcReport
from apt_ostree.model import Deployment
from apt_ostree.ops import db
from apt_ostree.paths import Paths


def report(paths: Paths, name: str = "", *, only_conflicts: bool = False) -> EtcReport:
    """Local changes of a deployment's /etc: of the booted one, else of the first; `name` as `status` shows it.

    Raises NotOstreeError, NotRootError, AptOstreeError when there is no such deployment or it has no /etc yet.
    """
    host.require_ostree(paths)
    system = sysroot.load(paths)
    deployment = _named(system, name)
    if deployment.staged:
        raise AptOstreeError(
            f"deployment {deployment.id} is staged: its /etc is made at shutdown",
            hint="look at the one that is carried over: apt-ostree etc-diff booted",
            code="staged",
        )
    reading = etcdiff.Reading()
    changes = reading.changes(deployment.path / etcdiff.DEFAULTS, deployment.path / "etc")
    found, against = conflicts(system)
    mine = found if deployment in (against or ()) else ()
    marked = [replace(change, conflict=change.path in mine) for change in changes]
    return EtcReport(
        deployment=deployment.id,
        against=against[1].id if against and deployment in against else "",
        changes=tuple(change for change in marked if change.conflict or not only_conflicts),
        problems=tuple(f"cannot read {path}: only root may" for path in sorted(set(reading.unreadable))),
    )


def _named(system: sysroot.Sysroot, name: str) -> Deployment:
    found = system.booted or next(iter(system.deployments), None)
    if name:
        found = next((d for d in system.deployments if name == d.id), None) or db.named(system.deployments, name)
    if found is None:
        raise AptOstreeError(
            f"there is no deployment '{name}'" if name else "there is no deployment",
            hint="see what there is: apt-ostree status -v",
            code="no-deployment",
        )
    return found


def conflicts(system: sysroot.Sysroot) -> tuple[tuple[str, ...], tuple[Deployment, Deployment] | None]:
    """Conflicts of the next boot, and the two deployments they are between: /etc carried over, new defaults.

    On a running system that is the booted one and what boots next; offline, /etc was carried over from the second
    of the stateroot when the first was made.
    """
    new = system.first(system.default_stateroot)
    siblings = [d for d in system.deployments if new is not None and d.osname == new.osname]
    merge = system.booted or (siblings[1] if len(siblings) > 1 else None)
    if new is None or merge is None or merge is new:
        return (), None
    pair = (merge, new)
    return (etcdiff.conflicts(merge.path, new.path, staged=new.staged) if _differ(pair) else ()), pair


def _differ(pair: tuple[Deployment, Deployment]) -> bool:
    return pair[0].checksum != pair[1].checksum
