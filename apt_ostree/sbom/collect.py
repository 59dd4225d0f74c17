"""A commit -> its inventory: dpkg's status, the copyright files and os-release of the tree."""

from __future__ import annotations

import io
import shlex
from collections.abc import Iterator
from pathlib import Path

from debian.deb822 import Deb822

from apt_ostree import commits
from apt_ostree.errors import AptOstreeError
from apt_ostree.model import Commit
from apt_ostree.sbom import licences
from apt_ostree.sbom.model import Component, Inventory, Licence, System
from apt_ostree.sbom.needs import Index, Installed
from apt_ostree.tree import dpkgdb
from apt_ostree.view.commit import open_commit
from apt_ostree.view.model import View

_STATUS = f"{dpkgdb.DATABASE}/status"
_OS_RELEASE = ("etc/os-release", "usr/lib/os-release")
# dpkg(1): the states in which the files of a package are there, and it can be used
_STATES = ("installed", "triggers-pending", "triggers-awaited")
_SCHEMES = ("http://", "https://")


def collect(repo: Path, checksum: str, *, name: str = "") -> Inventory:
    """The inventory of a commit; `name` is what the user calls it. Raises AptOstreeError, NotRootError."""
    commit = commits.load(repo, checksum).commit
    return inventory(open_commit(repo, checksum), commit, name=name or checksum)


def inventory(view: View, commit: Commit, *, name: str) -> Inventory:
    """The inventory of a tree. Raises AptOstreeError (code `no-pkglist`) when it has no dpkg database."""
    stanzas = tuple(_installed(view.text(_STATUS)))
    if not stanzas:
        raise AptOstreeError(
            f"{name} has no package database (/{_STATUS})",
            hint="only trees made by 'apt-ostree compose tree' have one",
            code="no-pkglist",
        )
    index = Index.of(map(_relations, stanzas))
    known: dict[bytes, Licence | None] = {}
    components = (_component(view, stanza, index, known) for stanza in stanzas)
    return Inventory(
        checksum=commit.checksum,
        timestamp=commit.timestamp,
        name=name,
        version=commit.version,
        system=_system(view),
        components=tuple(sorted(components, key=lambda one: one.key)),
    )


def _installed(status: str) -> Iterator[Deb822]:
    for stanza in Deb822.iter_paragraphs(io.StringIO(status), use_apt_pkg=False):
        if stanza.get("Status", "").split()[-1:] and stanza["Status"].split()[-1] in _STATES:
            if not (stanza.get("Package") and stanza.get("Version")):
                raise AptOstreeError(
                    "the dpkg database has a package without a name or a version", hint="dpkg --audit", code="no-dpkg"
                )
            yield stanza


def _relations(stanza: Deb822) -> Installed:
    depends = [stanza.get(field, "") for field in ("Pre-Depends", "Depends")]
    return Installed(
        name=stanza["Package"],
        version=stanza["Version"],
        arch=stanza.get("Architecture", ""),
        multi_arch=stanza.get("Multi-Arch", ""),
        provides=stanza.get("Provides", ""),
        depends=", ".join(text for text in depends if text),
    )


def _component(view: View, stanza: Deb822, index: Index, known: dict[bytes, Licence | None]) -> Component:
    """One package; packages of one source share a copyright file, which is read once."""
    related = _relations(stanza)
    source, _, version = stanza.get("Source", related.name).partition(" ")
    data = view.read(f"usr/share/doc/{related.name}/copyright")
    if data not in known:
        known[data] = licences.licence(data.decode(errors="replace")) if data else None
    homepage = stanza.get("Homepage", "").strip()
    return Component(
        name=related.name,
        version=related.version,
        arch=related.arch,
        source=source,
        source_version=version.strip("() ") or related.version,
        licence=known[data],
        homepage=homepage if homepage.startswith(_SCHEMES) and not set(homepage) & set(' "<>') else "",
        summary=stanza.get("Description", "").partition("\n")[0].strip(),
        needs=index.needs(related),
    )


def _system(view: View) -> System:
    """os-release(5): shell assignments, /etc before /usr/lib."""
    text = next((found for path in _OS_RELEASE if (found := view.text(path.replace("etc", view.etc, 1)))), "")
    values = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            try:
                values[key.strip()] = "".join(shlex.split(value))
            except ValueError:
                continue
    return System(
        id=values.get("ID", ""),
        codename=values.get("VERSION_CODENAME", ""),
        version_id=values.get("VERSION_ID", ""),
        name=values.get("NAME", ""),
    )
