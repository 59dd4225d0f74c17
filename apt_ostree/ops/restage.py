"""restage: what was staged when the power went is staged once more, at the next boot."""

from __future__ import annotations

from dataclasses import dataclass

from apt_ostree import bootguard, commits, config, guarding, host, staged, sysroot
from apt_ostree import origin as origins
from apt_ostree.context import Context
from apt_ostree.deploy import Wanted, deploy_commit, stages
from apt_ostree.errors import AptOstreeError, UsageError
from apt_ostree.model import Result
from apt_ostree.ops import apply_live
from apt_ostree.report import Warned, phase
from apt_ostree.staged import Staged


@dataclass(frozen=True, slots=True)
class Request:
    """restage takes no arguments."""


def run(context: Context, request: Request) -> Result:
    """Stage again what was lost. Raises UsageError on a system that does not run, AptOstreeError."""
    del request
    paths = context.paths
    host.require_ostree(paths)
    system = sysroot.load(paths)
    if not stages(paths, system):
        raise UsageError("only a booted system can lose what was staged", hint="leave --sysroot out")
    record, why = staged.read(paths), ""
    if context.options.dry_run:
        why = _why_not(context, system, record)
        message = why or f"{record.id if record else ''} would be staged again."
        return Result(command=context.options.command, changed=False, would_change=not why, message=message)
    with guarding.guarded(context, paths.store, paths.log) as guard:
        system, record = sysroot.load(paths), staged.read(paths)  # another run may have staged while we waited
        try:
            apply_live.sweep(paths, system)
        except (OSError, AptOstreeError) as error:  # what is left in /etc must not keep the deployment from coming back
            guard.context.reporter.event(Warned(message=f"what was live could not be taken back: {error}"))
        failure = staged.keep_failure(paths)
        why = _why_not(context, system, record)
        if record is None or why:
            if record is not None and config.load_leniently(paths.sysroot).restage:
                staged.follow(paths, system.deployments[0])  # it came to its end, or was given up
            said = (f"the last staged deployment was not finalised: {failure}",) if failure else ()
            return Result(command=context.options.command, changed=False, message=why, warnings=said)
        with guard.interrupts.shielded(), phase(guard.context.reporter, "deploy", "Staging the deployment again"):
            _stage(context, system, record)
        return Result(
            command=context.options.command,
            changed=True,
            deployment=sysroot.load(paths).deployments[0],
            duration=guard.durations.seconds,
            reboot_needed=True,
            message=f"The power went before {record.id} was finalised; it is staged again for the next boot.",
        )


def _why_not(context: Context, system: sysroot.Sysroot, record: Staged | None) -> str:
    paths = context.paths
    if record is None:
        return "Nothing was staged."
    if not config.load_leniently(paths.sysroot).restage:
        return f"Restage=false in /{config.NAME}."
    if system.deployments[0].staged:
        return "Another deployment is staged."
    if record.boot_id == paths.boot_id:
        return "What was staged in this boot was given up."
    if not staged.lost(record, system.deployments, paths.boot_id):
        return "What was staged was finalised."
    if staged.failure(paths):
        return "What was staged could not be finalised; it is not tried again."
    try:
        commits.load(paths.repo, record.checksum)
    except AptOstreeError as error:
        return f"What was staged is lost: {error.message}."
    return ""


def _stage(context: Context, system: sysroot.Sysroot, record: Staged) -> None:
    paths = context.paths
    wanted = Wanted(
        checksum=record.checksum,
        origin=origins.parse(record.origin),
        stateroot=record.osname,
        kargs=record.kargs,
        overlays=tuple(paths.store.staged_initrds / f"{checksum}.img" for checksum in record.overlays),
        locked=record.locked,
    )
    bootguard.note(paths)
    deploy_commit(paths, system, wanted)
    staged.follow(paths, sysroot.load(paths).deployments[0])
