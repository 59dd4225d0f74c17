"""The packages of a tree, as its dpkg database tells them."""

from __future__ import annotations

import io
from pathlib import Path

from debian.deb822 import Deb822

from apt_ostree.errors import AptOstreeError
from apt_ostree.model import Package
from apt_ostree.tree import fsops

_FIELDS = ["Package", "Status", "Version", "Architecture", "Source", "Installed-Size"]


def read(admindir: Path) -> tuple[Package, ...]:
    """Every installed package, by name and architecture; `size` is the installed size in bytes.

    Raises AptOstreeError when there is no database.
    """
    status = admindir / "status"
    if not fsops.is_file(status):
        raise AptOstreeError(f"the tree has no package database ({admindir.name}/status)", code="no-dpkg-database")
    return parse(fsops.read(status))


def unfinished(text: str) -> tuple[str, ...]:
    """Packages of a dpkg status file that are neither installed nor gone: unpacked, half-configured and so on."""
    found = []
    for paragraph in Deb822.iter_paragraphs(io.StringIO(text), fields=_FIELDS, use_apt_pkg=False):
        state = paragraph.get("Status", "").split()[2:]
        if state not in (["installed"], ["config-files"], ["not-installed"]):
            found.append(f"{paragraph.get('Package', '?')} ({' '.join(state) or 'no state'})")
    return tuple(found)


def parse(text: str) -> tuple[Package, ...]:
    """Packages of a dpkg status file whose state is `installed` (dpkg(1), PACKAGE STATES)."""
    found = []
    for paragraph in Deb822.iter_paragraphs(io.StringIO(text), fields=_FIELDS, use_apt_pkg=False):
        if paragraph.get("Status", "").split()[2:] == ["installed"]:
            found.append(_package(paragraph))
    return tuple(sorted(found, key=lambda package: package.key))


def _package(paragraph: Deb822) -> Package:
    size = paragraph.get("Installed-Size", "")
    return Package(
        name=paragraph["Package"],
        version=paragraph["Version"],
        arch=paragraph.get("Architecture", ""),
        source=(paragraph.get("Source") or paragraph["Package"]).split()[0],
        size=int(size) * 1024 if size.isdigit() else 0,
    )
