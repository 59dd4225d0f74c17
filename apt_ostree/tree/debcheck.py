"""Is a .deb one that may be unpacked at all? Every archive is read once, when its content enters our store.

Only names and links are judged here, by Policy 10 and what a tree can hold; everything else is dpkg's business.
"""

from __future__ import annotations

import io
import posixpath
import re
import tarfile
from pathlib import Path

from debian.deb822 import Deb822

from apt_ostree import requests
from apt_ostree.errors import AptOstreeError, ToolError, UsageError, VerificationError
from apt_ostree.model import Package
from apt_ostree.tools import dpkg

_MAX_CONTROL = 16 * 1024 * 1024
_ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9-]*")  # Policy 11.1; it becomes part of file names


def fields(path: Path) -> Deb822:
    """The control file of a .deb (deb-control(5)). Raises ToolError, UsageError for what is no package archive."""
    return next(Deb822.iter_paragraphs(io.StringIO(_control_text(path)), use_apt_pkg=False), Deb822())


def control(path: Path) -> Package:
    """Name, version and architecture of a .deb. Raises UsageError for what is no Debian package archive."""
    try:
        found = fields(path)
        spec = f"{found['Package']}={found['Version']}"
        requests.parse(spec)
        if not _ARCHITECTURE.fullmatch(found["Architecture"]):
            raise ValueError(f"there is no architecture {found['Architecture']!r}")
        return Package(
            name=found["Package"],
            version=found["Version"],
            arch=found["Architecture"],
            source=found.get("Source", found["Package"]).split()[0],
            size=requests.installed_size(found.get("Installed-Size", "")),
        )
    except ToolError as error:
        raise UsageError(
            f"'{path}' is not a Debian package archive",
            details=error.details,
            hint=f"look at it: dpkg-deb --info {path}",
        ) from error
    except (KeyError, ValueError, tarfile.TarError, UsageError) as error:
        raise UsageError(f"the control file of '{path}' is malformed: {error}") from error


def _control_text(path: Path) -> str:
    with tarfile.open(fileobj=io.BytesIO(dpkg.deb_control_tar(path)), mode="r:") as archive:
        for member in archive:
            if posixpath.normpath(member.name) == "control" and member.isreg() and member.size < _MAX_CONTROL:
                content = archive.extractfile(member)
                return content.read().decode() if content else ""
    raise UsageError("it has no control file")


def inspect(path: Path, label: str) -> None:
    """Read the whole archive and refuse names and links that leave the tree, or that no commit can hold.

    Raises VerificationError for a damaged archive, AptOstreeError (code `refused-deb`) for a hostile one.
    """
    links: set[str] = set()
    try:
        with dpkg.deb_tar(path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                _judge(member, links, label)
            while stream.read(1 << 20):  # to the end, so that dpkg-deb can report damage
                pass
    except (ToolError, tarfile.TarError, EOFError) as error:
        raise VerificationError(
            f"the archive of {label} is damaged",
            details=error.details if isinstance(error, ToolError) else (str(error),),
            hint="repeat the command: it is fetched again",
        ) from error


def _judge(member: tarfile.TarInfo, links: set[str], label: str) -> None:
    name = _safe(member.name, label)
    if member.isdev():
        raise _refused(label, member.name, "is a device or a pipe, which no commit can hold")
    if member.islnk():
        _safe(member.linkname, label)
    parent = posixpath.dirname(name)
    while parent:
        if parent in links:
            raise _refused(label, member.name, f"would be written through the archive's own link {parent}")
        parent = posixpath.dirname(parent)
    if member.issym():
        if not member.linkname.startswith("/"):
            depth = posixpath.normpath(posixpath.join(posixpath.dirname(name), member.linkname))
            if depth == ".." or depth.startswith("../"):
                raise _refused(label, member.name, f"is a link out of the tree: {member.linkname}")
        links.add(name)


def _safe(name: str, label: str) -> str:
    parts = name.split("/")
    if ".." in parts or (name.startswith("/") and name != "/"):
        raise _refused(label, name, "leads out of the tree")
    if any(ord(letter) < 32 or letter == "\x7f" for letter in name):
        raise _refused(label, repr(name), "has control characters in its name")
    return posixpath.normpath(name).removeprefix("./")


def _refused(label: str, name: str, why: str) -> AptOstreeError:
    return AptOstreeError(
        f"{label} is refused: {name} {why}",
        hint="do not install this package; report it to whoever made it",
        code="refused-deb",
    )
