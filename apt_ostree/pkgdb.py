"""Which packages a commit has, and how two package lists differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from apt_ostree import commitmeta, commits
from apt_ostree.errors import AptOstreeError, ToolError
from apt_ostree.model import DiffKind, Package, PackageChange
from apt_ostree.tools import ostree

DPKG_STATUS = "/usr/lib/sysimage/dpkg/status"


def packages(repo: Path, checksum: str) -> tuple[Package, ...]:
    """All packages of a commit, sorted: from its metadata, so that pruned content does no harm, else its dpkg database.

    Raises AptOstreeError when the commit is not there or has neither.
    """
    listed = commitmeta.decode_pkglist(commits.load(repo, checksum).metadata)
    if listed is None:
        listed = parse_status(status(repo, checksum))
    return tuple(sorted(listed, key=lambda package: package.key))


def status(repo: Path, checksum: str) -> str:
    """Text of a commit's dpkg status file. Raises AptOstreeError when it has none."""
    try:
        return ostree.cat(repo, checksum, DPKG_STATUS)
    except ToolError as error:
        raise AptOstreeError(
            f"the commit {checksum} has no package list: neither in its metadata nor at {DPKG_STATUS}",
            details=error.details,
            hint="only trees made by 'apt-ostree compose tree' have one",
            code="no-pkglist",
        ) from error


def parse_status(text: str) -> tuple[Package, ...]:
    """dpkg's status file (deb822) -> installed packages; `size` is Installed-Size in bytes (Policy 5.6.20)."""
    found = []
    for paragraph in text.split("\n\n"):
        fields = _fields(paragraph)
        # dpkg(1): want, flag, state; half-installed and config-files packages are not there
        if fields.get("Status", "").split()[-1:] not in (["installed"], ["triggers-pending"], ["triggers-awaited"]):
            continue
        size = fields.get("Installed-Size", "0")
        found.append(
            Package(
                name=fields.get("Package", ""),
                version=fields.get("Version", ""),
                arch=fields.get("Architecture", ""),
                source=fields.get("Source", "").partition(" ")[0] or fields.get("Package", ""),
                size=int(size) * 1024 if size.isdigit() else 0,
            )
        )
    return tuple(found)


def _fields(paragraph: str) -> dict[str, str]:
    """Single-line fields of a paragraph; Deb822 would cost 120 ms of import for five of them."""
    found = {}
    for line in paragraph.splitlines():
        key, colon, value = line.partition(":")
        if colon and not line.startswith((" ", "\t")):
            found[key] = value.strip()
    return found


def compare(a: str, b: str) -> int:
    """Order of two versions (deb-version(7)): negative, zero or positive. Raises AptOstreeError for what is none."""
    from debian.debian_support import NativeVersion  # 12 ms, and only diffs need it

    try:
        one, other = NativeVersion(a), NativeVersion(b)
    except ValueError as error:
        raise AptOstreeError(f"not a Debian version: {error}", code="version") from error
    return int(one > other) - int(one < other)


def diff(old: Sequence[Package], new: Sequence[Package]) -> tuple[PackageChange, ...]:
    """What changed from `old` to `new`, by name.

    A package is itself by name and architecture; one that only changed its architecture (all -> amd64) counts as
    changed, not as removed and added.
    """
    before, after = {p.key: p for p in old}, {p.key: p for p in new}
    gone = [p for key, p in before.items() if key not in after]
    come = [p for key, p in after.items() if key not in before]
    moved = _moved(gone, come)
    changes = [_change(before[key], after[key]) for key in before.keys() & after.keys()]
    changes += [_change(one, other) for one, other in moved]
    changes += [_change(p, None) for p in gone if p not in {one for one, _ in moved}]
    changes += [_change(None, p) for p in come if p not in {other for _, other in moved}]
    return tuple(sorted((c for c in changes if c is not None), key=lambda c: (c.name, c.arch)))


def _moved(gone: Iterable[Package], come: Iterable[Package]) -> list[tuple[Package, Package]]:
    """Pairs of one name that is there once before and once after, under another architecture."""
    left, right = _by_name(gone), _by_name(come)
    return [
        (left[name][0], right[name][0])
        for name in left.keys() & right.keys()
        if len(left[name]) == 1 and len(right[name]) == 1
    ]


def _by_name(items: Iterable[Package]) -> dict[str, list[Package]]:
    found: dict[str, list[Package]] = {}
    for package in items:
        found.setdefault(package.name, []).append(package)
    return found


def _change(old: Package | None, new: Package | None) -> PackageChange | None:
    if old is None or new is None:
        there = new or old
        if there is None:
            return None
        kind = DiffKind.REMOVED if new is None else DiffKind.ADDED
        return PackageChange(kind=kind, name=there.name, arch=there.arch, old=old, new=new)
    if old.version == new.version and old.arch == new.arch:
        return None
    kind = DiffKind.DOWNGRADED if compare(new.version, old.version) < 0 else DiffKind.UPGRADED
    return PackageChange(kind=kind, name=new.name, arch=new.arch, old=old, new=new)
