"""`status`: for people and for scripts."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import TypedDict

from apt_ostree.model import Deployment, DiffKind, PackageChange, Unlocked
from apt_ostree.states import (
    AutomaticUpdates,
    BaseState,
    Health,
    HealthState,
    Signature,
    StatusReport,
    TransactionOwner,
)
from apt_ostree.ui import update
from apt_ostree.ui.jsonshape import (
    DeploymentJson,
    active_requests,
    deployment_json,
    health_json,
    inactive_overrides,
    inactive_requests,
    signature_json,
)
from apt_ostree.ui.theme import PLAIN, Style, Theme, clean, size, wrap

StatusJson = TypedDict(
    "StatusJson",
    {
        "deployments": list[DeploymentJson],
        "transaction": list[str] | None,
        "cached-update": dict[str, object] | None,
        "update-driver": dict[str, object] | None,
    },
)

Row = tuple[str, list[str], Style | None]  # key, words (or one text), style
_KINDS = (DiffKind.UPGRADED, DiffKind.DOWNGRADED, DiffKind.REMOVED, DiffKind.ADDED)


def as_json(report: StatusReport) -> StatusJson:
    """`status --json`."""
    owner = report.transaction
    return {
        "deployments": [_deployment(deployment, report) for deployment in report.deployments],
        "transaction": [owner.command, owner.phase, str(owner.pid)] if owner else None,
        "cached-update": update.as_json(report.update) if report.update else None,
        "update-driver": _driver(report),
    }


def _deployment(deployment: Deployment, report: StatusReport) -> DeploymentJson:
    found = deployment_json(deployment)
    found["etc-conflicts"] = list(report.etc_conflicts) if _is_next(deployment) else []
    if deployment.booted and report.live_replaced:
        found["live-replaced"] = report.live_replaced
    if deployment.booted and report.live_inprogress:
        found["live-inprogress"] = report.live_inprogress
    found["health"] = health_json(report.health.get(deployment.id, Health()))
    base = report.bases.get(deployment.id, BaseState())
    if base.pending:
        found["pending-base-checksum"] = base.pending.checksum
        found["pending-base-timestamp"] = base.pending.timestamp
        if base.pending.version:
            found["pending-base-version"] = base.pending.version
    if base.gpg_enabled is not None:
        found["gpg-enabled"] = base.gpg_enabled
    if base.signatures:
        found["signatures"] = [signature_json(signature) for signature in base.signatures]
    if deployment.id in report.disk:
        found["disk"] = report.disk[deployment.id]
    return found


def _driver(report: StatusReport) -> dict[str, object] | None:
    """Who updates this system by itself, as rpm-ostree names such agents."""
    if report.automatic.policy == "none":
        return None
    return {"driver-name": "apt-ostree-automatic", "driver-sd-unit": "apt-ostree-automatic.timer"}


def _is_next(deployment: Deployment) -> bool:
    return deployment.index == 0 and not deployment.booted


def text(report: StatusReport, *, verbose: bool = False, theme: Theme = PLAIN) -> str:
    """`status` for people. Ends with a newline."""
    return "\n".join(_lines(report, verbose, theme)) + "\n"


def _lines(report: StatusReport, verbose: bool, theme: Theme) -> Iterator[str]:
    yield f"State: {'busy' if report.transaction else 'idle'}"
    if report.last_failure:
        why = clean(report.last_failure)
        yield theme.paint(f"Warning: the last staged deployment was not finalised: {why}", Style.RED)
    for problem in report.problems:
        yield theme.paint(f"Warning: {clean(problem)}", Style.RED)
    yield from _automatic(report.automatic)
    if report.transaction:
        yield f"Transaction: {_owner(report.transaction)}"
    if not report.deployments:
        yield "No deployment is booted." if report.booted_only else "No deployments."
        return
    yield "Deployments:"
    entries = [(deployment, _rows(deployment, report, verbose)) for deployment in report.deployments]
    width = max(len(key) for _, rows in entries for key, _, _ in rows)
    for index, (deployment, rows) in enumerate(entries):
        if index:
            yield ""
        yield _heading(deployment, verbose, theme)
        for row in rows:
            yield from _shown(row, width, theme)
    if report.update:
        yield ""
        yield from update.lines(report.update, theme)


def _automatic(state: AutomaticUpdates) -> Iterator[str]:
    if state.policy == "none":
        return
    if state.failing_since:
        how = f"failing since {_moment(state.failing_since)}: {clean(state.failure)}"
    else:
        how = f"last run {_moment(state.last_run)}" if state.last_run else "not yet run"
    yield f"AutomaticUpdates: {state.policy}; {how}"


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _owner(owner: TransactionOwner) -> str:
    seconds = max(0, int(time.time() - owner.since))
    return f"{clean(owner.command)} (pid {owner.pid}, {clean(owner.phase)}, since {seconds} s)"


def _heading(deployment: Deployment, verbose: bool, theme: Theme) -> str:
    origin = deployment.origin
    name = clean(origin.container_image_reference or origin.refspec) or "(no origin)"
    index = f" (index: {deployment.index})" if verbose else ""
    return f"{theme.bullet if deployment.booted else ' '} {theme.paint(name, Style.BOLD)}{index}"


def _shown(row: Row, width: int, theme: Theme) -> Iterator[str]:
    key, words, style = row
    room = theme.width - width - 4
    if len(words) == 1 and len(words[0]) == 64 and theme.terminal:
        lines = [clean(words[0])[: max(room, 12)]]  # a checksum stays usable when it is cut
    else:
        lines = wrap(words, room)
    for number, line in enumerate(lines):
        label = f"{key if number == 0 else '':>{width}}{':' if number == 0 else ' '}"
        yield f"  {label} {theme.paint(line, style) if style else line}".rstrip()


def _rows(deployment: Deployment, report: StatusReport, verbose: bool) -> list[Row]:
    following = deployment is report.deployments[0] and not deployment.booted
    return [
        *_commit_rows(deployment, verbose),
        *_base_rows(report.bases.get(deployment.id, BaseState())),
        *(_place_rows(deployment) if verbose else ()),
        *(_diff_rows(report.changes, verbose) if following else ()),
        *_package_rows(deployment, verbose),
        *(_live_rows(report) if deployment.booted else ()),
        *_health_rows(report.health.get(deployment.id, Health())),
        *_state_rows(deployment, verbose),
        *_file_rows(deployment, report, verbose),
    ]


def _file_rows(deployment: Deployment, report: StatusReport, verbose: bool) -> Iterator[Row]:
    if report.etc_conflicts and _is_next(deployment):
        yield ("EtcConflicts", list(report.etc_conflicts), Style.YELLOW)
    if verbose and deployment.id in report.disk:
        yield ("Disk", [size(report.disk[deployment.id])], None)


def _commit_rows(deployment: Deployment, verbose: bool) -> Iterator[Row]:
    base = deployment.base_commit or deployment.commit
    version = deployment.commit.version or base.version
    moment = datetime.fromtimestamp(deployment.commit.timestamp, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    yield ("Version", [f"{version} ({moment})"], None) if version else ("Timestamp", [moment], None)
    if deployment.origin.image_digest:
        yield ("Digest", [deployment.origin.image_digest], None)
    if deployment.commit.layer is None:
        yield ("Commit", [deployment.checksum], None)
        return
    yield ("BaseCommit", [base.checksum], None)
    if verbose:
        yield ("Commit", [deployment.checksum], None)


def _base_rows(base: BaseState) -> Iterator[Row]:
    for signature in base.signatures:
        yield ("GPGSignature", [f"{_judged(signature)} {signature.key_id}"], None if signature.valid else Style.RED)


def _judged(signature: Signature) -> str:
    if signature.valid:
        return "valid signature by"
    if signature.key_missing:
        return "signature cannot be checked, key"
    return "expired signature, key" if signature.expired else "BAD signature, key"


def _place_rows(deployment: Deployment) -> Iterator[Row]:
    yield ("StateRoot", [deployment.osname], None)
    yield ("Staged", ["yes" if deployment.staged else "no"], None)


def _diff_rows(changes: Iterable[PackageChange], verbose: bool) -> Iterator[Row]:
    listed = tuple(changes)
    counts = Counter(change.kind for change in listed)
    if not listed:
        return
    yield ("Diff", [", ".join(f"{counts[kind]} {kind}" for kind in _KINDS if counts[kind])], None)
    for kind in _KINDS if verbose else ():
        names = [change.name for change in listed if change.kind is kind]
        if names:
            yield (kind.capitalize(), names, None)


def _package_rows(deployment: Deployment, verbose: bool) -> Iterator[Row]:
    origin, layer = deployment.origin, deployment.commit.layer
    if layer and layer.removals:
        yield ("RemovedBasePackages", [f"{p.name} {p.version}" for p in layer.removals], None)
    if layer and layer.replacements:
        yield ("Overrides", [f"{new.name} {old.version} -> {new.version}" for old, new in layer.replacements], None)
    if active := active_requests(deployment):
        yield ("LayeredPackages", active, None)
    if origin.requested_local:
        yield ("LocalPackages", [local.nevra for local in origin.requested_local], None)
    if origin.skipped:
        yield ("SkippedPackages", [str(request) for request in origin.skipped], Style.YELLOW)
    if verbose and (inactive := inactive_requests(deployment)):
        yield ("InactiveRequests", inactive, None)
    if verbose and (sleeping := inactive_overrides(deployment)):
        yield ("InactiveOverrides", sleeping, None)


def _live_rows(report: StatusReport) -> Iterator[Row]:
    if report.live_replaced:
        yield ("LiveCommit", [report.live_replaced], None)
        for _, words, style in list(_diff_rows(report.live_changes, False))[:1]:
            yield ("LiveDiff", words, style)
    if report.live_inprogress:
        yield ("LiveInterrupted", [report.live_inprogress], Style.RED)


def _health_rows(health: Health) -> Iterator[Row]:
    if health.state is HealthState.UNTESTED:
        return
    bad = health.state is HealthState.BAD
    moment = datetime.fromtimestamp(health.when, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    failed = f": {', '.join(health.failed)} failed" if bad else ""
    yield ("Health", [f"{health.state}{failed} ({moment})"], Style.RED if bad else None)


def _state_rows(deployment: Deployment, verbose: bool) -> Iterator[Row]:
    origin = deployment.origin
    if origin.regenerate_initramfs:
        yield ("Initramfs", ["regenerate", *origin.initramfs_args], None)
    if origin.initramfs_etc:
        yield ("InitramfsEtc", list(origin.initramfs_etc), None)
    if origin.pinned:
        yield ("Pinned", ["yes"], None)
    if deployment.finalization_locked:
        yield ("Finalization", ["locked"], Style.YELLOW)
    if deployment.unlocked is not Unlocked.NONE:
        yield ("Unlocked", [str(deployment.unlocked)], Style.RED)
    if deployment.origin_error:
        yield ("OriginError", [deployment.origin_error], Style.RED)
    if verbose and deployment.kargs:
        yield ("Kargs", list(deployment.kargs), None)
