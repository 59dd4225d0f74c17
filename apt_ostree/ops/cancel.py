"""cancel: end the transaction another process runs, as a Ctrl-C in its terminal would."""

from __future__ import annotations

import os
import select
import signal
import time
from dataclasses import dataclass

from apt_ostree import guarding, host, lock, sysroot
from apt_ostree.context import Context
from apt_ostree.errors import AptOstreeError
from apt_ostree.model import Result
from apt_ostree.paths import Paths
from apt_ostree.states import TransactionOwner

PATIENCE = 30.0  # seconds; scripts are killed after two, but the switch itself is never torn apart
SWITCHING = ("deploy", "cleanup")  # phases of a transaction in which signals wait (transaction.py)


@dataclass(frozen=True, slots=True)
class Request:
    """cancel takes no arguments."""


def run(context: Context, request: Request) -> Result:
    """End the running transaction and wait until it has cleaned up. No transaction is no error.

    Raises AptOstreeError when it was too late, or when the lock's holder cannot be told for certain.
    """
    del request
    host.require_ostree(context.paths)
    guarding.require_root(context.options.command)
    before, owner = _deployments(context.paths), lock.owner(context.paths.store)
    if owner is None:
        return _result(context, "No transaction is running.", changed=False)
    if context.options.dry_run:
        return _result(context, f"Would cancel {_name(owner)}.", changed=False, would_change=True)
    start = time.monotonic()
    try:
        process = lock.holder(context.paths.store)
    except ProcessLookupError:
        return _result(context, "No transaction is running.", changed=False)
    try:
        signal.pidfd_send_signal(process, signal.SIGTERM)
        ended = bool(select.select([process], [], [], PATIENCE)[0])
    except ProcessLookupError:
        ended = True
    finally:
        os.close(process)
    _check(context.paths, owner, before, ended=ended)
    return _result(context, f"Cancelled {_name(owner)} in {time.monotonic() - start:.1f} s.", changed=True)


def _check(paths: Paths, owner: TransactionOwner, before: list[str], *, ended: bool) -> None:
    if not ended:
        raise AptOstreeError(
            f"{_name(owner)} was told to end and goes on after {PATIENCE:.0f} s", hint="apt-ostree status"
        )
    # the staged deployment is there long before `ostree admin deploy` ends: what we saw first may be the change itself
    if owner.phase in SWITCHING or _deployments(paths) != before:
        raise AptOstreeError(
            f"too late: {_name(owner)} had made its change",
            hint="apt-ostree cleanup --pending, or: apt-ostree rollback",
            code="too-late",
        )


def _deployments(paths: Paths) -> list[str]:
    return [deployment.id for deployment in sysroot.load(paths).deployments]


def _name(owner: TransactionOwner) -> str:
    return f"'{owner.command}' (pid {owner.pid}, {owner.phase})"


def _result(context: Context, message: str, *, changed: bool, would_change: bool = False) -> Result:
    return Result(command=context.options.command, changed=changed, would_change=would_change, message=message)
