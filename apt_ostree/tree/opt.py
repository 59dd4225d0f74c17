"""/opt -> /usr/lib/opt with links from /var/opt; /usr/local holds the admin's files and no package's."""

from __future__ import annotations

import os
from pathlib import Path

from apt_ostree.errors import AptOstreeError
from apt_ostree.tree import fsops
from apt_ostree.tree.dpkgdb import Owners
from apt_ostree.tree.tmpfiles import Line

PLACE = "usr/lib/opt"


def apply(root: Path, var: Path, owners: Owners) -> dict[str, list[Line]]:
    """Move what is in `var`/opt into the tree; returns the `L` lines by owning package."""
    lines: dict[str, list[Line]] = {}
    for name in _names(var / "opt"):
        fsops.move(var / "opt" / name, root, f"{PLACE}/{name}")
        path = f"/var/opt/{name}"
        line = Line(path=path, kind="L", argument=f"../../{PLACE}/{name}")
        lines.setdefault(owners.of(path), []).append(line)
    return lines


def _names(directory: Path) -> list[str]:
    if not fsops.is_dir(directory):
        return []
    return sorted(n for n in os.listdir(directory) if not fsops.is_whiteout((directory / n).lstat()))


def check_local(var: Path, owners: Owners, *, top: str = "usrlocal") -> None:
    """Refuse files below /usr/local (Debian Policy 9.1.2: packages may only make directories there).

    It is `top` of `var` (an ordinary tree has it as `local` of its /usr).

    Links that no package has are the tree's own layout (base-files' postinst makes one). Raises AptOstreeError.
    """
    refused = []
    for entry in fsops.walk(var, top):
        rest = entry.rel.removeprefix(f"{top}/")
        package = owners.of(f"/var/usrlocal/{rest}")
        if entry.is_dir or entry.is_whiteout or (entry.is_link and not package):
            continue
        refused.append(f"/usr/local/{rest} ({f'package {package}' if package else 'made by a script'})")
    if refused:
        raise AptOstreeError(
            f"files in /usr/local are refused, it belongs to the administrator: {refused[0]}",
            details=refused,
            hint="leave the package out, or rebuild it for /usr or /opt",
            code="refused-path",
        )
