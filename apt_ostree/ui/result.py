"""What a verb did, and what it is about to do: for people and for scripts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NotRequired, TypedDict

from apt_ostree.model import Commit, MadeCommit, Plan, Result
from apt_ostree.ui import changes as words
from apt_ostree.ui import update as updates
from apt_ostree.ui.jsonshape import ChangesJson, DeploymentJson, changes_json, deployment_json
from apt_ostree.ui.theme import PLAIN, Style, Theme, clean, size

PulledJson = TypedDict("PulledJson", {"transferred-bytes": int, "static-delta": bool, "saved-bytes": int})


class KargsJson(TypedDict):
    old: list[str]
    new: list[str]


class ComposedJson(TypedDict):
    layer: str | None
    ref: str
    checksum: str | None
    parent: str | None
    packages: int
    new: bool


ResultJson = TypedDict(
    "ResultJson",
    {
        "command": str,
        "changed": bool,
        "would-change": bool,
        "deployment": DeploymentJson | None,
        "packages": ChangesJson,
        "download-bytes": int,
        "disk-bytes": int,
        "duration": dict[str, float],
        "reboot-needed": bool,
        "warnings": list[str],
        "message": str,
        "commit": NotRequired[str],
        "commits": NotRequired[list[ComposedJson]],
        "restart-services": NotRequired[list[str]],
        "new-services": NotRequired[list[str]],
        "kargs": NotRequired[KargsJson],
        "pulled": NotRequired[PulledJson],
        "update": NotRequired[dict[str, Any]],
    },
)


def as_json(result: Result) -> ResultJson:
    """The object every verb that changes something prints with --json."""
    found: ResultJson = {
        "command": result.command,
        "changed": result.changed,
        "would-change": result.would_change,
        "deployment": deployment_json(result.deployment) if result.deployment else None,
        "packages": changes_json(result.changes),
        "download-bytes": result.download_bytes,
        "disk-bytes": result.disk_bytes,
        "duration": dict(result.duration),
        "reboot-needed": result.reboot_needed,
        "warnings": list(result.warnings),
        "message": result.message,
    }
    if result.commit:
        found["commit"] = result.commit
    if result.commits:
        found["commits"] = [_composed(commit) for commit in result.commits]
    if result.restart:
        found["restart-services"] = list(result.restart)
    if result.start:
        found["new-services"] = list(result.start)
    if result.kargs:
        found["kargs"] = {"old": list(result.kargs.old), "new": list(result.kargs.new)}
    if result.pulled:
        found["pulled"] = {
            "transferred-bytes": result.pulled.transferred,
            "static-delta": result.pulled.static_delta,
            "saved-bytes": result.pulled.saved,
        }
    if result.update:
        found["update"] = updates.as_json(result.update)
    return found


def _composed(commit: MadeCommit) -> ComposedJson:
    return {
        "layer": commit.layer or None,
        "ref": commit.ref,
        "checksum": commit.checksum or None,
        "parent": commit.parent or None,
        "packages": commit.packages,
        "new": commit.fresh,
    }


def text(result: Result, *, verbose: bool = False, theme: Theme = PLAIN) -> str:
    """The end of a verb for people: what changed, and what to do now. Ends with a newline unless it is empty.

    Warnings are not repeated here: the reporter showed them when they came up.
    """
    return "".join(f"{line}\n" for line in _lines(result, verbose, theme))


def _lines(result: Result, verbose: bool, theme: Theme) -> Iterator[str]:
    if result.update and result.would_change:
        yield from updates.lines(result.update, theme)
    elif result.changed or result.would_change:
        yield from _base(result.former_base, result.base)
    if not result.brief or verbose:
        yield from words.block(result.changes, theme)
    if result.kargs:
        yield from words.kargs(result.kargs, theme)
    if result.pulled and result.pulled.static_delta:
        pulled, saved = size(result.pulled.transferred), size(result.pulled.saved)
        yield f"Base: {pulled} by a static delta, {saved} saved"
    elif result.pulled:
        yield f"Base: {size(result.pulled.transferred)} pulled"
    if verbose:
        for phase, seconds in result.duration.items():
            yield f"{phase}: {seconds:.1f} s"
        if result.download_bytes:
            yield f"downloaded: {size(result.download_bytes)}"
        if result.disk_bytes:
            yield f"on disk: {size(result.disk_bytes)}"
    if result.message:
        yield from map(clean, result.message.splitlines())


def _base(before: Commit | None, after: Commit | None) -> Iterator[str]:
    if before and after and before.checksum != after.checksum:
        old, new = (f"{commit.version} ({commit.checksum[:12]})".lstrip() for commit in (before, after))
        yield clean(f"Base: {old} -> {new}")


def plan_text(plan: Plan, *, theme: Theme = PLAIN) -> str:
    """What would be done: shown by the confirmation and by --dry-run. Ends with a newline."""
    lines = [*_base(plan.former_base, plan.base)]
    lines += list(words.block(plan.changes, theme)) or ["No package changes."]
    if plan.resolution:
        download, installed = plan.resolution.download_size, plan.resolution.installed_size
        lines.append(f"{size(download)} to download, {size(installed)} installed")
    lines += [f"{theme.paint('warning:', Style.YELLOW)} {clean(warning)}" for warning in plan.warnings]
    return "\n".join(lines) + "\n"
