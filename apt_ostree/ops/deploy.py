"""deploy REVISION: another commit of the base's branch, the layers kept; from the remote when it is not here."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace

from apt_ostree import commits, origin, remotes
from apt_ostree.context import Context
from apt_ostree.errors import AptOstreeError, UsageError
from apt_ostree.lookup import Finder, Found
from apt_ostree.model import Commit, Result, TransactionKind
from apt_ostree.ops import base, install
from apt_ostree.planning import Change, Situation
from apt_ostree.pull import source_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`revision`: a checksum (or the start of one), a version, a ref; `revision=X`, `version=X` say which."""

    revision: str
    install: tuple[str, ...] = ()
    uninstall: tuple[str, ...] = ()
    skip_branch_check: bool = False


def run(context: Context, request: Request) -> Result:
    """Deploy a commit of the branch. Raises AptOstreeError when there is none of that name, VerificationError."""
    if not request.revision:
        raise UsageError("no revision was named", hint="apt-ostree deploy CHECKSUM|VERSION")
    return base.execute(context, lambda situation, finder: _change(situation, finder, request))


def _change(situation: Situation, finder: Finder, request: Request) -> Change:
    found = _find(situation, finder, request)
    commit, edits = found.commit, bool(request.install or request.uninstall)
    deployed = next((d for d in situation.system.deployments if d.checksum == commit.checksum), None)
    change = Change(kind=TransactionKind.DEPLOY, origin=situation.origin, base=situation.base)
    if not edits and commit.checksum in (situation.first.checksum, situation.base.checksum):
        return replace(change, unchanged="No change.")
    if deployed is not None and deployed.commit.layer is not None:
        if edits and deployed.base_commit is not None:  # its requests, and these
            there = replace(change, base=deployed.base_commit, origin=origin.carried(deployed.origin))
            return _edited(there, situation, request)
        return replace(change, base=deployed.base_commit or deployed.commit, target=deployed)
    return _edited(_moved(situation, change, found), situation, request)


def _moved(situation: Situation, change: Change, found: Found) -> Change:
    """The commit as base, for now: the next upgrade goes on with the branch."""
    tip = remotes.read_ref(situation.context.paths.repo, source_of(situation.origin).ref)
    chosen = "" if found.commit.checksum == tip else found.commit.checksum
    return base.moved(change, found, replace(situation.origin, override_commit=chosen, hold_base=False))


def _edited(change: Change, situation: Situation, request: Request) -> Change:
    if not request.install and not request.uninstall:
        return change
    return install.edited(change, situation, request.install, request.uninstall)


def _find(situation: Situation, finder: Finder, request: Request) -> Found:
    """The commit the user named. Raises AptOstreeError when nothing, or something of another branch, fits."""
    kind, equals, value = request.revision.partition("=")
    if equals and kind not in ("version", "revision"):
        raise UsageError(
            f"'{request.revision}' is not a revision", hint="use CHECKSUM, VERSION, revision=... or version=..."
        )
    repo = situation.context.paths.repo
    starts = (remotes.read_ref(repo, source_of(situation.origin).ref), situation.base.checksum)
    branch = [commit for start in starts if start for commit in commits.ancestry(repo, start)]
    deployed = [d.commit for d in situation.system.deployments if d.osname == situation.stateroot]
    with contextlib.suppress(LookupError):
        checksum = base.local(repo, kind if equals else "", value if equals else request.revision, branch + deployed)
        if commits.whole(repo, checksum):
            found = Found(commit=commits.load(repo, checksum).commit, repo=repo)
            if checksum not in {commit.checksum for commit in branch}:
                _check(situation, found.commit, request)
            return found
    return base.on_branch(
        finder,
        base.source(situation.origin),
        request.revision,
        skip_branch_check=request.skip_branch_check,
        known=branch + deployed,
    )


def _check(situation: Situation, commit: Commit, request: Request) -> None:
    """Raises AptOstreeError for a commit beside the branch that cannot be a base here, or was not asked for as one.

    On the branch even a layered one can: `compose install` makes such, for machines that follow them.
    """
    deployments = [d for d in situation.system.deployments if d.checksum == commit.checksum]
    if commit.layer is not None and not deployments:
        raise AptOstreeError(
            f"{commit.checksum[:12]} is a layered commit that is not deployed",
            hint=f"deploy the base it was made from: apt-ostree deploy {commit.layer.base}",
        )
    here = any(deployment.osname == situation.stateroot for deployment in deployments)
    if commit.layer is None and not here and not request.skip_branch_check:
        base.require_binding(commit, base.source(situation.origin))
