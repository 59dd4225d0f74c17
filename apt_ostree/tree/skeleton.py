"""The directories every rule walks through must be directories of the tree.

A script may put a link in the place of any of them. In the sandbox it leads somewhere in the tree; the rules run
outside, where the same link leads into the host.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from apt_ostree.errors import AptOstreeError
from apt_ostree.tree import dpkgdb, fsops, layout, opt

_TREE = (
    *layout.EMPTY,
    "etc/default",
    "etc/ssh",
    "etc/tmpfiles.d",
    "usr/lib/modules",
    "usr/lib/systemd/system",
    "usr/lib/sysusers.d",
    "usr/lib/tmpfiles.d",
    "usr/share/factory/var",
    opt.PLACE,
    *(f"{dpkgdb.SYSIMAGE}/{name}" for name in dpkgdb.STATE),
    f"{dpkgdb.DATABASE}/info",
    f"{dpkgdb.DATABASE}/triggers",
    f"{dpkgdb.DATABASE}/updates",
)
# the state itself may be a link here, into /usr/lib/sysimage
_VAR = tuple(sorted({place.rpartition("/")[0] for place in dpkgdb.STATE.values()}))
_BASE = ("usr/etc", *(name for name in _TREE if not name.startswith("etc/")))


def check(root: Path, var: Path) -> None:
    """Refuse a tree with a real /etc that has links for directories. Raises AptOstreeError (code `unsafe-tree`)."""
    _refuse_links(root, _TREE, "")
    if not fsops.is_dir(var):
        raise _unsafe("/var")
    _refuse_links(var, _VAR, "var/")


def check_base(root: Path) -> None:
    """The same of the checkout of a base commit, before anything is done with it."""
    _refuse_links(root, _BASE, "")
    if fsops.exists(root / "etc"):
        raise AptOstreeError(
            "the base commit has a /etc beside its /usr/etc",
            hint="layer on trees made by: apt-ostree compose tree",
            code="unsafe-tree",
        )
    for name in ("usr/etc", "var"):
        if not fsops.is_dir(root / name):
            raise _unsafe(f"/{name}")


def _refuse_links(root: Path, rels: Iterable[str], shown: str) -> None:
    for rel in rels:
        here = root
        for name in rel.split("/"):
            here = here / name
            if here.is_symlink():
                raise _unsafe(f"/{shown}{here.relative_to(root)}")


def _unsafe(path: str) -> AptOstreeError:
    return AptOstreeError(
        f"{path} in the tree is not a directory, as it must be",
        hint="find the package whose script replaced it and leave that out",
        code="unsafe-tree",
    )
