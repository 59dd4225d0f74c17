"""What dpkg cannot clear away in an image: the lines and seeds that stand for a removed package's paths in /var.

dpkg removed the paths from the /var of the sandbox. In the tree they are tmpfiles.d lines, content of
/usr/share/factory and /usr/lib/opt, which other packages may have a part in.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Collection, Iterable
from pathlib import Path

from apt_ostree.tree import dpkgdb, fsops, opt, tmpfiles
from apt_ostree.tree.var import FACTORY

_OPAQUE = "trusted.overlay.opaque"
_PREFIX = f"{tmpfiles.PREFIX}var-"


def apply(root: Path, var: Path, removed: Collection[str]) -> None:
    """Drop the lines (and seeds) of removed packages and of every path that was deleted below `var`.

    `root` is the folded tree, its database without the removed packages, `var` the overlay's upper /var. A path
    another package has as well keeps its line, in that package's file.
    """
    owners = dpkgdb.owners(root)
    moved: dict[str, list[tmpfiles.Known]] = {}
    for name, path in tmpfiles.names(root):
        if not name.startswith(_PREFIX) or fsops.exists(root / tmpfiles.OVERRIDES / name):
            continue
        own = name.removeprefix(_PREFIX).removesuffix(".conf") in removed
        kept = []
        for line in tmpfiles.parse(fsops.read(path), name):
            if own and (heir := owners.of(line.path)):
                moved.setdefault(heir, []).append(line)
            elif own or _is_gone(var, line.path):
                _drop(root, line)
            else:
                kept.append(line)
        _write(root, name, kept, path)
    for heir, lines in moved.items():
        name = f"{_PREFIX}{heir}.conf"
        path = root / tmpfiles.DIRECTORY / name
        have = tmpfiles.parse(fsops.read(path), name)
        paths = {line.path for line in have}
        _write(root, name, [*have, *(line for line in lines if line.path not in paths)], path)


def _write(root: Path, name: str, lines: Iterable[tmpfiles.Known], path: Path) -> None:
    texts = [line.text for line in sorted(lines, key=lambda line: line.path)]
    if not texts:
        fsops.discard(root, f"{tmpfiles.DIRECTORY}/{name}")
    elif sorted(texts) != sorted(line.text for line in tmpfiles.parse(fsops.read(path), name)):
        fsops.write(root, f"{tmpfiles.DIRECTORY}/{name}", tmpfiles.HEAD + "".join(f"{text}\n" for text in texts))


def _is_gone(var: Path, path: str) -> bool:
    """Was a path of the lower /var deleted, by the marks that overlayfs leaves in the upper one (overlayfs.rst)?"""
    names = path.removeprefix("/var/").split("/")
    here, opaque = var, False
    for depth, name in enumerate(names, 1):
        opaque = opaque or _is_opaque(here)
        here = here / name
        if not fsops.exists(here):
            return opaque
        if not fsops.is_dir(here):
            return fsops.is_whiteout(here.lstat()) or depth < len(names)
    return False


def _is_opaque(path: Path) -> bool:
    try:
        return os.getxattr(path, _OPAQUE, follow_symlinks=False) == b"y"
    except OSError:
        return False


def _drop(root: Path, line: tmpfiles.Known) -> None:
    """The content behind a line that goes."""
    if line.letter == "C":
        fsops.discard(root, f"{FACTORY}{line.path}")
        _prune(root, posixpath.dirname(line.path))
    elif line.letter == "L" and posixpath.dirname(line.path) == "/var/opt":
        fsops.discard(root, f"{opt.PLACE}/{posixpath.basename(line.path)}")


def _prune(root: Path, directory: str) -> None:
    """Empty directories of the factory go; they were made for what was in them."""
    while directory not in ("/", "/var", ""):
        parts = f"{FACTORY}{directory}".split("/")
        ways = [root.joinpath(*parts[: depth + 1]) for depth in range(len(parts))]
        if not all(fsops.is_dir(way) for way in ways) or os.listdir(ways[-1]):
            return
        ways[-1].rmdir()
        directory = posixpath.dirname(directory)
