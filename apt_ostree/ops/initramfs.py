"""initramfs: one of the deployment's own, made by the tree's dracut with the administrator's arguments."""

from __future__ import annotations

from dataclasses import dataclass, replace

from apt_ostree import host, sysroot, transaction
from apt_ostree.context import Context
from apt_ostree.errors import AptOstreeError, UsageError
from apt_ostree.model import Deployment, Result, TransactionKind
from apt_ostree.paths import Paths
from apt_ostree.planning import Change, Situation


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`enable`, with `arguments` for dracut(8); else the base's initramfs is taken again."""

    enable: bool
    arguments: tuple[str, ...] = ()


def first(paths: Paths, stateroot: str) -> Deployment:
    """The deployment whose settings are shown: what boots next. Raises NotOstreeError, AptOstreeError."""
    host.require_ostree(paths)
    system = sysroot.load(paths)
    name = stateroot or system.default_stateroot
    found = system.first(name)
    if found is None:
        raise AptOstreeError(f"there is no deployment in stateroot '{name}'", hint="apt-ostree status")
    return found


def run(context: Context, request: Request) -> Result:
    """Switch it on or off. Raises UsageError, AptOstreeError."""
    if any(not argument or any(ord(c) < 32 for c in argument) for argument in request.arguments):
        raise UsageError("--arg: an empty argument, or one with control characters", hint="--arg=--add --arg=lvm")
    return transaction.execute(context, lambda situation: _change(situation, request))


def _change(situation: Situation, request: Request) -> Change:
    origin = replace(
        situation.origin,
        regenerate_initramfs=request.enable,
        initramfs_args=request.arguments if request.enable else (),
    )
    return Change(
        kind=TransactionKind.INITRAMFS,
        origin=origin,
        base=situation.base,
        unchanged="No change." if origin == situation.origin else "",
    )
