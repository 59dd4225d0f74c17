"""cleanup: drop the pending or rollback deployment, package lists, cached packages and whatever nothing refers to."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from apt_ostree import bootguard, guarding, history, host, preflight, pull, retention, staged, sysroot
from apt_ostree.context import Context
from apt_ostree.deploy import release_bases
from apt_ostree.errors import UsageError
from apt_ostree.model import Deployment, Result
from apt_ostree.paths import Paths, Store
from apt_ostree.report import phase
from apt_ostree.tools import coreutils, ostree


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
        return _would(context, request)
    before, stale = _used(context.paths), _stale(context.paths.store)
    with guarding.guarded(context, context.paths.store, None) as guard:
        commits = _commits(context.paths.repo)
        with phase(guard.context.reporter, "cleanup", "Cleaning up"):
            dropped = (_settle(context) if request.base else 0) + _drop_deployments(context, request)
            files = _drop_metadata(context) if request.repomd else 0
            system = sysroot.load(context.paths)
            staged.follow(context.paths, next(iter(system.deployments), None))
            release_bases(context.paths.repo, system.deployments)
            pull.release(context.paths.repo, system.deployments, unused=request.base)
            ostree.admin_cleanup(context.paths.sysroot)
        freed = max(0, before - _used(context.paths))
        return Result(
            command=context.options.command,
            changed=bool(dropped or files or stale) or _commits(context.paths.repo) < commits,
            disk_bytes=-freed,
            duration=guard.durations.seconds,
            message=f"Deployments removed: {dropped}. Freed: {preflight.megabytes(freed)}.",
        )


def _would(context: Context, request: Request) -> Result:
    doomed = _doomed(sysroot.load(context.paths), context.options.stateroot, request)
    files = len(_metadata(context)) if request.repomd else 0
    names = ", ".join(deployment.id for deployment in doomed) or "no deployment"
    return Result(
        command=context.options.command,
        changed=False,
        would_change=bool(doomed or files),
        message=f"Would drop {names}{f' and {files} cached files' if files else ''}.",
    )


def _doomed(system: sysroot.Sysroot, stateroot: str, request: Request) -> list[Deployment]:
    """Last first, so that indexes stay true while they go.

    Pending is what would boot before the booted one, rollback what comes after it (rpm-ostree-cleanup). Where
    nothing is booted, what boots next takes its place.
    """
    name = stateroot or system.default_stateroot
    booted = system.booted
    middle = booted if booted is not None and booted.osname == name else system.first(name)
    if middle is None:
        return []
    doomed = [
        deployment
        for deployment in system.deployments
        if deployment.osname == name
        and not deployment.origin.pinned
        and (
            (request.pending and deployment.index < middle.index)
            or (request.rollback and deployment.index > middle.index)
        )
    ]
    return doomed[::-1]


def _drop_deployments(context: Context, request: Request) -> int:
    doomed = _doomed(sysroot.load(context.paths), context.options.stateroot, request)
    for deployment in doomed:
        with bootguard.guarded(context.paths):
            ostree.admin_undeploy(context.paths.sysroot, deployment.index)
    return len(doomed)


def _settle(context: Context) -> int:
    """What a run that died after its deployment had still to do; returns how many deployments went."""
    paths = context.paths
    before = sysroot.load(paths).deployments
    left = history.unfinished(paths.store, before)
    if left is not None and left.keep is not None:
        retention.settle(paths, left.record.stateroot, left.keep)
    history.begun(paths.store).unlink(missing_ok=True)
    return len(before) - len(sysroot.load(paths).deployments)


def _drop_metadata(context: Context) -> int:
    """Lists and cached .debs go; returns how many files those were."""
    doomed = _metadata(context)
    for path in doomed:
        path.unlink()
    shutil.rmtree(context.paths.store.apt, ignore_errors=True)
    return len(doomed)


def _metadata(context: Context) -> list[Path]:
    """Files of lists and packages; local packages that a deployment asks for are nowhere else, so they stay."""
    store: Store = context.paths.store
    kept = {
        f"{local.sha256}.deb"
        for deployment in sysroot.load(context.paths).deployments
        for local in deployment.origin.local_debs
    }
    debs = [path for path in store.debs.iterdir() if path.name not in kept] if store.debs.is_dir() else []
    lists = [path for path in store.apt.rglob("*") if not path.is_dir()] if store.apt.is_dir() else []
    return [*lists, *debs]


def _used(paths: Paths) -> int:
    """Bytes of repo, deployments and boot files. Not what the file system says to be free: others write there too."""
    places = (paths.repo, *paths.deploy.glob("*/deploy"), paths.boot / "ostree")
    return coreutils.disk_usage(*(path for path in places if path.is_dir()))


def _stale(store: Store) -> bool:
    """Work dirs of a run that died; `guarded` removes them before anything else."""
    return store.work.is_dir() and any(store.work.iterdir())


def _commits(repo: Path) -> int:
    return sum(1 for _path in repo.glob("objects/*/*.commit"))
