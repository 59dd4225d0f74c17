"""delta generate and delta show: what a client downloads to come from one commit to another, in one piece."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from apt_ostree import commits, deltas, repos, signing, summaries
from apt_ostree.context import Context
from apt_ostree.errors import AptOstreeError, UsageError
from apt_ostree.ops.repo import publishing
from apt_ostree.publishing import Delta, Generated, Shown
from apt_ostree.report import Durations, OutputLine, Reporter, TeeReporter, phase
from apt_ostree.signing import Signer, Signing
from apt_ostree.tools import ostree


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Deltas to what `ref` (or `target`) stands at: from `source`, from nothing (`empty`), from its last commits."""

    repo: Path
    ref: str
    source: str = ""
    target: str = ""
    last: int = 1
    empty: bool = False
    inline: bool = False
    signing: Signing = field(default_factory=Signing)


def generate(context: Context, request: Request) -> Generated:
    """Make the deltas there are not yet, and tell of them in the summary. Raises UsageError, AptOstreeError."""
    repos.require(request.repo)
    signer = signing.prepare(request.signing)
    wanted = tuple(_wanted(request))
    missing = tuple(delta for delta in wanted if not _there(request, delta))
    summary = summaries.read(request.repo)
    writes = bool(summary or signer.gpg) and (bool(missing) or not summaries.is_current(request.repo, summary, signer))
    if writes:
        summaries.require_key(request.repo, summary, signer)
    answer = Generated(
        command=context.options.command,
        branch=request.ref,
        deltas=tuple(_measured(request.repo, delta) if delta not in missing else delta for delta in wanted),
        would_change=bool(missing or writes),
        summary=summary,
        warnings=tuple(_warnings(request, wanted)),
    )
    if context.options.dry_run or not answer.would_change:
        return answer
    return _make(context, request, answer, signer if writes else None)


def _wanted(request: Request) -> Iterator[Delta]:
    target = repos.resolve(request.repo, request.target or request.ref)
    if request.empty:
        yield Delta(source="", target=target)
    if request.source:
        source = repos.resolve(request.repo, request.source)
        if source == target:
            raise UsageError(f"'{request.source}' is the commit to come to", hint="choose an older one: --from REV")
        yield Delta(source=source, target=target)
        return
    if request.last < 1 and not request.empty:
        raise UsageError("--last: at least one commit is needed", hint="--last=3")
    former = itertools.islice(commits.ancestry(request.repo, target), 1, request.last + 1)
    for commit in former:
        if commits.whole(request.repo, commit.checksum):
            yield Delta(source=commit.checksum, target=target)


def _there(request: Request, delta: Delta) -> bool:
    """True when the delta exists in the wanted form; one that cannot be read is made anew."""
    try:
        return deltas.load(request.repo, delta.name).inline is request.inline
    except deltas.DeltaError:
        return False


def _warnings(request: Request, wanted: tuple[Delta, ...]) -> Iterator[str]:
    if not wanted:
        yield f"the repo has no former commit of {request.ref} to start from; --empty makes a delta from nothing"
    if (mode := repos.mode(request.repo)) != "archive":
        yield f"the repo's mode is {mode}: over http only archive repos are pulled from, and deltas are not pulled"


def _make(context: Context, request: Request, answer: Generated, signer: Signer | None) -> Generated:
    durations = Durations()
    reporter = TeeReporter(context.reporter, durations)
    with publishing(context, request.repo):
        made = tuple(delta if delta.superblock else _generate(request, delta, reporter) for delta in answer.deltas)
        summary = answer.summary
        if signer:
            with phase(reporter, "summary", "Writing the summary"):
                summary = summaries.update(request.repo, signer)
    return replace(
        answer,
        changed=True,
        would_change=False,
        deltas=made,
        summary=summary,
        warnings=(*answer.warnings, *(summary.warnings if summary else ())),
        duration=durations.seconds,
    )


def _generate(request: Request, delta: Delta, reporter: Reporter) -> Delta:
    begin = f"--from={delta.source}" if delta.source else "--empty"
    options = (begin, f"--to={delta.target}", *(["--inline"] if request.inline else []))
    with phase(reporter, "delta", f"Making the delta from {delta.source[:10] or 'nothing'}"):
        ostree.delta_generate(request.repo, options, lambda line: reporter.event(OutputLine(line=line)))
    return replace(_measured(request.repo, delta), fresh=True)


def _measured(repo: Path, delta: Delta) -> Delta:
    """A delta as it is on disk, with what a plain pull takes; commits that are gone leave that open."""
    loaded = deltas.load(repo, delta.name)
    try:
        return replace(loaded, plain=deltas.plain_size(repo, delta.source, delta.target))
    except commits.CommitError:
        return loaded


def show(repo: Path, wanted: str) -> Shown:
    """Deltas of a repo: all, the one of that name, or those to a revision. Raises AptOstreeError.

    Of several a damaged one is told beside the others.
    """
    repos.require(repo)
    names = deltas.names(repo)
    if wanted and wanted not in names:
        target = repos.resolve(repo, wanted)
        names = tuple(name for name in names if name.endswith(target))
        if not names:
            raise AptOstreeError(
                f"there is no delta to {wanted} in '{repo}'",
                hint=f"apt-ostree delta generate --repo {repo} {wanted}",
                code="no-delta",
            )
    elif wanted:
        return Shown(deltas=(_measured(repo, deltas.load(repo, wanted)),))
    found, damaged = list[Delta](), dict[str, str]()
    for name in names:
        try:
            found.append(_measured(repo, deltas.load(repo, name)))
        except deltas.DeltaError as error:
            damaged[name] = error.message
    return Shown(deltas=tuple(found), damaged=damaged)
