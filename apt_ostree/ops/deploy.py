"""deploy REV: another commit as base, the layers kept."""

from __future__ import annotations

from dataclasses import dataclass, replace

from apt_ostree import commits, transaction
from apt_ostree.errors import AptOstreeError, ToolError, UsageError
from apt_ostree.model import Commit, Result, TransactionKind
from apt_ostree.ops import install
from apt_ostree.planning import Change, Context, Situation
from apt_ostree.tools import ostree


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`revision`: a checksum (or the start of one), a version, a ref; `revision=X`, `version=X` say which."""

    revision: str
    install: tuple[str, ...] = ()
    uninstall: tuple[str, ...] = ()


def run(context: Context, request: Request) -> Result:
    """Deploy a commit that is in the repo. Raises AptOstreeError when there is none of that name."""
    if not request.revision:
        raise UsageError("no revision was named", hint="apt-ostree deploy CHECKSUM|VERSION")
    return transaction.execute(context, lambda situation: _change(situation, request))


def _change(situation: Situation, request: Request) -> Change:
    repo = situation.context.paths.repo
    checksum = find(situation, request.revision)
    commit = commits.load(repo, checksum).commit
    edits = bool(request.install or request.uninstall)
    deployed = next((d for d in situation.system.deployments if d.checksum == checksum), None)
    if commit.layer is not None and deployed is None:
        raise AptOstreeError(
            f"{checksum[:12]} is a layered commit that is not deployed",
            hint=f"deploy the base it was made from: apt-ostree deploy {commit.layer.base}",
        )
    if not edits and checksum in (situation.first.checksum, situation.base.checksum):
        return _change_to(situation, situation.base, "No change.")
    if deployed is not None and commit.layer is not None:
        return Change(
            kind=TransactionKind.DEPLOY,
            origin=situation.origin,
            base=deployed.base_commit or deployed.commit,
            target=deployed,
        )
    return _edited(_change_to(situation, commit, ""), situation, request)


def _change_to(situation: Situation, base: Commit, unchanged: str) -> Change:
    origin = situation.origin
    if not unchanged:
        tip = _tip(situation)
        origin = replace(origin, override_commit="" if base.checksum == tip else base.checksum)
    return Change(kind=TransactionKind.DEPLOY, origin=origin, base=base, unchanged=unchanged)


def _edited(change: Change, situation: Situation, request: Request) -> Change:
    if not request.install and not request.uninstall:
        return change
    return install.edited(change, situation, request.install, request.uninstall)


def _tip(situation: Situation) -> str:
    try:
        return ostree.rev_parse(situation.context.paths.repo, situation.origin.refspec)
    except ToolError:
        return ""


def find(situation: Situation, revision: str) -> str:
    """Checksum of what the user named. Raises AptOstreeError when nothing, or more than one thing, fits."""
    kind, equals, value = revision.partition("=")
    if equals and kind not in ("version", "revision"):
        raise UsageError(f"'{revision}' is not a revision", hint="use CHECKSUM, VERSION, revision=... or version=...")
    name = value if equals else revision
    if not (equals and kind == "version"):
        try:
            return ostree.rev_parse(situation.context.paths.repo, name)
        except ToolError:
            pass
    if not (equals and kind == "revision"):
        for start in filter(None, (_tip(situation), situation.base.checksum)):
            for commit in commits.ancestry(situation.context.paths.repo, start):
                if commit.version == name:
                    return commit.checksum
    raise AptOstreeError(
        f"there is no commit '{revision}' in the repo",
        hint=f"see what there is: ostree log --repo={situation.context.paths.repo} {situation.origin.refspec}",
        code="no-revision",
    )
