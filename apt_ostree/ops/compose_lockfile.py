"""compose lockfile: which packages a treefile means now, written down and nothing else."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from apt_ostree import guarding, lockfile, pkgdb, treefile
from apt_ostree.compose import layers, tree
from apt_ostree.context import Context
from apt_ostree.errors import ResolveError, UsageError
from apt_ostree.lockfile import Lock
from apt_ostree.model import PackageChange, Result
from apt_ostree.ops import compose_choice
from apt_ostree.report import Warned
from apt_ostree.tools import dpkg


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Write the lockfile of `treefile` (None: `compose_choice.lock_path`) with the package lists kept in `repo`."""

    treefile: Path
    repo: Path
    lockfile: Path | None = None

    @property
    def lock_path(self) -> Path:
        return compose_choice.lock_path(self.treefile, self.lockfile)


def run(context: Context, request: Request) -> Result:
    """Choose, compare, write. Raises UsageError, ResolveError, VerificationError, AptOstreeError, NotRootError."""
    compose_choice.check_writable(request.lock_path)
    target = tree.target(treefile.load(request.treefile), request.repo.absolute(), dpkg.architecture())
    layers.targets(target)  # a treefile that cannot be composed has no lockfile
    if context.options.dry_run:
        with tempfile.TemporaryDirectory(prefix="apt-ostree-") as folder:
            chosen = compose_choice.choose(context, target, Path(folder), None)
        return _result(context, request, chosen.lock)
    with guarding.guarded(context, target.store, None) as guard:
        chosen = compose_choice.choose(guard.context, target, compose_choice.directory(target), None)
        result = _result(guard.context, request, chosen.lock)
        if result.would_change:
            compose_choice.write(request.lock_path, lockfile.dump(chosen.lock))
            result = replace(result, changed=True, would_change=False)
    return replace(result, duration=guard.durations.seconds)


def _result(context: Context, request: Request, lock: Lock) -> Result:
    """What there is to write; a lockfile of the same packages stays, with the time and the sources it has."""
    former = _former(context, request.lock_path)
    same = former is not None and _choice(former) == _choice(lock)
    what = f"No change: {request.lock_path} has" if same else f"{request.lock_path}:"
    dry = "Dry run: " if context.options.dry_run and not same else ""
    return Result(
        command=context.options.command,
        changed=False,
        would_change=not same,
        changes=_changes(former, lock),
        message=f"{dry}{what} {lock.counts}",
    )


def _former(context: Context, path: Path) -> Lock | None:
    try:
        return lockfile.load(path)
    except ResolveError:
        return None
    except UsageError as error:
        context.reporter.event(Warned(message=f"{error.message}; it is written anew"))
        return None


def _choice(lock: Lock) -> Lock:
    """What of a lockfile is news: not that the archive was published again, but the time when somebody sets it."""
    given = bool(os.environ.get("SOURCE_DATE_EPOCH"))
    return replace(lock, sources=(), epoch=lock.epoch if given else 0)


def _changes(former: Lock | None, lock: Lock) -> tuple[PackageChange, ...]:
    if former is None:
        return ()
    old, new = ([item.planned.package for item in each.everything] for each in (former, lock))
    return pkgdb.diff(old, new)
