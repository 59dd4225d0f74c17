"""compose tree: a treefile becomes a base commit in a repo, and its layers one commit each on top of that."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from apt_ostree import guarding, lockfile, pkgdb, preflight, signing, treefile
from apt_ostree.compose import layers, tree
from apt_ostree.context import Context
from apt_ostree.errors import AptOstreeError, UsageError
from apt_ostree.model import MadeCommit, PackageChange, Result
from apt_ostree.ops import compose_choice, compose_layers, compose_signing
from apt_ostree.ops.compose_choice import Chosen, choose
from apt_ostree.ops.compose_layers import Stack
from apt_ostree.ops.compose_signing import Lacking
from apt_ostree.report import OutputLine, phase
from apt_ostree.signing import Signing
from apt_ostree.tools import dpkg, mmdebstrap, ostree

_ROOM = 1_500_000_000  # bytes: a minimal tree, its packages and the initramfs while it is built
_UNPACKED = 4  # what a layer's packages take, as a multiple of their archives


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Compose `treefile` into `repo`.

    `locked`: take exactly what `lockfile` says (None: `compose_choice.lock_path`); `write_lockfile`: write it.
    `parent`: of the base, a revision, "" for none, None for the ref's commit. With `commit_file` the checksum of the
    last commit is written there and no ref is moved. `force`: also when the inputs are those of the refs' commits.
    Every commit is born signed by the keys of `signing`, one that stands gets the signatures it lacks.
    """

    treefile: Path
    repo: Path
    lockfile: Path | None = None
    locked: bool = False
    write_lockfile: bool = False
    parent: str | None = None
    commit_file: Path | None = None
    force: bool = False
    signing: Signing = field(default_factory=Signing)

    @property
    def lock_path(self) -> Path:
        return compose_choice.lock_path(self.treefile, self.lockfile)

    @property
    def choice(self) -> Path | None:
        """The lockfile that has chosen, None: apt is to."""
        return self.lock_path if self.locked else None


def _target(request: Request) -> tree.Target:
    """Read the treefile and look at the repo; nothing is changed. Raises UsageError, AptOstreeError."""
    if request.locked and request.write_lockfile:
        raise UsageError("--locked and --write-lockfile exclude each other", hint="leave one of them out")
    for path in (request.commit_file, request.lock_path if request.write_lockfile else None):
        if path is not None:
            compose_choice.check_writable(path)
    parsed = treefile.load(request.treefile)
    return tree.target(
        parsed,
        request.repo.absolute(),
        dpkg.architecture(),
        parent=request.parent,
        moves=not request.commit_file,
    )


def run(context: Context, request: Request) -> Result:
    """Make a commit of the treefile's ref, and of that of each layer.

    Raises UsageError, ResolveError, AptOstreeError, ToolMissingError, NotRootError.
    """
    signer = signing.prepare(request.signing)
    target = replace(_target(request), signer=signer)
    found = layers.targets(target)
    if context.options.dry_run:
        with tempfile.TemporaryDirectory(prefix="apt-ostree-") as folder:
            chosen = choose(context, target, Path(folder), request.choice)
        return _dry_run(context, request, Stack(target=target, layers=found, lock=chosen.lock))
    guarding.require_root(context.options.command)
    mmdebstrap.check()
    with guarding.guarded(context, target.store, None) as guard:
        target = replace(_target(request), signer=signer)  # whoever was waited for may have moved the branches
        found = layers.targets(target)
        chosen = choose(guard.context, target, compose_choice.directory(target), request.choice)
        result = _perform(guard, request, Stack(target=target, layers=found, lock=chosen.lock), chosen)
    if request.write_lockfile and not context.options.download_only:
        compose_choice.write(request.lock_path, lockfile.dump(chosen.lock))
        return replace(result, message=f"{result.message}\nThe lockfile is {request.lock_path}: {chosen.lock.counts}")
    return result


def _perform(guard: guarding.Guard, request: Request, stack: Stack, chosen: Chosen) -> Result:
    """Stop where nothing is to do, fetch, compose."""
    context, target, lock = guard.context, stack.target, stack.lock
    kept = compose_layers.standing(stack, force=request.force)
    base = Result(command=context.options.command, changed=False, changes=_changes(stack))
    if len(kept) == 1 + len(stack.layers):
        return _stands(context, request, target, replace(base, commit=kept[-1].checksum, commits=kept))
    fetched = _fetch(context, target, chosen)
    base = replace(base, download_bytes=fetched, duration=guard.durations.seconds)
    if context.options.download_only:
        return replace(base, would_change=True, message=f"{len(lock.everything)} packages are here")
    unpacked = sum(package.size for layer in lock.layers for package in layer.packages) * _UNPACKED
    preflight.check_space(target.repo, download=0, installed=_ROOM + unpacked, alone=True)
    guard.held.phase("compose")
    lacking = compose_signing.lacking(target, kept)
    made, warnings = _make(context, stack, kept, lacking)
    _write_commitid(request, made)
    return replace(
        base,
        changed=True,
        duration=guard.durations.seconds,
        warnings=warnings,
        message="\n".join(_told(commit, lacking) for commit in made),
        commit=made[-1].checksum,
        commits=made,
    )


def _stands(context: Context, request: Request, target: tree.Target, base: Result) -> Result:
    """Compose nothing: only a signature may be missing, and who asked for the checksum gets it."""
    lacking = compose_signing.lacking(target, base.commits)
    if context.options.download_only:
        told = "\n".join(compose_signing.would(base.commits, lacking)) or _unchanged(base.commits, {})
        return replace(base, would_change=bool(lacking), message=told)
    compose_signing.sign(target, lacking)
    _write_commitid(request, base.commits)
    return replace(base, changed=bool(lacking), message=_unchanged(base.commits, lacking))


def _unchanged(kept: Sequence[MadeCommit], lacking: Lacking) -> str:
    signed = [compose_signing.done(commit, lacking) for commit in kept]
    return "\n".join(
        f"{'' if now else 'No change: '}{commit.ref} is {commit.checksum}{now}"
        for commit, now in zip(kept, signed, strict=True)
    )


def _write_commitid(request: Request, commits: Sequence[MadeCommit]) -> None:
    if request.commit_file:
        compose_choice.write(request.commit_file, f"{commits[-1].checksum}\n")


def _told(commit: MadeCommit, lacking: Lacking) -> str:
    same = "" if commit.fresh else f", no change{compose_signing.done(commit, lacking)}"
    return f"{commit.ref} is {commit.checksum} ({commit.packages} packages{same})"


def _make(
    context: Context, stack: Stack, kept: tuple[MadeCommit, ...], lacking: Lacking
) -> tuple[tuple[MadeCommit, ...], tuple[str, ...]]:
    """Make every commit that does not stand; refs move when there is nothing left that could fail."""
    made, target = list(kept), stack.target
    warnings: tuple[str, ...] = ()
    if not made:
        # a tree with layers is no news before they are there
        composed = tree.compose_tree(
            replace(target, moves=target.moves and not stack.layers), stack.lock, context.reporter
        )
        warnings = composed.warnings
        count = len(composed.packages)
        made.append(
            MadeCommit(ref=target.ref, checksum=composed.checksum, parent=target.parent, packages=count, fresh=True)
        )
    while len(made) <= len(stack.layers):
        made.append(compose_layers.build(context, stack, made))
    compose_signing.sign(target, lacking)
    if target.moves and stack.layers:
        _move(stack, [commit for commit in made if commit.fresh])
    return tuple(made), warnings


def _move(stack: Stack, made: Sequence[MadeCommit]) -> None:
    """Let the branches lead to what was made, the tree's own last; when one cannot be moved, none has moved."""
    repo, moved = stack.target.repo, list[MadeCommit]()
    former = {stack.target.ref: stack.target.previous, **{item.ref: item.previous for item in stack.layers}}
    try:
        for commit in reversed(made):
            moved.append(commit)
            ostree.ref_create(repo, commit.ref, commit.checksum)
    except BaseException:
        for commit in moved:
            if former[commit.ref]:
                ostree.ref_create(repo, commit.ref, former[commit.ref])
            elif commit.ref in ostree.refs(repo):
                ostree.ref_delete(repo, commit.ref)
        raise


def _fetch(context: Context, target: tree.Target, chosen: Chosen) -> int:
    missing = compose_choice.missing(target, chosen.lock)
    if missing and context.options.cache_only:
        raise AptOstreeError(
            f"{len(missing)} packages are not in the cache: {', '.join(map(str, missing[:10]))}",
            hint="leave --cache-only away, or fetch them with --download-only first",
            code="not-cached",
        )
    with phase(context.reporter, "download", "Downloading packages"):
        return tree.download(target, chosen.root, chosen.lock, context.reporter)


def _changes(stack: Stack) -> tuple[PackageChange, ...]:
    """Against the commits of the refs, each change once; nothing for a new ref, where everything is new."""
    repo, lock = stack.target.repo, stack.lock
    before = (stack.target.previous, *(item.previous for item in stack.layers))
    found: dict[PackageChange, None] = {}
    for number, previous in enumerate(before):
        if previous:
            now = [*lock.packages, *(package for layer in lock.layers[:number] for package in layer.packages)]
            changes = pkgdb.diff(pkgdb.packages(repo, previous), [item.planned.package for item in now])
            found.update(dict.fromkeys(changes))
    return tuple(sorted(found, key=lambda change: (change.name, change.arch)))


def _dry_run(context: Context, request: Request, stack: Stack) -> Result:
    kept = compose_layers.standing(stack, force=request.force)
    told = list(compose_signing.would(kept, compose_signing.lacking(stack.target, kept)))
    same = len(kept) == 1 + len(stack.layers) and not told
    if not kept:
        told.append(f"{stack.target.ref} would be made of {len(stack.lock.packages)} packages.")
        context.reporter.event(OutputLine(line=shlex.join(tree.command_line(stack.target))))
    for item, locked in list(zip(stack.layers, stack.lock.layers, strict=True))[max(len(kept) - 1, 0) :]:
        told.append(f"{item.ref} would get {len(locked.packages)} packages on top of that")
        for package in locked.packages:
            context.reporter.event(OutputLine(line=str(package)))
    text = "nothing would change" if same else "\n".join(told)
    if request.write_lockfile:
        text += f"\nThe lockfile would be {request.lock_path}: {stack.lock.counts}"
    return Result(
        command=context.options.command,
        changed=False,
        would_change=not same,
        changes=_changes(stack),
        message=f"Dry run: {text}",
        commits=compose_layers.promised(stack, kept),
    )
