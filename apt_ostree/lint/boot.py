"""What the boot reads: the kernel, its arguments, and how the root is mounted."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from configparser import ConfigParser, Error

from apt_ostree.lint.model import Lint, finding
from apt_ostree.linting import Finding, Severity
from apt_ostree.view.model import View

_MODULES = "usr/lib/modules"
_KARGS = "usr/lib/bootc/kargs.d"
_KEYS = {"kargs": True, "match-architectures": False}  # key -> it is required
_PREPARE_ROOT = "ostree/prepare-root.conf"
_COMPOSEFS = ("yes", "true", "1", "maybe", "signed", "verity")
_TRUE = ("yes", "true", "1")


def kernel(view: View) -> Iterator[Finding]:
    """There is at most one kernel: one directory of /usr/lib/modules has a vmlinuz. libostree boots just one."""
    found = [node for node in view.children(_MODULES) if view.get(f"{node.path}/vmlinuz") is not None]
    for node in found if len(found) > 1 else ():
        yield finding(f"{node.path}/vmlinuz", f"is one of {len(found)} kernels")


def bootc_kargs(view: View) -> Iterator[Finding]:
    """Each /usr/lib/bootc/kargs.d/*.toml can be read: kargs, a list of strings, and perhaps match-architectures.

    Only bootc reads these files; `compose image` takes the kernel arguments of the treefile from the commit's metadata.
    """
    for node in view.children(_KARGS):
        if node.name.endswith(".toml"):
            yield from (finding(node.path, what) for what in _toml(view.read(node.path)))


def _toml(data: bytes) -> Iterator[str]:
    try:
        table = tomllib.loads(data.decode())
    except ValueError as error:  # UnicodeDecodeError and TOMLDecodeError are
        yield f"is no TOML: {error}"
        return
    for key in table.keys() - _KEYS.keys():
        yield f"has the key '{key}', which is unknown; there are: {', '.join(_KEYS)}"
    for key, required in _KEYS.items():
        value = table.get(key)
        if value is None and required:
            yield f"has no '{key}'"
        elif value is not None and not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
            yield f"has '{key}' that is no list of strings"


def baseimage_composefs(view: View) -> Iterator[Finding]:
    """ostree/prepare-root.conf in /etc or /usr/lib asks for composefs, or for a transient root.

    bootc wants its hosts so. Debian's libostree has composefs from 2026 on (sid). In Debian 13 `yes` would not boot,
    and `maybe` does nothing yet.
    """
    path = next(
        (f"{top}/{_PREPARE_ROOT}" for top in (view.etc, "usr/lib") if view.resolve(f"{top}/{_PREPARE_ROOT}")), ""
    )
    if not path:
        yield finding(f"usr/lib/{_PREPARE_ROOT}", "is missing, so composefs is off")
        return
    parser = ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(view.text(path))
    except Error:
        yield finding(path, "cannot be read: it is no key file")
        return
    enabled = parser.get("composefs", "enabled", fallback="no").strip().lower()
    transient = parser.get("root", "transient", fallback="false").strip().lower()
    if enabled not in _COMPOSEFS and transient not in _TRUE:
        yield finding(path, "leaves composefs off")


LINTS = (
    Lint(
        name="kernel",
        severity=Severity.FATAL,
        check=kernel,
        hint="remove the packages of all kernels but one",
    ),
    Lint(
        name="bootc-kargs",
        severity=Severity.FATAL,
        check=bootc_kargs,
        hint='write it like this: kargs = ["quiet"]',
    ),
    Lint(
        name="baseimage-composefs",
        severity=Severity.WARNING,
        check=baseimage_composefs,
        hint='in the treefile: composefs = "maybe", or "yes" where the ostree of the tree has it',
    ),
)
