"""Where a treefile cannot have files: what an image leaves empty, what is a link in it, what each machine has alone.

The tree rules drop or refuse just these, but only when every package is installed. A link below /var is made again on
each machine, so it can be where content cannot.
"""

from __future__ import annotations

import re

from apt_ostree.errors import UsageError

_LINKS = ("bin", "lib", "lib32", "lib64", "libo32", "libx32", "sbin")  # of merged /usr
_TOPS = ("etc", "home", "mnt", "opt", "root", "srv", "usr", "var")
_AT_BOOT = "a line in a file of /usr/lib/tmpfiles.d can make it when a machine boots (tmpfiles.d(5))"
# places -> why nothing can be in or below them, and what could be done instead
_NOTHING = (
    (("boot",), "is the boot loader's", "files of a kernel are in /usr/lib/modules/VERSION"),
    (("dev", "proc", "run", "sys", "tmp", "var/lock", "var/run", "var/tmp"), "begins empty at boot", _AT_BOOT),
    (("media",), "is a link to /run/media", _AT_BOOT),
    (("ostree", "sysroot"), "is ostree's own", "places of an image are in /usr, /etc, /opt and /var"),
    (("usr/etc",), "is what becomes of the tree's /etc", "name the path in /etc"),
)
_MACHINES = ("var/backups", "var/cache", "var/crash", "var/lib/apt/lists", "var/lib/apt/periodic", "var/log")
_KEPT = ("/var/cache/debconf/",)  # the image has it, with the package database
_MACHINES_FILES = (
    "/var/.updated",
    "/var/lib/dbus/machine-id",
    "/var/lib/systemd/catalog/database",
    "/var/lib/systemd/credential.secret",
    "/var/lib/systemd/random-seed",
    "/var/lib/ucf/hashfile.lock",
)
_HOST_KEY = re.compile(r"/etc/ssh/ssh_host_\w+_key(\.pub)?")
_LOCAL = ("usr/local", "var/usrlocal")


def check(path: str, *, link: bool = False) -> None:
    """Raise UsageError for a path of `files` that no image can carry; `link`: it is to be a symbolic link."""
    check_links(path)
    for places, why, hint in _NOTHING:
        for place in places:
            if _in(path, place):
                raise UsageError(f"no image carries '{path}': /{place} {why}", hint=hint)
    top, _, rest = path[1:].partition("/")
    if top not in _TOPS or not rest:
        why = "it is a directory of every image" if top in _TOPS else f"an image has no /{top}"
        raise UsageError(f"no image carries '{path}': {why}", hint="name a path below /usr, /etc, /opt or /var")
    if not link:
        _check_content(path)


def check_links(path: str) -> None:
    """Raise UsageError for a path, or a pattern, that leads through a link of merged /usr."""
    top = path[1:].partition("/")[0]
    if top in _LINKS:
        raise UsageError(f"/{top} of an image is a link to usr/{top}: '{path[:80]}' is no place", hint=f"/usr{path}")


def check_local(path: str, wanted: str, *, link: bool = False) -> None:
    """Raise UsageError for a file in /usr/local, where that is the administrator's alone; `wanted`: see `usr-local`."""
    if wanted == "refuse" and not link and any(_in(path, place) for place in _LOCAL):
        raise UsageError(
            f"'{path}' is refused: /usr/local belongs to the administrator",
            hint="name a path below /usr or /opt, or set usr-local = 'state': it is then copied to each machine once",
        )


def _check_content(path: str) -> None:
    if path in _MACHINES_FILES or _HOST_KEY.fullmatch(path):
        raise UsageError(f"no image carries '{path}': every machine makes its own", hint="leave it out")
    for place in _MACHINES:
        if _in(path, place) and not path.startswith(_KEPT):
            raise UsageError(f"no image carries '{path}': what /{place} holds is each machine's own", hint=_AT_BOOT)


def _in(path: str, place: str) -> bool:
    return path == f"/{place}" or path.startswith(f"/{place}/")
