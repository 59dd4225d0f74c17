"""reset: away with layers, overrides, initramfs changes; with nothing left, back to the base commit itself."""

from __future__ import annotations

from dataclasses import dataclass, replace

from apt_ostree import transaction
from apt_ostree.context import Context
from apt_ostree.model import Origin, Result, TransactionKind
from apt_ostree.ops import install, override
from apt_ostree.planning import Change, Situation


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to go; none of the three means all of them. `install` and `uninstall` as typed."""

    layers: bool = False
    overrides: bool = False
    initramfs: bool = False
    install: tuple[str, ...] = ()
    uninstall: tuple[str, ...] = ()


def run(context: Context, request: Request) -> Result:
    """Make a deployment without what was changed on top of its base. Raises AptOstreeError, ResolveError."""
    return transaction.execute(context, lambda situation: _change(situation, request))


def _change(situation: Situation, request: Request) -> Change:
    origin = _reset(situation.origin, request)
    edits = bool(request.install or request.uninstall)
    unchanged = "" if edits or origin != situation.origin else "No change."
    change = Change(kind=TransactionKind.PKG_CHANGE, origin=origin, base=situation.base, unchanged=unchanged)
    return install.edited(change, situation, request.install, request.uninstall) if edits else change


def _reset(origin: Origin, request: Request) -> Origin:
    everything = not (request.layers or request.overrides or request.initramfs)
    if everything or request.layers:
        origin = replace(origin, requested=(), requested_local=(), skipped=())
    if everything or request.overrides:
        origin = override.cleared(origin)
    if everything or request.initramfs:
        origin = replace(origin, regenerate_initramfs=False, initramfs_args=(), initramfs_etc=())
    return origin
