"""New accounts get their home where homes really are (adduser.conf(5), useradd(8)), and dpkg knows of it.

Both settings are in conffiles. One that was changed in place would be named by `dpkg --verify` on every machine, beside
what its administrator changed. So the package's own file is diverted (dpkg-divert(1)) and stands beside the image's.
Policy, appendix G, says that dpkg does not handle diverted conffiles well, and a purge does leave them behind: packages
get theirs back while dpkg works on them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from apt_ostree.tools import dpkg
from apt_ostree.tree import fsops

HOME = "/var/home"
BESIDE = ".distrib"  # dpkg-divert's own default
DIVERTER = "apt-ostree"


@dataclass(frozen=True, slots=True)
class _Conffile:
    package: str
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

    def changed(self, text: str) -> str:
        """The text with the setting: for the last line that has it or is commented out, or at the end."""
        found = list(re.finditer(rf"^\s*#?\s*{self.name}=.*$", text, re.MULTILINE))
        if not found:
            return f"{text.rstrip()}\n{self.setting}\n"
        return text[: found[-1].start()] + self.setting + text[found[-1].end() :]


_CONFFILES = (_Conffile("adduser", "etc/adduser.conf", "DHOME"), _Conffile("passwd", "etc/default/useradd", "HOME"))


def put_aside(prefix: Sequence[str], admindir: str = dpkg.ADMINDIR) -> None:
    """Divert the conffiles that are as their packages have them; `apply` then makes the image's.

    What somebody changed stays where it is. All is done by the tree's own dpkg in its sandbox, `prefix`.
    """
    for conffile in _CONFFILES:
        found = dpkg.search(admindir, conffile.path, prefix)
        if found != ((conffile.package, conffile.path),):  # not installed, or diverted
            continue
        if conffile.path not in dpkg.changed(prefix, admindir, conffile.package):
            dpkg.divert(prefix, conffile.path, f"/{conffile.beside}", admindir=admindir, by=DIVERTER, rename=True)


@contextmanager
def given_back(root: Path, prefix: Sequence[str], packages: Collection[str]) -> Iterator[None]:
    """While dpkg works on packages that have such conffiles they are where the packages put them."""
    touched = [conffile for conffile in _CONFFILES if conffile.package in packages]
    for conffile in touched:
        if _is_ours(root, conffile) and dpkg.diverter(prefix, conffile.path) == DIVERTER:
            fsops.remove(root / conffile.rel)
            dpkg.undivert(prefix, conffile.path, by=DIVERTER, rename=True)
    yield
    if touched:
        put_aside(prefix)


def _is_ours(root: Path, conffile: _Conffile) -> bool:
    """True for nothing but the package's file with our setting: then it can be made again."""
    own = root / conffile.beside
    if not _in_the_tree(root, conffile) or not fsops.is_file(own):
        return False
    return fsops.read(root / conffile.rel) == conffile.changed(fsops.read(own))


def _in_the_tree(root: Path, conffile: _Conffile) -> bool:
    """False where a script put a link in the place of a directory: it would lead into the host."""
    return all(fsops.is_dir(root / parent) for parent in Path(conffile.rel).parents)


def apply(root: Path) -> None:
    """Set it, in a file of the image's own where the package's was put aside."""
    for conffile in _CONFFILES:
        path, own = root / conffile.rel, root / conffile.beside
        if not _in_the_tree(root, conffile):
            continue
        if fsops.is_file(own) and not fsops.exists(path):
            fsops.write(root, conffile.rel, conffile.changed(fsops.read(own)), own.stat().st_mode & 0o7777)
        elif fsops.is_file(path) and conffile.setting not in fsops.read(path).splitlines():
            fsops.rewrite(path, conffile.changed(fsops.read(path)))
