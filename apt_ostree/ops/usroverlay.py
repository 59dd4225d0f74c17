"""usroverlay: a writable /usr on the running system, for a try or for a hotfix."""

from __future__ import annotations

from dataclasses import dataclass

from apt_ostree import guarding, host, lock, sysroot
from apt_ostree.context import Context
from apt_ostree.errors import AptOstreeError, BusyError, NotOstreeError, ToolError, UsageError
from apt_ostree.live import record
from apt_ostree.model import Result, Unlocked
from apt_ostree.tools import ostree

_OPTIONS = {Unlocked.DEVELOPMENT: (), Unlocked.HOTFIX: ("--hotfix",), Unlocked.TRANSIENT: ("--transient",)}
_SAID = {
    Unlocked.DEVELOPMENT: "/usr is writable until the next boot.",
    Unlocked.HOTFIX: "/usr is writable; what is changed stays until another deployment is booted.",
    Unlocked.TRANSIENT: "/usr has an overlay until the next boot; it is read-only for all but private mounts.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`state`: DEVELOPMENT, HOTFIX or TRANSIENT."""

    state: Unlocked = Unlocked.DEVELOPMENT


def run(context: Context, request: Request) -> Result:
    """Unlock the booted deployment. Raises UsageError, NotOstreeError, BusyError, AptOstreeError."""
    host.require_ostree(context.paths)
    if not context.paths.is_running_root:
        raise UsageError(
            f"usroverlay is for the running system, and this is the one below '{context.paths.sysroot}'",
            hint="leave --sysroot out",
        )
    booted = sysroot.load(context.paths).booted
    if booted is None:
        raise NotOstreeError("this system was not booted from a deployment", hint="apt-ostree doctor")
    if booted.unlocked is request.state:
        return _result(context, f"/usr is unlocked already ({request.state}).", changed=False)
    if booted.unlocked is not Unlocked.NONE:
        raise AptOstreeError(
            f"/usr is unlocked already, as {booted.unlocked}", hint="reboot first", code="unlocked-already"
        )
    live = record.current(context.paths, booted)
    if live.replaced or live.inprogress:
        raise AptOstreeError(
            "another commit is live, and the overlay would be one of the booted commit's /usr",
            hint="reboot into it, or: apt-ostree apply-live --reset",
            code="live",
        )
    if context.options.dry_run:
        return _result(context, f"Would unlock /usr ({request.state}).", changed=False, would_change=True)
    _unlock(context, request.state)
    return _result(context, _SAID[request.state], changed=True)


def _unlock(context: Context, state: Unlocked) -> None:
    """Without the lock's mount namespace: the overlay is to be seen by everybody. So the lock is only looked at."""
    guarding.require_root(context.options.command)
    if owner := lock.owner(context.paths.store):
        raise BusyError(
            f"a transaction runs: '{owner.command}' (pid {owner.pid})", hint="wait for it, or: apt-ostree cancel"
        )
    try:
        ostree.admin_unlock(*_OPTIONS[state])
    except ToolError as error:
        raise AptOstreeError(
            "ostree could not unlock the booted deployment", details=error.details, code="unlock-failed"
        ) from error


def _result(context: Context, message: str, *, changed: bool, would_change: bool = False) -> Result:
    return Result(command=context.options.command, changed=changed, would_change=would_change, message=message)
