"""finalize-deployment: let go of a staged deployment that was locked, and reboot into it."""

from __future__ import annotations

from dataclasses import dataclass

from apt_ostree import guarding, host, sysroot
from apt_ostree import staged as records
from apt_ostree.context import Context
from apt_ostree.errors import AptOstreeError, UsageError
from apt_ostree.model import Deployment, Result
from apt_ostree.paths import Paths
from apt_ostree.tools import ostree

_DIGITS = 7  # of a checksum are enough, as ostree has it


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`checksum`: what the caller believes to be staged, the deployment's commit or its base, or the start of one."""

    checksum: str = ""
    allow_missing_checksum: bool = False
    allow_unlocked: bool = False


def run(context: Context, request: Request) -> Result:
    """Unlock the staged deployment and start a reboot. Raises UsageError, AptOstreeError; then it stays locked."""
    host.require_ostree(context.paths)
    if not context.paths.is_running_root:
        raise UsageError(
            f"finalize-deployment is for the running system, and this is the one below '{context.paths.sysroot}'",
            hint="leave --sysroot out",
        )
    if not request.checksum and not request.allow_missing_checksum:
        raise UsageError(
            "which deployment? Its checksum says that it is the one you looked at",
            hint="apt-ostree finalize-deployment CHECKSUM, or --allow-missing-checksum",
        )
    if context.options.dry_run:
        staged = _staged(context.paths, request)
        return _result(context, staged, f"Would switch to {staged.id} and reboot.", done=False)
    with guarding.guarded(context, context.paths.store, None) as guard:
        staged = _staged(context.paths, request)
        with guard.interrupts.shielded():
            _unlock(context.paths, staged)
            records.follow(context.paths, sysroot.load(context.paths).deployments[0])
        return _result(context, staged, f"{staged.id} may be switched to now; rebooting into it.", done=True)


def _staged(paths: Paths, request: Request) -> Deployment:
    """The staged deployment, when it is the one that was meant."""
    staged = next((deployment for deployment in sysroot.load(paths).deployments if deployment.staged), None)
    if staged is None:
        raise AptOstreeError(
            "no deployment is staged, so there is nothing to finalise", hint="apt-ostree status", code="not-staged"
        )
    known = (staged.checksum, staged.base_checksum)
    wanted = request.checksum
    if wanted and (len(wanted) < _DIGITS or not any(checksum.startswith(wanted) for checksum in known)):
        raise AptOstreeError(
            f"the staged deployment is {staged.checksum}, not {wanted}",
            details=[f"its base is {staged.base_checksum}"] if staged.base_checksum != staged.checksum else [],
            hint=f"look at it with apt-ostree status, then: apt-ostree finalize-deployment {staged.checksum}",
            code="wrong-deployment",
        )
    if not staged.finalization_locked and not request.allow_unlocked:
        raise AptOstreeError(
            f"{staged.id} is not locked, the next shutdown switches to it anyway",
            hint="systemctl reboot, or: apt-ostree finalize-deployment --allow-unlocked ...",
            code="not-locked",
        )
    return staged


def _unlock(paths: Paths, staged: Deployment) -> None:
    """The file is the lock of every version; newer ones may have one in the staged deployment's own record too."""
    if not staged.finalization_locked:
        return
    paths.staged_lock.unlink(missing_ok=True)
    if any(deployment.finalization_locked for deployment in sysroot.load(paths).deployments):
        ostree.admin_allow_finalization()


def _result(context: Context, staged: Deployment, message: str, *, done: bool) -> Result:
    return Result(
        command=context.options.command,
        changed=done,
        would_change=not done,
        deployment=staged,
        reboot_needed=True,
        message=message,
    )
