"""The top of an image: links into /var, empty mount points, and the tools that must know of them."""

from __future__ import annotations

import os
import re
from pathlib import Path

from apt_ostree.errors import AptOstreeError
from apt_ostree.tree import dpkgdb, fsops, tmpfiles

LINKS = {
    "home": "var/home",
    "root": "var/roothome",
    "opt": "var/opt",
    "srv": "var/srv",
    "mnt": "var/mnt",
    "media": "run/media",
    "usr/local": "../var/usrlocal",
    "ostree": "sysroot/ostree",
}
EMPTY = ("boot", "dev", "proc", "run", "sys", "sysroot", "tmp", "var")
_MODES = {"tmp": 0o1777}
_USRMERGE = ("bin", "sbin", "lib", "lib32", "lib64", "libo32", "libx32")
_LEFT_ALONE = ("etc", "usr", *_USRMERGE)
_NOT_OURS = re.compile(r"(vmlinuz|initrd\.img)(\.old)?|lost\+found|\.dockerenv")
_MARKERS = re.compile(r"(bin|sbin|lib)\.usr-is-merged")  # Ubuntu 24.04's base-files


def check(root: Path) -> None:
    """Refuse top-level paths an image does not have, naming them. Raises AptOstreeError (code `refused-path`)."""
    allowed = {*_LEFT_ALONE, *EMPTY, *(name for name in LINKS if "/" not in name)}
    unknown = [name for name in sorted(os.listdir(root)) if name not in allowed and not _fine(root, name)]
    if unknown:
        listed = [f"/{name}{_by(root, name)}" for name in unknown]
        raise AptOstreeError(
            f"paths at the top of the tree are refused, an image cannot have them: {', '.join(listed)}",
            hint="leave the packages out, or rebuild them for /usr or /opt",
            code="refused-path",
        )
    for name in _USRMERGE:
        if fsops.is_dir(root / name):
            raise AptOstreeError(
                f"/{name} is a directory: only trees with merged /usr can be images",
                hint="add 'usrmerge' to the packages of the treefile",
                code="refused-tree",
            )


def _fine(root: Path, name: str) -> bool:
    if _NOT_OURS.fullmatch(name):
        return True
    return bool(_MARKERS.fullmatch(name)) and fsops.is_dir(root / name) and not os.listdir(root / name)


def _by(root: Path, name: str) -> str:
    package = dpkgdb.find_owner(root, f"/{name}")
    return f" (package {package})" if package else ""


def apply(root: Path) -> None:
    """Turn the top of a bootstrapped tree into the links of an image; what was in them goes to /var.

    Raises AptOstreeError for content that has no place (/media is on /run).
    """
    for name in os.listdir(root):
        if _NOT_OURS.fullmatch(name):
            fsops.remove(root / name)
    for name, place in LINKS.items():
        _link(root, name, place)
    for name in EMPTY:
        fsops.make_dir(root, name, _MODES.get(name, 0o755))
    _redirect_tmpfiles(root)


def _link(root: Path, name: str, place: str) -> None:
    path = root / name
    inside = place.removeprefix("../")
    if fsops.is_dir(path):
        if inside.startswith("var/"):
            fsops.move(path, root, inside)
        elif os.listdir(path):
            raise AptOstreeError(f"/{name} has content, which an image cannot keep", code="refused-path")
        else:
            path.rmdir()
    if inside.startswith("var/"):
        fsops.make_dir(root, inside, 0o700 if name == "root" else 0o755)
    if not path.is_symlink() or str(path.readlink()) != place:
        fsops.link(root, name, place)


def _redirect_tmpfiles(root: Path) -> None:
    """Shipped lines for /home, /srv and /root meet links and complain: override them by ones for their targets."""
    for name, path in tmpfiles.names(root):
        text = fsops.read(path)
        lines = [_redirected(line) for line in text.splitlines()]
        if lines != text.splitlines():
            fsops.write(root, f"{tmpfiles.OVERRIDES}/{name}", "\n".join(lines) + "\n")


def _redirected(line: str) -> str:
    match = re.match(r"(\S+\s+)/(home|root|opt|srv|mnt|usr/local)(?=[/\s]|$)", line)
    if not match or line.startswith("#"):
        return line
    place = LINKS[match[2]].removeprefix("../")
    return f"{match[1]}/{place}{line[match.end() :]}"


def media_line() -> tmpfiles.Line:
    """/media is a link to /run/media, which must be there on every boot."""
    return tmpfiles.Line(path="/run/media", kind="d", mode=0o755, user="root", group="root")


def empty_runtime(root: Path) -> None:
    """What the kernel or the boot fills is empty in a commit; ostree refuses device nodes."""
    for name in EMPTY:
        if name not in ("var", "boot"):
            fsops.make_dir(root, name, _MODES.get(name, 0o755))
            fsops.empty(root / name)
