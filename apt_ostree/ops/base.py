"""What verbs that move the base have in common: where its commits come from, and which may be taken."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from apt_ostree import lookup, transaction
from apt_ostree.context import Context
from apt_ostree.errors import AptOstreeError, ToolError
from apt_ostree.lookup import Finder, Found
from apt_ostree.model import Commit, Origin, Result, Update
from apt_ostree.planning import Change, Situation
from apt_ostree.pull import Source, source_of
from apt_ostree.registry import reference
from apt_ostree.tools import ostree

CHECKSUM = re.compile(r"[0-9a-f]{64}")
MakeMove = Callable[[Situation, Finder], Change]


def execute(context: Context, make_change: MakeMove) -> Result:
    """A transaction whose change is worked out with a Finder. Raises as transaction.execute does."""
    options = context.options
    with lookup.finder(
        context.paths,
        context.reporter,
        offline=options.cache_only,
        dry_run=options.dry_run,
        stateroot=options.stateroot,
    ) as finder:
        return transaction.execute(context, lambda situation: make_change(situation, finder))


def source(origin: Origin) -> Source:
    """Where the origin's branch, or its image, is. Raises UsageError for a reference that is none."""
    if origin.container_image_reference:
        return Source(image=reference.parse(origin.container_image_reference))
    return source_of(origin)


def moves(origin: Origin) -> bool:
    """False for an origin that is pinned to one commit, by its refspec or by a rebase that named it."""
    return not (origin.hold_base or CHECKSUM.fullmatch(origin.refspec))


def refuse_older(current: Commit, found: Commit) -> None:
    """Raises AptOstreeError when a commit is older than the one it would replace: a replayed or withdrawn one.

    The rule of rpm-ostree (ostree_sysroot_upgrader_check_timestamps): by the time of the commit, to the second.
    """
    if found.timestamp < current.timestamp:
        raise AptOstreeError(
            f"the commit {found.checksum[:12]} ({_named(found)}) is older than the present base "
            f"{current.checksum[:12]} ({_named(current)}); nothing was changed",
            hint="if going back is what you want: apt-ostree upgrade --allow-downgrade",
            code="downgrade",
        )


def _named(commit: Commit) -> str:
    from datetime import UTC, datetime

    moment = datetime.fromtimestamp(commit.timestamp, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{commit.version}, {moment}" if commit.version else moment


def moved(change: Change, found: Found, origin: Origin) -> Change:
    """The change with another base. Another image of the same commit is no change."""
    same = change.base.checksum == found.commit.checksum and origin.image_digest and found.digest
    origin = replace(origin, image_digest=origin.image_digest if same else found.digest)
    return replace(change, origin=origin, base=found.commit, repo=found.repo, pull=found.pull)


def update_of(situation: Situation, result: Result) -> Update | None:
    """What a result says of the update there is; None when there is none."""
    if result.base is None or not (result.changed or result.would_change):
        return None
    import time

    return Update(
        osname=situation.stateroot,
        refspec=situation.first.origin.container_image_reference or situation.first.origin.refspec,
        checksum=result.base.checksum,
        version=result.base.version,
        timestamp=result.base.timestamp,
        new_base=result.base.checksum != situation.base.checksum,
        start=situation.first.checksum,
        changes=result.changes,
        downloaded=bool(result.pulled),
        checked=time.time(),
    )


def local(repo: Path, kind: str, name: str, known: Sequence[Commit]) -> str:
    """Checksum of what the user named, among what is in the repo. Raises LookupError when nothing there fits.

    `kind` is `version`, `revision` or empty for either; `known` are commits whose versions count.
    """
    if kind != "version":
        try:
            return ostree.rev_parse(repo, name)
        except ToolError:
            pass
    if kind != "revision":
        for commit in known:
            if commit.version == name:
                return commit.checksum
    raise LookupError(name)


def require_binding(commit: Commit, branch: Source) -> None:
    """Raises AptOstreeError unless a commit says itself that it belongs to the branch (`ostree.ref-binding`)."""
    bound = commit.metadata.get("ostree.ref-binding")
    if not isinstance(bound, list) or branch.branch not in bound:
        raise AptOstreeError(
            f"the commit {commit.checksum[:12]} is not one of the branch {branch}",
            hint="change the branch with rebase, or take it all the same with --skip-branch-check",
            code="other-branch",
        )


def on_branch(
    finder: Finder, branch: Source, revision: str, *, skip_branch_check: bool = False, known: Iterable[Commit] = ()
) -> Found:
    """A commit of a branch by version or checksum, from its remote if need be. `known` are those that are here.

    Raises AptOstreeError when the branch has none such, VerificationError.
    """
    kind, equals, value = revision.partition("=")
    name = value if equals else revision
    hexadecimal = re.fullmatch(r"[0-9a-f]{7,64}", name) is not None
    if skip_branch_check and CHECKSUM.fullmatch(name):
        return finder.commit(branch, name)
    ways = [by_version for by_version in (False, True) if (by_version and kind != "revision") or
            (not by_version and hexadecimal and kind != "version")]  # fmt: skip
    for by_version in ways:
        if found := finder.search(branch, name, by_version=by_version):
            return found
    if branch.image is not None:
        raise AptOstreeError(
            f"there is no commit '{revision}' here, and {branch} is an image, which has no history",
            hint="an earlier image is named by its digest: apt-ostree rebase ...HOST/NAME@sha256:DIGEST",
            code="no-revision",
        )
    versions = tuple(dict.fromkeys(commit.version for commit in known if commit.version))
    raise AptOstreeError(
        f"there is no commit '{revision}' on the branch {branch}",
        details=[f"versions that are here: {', '.join(versions[:10])}"] if versions else (),
        hint="a checksum is known by its first seven digits; a commit of another branch is taken with rebase, or by "
        "its whole checksum with --skip-branch-check",
        code="no-revision",
    )
