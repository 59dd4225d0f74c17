"""uninstall: drop requests from the origin; with nothing left to layer the base itself is deployed again."""

from __future__ import annotations

from dataclasses import dataclass

from apt_ostree import transaction
from apt_ostree.context import Context
from apt_ostree.errors import ResolveError, UsageError
from apt_ostree.model import Origin, Result, TransactionKind
from apt_ostree.ops import install
from apt_ostree.planning import Change, Situation


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`packages` as typed: names or name_version_arch; `install` are packages to add in the same transaction."""

    packages: tuple[str, ...]
    install: tuple[str, ...] = ()


def run(context: Context, request: Request) -> Result:
    """Uninstall layered packages. Raises ResolveError for what is not layered (no error with --idempotent)."""
    if not request.packages:
        raise UsageError("no packages were named", hint="apt-ostree uninstall NAME...")
    if request.install:
        return install.run(context, install.Request(packages=request.install, uninstall=request.packages))
    return transaction.execute(context, lambda situation: _change(situation, request.packages))


def _change(situation: Situation, packages: tuple[str, ...]) -> Change:
    unchanged = ""
    try:
        origin = install.remove_requests(situation.origin, packages)
    except ResolveError:
        if not situation.context.options.idempotent:
            raise
        origin, unchanged = _removable(situation, packages)
    return Change(kind=TransactionKind.PKG_CHANGE, origin=origin, base=situation.base, unchanged=unchanged)


def _removable(situation: Situation, packages: tuple[str, ...]) -> tuple[Origin, str]:
    origin = situation.origin
    for package in packages:
        try:
            origin = install.remove_requests(origin, (package,))
        except ResolveError:
            continue  # --idempotent: what is not there is gone already
    same = (origin.requested, origin.requested_local) == (
        situation.origin.requested,
        situation.origin.requested_local,
    )
    return origin, "No change." if same else ""
