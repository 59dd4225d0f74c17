"""rollback: the deployment before becomes the default again, as it is, with the /etc it has."""

from __future__ import annotations

from dataclasses import dataclass, replace

from apt_ostree import transaction
from apt_ostree.context import Context
from apt_ostree.errors import AptOstreeError
from apt_ostree.model import Deployment, Result, TransactionKind
from apt_ostree.planning import Change, Situation


@dataclass(frozen=True, slots=True)
class Request:
    """rollback takes no arguments."""


def run(context: Context, request: Request) -> Result:
    """Make the rollback deployment the default. Raises AptOstreeError when there is none.

    A configuration that makes no sense is a warning here: it may be what one wants to get away from.
    """
    del request
    context = replace(context, options=replace(context.options, lenient=True))
    return transaction.execute(context, _change)


def _change(situation: Situation) -> Change:
    target = _target(situation)
    return Change(
        kind=TransactionKind.ROLLBACK,
        origin=target.origin,
        base=target.base_commit or target.commit,
        target=target,
    )


def _target(situation: Situation) -> Deployment:
    """Back from a pending deployment to the booted one, else to the next of the stateroot."""
    system, first = situation.system, situation.first
    if system.booted is not None and system.booted.osname == situation.stateroot and not first.booted:
        return system.booted
    for deployment in system.deployments:
        if deployment.osname == situation.stateroot and deployment.index > first.index:
            return deployment
    raise AptOstreeError(
        "there is no deployment to roll back to",
        hint="see what is deployed: apt-ostree status",
        code="no-rollback",
    )
