"""Which installed packages satisfy the dependencies of another (Policy 7.2, 7.5; deb-control(5) for Multi-Arch)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from debian.deb822 import PkgRelation

from apt_ostree.relations import fits


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """An installed package, with its relations as they are in dpkg's status. `multi_arch`: the field, or empty."""

    name: str
    version: str
    arch: str
    multi_arch: str = ""
    provides: str = ""
    depends: str = ""  # Pre-Depends and Depends


@dataclass(slots=True)
class Index:
    """Installed packages, by the names they answer to: their own, and those they provide, with the version of each."""

    native: str
    names: dict[str, list[tuple[Installed, str]]] = field(default_factory=dict)

    @classmethod
    def of(cls, packages: Iterable[Installed]) -> Index:
        """Sort packages by name; the native architecture is that of dpkg itself."""
        listed = list(packages)
        index = cls(next((one.arch for one in listed if one.name == "dpkg"), ""))
        for one in listed:
            index.names.setdefault(one.name, []).append((one, one.version))
        for one in listed:
            for wanted in _alternatives(one.provides):
                version = (wanted.get("version") or ("", ""))[1]
                index.names.setdefault(wanted["name"], []).append((one, version))
        return index

    def needs(self, package: Installed) -> tuple[tuple[str, str], ...]:
        """Name and architecture of what satisfies a package, sorted; of alternatives, the first that is there."""
        found: set[tuple[str, str]] = set()
        for alternatives in _relations(package.depends):
            for wanted in alternatives:
                if there := list(self._satisfying(package, wanted)):
                    real = [key for key in there if key[0] == wanted["name"]]
                    found.update(real or there)
                    break
        return tuple(sorted(found - {(package.name, package.arch)}))

    def _satisfying(self, package: Installed, wanted: dict[str, Any]) -> Iterator[tuple[str, str]]:
        for one, version in self.names.get(wanted["name"], ()):
            if self._is_reached(package, one, wanted.get("archqual") or "") and fits(version, wanted.get("version")):
                yield (one.name, one.arch)

    def _is_reached(self, package: Installed, other: Installed, qualifier: str) -> bool:
        """True when the architectures fit; those of `all` count as native."""
        if other.multi_arch == "foreign" or (qualifier == "any" and other.multi_arch == "allowed"):
            return True
        wanted = self._real(package.arch) if qualifier in ("", "any") else qualifier
        return self._real(other.arch) == (self.native if wanted == "native" else wanted)

    def _real(self, arch: str) -> str:
        return self.native if arch == "all" else arch


def _relations(text: str) -> list[list[dict[str, Any]]]:
    found: list[list[dict[str, Any]]] = PkgRelation.parse_relations(text) if text.strip() else []
    return found


def _alternatives(text: str) -> Iterator[dict[str, Any]]:
    for alternatives in _relations(text):
        yield from alternatives
