"""cleanup: drop the pending or rollback deployment, package lists, cached packages and whatever nothing refers to."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from apt_ostree import host, preflight, staged, sysroot, transaction
from apt_ostree.deploy import release_bases
from apt_ostree.errors import UsageError
from apt_ostree.model import Deployment, Result
from apt_ostree.paths import Store
from apt_ostree.planning import Context
from apt_ostree.report import phase
from apt_ostree.tools import ostree


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What may go: `base` stale objects and work dirs, `pending`, `rollback` deployments, `repomd` lists and .debs."""

    base: bool = False
    pending: bool = False
    rollback: bool = False
    repomd: bool = False


def run(context: Context, request: Request) -> Result:
    """Clean up and say what was freed. Pinned and booted deployments always stay. Raises UsageError, AptOstreeError."""
    if not (request.base or request.pending or request.rollback or request.repomd):
        raise UsageError(
            "nothing was named to clean up", hint="apt-ostree cleanup --base --pending --rollback --repomd"
        )
    host.require_ostree(context.paths)
    if context.options.dry_run:
        doomed = _doomed(sysroot.load(context.paths), context.options.stateroot, request)
        names = ", ".join(deployment.id for deployment in doomed) or "no deployment"
        return Result(command=context.options.command, changed=False, message=f"Would drop {names}.")
    with transaction.guarded(context, context.paths.store, None) as guard:
        before = preflight.free_bytes(context.paths.repo)
        with phase(guard.context.reporter, "cleanup", "Cleaning up"):
            dropped = _drop_deployments(context, request)
            if request.repomd:
                _drop_metadata(context)
            system = sysroot.load(context.paths)
            staged.follow(context.paths, next(iter(system.deployments), None))
            release_bases(context.paths.repo, system.deployments)
            ostree.admin_cleanup(context.paths.sysroot)
        freed = max(0, preflight.free_bytes(context.paths.repo) - before)
        return Result(
            command=context.options.command,
            changed=bool(dropped) or freed > 0,
            disk_bytes=-freed,
            duration=guard.durations.seconds,
            message=f"Deployments removed: {dropped}. Freed: {preflight.megabytes(freed)}.",
        )


def _doomed(system: sysroot.Sysroot, stateroot: str, request: Request) -> list[Deployment]:
    """Last first, so that indexes stay true while they go."""
    doomed = [
        deployment
        for deployment in system.deployments
        if not deployment.booted
        and not deployment.origin.pinned
        and (
            (request.pending and deployment.pending)
            or (request.rollback and _is_way_back(system, stateroot, deployment))
        )
    ]
    return doomed[::-1]


def _is_way_back(system: sysroot.Sysroot, stateroot: str, deployment: Deployment) -> bool:
    """The booted one has a rollback; of a system that does not run it is what comes after the next boot."""
    if system.booted is not None:
        return deployment.rollback
    first = system.first(stateroot or system.default_stateroot)
    return first is not None and deployment.osname == first.osname and deployment.index > first.index


def _drop_deployments(context: Context, request: Request) -> int:
    doomed = _doomed(sysroot.load(context.paths), context.options.stateroot, request)
    for deployment in doomed:
        ostree.admin_undeploy(context.paths.sysroot, deployment.index)
    return len(doomed)


def _drop_metadata(context: Context) -> None:
    """Lists and cached .debs go; local packages that a deployment asks for stay, they are nowhere else."""
    store: Store = context.paths.store
    shutil.rmtree(store.apt, ignore_errors=True)
    kept = {
        f"{local.sha256}.deb"
        for deployment in sysroot.load(context.paths).deployments
        for local in deployment.origin.local_debs
    }
    if store.debs.is_dir():
        for path in store.debs.iterdir():
            if path.name not in kept:
                path.unlink()
