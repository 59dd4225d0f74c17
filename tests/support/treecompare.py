"""Compare two file trees entry by entry: everything a package manager is responsible for."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

IGNORED_XATTRS = ("trusted.overlay.", "user.ostree")


@dataclass(frozen=True)
class Entry:
    """One path of a tree. `links` is the set of paths (in the compared part) that share its inode."""

    kind: str
    mode: int
    owner: str  # uid:gid; by number, so that accounts must have got the same ids
    size: int
    digest: str
    target: str
    xattrs: tuple[tuple[str, bytes], ...]
    links: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Difference:
    path: str
    aspect: str  # "missing", "extra", "kind", "mode", "owner", "content", "target", "xattrs", "links"
    plain: str = ""
    ours: str = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.aspect}: plain {self.plain!r}, ours {self.ours!r}"


@dataclass(frozen=True)
class Rule:
    """A difference that a tree rule intends. `same(plain, ours)` may compare contents further; it gets the files."""

    name: str
    pattern: str
    aspects: frozenset[str]
    same: Callable[[Path, Path], bool] | None = field(default=None)


def scan(parts: dict[str, Path]) -> dict[str, Entry]:
    """Entries below each part (`name in result` -> directory), keyed by `name/relative path`."""
    entries: dict[str, Entry] = {}
    inodes: dict[tuple[int, int], list[str]] = {}
    keys: dict[str, tuple[int, int]] = {}
    for name, directory in parts.items():
        for path in (directory, *_walk(directory)):
            relative = os.path.relpath(path, directory)
            key = name if relative == "." else f"{name}/{relative}"
            info = path.lstat()
            entries[key] = _entry(path, info)
            if stat.S_ISREG(info.st_mode) and info.st_size:
                inode = (info.st_dev, info.st_ino)
                inodes.setdefault(inode, []).append(key)
                keys[key] = inode
    return {
        key: Entry(
            **{
                **{f: getattr(entry, f) for f in Entry.__dataclass_fields__ if f != "links"},
                "links": frozenset(inodes[keys[key]]) if key in keys else frozenset(),
            }
        )
        for key, entry in entries.items()
    }


def _walk(directory: Path) -> Iterator[Path]:
    for entry in sorted(os.scandir(directory), key=lambda item: item.name):
        yield Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path))


def _entry(path: Path, info: os.stat_result) -> Entry:
    kind = stat.filemode(info.st_mode)[0]
    regular, link = kind == "-", kind == "l"
    xattrs = tuple(
        (name, os.getxattr(path, name, follow_symlinks=False))
        for name in sorted(os.listxattr(path, follow_symlinks=False))
        if not name.startswith(IGNORED_XATTRS)
    )
    return Entry(
        kind=kind,
        mode=stat.S_IMODE(info.st_mode),
        owner=f"{info.st_uid}:{info.st_gid}",
        size=info.st_size if regular else 0,
        digest=hashlib.sha256(path.read_bytes()).hexdigest() if regular else "",
        target=os.readlink(path) if link else "",
        xattrs=xattrs,
    )


def compare(plain: dict[str, Entry], ours: dict[str, Entry]) -> list[Difference]:
    """Every difference. Hard-link groups of the plain tree must be together in ours; ours may join more,
    because OSTree stores equal files once."""
    found = []
    for path in sorted(plain.keys() | ours.keys()):
        a, b = plain.get(path), ours.get(path)
        if a is None or b is None:
            found.append(Difference(path, "missing" if b is None else "extra"))
            continue
        if a.kind != b.kind:
            found.append(Difference(path, "kind", a.kind, b.kind))
            continue
        for aspect, left, right in (
            ("mode", oct(a.mode), oct(b.mode)),
            ("owner", a.owner, b.owner),
            ("content", f"{a.size} {a.digest}", f"{b.size} {b.digest}"),
            ("target", a.target, b.target),
            ("xattrs", str(a.xattrs), str(b.xattrs)),
        ):
            if left != right:
                found.append(Difference(path, aspect, left, right))
        apart = a.links - b.links
        if apart and not any(plain[p].digest != ours[p].digest for p in apart if p in ours):
            found.append(Difference(path, "links", str(sorted(a.links)), str(sorted(b.links))))
    return found


def unexplained(
    differences: list[Difference], rules: tuple[Rule, ...], locate: Callable[[str], tuple[Path, Path]]
) -> list[Difference]:
    """The differences that no rule intends."""
    return [d for d in differences if not any(_explains(rule, d, locate) for rule in rules)]


def _explains(rule: Rule, difference: Difference, locate: Callable[[str], tuple[Path, Path]]) -> bool:
    if difference.aspect not in rule.aspects or not re.fullmatch(rule.pattern, difference.path):
        return False
    return rule.same is None or rule.same(*locate(difference.path))
