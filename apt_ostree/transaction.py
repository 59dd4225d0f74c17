"""The heart, second half: transaction(sysroot, change of origin) -> new deployment. Done, or nothing changed.

lock -> plan -> pull -> preflight -> download -> layer -> deploy -> cleanup. Everything before the deploy happens in
private places; the deploy itself is ostree's atomic switch, and signals wait while it runs.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from apt_ostree import (
    bootguard,
    bootspace,
    etcdiff,
    fetch,
    health,
    history,
    host,
    initrd,
    preflight,
    pull,
    retention,
    staged,
    sysroot,
)
from apt_ostree.context import Context, Options
from apt_ostree.deploy import (
    Wanted,
    again,
    deploy_commit,
    hold_base,
    redeploys,
    release_bases,
    stages,
    switch_default,
)
from apt_ostree.errors import AptOstreeError, InterruptedByUser, UsageError
from apt_ostree.faults import point
from apt_ostree.guarding import Guard, guarded
from apt_ostree.layer import LayerJob, initramfs_of, layer, other_kernel
from apt_ostree.model import Plan, Pulled, Result
from apt_ostree.paths import Store
from apt_ostree.planning import MakeChange, Planned, make_plan
from apt_ostree.report import Durations, Warned, phase
from apt_ostree.resolving import apt_directory_for_dry_run
from apt_ostree.tools import ostree
from apt_ostree.tree import users

__all__ = ["Context", "Options", "execute"]

REBOOT = 'Changes queued for next boot. Run "systemctl reboot" to start a reboot'
LOCKED = "Staged and locked: no shutdown switches to it before apt-ostree finalize-deployment CHECKSUM"


def execute(context: Context, make_change: MakeChange) -> Result:
    """Run one transaction. Raises AptOstreeError, BusyError, ResolveError, VerificationError, InterruptedByUser."""
    host.require_ostree(context.paths)
    if context.options.lock_finalization and not context.paths.is_running_root:
        raise UsageError(
            "--lock-finalization is for the running system: below another root a deployment is made at once",
            hint="leave --lock-finalization out",
        )
    if context.options.dry_run:
        with apt_directory_for_dry_run(context) as directory:
            plan = make_plan(context, make_change, directory).plan
        _warn(context, plan)
        return _unchanged(plan, Durations())
    log_directory = _log_directory(context)
    with guarded(context, context.paths.store, log_directory) as guard:
        planned = make_plan(guard.context, make_change, apt_directory(context.paths.store))
        return _apply(guard, planned)


def _apply(guard: Guard, planned: Planned) -> Result:
    plan, options = planned.plan, guard.context.options
    _warn(guard.context, plan)
    if plan.no_change:
        return _unchanged(plan, guard.durations)
    if not options.confirm(plan):
        raise InterruptedByUser("not confirmed; nothing was changed")
    pulled = _pull(guard, plan)
    if plan.target or not _makes_initramfs(plan):  # else its size is not known
        _check_target(guard, planned, plan.target or plan.base.checksum)
    fetched = _prepare(guard, planned)
    if options.download_only:
        message = "Base and packages downloaded." if pulled else "Packages downloaded."
        return replace(_unchanged(plan, guard.durations), download_bytes=fetched, message=message, pulled=pulled)
    before = preflight.free_bytes(guard.context.paths.repo)
    checksum = plan.target or _build(guard, planned)
    plan = _warn_of_bad(guard, plan, checksum)
    _check_target(guard, planned, checksum)
    _deploy(guard, planned, checksum)
    _record(guard, planned)
    _clean_up(guard, planned)
    return replace(_done(guard, plan, fetched, before), pulled=pulled)


def _warn(context: Context, plan: Plan) -> None:
    for warning in plan.warnings:
        context.reporter.event(Warned(message=warning))


def _makes_initramfs(plan: Plan) -> bool:
    return initramfs_of(plan.origin) is not None or (plan.resolution is not None and other_kernel(plan.resolution))


def _pull(guard: Guard, plan: Plan) -> Pulled | None:
    """The base into the repo, when it is not there. A ref moves only when all of it came and was verified."""
    if plan.pull is None:
        return None
    guard.held.phase("pull")
    with phase(guard.context.reporter, "pull", "Pulling the base"):
        return pull.bring(guard.context.paths.repo, plan.pull, guard.context.reporter)


def _check_target(guard: Guard, planned: Planned, checksum: str) -> None:
    """Room for a commit, and an /etc that merges into it: what lacks is found here and not at shutdown."""
    paths, system, plan = guard.context.paths, planned.situation.system, planned.plan
    preflight.check_deploy(paths.deploy)
    tracked = initrd.build(planned.situation.merge.path, plan.origin.initramfs_etc).archive
    bootspace.check(paths, checksum, plan.stateroot, system.deployments, overlays=len(tracked))
    if planned.target is not None and not redeploys(paths, system):
        return  # it keeps the /etc it has
    defaults = ostree.ls(paths.repo, checksum, f"/{etcdiff.DEFAULTS}", recursive=True)
    kinds = {listed.path.removeprefix(f"/{etcdiff.DEFAULTS}/"): listed.kind for listed in defaults}
    if wrong := etcdiff.unmergeable(planned.situation.merge.path, kinds):
        raise AptOstreeError(
            f"ostree cannot merge /etc into {checksum[:12]}: {wrong[0]}",
            details=wrong,
            hint="move what is here out of the way, then repeat the command",
            code="etc-merge",
        )


def _warn_of_bad(guard: Guard, plan: Plan, checksum: str) -> Plan:
    """Nobody goes back unawares to what failed its checks when it was booted, and a timer not at all."""
    failed = health.known_bad(guard.context.paths, plan.stateroot, checksum)
    if not failed:
        return plan
    warning = f"{checksum[:12]} was booted before and found bad: {failed} failed"
    if guard.context.options.avoid_bad:
        raise AptOstreeError(warning, hint="when it should be tried again: apt-ostree upgrade", code="known-bad")
    guard.context.reporter.event(Warned(message=warning))
    return replace(plan, warnings=(*plan.warnings, warning))


def _prepare(guard: Guard, planned: Planned) -> int:
    """Room, then packages into the store; returns the bytes that were fetched."""
    resolution, store = planned.plan.resolution, guard.context.paths.store
    if resolution is None or planned.plan.target:
        return 0
    download = sum(p.download_size for p in fetch.missing(store, resolution))
    preflight.check_space(store.repo, download=download, installed=resolution.installed_size)
    guard.held.phase("download")
    with phase(guard.context.reporter, "download", "Downloading packages"):
        fetch.import_local(store, tuple(p.local for p in resolution.packages if p.local))
        fetched = fetch.download(planned.apt, store, resolution, guard.context.reporter) if planned.apt else 0
        point("download")
    return fetched


def _build(guard: Guard, planned: Planned) -> str:
    plan, context = planned.plan, guard.context
    if plan.resolution is None:
        raise AptOstreeError("a plan without target and resolution cannot be built", code="bug")
    guard.held.phase("layer")
    job = LayerJob(
        store=context.paths.store,
        base=plan.base,
        resolution=plan.resolution,
        digest=plan.state_digest,
        native=planned.native,
        identities=users.identities(planned.situation.first.path, planned.situation.merge.path),
        script_timeout=context.options.script_timeout or None,
        command=context.options.command,
        initramfs=initramfs_of(plan.origin),
    )
    return layer(job, context.reporter).checksum


def _deploy(guard: Guard, planned: Planned, checksum: str) -> None:
    """The switch. Signals wait; whoever sent one is told that it came too late."""
    context, plan = guard.context, planned.plan
    guard.held.phase("deploy")
    title = "Staging the deployment" if stages(context.paths, planned.situation.system) else "Deploying"
    with guard.interrupts.shielded(), phase(context.reporter, "deploy", title):
        point("deploy")
        history.begin(context.paths.store, plan, planned.situation.first, _keep(guard, planned))
        bootguard.note(context.paths)
        hold_base(context.paths.repo, plan.base.checksum)
        try:
            with bootguard.guarded(context.paths):
                if planned.target is not None and not context.options.lock_finalization:
                    switch_default(context.paths, planned.situation.system, planned.target)
                else:
                    deploy_commit(context.paths, planned.situation.system, _wanted(context, planned, checksum))
        except AptOstreeError:
            release_bases(context.paths.repo, planned.situation.system.deployments)
            raise


def _wanted(context: Context, planned: Planned, checksum: str) -> Wanted:
    plan = planned.plan
    if planned.target is not None:  # only a deployment that is staged can be locked
        return replace(again(context.paths, planned.target), locked=context.options.lock_finalization)
    return Wanted(
        checksum=checksum,
        origin=plan.origin,
        stateroot=plan.stateroot,
        kargs=plan.kargs,
        overlays=_small_initrds(context, planned),
        locked=context.options.lock_finalization,
    )


def _small_initrds(context: Context, planned: Planned) -> tuple[Path, ...]:
    """The tracked files of /etc as they are now, for the boot before /etc is there; ostree copies the file to /boot."""
    made = initrd.build(planned.situation.merge.path, planned.plan.origin.initramfs_etc)
    for name in made.missing:
        context.reporter.event(Warned(message=f"{name} is tracked for the initramfs and is not there"))
    if not made.archive:
        return ()
    path = context.paths.store.work / "initramfs-etc.img"
    path.write_bytes(made.archive)
    return (path,)


def _record(guard: Guard, planned: Planned) -> None:
    """Write down what was deployed. It stands by now, so a record that cannot be written is a warning."""
    context, plan = guard.context, planned.plan
    with guard.interrupts.shielded():
        try:
            point("history")
            system = sysroot.load(context.paths)
            staged.follow(context.paths, next(iter(system.deployments), None))
            bootguard.note(context.paths)
            made = system.first(plan.stateroot)
            if made is not None:
                history.append(context.paths.store, history.record(plan, planned.situation.first, made))
        except (OSError, AptOstreeError) as error:
            context.reporter.event(Warned(message=f"what was deployed could not be recorded: {error}"))


def _clean_up(guard: Guard, planned: Planned) -> None:
    """What is no longer needed goes. The deployment stands by now, so a failure here is a warning."""
    context = guard.context
    guard.held.phase("cleanup")
    with guard.interrupts.shielded(), phase(context.reporter, "cleanup", "Cleaning up"):
        try:
            point("cleanup")
            if (keep := _keep(guard, planned)) is not None:
                retention.settle(context.paths, planned.plan.stateroot, keep)
            deployments = sysroot.load(context.paths).deployments
            release_bases(context.paths.repo, deployments)
            pull.release(context.paths.repo, deployments)
            fetch.prune(context.paths.store, deployments)
            history.begun(context.paths.store).unlink(missing_ok=True)
        except AptOstreeError as error:
            context.reporter.event(Warned(message=f"cleaning up failed: {error.message}"))


def _keep(guard: Guard, planned: Planned) -> int | None:
    """How many rollback deployments stay. All when two that there are change places: what one left is the way back."""
    made = planned.target is None or stages(guard.context.paths, planned.situation.system)
    return planned.situation.config.rollback_deployments if made else None


def _done(guard: Guard, plan: Plan, fetched: int, before: int) -> Result:
    system = sysroot.load(guard.context.paths)
    message = REBOOT if stages(guard.context.paths, system) else "Deployed; it is what boots next."
    if guard.context.options.lock_finalization:
        message = LOCKED
    if guard.interrupts.late:
        raise InterruptedByUser("interrupted too late: the new deployment was made and boots next")
    return Result(
        command=plan.command,
        changed=True,
        deployment=system.first(plan.stateroot),
        changes=plan.changes,
        download_bytes=fetched,
        disk_bytes=max(0, before - preflight.free_bytes(guard.context.paths.repo)),
        duration=guard.durations.seconds,
        reboot_needed=True,
        warnings=plan.warnings,
        message=message,
        base=plan.base,
        former_base=plan.former_base,
    )


def _unchanged(plan: Plan, durations: Durations) -> Result:
    size = plan.resolution.download_size if plan.resolution else 0
    return Result(
        command=plan.command,
        changed=False,
        would_change=not plan.no_change,
        changes=plan.changes,
        download_bytes=size,
        disk_bytes=plan.resolution.installed_size if plan.resolution else 0,
        duration=durations.seconds,
        warnings=plan.warnings,
        message=plan.no_change or "Dry run: a new deployment would be made; nothing was changed.",
        base=plan.base,
        former_base=plan.former_base,
    )


def apt_directory(store: Store) -> Path:
    """Where apt keeps its private state between runs, made when it is not there."""
    store.apt.mkdir(parents=True, exist_ok=True)
    store.apt.chmod(0o755)  # plain users search these lists; what is secret has modes of its own
    return store.apt


def _log_directory(context: Context) -> Path:
    """The running system's /var/log; offline, the stateroot's var, which is what will be mounted there."""
    paths = context.paths
    if paths.is_running_root:
        return paths.log
    name = context.options.stateroot or sysroot.load(paths).default_stateroot
    directory = paths.deploy / name / "var/log/apt-ostree" if name else paths.log
    links = [path for path in (directory, *directory.parents[:3]) if path.is_symlink()]
    # a link there is meant for the system that runs, here it would lead into the host
    return paths.store.root / "log" if links else directory
