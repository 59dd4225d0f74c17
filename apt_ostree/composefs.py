"""composefs: a deployment mounted from one image that libostree makes when it deploys, where it was built with that.

prepare-root.conf of a tree says whether it is wanted (ostree-prepare-root(1), `[composefs] enabled`). With `yes`, a
tree whose own ostree cannot mount an image does not boot (Debian 13: the option is read, the code is not compiled in),
and neither does a deployment that has no image because another ostree deployed it. Debian has it from ostree 2026 on.
"""

from __future__ import annotations

from configparser import ConfigParser, Error
from dataclasses import dataclass
from pathlib import Path

from apt_ostree.errors import ToolError, ToolMissingError
from apt_ostree.tools import ostree

FEATURE = "composefs"  # in `ostree --version`
SETTINGS = ("yes", "maybe", "no")
CONFIG = "usr/lib/ostree/prepare-root.conf"
IMAGE = ".ostree.cfs"  # at the top of a deployment
_OFF = ("no", "false", "0", "none")


def supported() -> bool:
    """True when the ostree of this machine makes images."""
    return FEATURE in ostree.features()


def setting(text: str) -> str:
    """What prepare-root.conf says: `yes`, `maybe` or `no`; `no` as well where it says nothing that can be read."""
    parser = ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(text)
        value = parser.get("composefs", "enabled", fallback="no").strip().lower()
    except Error:
        return "no"
    if value == "maybe":
        return "maybe"
    return "no" if value in _OFF else "yes"  # `signed` and `verity` are stricter still


def render(wanted: str) -> str:
    """prepare-root.conf with this setting; /sysroot is read-only in a booted system, whatever it is."""
    return f"# ostree-prepare-root(1)\n[sysroot]\nreadonly=true\n\n[composefs]\nenabled={wanted}\n"


def require_deployable(repo: Path, checksum: str) -> None:
    """Raises ToolMissingError for a commit that would not boot when this machine's ostree deploys it."""
    try:
        text = ostree.cat(repo, checksum, f"/{CONFIG}")
    except ToolError:
        return  # it says nothing
    if setting(text) == "yes" and not supported():
        raise ToolMissingError(
            f"{checksum[:12]} boots from a composefs image only, and ostree {ostree.version()} of this machine "
            "was built without composefs: it makes none",
            hint="deploy it where 'ostree --version' lists composefs, or compose it with composefs = 'maybe'",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Mounting:
    """How one deployment is mounted: what its tree asks for, and whether there is an image."""

    wanted: str
    image: bool

    @property
    def dead(self) -> bool:
        """True when it cannot boot."""
        return self.wanted == "yes" and not self.image


def of_deployment(path: Path) -> Mounting:
    """Look at a deployment; a file that cannot be read says nothing."""
    config = path / CONFIG
    try:
        text = "" if config.is_symlink() else config.read_text(errors="replace")
    except OSError:
        text = ""
    return Mounting(wanted=setting(text), image=(path / IMAGE).is_file())
