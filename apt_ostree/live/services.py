"""Which services still run what was replaced: asked of /proc, so it is what is mapped and no guess."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable
from pathlib import Path

_UNIT_FOLDER = "/usr/lib/systemd/system/"
_SERVICE = re.compile(r"/([^/\s]+\.service)(?:/|$)")


def units(paths: Iterable[str]) -> tuple[str, ...]:
    """Service units among paths, without templates."""
    names = {path.removeprefix(_UNIT_FOLDER) for path in paths if path.startswith(_UNIT_FOLDER)}
    return tuple(sorted(name for name in names if "/" not in name and re.fullmatch(r"[^@]+\.service", name)))


def stale(proc: Path, replaced: Collection[str]) -> tuple[str, ...]:
    """Services (or `name (pid N)` where there is no service) with a replaced file mapped (proc_pid_maps(5))."""
    if not replaced:
        return ()
    found = set()
    for name in os.listdir(proc):
        if name.isdecimal() and int(name) != os.getpid() and _mapped(proc / name) & set(replaced):
            found.add(_service(proc / name))
    return tuple(sorted(found))


def _mapped(process: Path) -> set[str]:
    try:
        lines = (process / "maps").read_text(errors="replace").splitlines()
    except OSError:  # it ended, or is a kernel thread
        return set()
    return {line.split(maxsplit=5)[5].removesuffix(" (deleted)") for line in lines if "/usr/" in line}


def _service(process: Path) -> str:
    try:
        cgroups = (process / "cgroup").read_text(errors="replace")
        command = (process / "comm").read_text(errors="replace").strip()
    except OSError:
        return f"pid {process.name}"
    services = _SERVICE.findall(cgroups)
    return str(services[-1]) if services else f"{command} (pid {process.name})"
