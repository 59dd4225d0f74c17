"""Package state: dpkg's database and what belongs with it live in the image, /usr/lib/sysimage, linked from /var."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from apt_ostree.tree import fsops, tmpfiles

SYSIMAGE = "usr/lib/sysimage"
DATABASE = f"{SYSIMAGE}/dpkg"
ORDINARY = "var/lib/dpkg"  # where a tree has it that is no image
CONF = "00-apt-ostree-sysimage"

# name below /usr/lib/sysimage -> where Debian's tools look for it below /var
STATE = {
    "apt/extended_states": "lib/apt/extended_states",
    "deb-systemd-helper-enabled": "lib/systemd/deb-systemd-helper-enabled",
    "deb-systemd-helper-masked": "lib/systemd/deb-systemd-helper-masked",
    "deb-systemd-user-helper-enabled": "lib/systemd/deb-systemd-user-helper-enabled",
    "deb-systemd-user-helper-masked": "lib/systemd/deb-systemd-user-helper-masked",
    "debconf": "cache/debconf",
    "dpkg": "lib/dpkg",
    "pam": "lib/pam",
    "shells.state": "lib/shells.state",
    "ucf": "lib/ucf",
}

# What dpkg and debconf make anew when they need it; kept, it would differ from one build to the next.
_TRANSIENT = ("available", "cmethopt", "lock", "lock-frontend", "triggers/Lock", "tmp.ci", "reassemble.deb")

# The names a package's file list has for what we keep elsewhere below /var.
_ALIASES = (
    ("/usr/local/", "/var/usrlocal/"),
    ("/home/", "/var/home/"),
    ("/root/", "/var/roothome/"),
    ("/opt/", "/var/opt/"),
    ("/srv/", "/var/srv/"),
    ("/mnt/", "/var/mnt/"),
)
_TOPS = tuple((alias.rstrip("/"), target.rstrip("/")) for alias, target in _ALIASES)


@dataclass(frozen=True, slots=True)
class Owners:
    """Which package has a path of /var, by the file lists of the database."""

    packages: dict[str, str]

    def of(self, path: str) -> str:
        """Name of the package (the first by name when several share it), empty for what scripts made."""
        return self.packages.get(path, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Diversion:
    """What packages have at `path` is at `place`; `by` is the package that says so, `:` the administrator."""

    path: str
    place: str
    by: str


def diversions(root: Path) -> tuple[Diversion, ...]:
    """Those of a tree's database (dpkg-divert(1)): three lines each."""
    lines = fsops.read(root / DATABASE / "diversions").split("\n")
    return tuple(Diversion(path=path, place=place, by=by) for path, place, by in zip(*[iter(lines)] * 3, strict=False))


def apply(root: Path, var: Path) -> None:
    """Move package state from `var` into the tree and write the links that lead there.

    A script that replaced a link by a file of its own (rename, as update-shells(8) does) is met here as well.
    """
    for name, place in STATE.items():
        source = var / place
        if fsops.is_dir(source) or fsops.is_file(source):
            fsops.move(source, root, f"{SYSIMAGE}/{name}")
    clean(root)
    tmpfiles.write(root, CONF, _links(root))


def _links(root: Path) -> list[tmpfiles.Line]:
    return [
        tmpfiles.Line(path=f"/var/{place}", kind="L", argument=target(name, place))
        for name, place in STATE.items()
        if fsops.exists(root / SYSIMAGE / name)
    ]


def target(name: str, place: str) -> str:
    """The relative link from /var/<place> to the state: right in a tree that is not mounted at / as well."""
    return posixpath.relpath(f"/{SYSIMAGE}/{name}", posixpath.dirname(f"/var/{place}"))


def clean(root: Path) -> None:
    """Locks and backups of the package state go, and what was in the middle of something."""
    database = root / DATABASE
    for name in _TRANSIENT:
        fsops.remove(database / name)
    for directory in (database, root / SYSIMAGE / "debconf"):
        for name in _listdir(directory):
            if name.endswith("-old"):
                fsops.remove(directory / name)
    for directory in (database / "updates", root / SYSIMAGE / "debconf/tmp.ci"):
        if fsops.is_dir(directory):
            fsops.empty(directory)


def owners(root: Path, database: str = DATABASE) -> Owners:
    """Read the file lists of a tree's database for paths in /var and for what is linked there."""
    found: dict[str, str] = {}
    info = root / database / "info"
    wanted = (b"/var/", *(alias.encode() for alias, _ in _ALIASES))
    for name in sorted(_listdir(info)):
        if name.endswith(".list"):
            package = name.removesuffix(".list").partition(":")[0]
            for path in _paths(fsops.read_bytes(info / name), wanted):
                found.setdefault(path, package)
    return Owners(found)


def find_owner(root: Path, path: str) -> str:
    """Name of the first package that has a path, empty when none has; for error messages, as it reads every list."""
    wanted = os.fsencode(path)
    for info in (root / DATABASE / "info", root / ORDINARY / "info"):
        for name in sorted(_listdir(info)):
            if name.endswith(".list") and wanted in fsops.read_bytes(info / name).split(b"\n"):
                return name.removesuffix(".list").partition(":")[0]
    return ""


def _paths(content: bytes, wanted: tuple[bytes, ...]) -> Iterable[str]:
    for line in content.split(b"\n"):
        if line.startswith(wanted):
            yield canonical(os.fsdecode(line))
        elif line in (b"/home", b"/root", b"/opt", b"/srv", b"/mnt", b"/usr/local"):
            yield dict(_TOPS)[line.decode()]


def canonical(path: str) -> str:
    """A path by the name an image has for it: /var/home/x for /home/x, others as they are."""
    for alias, place in _ALIASES:
        if path.startswith(alias):
            return place + path[len(alias) :]
    return path


def _listdir(path: Path) -> list[str]:
    return os.listdir(path) if fsops.is_dir(path) else []
