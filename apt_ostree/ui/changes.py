"""Package changes in words: used by results, plans and db diff."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from apt_ostree.model import DiffKind, KargsChange, PackageChange
from apt_ostree.ui.theme import PLAIN, Style, Theme, clean

_STYLES = {
    DiffKind.UPGRADED: Style.GREEN,
    DiffKind.DOWNGRADED: Style.YELLOW,
    DiffKind.REMOVED: Style.RED,
    DiffKind.ADDED: Style.GREEN,
}


def block(changes: Iterable[PackageChange], theme: Theme = PLAIN) -> Iterator[str]:
    """Lines under a heading for each kind: `Upgraded:`, `Downgraded:`, `Removed:`, `Added:`."""
    listed = tuple(changes)
    for kind, style in _STYLES.items():
        of_kind = [change for change in listed if change.kind is kind]
        if of_kind:
            yield theme.paint(f"{kind.capitalize()}:", style)
            yield from (f"  {_sentence(change)}" for change in of_kind)


def _sentence(change: PackageChange) -> str:
    old = clean(change.old.version) if change.old else ""
    new = clean(change.new.version) if change.new else ""
    if old and new:
        words = f"{old} -> {new}"
        if change.old and change.new and change.old.arch != change.new.arch:
            words = f"{old} ({change.old.arch}) -> {new} ({change.new.arch})"
    else:
        words = old or new
    tail = "".join((f" {clean(change.arch)}", f" ({clean(change.repo)})" if change.repo else ""))
    return f"{clean(change.name)} {words}{tail}{' security' if change.security else ''}"


def kargs(change: KargsChange, theme: Theme = PLAIN) -> Iterator[str]:
    """Lines of what goes and what comes; of one that only moved, none."""
    gone, added = list(change.old), list(change.new)
    for karg in change.old:
        if karg in added:
            gone.remove(karg)
            added.remove(karg)
    if gone or added:
        yield "Kernel arguments:"
        yield from (theme.paint(f"  - {clean(karg)}", Style.RED) for karg in gone)
        yield from (theme.paint(f"  + {clean(karg)}", Style.GREEN) for karg in added)


def lines(changes: Iterable[PackageChange]) -> Iterator[str]:
    """One line a package as `rpm-ostree db diff --format diff` has it: `+new`, `-old`, `!before` and `=after`."""
    for change in changes:
        if change.old is not None:
            yield f"{'!' if change.new else '-'}{clean(change.old.nevra)}"
        if change.new is not None:
            yield f"{'=' if change.old else '+'}{clean(change.new.nevra)}"
