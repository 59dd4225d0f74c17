"""compose tree: a treefile becomes a base commit in a repo."""

from __future__ import annotations

import os
import shlex
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

from apt_ostree import aptroot, guarding, lockfile, pkgdb, preflight, resolving, signing, treefile
from apt_ostree.compose import selection, tree
from apt_ostree.context import Context
from apt_ostree.errors import AptOstreeError, UsageError
from apt_ostree.fetch import stored
from apt_ostree.lockfile import Lock
from apt_ostree.model import PackageChange, Result
from apt_ostree.report import phase
from apt_ostree.signing import Signing
from apt_ostree.tools import dpkg, mmdebstrap

_ROOM = 1_500_000_000  # bytes: a minimal tree, its packages and the initramfs while it is built


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Compose `treefile` into `repo`.

    `locked`: take exactly what `lockfile` says (None: the one beside the treefile); `write_lockfile`: write it.
    `parent`: a revision, "" for none, None for the ref's commit. With `commit_file` its checksum is written there
    and no ref is moved. `force`: also when the inputs are those of the ref's commit. The commit is born signed by
    the keys of `signing`.
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
        return self.lockfile or lockfile.beside(self.treefile)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chosen:
    """The packages, and the apt that can fetch them."""

    root: aptroot.AptRoot
    lock: Lock


def _target(request: Request) -> tree.Target:
    """Read the treefile and look at the repo; nothing is changed. Raises UsageError, AptOstreeError."""
    if request.locked and request.write_lockfile:
        raise UsageError("--locked and --write-lockfile exclude each other", hint="leave one of them out")
    parsed = treefile.load(request.treefile)
    target = tree.target(
        parsed,
        request.repo.absolute(),
        dpkg.architecture(),
        parent=request.parent,
        moves=not request.commit_file,
    )
    return replace(target, signer=signing.prepare(request.signing))


def run(context: Context, request: Request) -> Result:
    """Make a commit of the treefile's ref.

    Raises UsageError, ResolveError, AptOstreeError, ToolMissingError, NotRootError.
    """
    target = _target(request)
    if context.options.dry_run:
        with tempfile.TemporaryDirectory(prefix="apt-ostree-") as folder:
            return _dry_run(context, request, target, _choose(context, request, target, Path(folder)).lock)
    guarding.require_root(context.options.command)
    mmdebstrap.check()
    with guarding.guarded(context, target.store, None) as guard:
        directory = target.store.root / "compose-apt"
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        chosen = _choose(guard.context, request, target, directory)
        result = _perform(guard, request, target, chosen)
    if request.write_lockfile and not context.options.download_only:
        _write(request.lock_path, lockfile.dump(chosen.lock))
    return result


def _choose(context: Context, request: Request, target: tree.Target, directory: Path) -> _Chosen:
    root = selection.apt_root(directory, target.treefile, target.architecture)
    fresh = replace(context, options=replace(context.options, refresh_age=0.0))
    if not request.locked:
        resolving.ensure_lists(fresh, root)
        with phase(context.reporter, "resolve", "Resolving dependencies"):
            return _Chosen(root=root, lock=selection.resolve(root, target.treefile))
    lock = lockfile.load(request.lock_path)
    selection.check_selection(lock, target.treefile, target.architecture)
    missing = [package for package in lock.packages if not stored(target.store, package.sha256).is_file()]
    if missing and not context.options.cache_only:
        resolving.ensure_lists(fresh, root)
        selection.check_archive(root, missing)
    return _Chosen(root=root, lock=lock)


def _perform(guard: guarding.Guard, request: Request, target: tree.Target, chosen: _Chosen) -> Result:
    """Stop where nothing is to do, fetch, compose."""
    context, lock = guard.context, chosen.lock
    changes = _changes(target, lock)
    base = Result(command=context.options.command, changed=False, changes=changes)
    if not request.force and tree.unchanged(target, tree.input_digest(target, lock)):
        return replace(base, message=f"No change: {target.ref} is {target.previous}", commit=target.previous)
    fetched = _fetch(context, target, chosen)
    base = replace(base, download_bytes=fetched, duration=guard.durations.seconds)
    if context.options.download_only:
        return replace(base, would_change=True, message=f"{len(lock.packages)} packages are here")
    preflight.check_space(target.repo, download=0, installed=_ROOM)
    guard.held.phase("compose")
    composed = tree.compose_tree(target, lock, context.reporter)
    if request.commit_file:
        _write(request.commit_file, f"{composed.checksum}\n")
    return replace(
        base,
        changed=True,
        duration=guard.durations.seconds,
        warnings=composed.warnings,
        message=f"{target.ref} is {composed.checksum} ({len(composed.packages)} packages)",
        commit=composed.checksum,
    )


def _fetch(context: Context, target: tree.Target, chosen: _Chosen) -> int:
    missing = [package for package in chosen.lock.packages if not stored(target.store, package.sha256).is_file()]
    if missing and context.options.cache_only:
        raise AptOstreeError(
            f"{len(missing)} packages are not in the cache: {', '.join(map(str, missing[:10]))}",
            hint="leave --cache-only away, or fetch them with --download-only first",
            code="not-cached",
        )
    with phase(context.reporter, "download", "Downloading packages"):
        return tree.download(target, chosen.root, chosen.lock, context.reporter)


def _changes(target: tree.Target, lock: Lock) -> tuple[PackageChange, ...]:
    """Against the ref's commit; nothing for a new ref, where everything is new."""
    if not target.previous:
        return ()
    return pkgdb.diff(pkgdb.packages(target.repo, target.previous), [item.planned.package for item in lock.packages])


def _dry_run(context: Context, request: Request, target: tree.Target, lock: Lock) -> Result:
    same = not request.force and tree.unchanged(target, tree.input_digest(target, lock))
    told = f"{target.ref} would be made of {len(lock.packages)} packages by\n"
    told += shlex.join(tree.command_line(target))
    return Result(
        command=context.options.command,
        changed=False,
        would_change=not same,
        changes=_changes(target, lock),
        message=f"Dry run: {'nothing would change' if same else told}",
    )


def _write(path: Path, text: str) -> None:
    """By a new file and a rename: whoever reads it sees the old or the new one."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(text)
    fresh.rename(path)
