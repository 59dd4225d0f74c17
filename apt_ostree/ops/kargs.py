"""kargs: show or edit the kernel arguments. The tree stays, a new deployment has the new arguments."""

from __future__ import annotations

from dataclasses import dataclass, replace

from apt_ostree import guarding, host, sysroot, transaction
from apt_ostree import kargs as rules
from apt_ostree.context import Context
from apt_ostree.errors import AptOstreeError, UsageError
from apt_ostree.model import Deployment, KargsChange, Result, TransactionKind
from apt_ostree.paths import Paths
from apt_ostree.planning import Change, Situation
from apt_ostree.tools import editor

NO_EDITS = rules.Edits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Whose arguments these are: of a deployment by its index, of the running kernel, else of the next boot."""

    index: int | None = None
    proc_cmdline: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`edits` as typed, or `edit_by_hand` in an editor; `source` is what the editing starts from."""

    edits: rules.Edits = NO_EDITS
    edit_by_hand: bool = False
    source: Source = Source()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Kernel arguments, and the id of the deployment that has them (empty: the running kernel)."""

    deployment: str
    kargs: tuple[str, ...]


def show(paths: Paths, stateroot: str, source: Source) -> Shown:
    """The arguments of a source. Raises NotOstreeError, UsageError, AptOstreeError."""
    host.require_ostree(paths)
    system = sysroot.load(paths)
    if source.proc_cmdline:
        return Shown(deployment="", kargs=_running(paths))
    deployment = _deployment(system, stateroot or system.default_stateroot, source.index)
    return Shown(deployment=deployment.id, kargs=deployment.kargs)


def _running(paths: Paths) -> tuple[str, ...]:
    if not paths.is_running_root:
        raise UsageError(
            "--import-proc-cmdline is for the running system", hint="name a deployment with --deploy-index=0"
        )
    return rules.from_cmdline(paths.cmdline.read_text(errors="replace"))


def _deployment(system: sysroot.Sysroot, stateroot: str, index: int | None) -> Deployment:
    if index is None:
        first = system.first(stateroot)
        if first is None:
            raise AptOstreeError(f"there is no deployment in stateroot '{stateroot}'", hint="apt-ostree status")
        return first
    if not 0 <= index < len(system.deployments):
        last = len(system.deployments) - 1
        raise UsageError(
            f"--deploy-index: there is no deployment {index}, the last is {last}", hint="apt-ostree status -v"
        )
    return system.deployments[index]


def run(context: Context, request: Request) -> Result:
    """Edit the arguments; all edits are one transaction. Raises UsageError, KargsError, AptOstreeError."""
    edits = rules.checked(request.edits)
    seen, by_hand = _by_hand(context, request) if request.edit_by_hand else (None, None)
    changes: list[KargsChange] = []

    def change(situation: Situation) -> Change:
        start = show(context.paths, situation.stateroot, request.source).kargs
        if seen not in (None, start):
            raise AptOstreeError("the kernel arguments changed while they were in the editor", hint="edit them again")
        new = rules.edit(start, edits) if by_hand is None else by_hand
        changes.append(KargsChange(old=situation.first.kargs, new=new))
        return Change(
            kind=TransactionKind.KARGS,
            origin=situation.origin,
            base=situation.base,
            kargs=new,
            keep_tree=True,
        )

    result = transaction.execute(context, change)
    return replace(result, kargs=changes[-1])


def _by_hand(context: Context, request: Request) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What was opened in the editor and what came out. Nothing is locked while a person thinks."""
    if request.edits:
        raise UsageError("--editor stands alone: the other changes can be made in it", hint="apt-ostree kargs --editor")
    if not context.options.dry_run:
        guarding.require_root(context.options.command)
    start = show(context.paths, context.options.stateroot, request.source).kargs
    return start, rules.from_text(editor.edit(rules.to_text(start), "kernel-arguments"))
