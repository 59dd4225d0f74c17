"""apt's memory of what was pulled in: without it `apt-get autoremove` in a container of the tree would be blind."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from apt_ostree.model import Package


def mark(tree: Path, native: str, packages: Iterable[Package]) -> None:
    """Mark packages as automatically installed, as apt-mark(8) auto does, in the tree's extended_states.

    `native` is the native architecture: apt files packages of architecture `all` under it.
    """
    path = tree / "usr/lib/sysimage/apt/extended_states"
    text = path.read_text() if path.is_file() else ""
    stanzas = [_stanza(package.name, native if package.arch == "all" else package.arch) for package in packages]
    if not stanzas:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name("extended_states.new")
    fresh.write_text("\n".join([*([text.rstrip("\n") + "\n"] if text else []), *stanzas]) + "\n")
    fresh.chmod(0o644)
    fresh.replace(path)  # a new file: the old one is a link into the repo


def _stanza(name: str, arch: str) -> str:
    return f"Package: {name}\nArchitecture: {arch}\nAuto-Installed: 1\n"
