"""upgrade: the newest commit of the base's branch, and the newest layered packages on it.

`--check`, `--preview` and `--dry-run` are this very change, stopped before anything is brought or built.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from apt_ostree import updates
from apt_ostree.context import Context
from apt_ostree.errors import UsageError
from apt_ostree.lookup import Finder
from apt_ostree.model import Origin, PackageRequest, Result, TransactionKind, Update
from apt_ostree.ops import base, install
from apt_ostree.planning import Change, Situation

UP_TO_DATE = "No upgrade available."
DOWNLOADED = 'Update downloaded. Deploy it, without a network, with "apt-ostree upgrade --cache-only"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`skip_layer`: requests to leave out this time. `check`, `preview`: stop before anything is changed."""

    check: bool = False
    preview: bool = False
    allow_downgrade: bool = False
    install: tuple[str, ...] = ()
    uninstall: tuple[str, ...] = ()
    skip_layer: tuple[str, ...] = ()


def run(context: Context, request: Request) -> Result:
    """Upgrade, or with `check` say what an upgrade would do; the result's `update` tells what there is.

    Raises AptOstreeError (code `downgrade` for an older commit), VerificationError, ResolveError.
    """
    seen: list[Situation] = []

    def change(situation: Situation, finder: Finder) -> Change:
        seen.append(situation)
        return _change(situation, finder, request)

    # what there is now, not what there was an hour ago
    options = replace(
        context.options, refresh_age=-1.0, dry_run=context.options.dry_run or request.check or request.preview
    )
    context = replace(context, options=options)
    result = base.execute(context, change)
    update = base.update_of(seen[-1], result) if seen else None
    _remember(context, result, update)
    if result.message == "No change.":
        result = replace(result, message=UP_TO_DATE)
    if options.download_only and result.would_change and not options.dry_run:
        result = replace(result, message=DOWNLOADED)
    return replace(result, update=update, brief=request.check)


def _remember(context: Context, result: Result, update: Update | None) -> None:
    """For status. A check writes nothing into the sysroot; on the running system its finding is kept in /run."""
    paths = context.paths
    if not context.options.dry_run:
        updates.write_update(paths.update, None if result.changed else update)
    if paths.is_running_root and (context.options.dry_run or result.changed):
        updates.write_update(paths.checked_update, None if result.changed else update)


def _change(situation: Situation, finder: Finder, request: Request) -> Change:
    skipping, warnings = _skip(situation.origin, request.skip_layer)
    change = Change(kind=TransactionKind.UPGRADE, origin=skipping, base=situation.base, warnings=warnings)
    if base.moves(situation.origin):
        found = finder.tip(base.source(situation.origin))
        if not request.allow_downgrade:
            base.refuse_older(situation.base, found.commit)
        change = base.moved(change, found, replace(skipping, override_commit=""))
    else:
        held = situation.origin.override_commit or situation.origin.refspec
        change = replace(change, warnings=(*warnings, f"the base is pinned to {held[:12]}; only packages are upgraded"))
    if request.install or request.uninstall:
        return install.edited(change, situation, request.install, request.uninstall)
    return change


def _skip(origin: Origin, names: Sequence[str]) -> tuple[Origin, tuple[str, ...]]:
    """The origin without the requests to skip, and with those that were skipped before: they are tried again.

    What is left out stays in the origin, under another key, so that the deployment satisfies what it asks for and
    the wish is not lost. Raises UsageError for what is not requested.
    """
    wanted = tuple(dict.fromkeys((*origin.requested, *origin.skipped)))
    left = tuple(request for request in wanted if _is_named(request, names))
    unknown = [name for name in names if not any(_is_named(request, (name,)) for request in wanted)]
    if unknown:
        raise UsageError(
            f"not a requested package: {', '.join(unknown)}",
            hint=f"requested are: {', '.join(map(str, wanted)) or 'none'}; local files can only be uninstalled",
        )
    kept = tuple(request for request in wanted if request not in left)
    warnings = tuple(f"{request} is left out of this deployment; the next upgrade tries it again" for request in left)
    return replace(origin, requested=kept, skipped=left), warnings


def _is_named(request: PackageRequest, names: Sequence[str]) -> bool:
    return any(name in (str(request), request.name) for name in names)
