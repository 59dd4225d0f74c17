"""pin and unpin: a pinned deployment stays, whatever comes after it and whatever is cleaned up."""

from __future__ import annotations

from dataclasses import dataclass

from apt_ostree import guarding, host, retention, sysroot
from apt_ostree.context import Context
from apt_ostree.errors import AptOstreeError, UsageError
from apt_ostree.model import Deployment, Result
from apt_ostree.tools import ostree

WORDS = ("booted", "pending", "rollback")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`deployments`: indexes of `status -v`, or booted, pending, rollback. `pin` False takes pins away."""

    deployments: tuple[str, ...]
    pin: bool = True


def run(context: Context, request: Request) -> Result:
    """Pin or unpin. Raises UsageError for what names no deployment, AptOstreeError for a staged one."""
    host.require_ostree(context.paths)
    if context.options.dry_run:
        found = _wanted(sysroot.load(context.paths), request)
        return _result(context, request, found, done=False)
    with guarding.guarded(context, context.paths.store, None):
        found = _wanted(sysroot.load(context.paths), request)
        retention.forget(context.paths, found)
        for deployment in found:
            ostree.admin_pin(context.paths.sysroot, deployment.index, unpin=not request.pin)
        return _result(context, request, found, done=True)


def _wanted(system: sysroot.Sysroot, request: Request) -> tuple[Deployment, ...]:
    """Those that are not as they should be yet, each once. Nothing is done unless all can be."""
    named = {deployment.index: deployment for deployment in (_named(system, word) for word in request.deployments)}
    staged = [deployment for deployment in named.values() if deployment.staged]
    if staged and request.pin:
        raise AptOstreeError(
            f"{staged[0].id} is staged, it can be pinned when it has been booted", hint="apt-ostree pin booted"
        )
    return tuple(deployment for deployment in named.values() if deployment.origin.pinned is not request.pin)


def _named(system: sysroot.Sysroot, word: str) -> Deployment:
    found = [
        deployment
        for deployment in system.deployments
        if word == str(deployment.index) or (word in WORDS and getattr(deployment, word))
    ]
    if not found:
        raise UsageError(f"there is no deployment '{word}'", hint="their indexes: apt-ostree status -v")
    return found[0]


def _result(context: Context, request: Request, found: tuple[Deployment, ...], *, done: bool) -> Result:
    names = ", ".join(deployment.id for deployment in found)
    verb = "pin" if request.pin else "unpin"
    said = f"{verb.capitalize()}ned: {names}." if done else f"Would {verb}: {names}."
    return Result(
        command=context.options.command,
        changed=done and bool(found),
        would_change=not done and bool(found),
        message=said if found else "No change.",
    )
