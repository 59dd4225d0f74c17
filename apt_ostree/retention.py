"""How many rollback deployments are kept: `RollbackDeployments` of apt-ostree.conf. Pinned ones stay beside them.

Offline every deploy keeps all (deploy.py), and what is too many is undeployed afterwards. A staged deployment is
finalised by libostree, which then keeps the booted one and drops the others (seen with 2025.2; `ostree admin deploy`
has options to retain more, but none of them is for what is staged). What is to stay is pinned for that, and noted in
`Store.retained`: reading the sysroot hides such a pin (sysroot.py), it is none of the administrator's.
"""

from __future__ import annotations

from apt_ostree import bootguard, records
from apt_ostree.deploy import stages
from apt_ostree.model import Deployment
from apt_ostree.paths import Paths
from apt_ostree.sysroot import Sysroot, load, retained
from apt_ostree.tools import ostree


def settle(paths: Paths, stateroot: str, keep: int) -> None:
    """After a deployment was made: drop what is too many, or let it go at shutdown. Raises AptOstreeError, OSError."""
    system = load(paths)
    if stages(paths, system):
        _hold(paths, system, stateroot, keep)
    else:
        _drop(paths, system, stateroot, keep)


def _drop(paths: Paths, system: Sysroot, stateroot: str, keep: int) -> None:
    """The last first: indexes stay true. One at a time, so that each write of boot entries is looked at."""
    mine = [deployment for deployment in system.deployments if deployment.osname == stateroot]
    for deployment in reversed(mine[1 + keep :]):
        if not deployment.origin.pinned:
            with bootguard.guarded(paths):
                ostree.admin_undeploy(paths.sysroot, deployment.index)


def _hold(paths: Paths, system: Sysroot, stateroot: str, keep: int) -> None:
    booted = system.booted
    if booted is None or booted.osname != stateroot or not system.deployments[0].staged:
        return
    older = [deployment for deployment in system.deployments[booted.index + 1 :] if deployment.osname == stateroot]
    wanted = [deployment for deployment in older if not deployment.origin.pinned][: keep - 1]
    _pin(paths, system.deployments, {deployment.id for deployment in wanted})


def _pin(paths: Paths, deployments: tuple[Deployment, ...], wanted: set[str]) -> None:
    """The note first and last: at no time is there a pin of ours that is not noted."""
    before = retained(paths)
    if not wanted and not before:
        return
    records.write(paths.store.retained, {"pinned": sorted(before | wanted)})
    for deployment in deployments:
        if deployment.id in before | wanted:
            ostree.admin_pin(paths.sysroot, deployment.index, unpin=deployment.id not in wanted)
    records.write(paths.store.retained, {"pinned": sorted(wanted)})


def forget(paths: Paths, deployments: tuple[Deployment, ...]) -> None:
    """The administrator pins or unpins these: what was noted of them no longer counts. Raises OSError."""
    before = retained(paths)
    if left := before - {deployment.id for deployment in deployments}:
        records.write(paths.store.retained, {"pinned": sorted(left)})
    else:
        paths.store.retained.unlink(missing_ok=True)
