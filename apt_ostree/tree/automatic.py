"""apt's memory of what was pulled in: without it `apt-get autoremove` in a container of the tree would be blind."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from apt_ostree.model import Package
from apt_ostree.tree import fsops

_STATES = "usr/lib/sysimage/apt/extended_states"


def mark(tree: Path, native: str, packages: Iterable[Package]) -> None:
    """Mark packages as automatically installed, as apt-mark(8) auto does, in the tree's extended_states.

    `native` is the native architecture: apt files packages of architecture `all` under it.
    """
    stanzas = [_stanza(package.name, native if package.arch == "all" else package.arch) for package in packages]
    if not stanzas:
        return
    text = fsops.read(fsops.parent_of(tree, _STATES))
    fsops.write(tree, _STATES, "\n".join([*([text.rstrip("\n") + "\n"] if text else []), *stanzas]) + "\n")


def forget(tree: Path, native: str, packages: Iterable[Package]) -> None:
    """Take removed packages out of the tree's extended_states, as apt does."""
    gone = {_stanza(package.name, native if package.arch == "all" else package.arch).strip() for package in packages}
    text = fsops.read(fsops.parent_of(tree, _STATES))
    stanzas = text.strip("\n").split("\n\n")
    kept = [stanza for stanza in stanzas if stanza.strip() not in gone]
    if len(kept) < len(stanzas):
        fsops.write(tree, _STATES, "\n\n".join(kept) + "\n" if kept else "")


def _stanza(name: str, arch: str) -> str:
    return f"Package: {name}\nArchitecture: {arch}\nAuto-Installed: 1\n"
