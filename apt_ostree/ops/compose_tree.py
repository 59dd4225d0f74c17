"""compose tree: a treefile becomes a base commit in a repo."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from apt_ostree import compose, guarding, pkgdb, preflight, treefile
from apt_ostree.model import Result
from apt_ostree.paths import Store
from apt_ostree.planning import Context
from apt_ostree.tools import dpkg

_ROOM = 1_500_000_000  # bytes: a minimal tree, its packages and the initramfs while it is built


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Compose `treefile` into `repo`."""

    treefile: Path
    repo: Path


def plan(request: Request) -> compose.ComposePlan:
    """Read the treefile and work out what would be done; nothing is changed. Raises UsageError, AptOstreeError."""
    parsed = treefile.load(request.treefile)
    return compose.plan(parsed, request.repo.absolute(), parsed.architecture or dpkg.architecture())


def run(context: Context, request: Request) -> Result:
    """Make a commit of the treefile's ref. Raises UsageError, AptOstreeError, ToolMissingError, NotRootError."""
    planned = plan(request)
    if context.options.dry_run:
        return Result(
            command=context.options.command,
            changed=False,
            would_change=True,
            message=f"Dry run: {planned.treefile.ref} would be made by\n{shlex.join(planned.argv)}",
        )
    store = Store(planned.repo)
    with guarding.guarded(context, store, None) as guard:
        preflight.check_space(store.repo, download=0, installed=_ROOM)
        guard.held.phase("compose")
        composed = compose.compose_tree(planned, guard.context.reporter)
    before = pkgdb.packages(planned.repo, planned.parent) if planned.parent else ()
    return Result(
        command=context.options.command,
        changed=True,
        changes=pkgdb.diff(before, composed.packages) if before else (),
        duration=guard.durations.seconds,
        warnings=composed.warnings,
        message=f"{planned.treefile.ref} is {composed.checksum} ({len(composed.packages)} packages)",
        commit=composed.checksum,
    )
