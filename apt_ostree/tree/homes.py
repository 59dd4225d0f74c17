"""New accounts get their home where homes really are (adduser.conf(5), useradd(8)), and dpkg knows of it.

Both settings are in conffiles. One that was changed in place would be named by `dpkg --verify` on every machine. So the
package's own file is diverted (dpkg-divert(1)) and stands beside the image's, which dpkg then does not look at. Policy,
appendix G, says that dpkg does not handle diverted conffiles well: it never meets one, as all are in place while it
works; an account that a script makes has the home its package's defaults say, in a base as in a layer (/home is a
link). What somebody else changed or diverted is changed where it is, and so is what cannot be diverted.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from apt_ostree.errors import ToolError
from apt_ostree.tools import dpkg
from apt_ostree.tree import dpkgdb, fsops

HOME = "/var/home"
BESIDE = ".distrib"  # dpkg-divert's own default
DIVERTER = "apt-ostree"


@dataclass(frozen=True, slots=True)
class _Conffile:
    rel: str
    name: str

    @property
    def path(self) -> str:
        return f"/{self.rel}"

    @property
    def beside(self) -> str:
        return f"{self.rel}{BESIDE}"

    @property
    def setting(self) -> str:
        return f"{self.name}={HOME}"

    @property
    def diversion(self) -> dpkgdb.Diversion:
        return dpkgdb.Diversion(path=self.path, place=f"/{self.beside}", by=DIVERTER)

    def changed(self, text: str) -> str:
        """The text with the setting: for the last line that has it or is commented out, or at the end."""
        found = list(re.finditer(rf"^[^\S\n]*#?[^\S\n]*{self.name}=.*$", text, re.MULTILINE))
        if not found:
            return f"{text.rstrip()}\n{self.setting}\n"
        return text[: found[-1].start()] + self.setting + text[found[-1].end() :]


_CONFFILES = (_Conffile("etc/adduser.conf", "DHOME"), _Conffile("etc/default/useradd", "HOME"))


def put_aside(root: Path, prefix: Sequence[str], admindir: str = dpkg.ADMINDIR) -> None:
    """Divert the conffiles that are as their packages have them; `apply` then makes the image's.

    All is done by the tree's own dpkg in its sandbox, `prefix`.
    """
    free = [conffile for conffile in _CONFFILES if not fsops.exists(root / conffile.beside)]
    found = dpkg.search(admindir, *(conffile.path for conffile in free), prefix=prefix) if free else ()
    elsewhere = {path for owner, path in found if " " in owner}  # "diversion by site from", or several packages
    owners = {path: owner for owner, path in found if path not in elsewhere}
    with suppress(ToolError):
        changed = dpkg.changed(prefix, admindir, owners.values()) if owners else ()
        for conffile in free:
            if conffile.path in owners and conffile.path not in changed:
                dpkg.divert(prefix, conffile.path, f"/{conffile.beside}", admindir=admindir, by=DIVERTER, rename=True)


@contextmanager
def in_place(root: Path, prefix: Sequence[str]) -> Iterator[None]:
    """While dpkg works the conffiles are where their packages put them. `root`: the tree with a real /etc."""
    for conffile in _CONFFILES:
        if _is_diverted(root, conffile):
            path, beside = root / conffile.rel, root / conffile.beside
            ours = fsops.read(path) == conffile.changed(fsops.read(beside))
            fsops.remove(path if ours else beside)  # what somebody changed since, or removed, is that for dpkg as well
            dpkg.undivert(prefix, conffile.path, by=DIVERTER, rename=ours)
    yield
    put_aside(root, prefix)


def _is_diverted(root: Path, conffile: _Conffile) -> bool:
    return _inside(root, conffile) and conffile.diversion in dpkgdb.diversions(root)


def _inside(root: Path, conffile: _Conffile) -> bool:
    """False where a script put a link in the place of a directory: it would lead into the host."""
    return all(fsops.is_dir(root / parent) for parent in Path(conffile.rel).parents)


def apply(root: Path) -> None:
    """Set it, in a file of the image's own where the package's was put aside."""
    for conffile in _CONFFILES:
        path, beside = root / conffile.rel, root / conffile.beside
        anew = _is_diverted(root, conffile) and fsops.is_file(beside) and not fsops.exists(path)
        if anew:
            os.link(beside, path)  # for its owner, mode and xattrs
        if _inside(root, conffile) and fsops.is_file(path):
            text = fsops.read(path)
            if anew or conffile.setting not in text.split("\n"):
                fsops.rewrite(path, conffile.changed(text))
