"""rebase: the base from another branch, remote or repository; layers, overrides and kernel arguments are carried."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from apt_ostree.context import Context
from apt_ostree.errors import AptOstreeError, UsageError
from apt_ostree.lookup import Finder
from apt_ostree.model import Origin, Result, TransactionKind
from apt_ostree.ops import base, install
from apt_ostree.planning import Change, Situation
from apt_ostree.pull import Source
from apt_ostree.registry import reference

_PIN = re.compile(r"(?P<rest>.*?):?(?P<checksum>[0-9a-f]{64})")
_BRANCH = re.compile(r"\w[\w.-]*(/\w[\w.-]*)*")  # ostree_validate_rev, and no word that looks like an option or ..
_REMOTE = re.compile(r"\w[\w.-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`target`: a refspec, whole or partial, maybe with `:CHECKSUM`; or a reference to an image.

    `revision`: the commit to stay at.
    """

    target: str
    revision: str = ""
    repo: str = ""  # path of a repository; then `target` is a branch in it
    skip_branch_check: bool = False
    install: tuple[str, ...] = ()
    uninstall: tuple[str, ...] = ()


def run(context: Context, request: Request) -> Result:
    """Change the base's source. Raises UsageError, AptOstreeError (`no-branch`, `same-base`), VerificationError."""
    return base.execute(context, lambda situation, finder: _change(situation, finder, request))


def _change(situation: Situation, finder: Finder, request: Request) -> Change:
    before = situation.origin
    target, pin = _target(before, request)
    present = base.source(before)
    change = Change(kind=TransactionKind.REBASE, origin=before, base=situation.base)
    same = target == present and before.hold_base == bool(pin) and (not pin or before.override_commit == pin)
    if same and not (request.install or request.uninstall):
        if situation.context.options.idempotent:
            return replace(change, unchanged="No change.")
        raise AptOstreeError(
            f"{target} is the base's source already",
            hint="apt-ostree upgrade brings its newest commit; with --idempotent this is no error",
            code="same-base",
        )
    finder.present = present
    found = (
        base.on_branch(finder, target, pin, skip_branch_check=request.skip_branch_check) if pin else finder.tip(target)
    )
    origin = replace(
        before,
        refspec=target.refspec,
        base_repo=target.path,
        container_image_reference=str(target.image or ""),
        image_digest=before.image_digest if target == present else "",
        hold_base=bool(pin),
        override_commit=found.commit.checksum if pin else "",
    )
    change = base.moved(change, found, origin)
    if request.install or request.uninstall:
        return install.edited(change, situation, request.install, request.uninstall)
    return change


def _target(before: Origin, request: Request) -> tuple[Source, str]:
    """What the new base is, and the commit it stays at (may be empty). Raises UsageError."""
    if reference.looks_like(request.target):
        if request.repo or request.revision or request.skip_branch_check:
            raise UsageError(
                "an image has no branches and no revisions: --repo, --skip-branch-check and REVISION do not go with it",
                hint="to stay at one image: HOST/NAME@sha256:DIGEST",
            )
        return Source(image=reference.parse(request.target)), ""
    present = Source() if before.container_image_reference else base.source(before)
    target, pin = parse(request.target, present, request.repo)
    return target, request.revision or pin


def parse(text: str, present: Source, repo: str = "") -> tuple[Source, str]:
    """What `rebase TEXT` names, and the checksum it is pinned to (may be empty).

    `branch` keeps the remote (or path) there is, `remote:` keeps the branch, `:branch` is one of the sysroot's own
    repo, and `:CHECKSUM` behind any of them, or alone, pins it. Raises UsageError for what is none of these.
    """
    match = _PIN.fullmatch(text)
    rest, pin = (match["rest"], match["checksum"]) if match else (text, "")
    remote, colon, branch = rest.partition(":")
    if repo:
        found = Source(branch=rest or present.branch, path=str(Path(repo).absolute()))
    elif not rest:
        found = present
    elif not colon:
        found = replace(present, branch=rest)
    elif not remote:
        found = Source(branch=branch)
    else:
        found = Source(remote=remote, branch=branch or present.branch)
    if not _BRANCH.fullmatch(found.branch) or (found.remote and not _REMOTE.fullmatch(found.remote)):
        raise UsageError(f"'{text}' names no branch", hint="apt-ostree rebase REMOTE:BRANCH")
    return found, pin
