"""Which source package a file of a tree comes from, by the tree's own dpkg database.

File lists name paths as packages ship them: through /bin and /lib (usrmerge), through what a tree has as a link at its
top (/opt, /srv), and before diversions (dpkg-divert(1)).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from apt_ostree import pkgdb
from apt_ostree.model import Package
from apt_ostree.oci.source import Source, read

ADMIN = ("usr/lib/sysimage/dpkg", "var/lib/dpkg")
_CACHE = re.compile(r"(?P<folder>.*/)__pycache__/(?P<name>[^/]+?)\.[^/]*\.pyc")
_KERNEL = re.compile(r"usr/lib/modules/(?P<version>[^/]+)/(?P<file>vmlinuz|config|System\.map|initramfs\.img)")

DATABASE = "dpkg-database"

# What no package owns, by path; the first that fits. These change at times of their own.
_RULES = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("initramfs", r"usr/lib/modules/[^/]+/initramfs\.img|boot/initr.*"),
        (DATABASE, r"usr/lib/sysimage/.*|var/lib/(dpkg|apt|systemd|ucf|pam)/.*|var/cache/debconf/.*"),
        ("python-cache", r".*\.pyc|.*/__pycache__/.*"),
        ("perl-cache", r"usr/(lib|share)/(.*/)?perl.*"),
        ("locale-cache", r"usr/(lib|share)/locale/.*|.*/gconv-modules\.cache"),
        ("configuration", r"etc/.*"),
    )
)
UNPACKAGED = "unpackaged"
SPECIAL = (*(name for name, _ in _RULES), UNPACKAGED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Owners:
    """Paths of packages -> source packages, and what the tree says of itself."""

    sources: Mapping[str, str] = field(default_factory=dict)
    architecture: str = ""  # Debian's name of it
    packages: tuple[Package, ...] = ()
    admin: str = ""  # where its dpkg database is

    def of(self, paths: list[str]) -> str:
        """The component of a file with these paths: the owner of the first that has one."""
        for path in paths:
            if owner := self._owner(path):
                return owner
        return next((name for name, pattern in _RULES if pattern.fullmatch(paths[0])), UNPACKAGED)

    def _owner(self, path: str) -> str:
        if owner := self.sources.get(path, ""):
            return owner
        if match := _CACHE.fullmatch(path):  # it is compiled anew with the package
            return self.sources.get(f"{match['folder']}{match['name']}.py", "")
        match = _KERNEL.fullmatch(path)
        if match and match["file"] != "initramfs.img":
            return self.sources.get(f"boot/{match['file']}-{match['version']}", "")
        return ""


def load(source: Source) -> Owners:
    """Read the dpkg database of a tree; a tree without one has no owners."""
    where = {path: key for key, paths in source.groups.items() for path in paths if path.startswith(ADMIN)}
    admin = next((path for path in ADMIN if f"{path}/status" in where), "")
    if not admin:
        return Owners()
    packages = pkgdb.parse_status(_text(source, where[f"{admin}/status"]))
    aliases = _aliases(source)
    moved = _diversions(_text(source, where[f"{admin}/diversions"]) if f"{admin}/diversions" in where else "")
    found: dict[str, str] = {}
    for package in sorted(packages, key=lambda package: package.name, reverse=True):  # the first by name stays
        for name in (f"{package.name}:{package.arch}", package.name):
            if key := where.get(f"{admin}/info/{name}.list", ""):
                for path in _listed(_text(source, key), package.name, moved):
                    found[_real(path, aliases)] = package.source
                break  # only what may be there several times (Multi-Arch: same) has its architecture in the name
    architecture = next((p.arch for p in packages if p.name == "dpkg"), "") or _first_architecture(packages)
    return Owners(sources=found, architecture=architecture, packages=packages, admin=admin)


def _text(source: Source, key: str) -> str:
    return read(source, key).decode("utf-8", "surrogateescape")


def _first_architecture(packages: tuple[Package, ...]) -> str:
    return next((package.arch for package in packages if package.arch != "all"), "")


def _aliases(source: Source) -> dict[str, str]:
    """Links at the top of the tree -> what they lead to."""
    found = {}
    for key, paths in source.groups.items():
        for path in paths:
            if "/" not in path and (target := source.content(key).target):
                found[path] = os.path.normpath(os.fsdecode(target).lstrip("/"))
    return found


def _real(path: str, aliases: Mapping[str, str]) -> str:
    top, slash, rest = path.lstrip("/").partition("/")
    return f"{aliases.get(top, top)}{slash}{rest}"


def _listed(text: str, package: str, moved: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    for path in text.splitlines():
        target, owner = moved.get(path, (path, package))
        yield path if owner == package else target


def _diversions(text: str) -> dict[str, tuple[str, str]]:
    """dpkg's file of three lines each: path, where it goes, the package that keeps its own; `:` for nobody's."""
    lines = text.splitlines()
    return {lines[at]: (lines[at + 1], lines[at + 2]) for at in range(0, len(lines) - 2, 3)}
