"""What a bill of materials is made of."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass

TOOL = "apt-ostree"


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """What os-release(5) of the tree says; empty where it says nothing."""

    id: str = ""
    codename: str = ""
    version_id: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """A licence that SPDX has no identifier for: the text in a copyright file. `id` is a LicenseRef."""

    id: str
    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """An SPDX expression, and the texts behind its LicenseRefs."""

    expression: str
    extracted: tuple[Extracted, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """An installed package. `licence` is None where its copyright file does not say it so that a program can read it.

    `needs` has the installed packages that satisfy its Depends and Pre-Depends, by name and architecture.
    """

    name: str
    version: str
    arch: str
    source: str
    source_version: str
    licence: Licence | None = None
    homepage: str = ""
    summary: str = ""
    needs: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        return (self.name, self.arch)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """A commit and all its packages, sorted. `name` is what the user calls it."""

    checksum: str
    timestamp: int
    name: str
    version: str
    system: System
    components: tuple[Component, ...]

    @property
    def uuid(self) -> str:
        """The document's own identity, which is the commit's: made anew, it is the same document."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"urn:ostree:commit:{self.checksum}"))

    @property
    def created(self) -> str:
        """When the commit was made, as RFC 3339 has it."""
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.timestamp))

    @property
    def extracted(self) -> tuple[Extracted, ...]:
        """All licence texts, each once, sorted."""
        licences = [one.licence for one in self.components if one.licence is not None]
        found = {item.id: item for licence in licences for item in licence.extracted}
        return tuple(found[key] for key in sorted(found))
