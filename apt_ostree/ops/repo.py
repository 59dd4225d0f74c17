"""repo init, sign and summary: a repo that others can pull from, and trust."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from apt_ostree import lock, repos, signatures, signing, summaries
from apt_ostree.context import Context
from apt_ostree.errors import AptOstreeError, UsageError
from apt_ostree.guarding import refuse_links
from apt_ostree.model import Result
from apt_ostree.paths import Store
from apt_ostree.publishing import Signed, SignedCommit, Summarised, Summary
from apt_ostree.report import Warned
from apt_ostree.signals import Interrupts
from apt_ostree.signing import Signer, Signing
from apt_ostree.tools import ostree


@contextmanager
def publishing(context: Context, repo: Path) -> Iterator[None]:
    """Around every change of a repo that is no system's: the lock and the signals. Root is not needed."""
    refuse_links(Store(repo))
    with Interrupts().installed(), lock.hold(Store(repo), context.options.command, context.options.wait):
        yield


def init(context: Context, path: Path, mode: str) -> Result:
    """Make a repo. Raises AptOstreeError where something else is, or a repo of another mode."""
    result = Result(command=context.options.command, changed=False)
    if repos.is_repo(path):
        return replace(result, message=_as_it_is(path, mode))
    if os.path.lexists(path) and not (path.is_dir() and not any(path.iterdir())):
        raise AptOstreeError(f"'{path}' exists and is no repo", hint="choose another name", code="exists")
    if context.options.dry_run:
        return replace(result, would_change=True, message=f"Dry run: {path} would be a repo of mode {mode}")
    path.parent.mkdir(parents=True, exist_ok=True)
    ostree.init(path, mode=mode, settings={})
    return replace(result, changed=True, message=f"{path} is a repo of mode {mode}")


def _as_it_is(path: Path, mode: str) -> str:
    found = repos.mode(path)
    if found != mode:
        raise AptOstreeError(
            f"'{path}' is a repo of mode {found}, not {mode}, and cannot be turned into one",
            hint=f"make another, then bring the commits over: ostree pull-local --repo=OTHER {path}",
            code="exists",
        )
    return f"No change: {path} is a repo of mode {mode}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignRequest:
    """Sign commits of `repo`; no revisions: what every branch stands at."""

    repo: Path
    revisions: tuple[str, ...]
    signing: Signing


def sign(context: Context, request: SignRequest) -> Signed:
    """Sign what the keys have not signed yet. Raises UsageError, AptOstreeError, ToolMissingError."""
    if not request.signing.wanted:
        raise UsageError("whose signature? No key is given", hint="say who signs: --gpg-sign KEYID")
    repos.require(request.repo)
    signer = signing.prepare(request.signing)
    revisions = request.revisions or tuple(repos.published(request.repo))
    if not revisions:
        raise AptOstreeError(
            f"'{request.repo}' has no branch to sign",
            hint=f"bring one: ostree pull-local --repo={request.repo} OTHER BRANCH",
            code="no-revision",
        )
    wanted = {revision: repos.resolve(request.repo, revision) for revision in revisions}
    if context.options.dry_run:
        found = tuple(_commit(request.repo, *item, signer) for item in wanted.items())
        return Signed(command=context.options.command, commits=found, dry_run=True)
    with publishing(context, request.repo):
        found = tuple(_signed(request.repo, *item, signer) for item in wanted.items())
    return Signed(command=context.options.command, commits=found)


def _commit(repo: Path, revision: str, checksum: str, signer: Signer) -> SignedCommit:
    missing = signer.missing(signatures.of_commit(repo, checksum))
    return SignedCommit(
        revision=revision,
        checksum=checksum,
        signed_by=signer.fingerprints,
        fresh=bool(missing or signer.ed25519_file),
    )


def _signed(repo: Path, revision: str, checksum: str, signer: Signer) -> SignedCommit:
    """Two branches at one commit: it is looked at anew, so that nobody signs it twice."""
    found = _commit(repo, revision, checksum, signer)
    missing = signer.missing(signatures.of_commit(repo, checksum))
    if missing:
        ostree.gpg_sign(repo, checksum, missing, signer.gpg_home)
    if signer.ed25519_file:
        ostree.sign(repo, checksum, signing.ED25519, signer.ed25519_file)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryRequest:
    """Write the summary of `repo`; `view`: only read it."""

    repo: Path
    signing: Signing
    view: bool = False


def summary(context: Context, request: SummaryRequest) -> Summarised:
    """Bring the summary up to date and sign it. Raises UsageError, AptOstreeError."""
    done = _summarised(context, request)
    for warning in done.summary.warnings:
        context.reporter.event(Warned(message=warning))
    return done


def _summarised(context: Context, request: SummaryRequest) -> Summarised:
    repos.require(request.repo)
    found = summaries.read(request.repo)
    command = context.options.command
    if request.view:
        if found is None:
            raise AptOstreeError(
                f"'{request.repo}' has no summary", hint=f"apt-ostree repo summary --repo {request.repo}"
            )
        return Summarised(command=command, summary=found)
    signer = signing.prepare(request.signing)
    if summaries.is_current(request.repo, found, signer):
        return Summarised(command=command, summary=found or Summary())
    summaries.require_key(request.repo, found, signer)
    if context.options.dry_run:
        return Summarised(command=command, summary=found or Summary(), would_change=True)
    with publishing(context, request.repo):
        return Summarised(command=command, summary=summaries.update(request.repo, signer), changed=True)
