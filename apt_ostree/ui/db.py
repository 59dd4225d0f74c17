"""`db list` and `db diff`: for people and for scripts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NotRequired, TypedDict

from apt_ostree.findings import PackageDiff, PackageList, PackageVersion
from apt_ostree.model import DiffKind, Package, PackageChange
from apt_ostree.ui import changes as words
from apt_ostree.ui.theme import PLAIN, Theme, clean

Evr = tuple[str, str, str]  # name, version, architecture


class PackageSides(TypedDict):
    PreviousPackage: NotRequired[Evr]
    NewPackage: NotRequired[Evr]


DiffJson = TypedDict(
    "DiffJson",
    {"ostree-commit-from": str, "ostree-commit-to": str, "pkgdiff": list[tuple[str, int, PackageSides]]},
)

# numbers of rpm-ostree's RpmOstreePackageDiffType, kept so that its readers work
_NUMBERS = {DiffKind.ADDED: 0, DiffKind.REMOVED: 1, DiffKind.UPGRADED: 2, DiffKind.DOWNGRADED: 3}


def diff_json(diff: PackageDiff) -> DiffJson:
    """`db diff --format json`."""
    return {
        "ostree-commit-from": diff.from_checksum,
        "ostree-commit-to": diff.to_checksum,
        "pkgdiff": [(change.name, _NUMBERS[change.kind], _sides(change)) for change in diff.changes],
    }


def _sides(change: PackageChange) -> PackageSides:
    found: PackageSides = {}
    if change.old:
        found["PreviousPackage"] = _evr(change.old)
    if change.new:
        found["NewPackage"] = _evr(change.new)
    return found


def _evr(package: Package) -> Evr:
    return (package.name, package.version, package.arch)


def diff_text(diff: PackageDiff, *, style: str = "block", theme: Theme = PLAIN) -> str:
    """`db diff` for people; `style` is `block` or `diff`. Ends with a newline unless it is empty."""
    if style == "diff":
        return "".join(f"{line}\n" for line in words.lines(diff.changes))
    head = [
        f"ostree diff commit from: {clean(diff.from_name)} ({diff.from_checksum})",
        f"ostree diff commit to:   {clean(diff.to_name)} ({diff.to_checksum})",
    ]
    body = list(words.block(diff.changes, theme)) or ["No package changes."]
    return "\n".join([*head, *body]) + "\n"


def list_json(lists: Iterable[PackageList]) -> dict[str, Any]:
    """`db list --json`."""
    return {
        "commits": [
            {
                "revision": found.revision,
                "checksum": found.checksum,
                "packages": [
                    {"name": p.name, "version": p.version, "arch": p.arch, "source": p.source, "size": p.size}
                    for p in found.packages
                ],
            }
            for found in lists
        ]
    }


def list_text(lists: Iterable[PackageList]) -> str:
    """`db list` for people."""
    return "".join(
        f"ostree commit: {clean(found.revision)} ({found.checksum})\n"
        + "".join(f" {clean(p.name)} {clean(p.version)} {clean(p.arch)}\n" for p in found.packages)
        for found in lists
    )


def version_json(versions: Iterable[PackageVersion]) -> dict[str, Any]:
    """`db version --json`."""
    return {
        "commits": [
            {
                "revision": found.revision,
                "checksum": found.commit.checksum,
                "version": found.commit.version,
                "timestamp": found.commit.timestamp,
                "packages": found.count,
                "digest": found.digest,
            }
            for found in versions
        ]
    }


def version_text(versions: Iterable[PackageVersion]) -> str:
    """`db version` for people."""
    return "".join(
        f"ostree commit: {clean(found.revision)} ({found.commit.checksum})\n"
        f" {f'{clean(found.commit.version)}, ' if found.commit.version else ''}"
        f"{found.count} packages, {found.digest}\n"
        for found in versions
    )
