"""Boot Loader Specification entries (uapi-group.org, type 1) as libostree writes them, and kernel command lines."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LINK = re.compile(r"/ostree/boot\.(?P<bootversion>[01])/(?P<osname>[^/]+)/(?P<bootcsum>[^/]+)/(?P<serial>[0-9]+)")
_KARG = re.compile(r'(?:[^\s"]|"[^"]*(?:"|$))+')


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One boot entry. `linux` and `initrd` are paths on the boot file system; `initrd` may be several."""

    title: str = ""
    version: str = ""
    linux: str = ""
    initrd: tuple[str, ...] = ()
    options: str = ""

    @property
    def link(self) -> str:
        """The `ostree=` argument: which deployment this boots, as a path of a symbolic link; empty when none."""
        return ostree_link(self.options)

    @property
    def kargs(self) -> tuple[str, ...]:
        """The kernel arguments without `ostree=`, which is the deployment's address and not a setting."""
        return tuple(karg for karg in split(self.options) if not karg.startswith("ostree="))

    @property
    def order(self) -> tuple[tuple[int, int, str], ...]:
        """Sort key of the version: numbers count as numbers (strverscmp(3)); the highest boots first."""
        parts = re.findall(r"[0-9]+|[^0-9]+", self.version)
        numbers = [part.lstrip("0") if part.isdigit() else None for part in parts]
        # a longer number is a greater one; int() would refuse thousands of digits
        return tuple((0, 0, p) if n is None else (1, len(n), n) for p, n in zip(parts, numbers, strict=True))


def parse(text: str) -> Entry:
    """Text of a .conf file -> Entry. Unknown keys and comments are passed over, as the specification asks."""
    values: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, _, value = line.strip().replace("\t", " ").partition(" ")
        if key and not key.startswith("#"):
            values.setdefault(key, []).append(value.strip())
    last = {key: found[-1] for key, found in values.items()}
    return Entry(
        title=last.get("title", ""),
        version=last.get("version", ""),
        linux=last.get("linux", ""),
        initrd=tuple(values.get("initrd", ())),
        options=" ".join(values.get("options", ())),
    )


def split(cmdline: str) -> tuple[str, ...]:
    """Arguments of a kernel command line; double quotes hold spaces together and stay (kernel-parameters)."""
    return tuple(_KARG.findall(cmdline))


def ostree_link(cmdline: str) -> str:
    """Value of the `ostree=` argument of a command line, empty when there is none (ostree-prepare-root(1))."""
    for karg in split(cmdline):
        if karg.startswith("ostree="):
            return karg.removeprefix("ostree=")
    return ""


def valid_link(link: str) -> bool:
    """True for `/ostree/boot.BOOTVERSION/OSNAME/BOOTCSUM/SERIAL`, the only form libostree accepts."""
    match = _LINK.fullmatch(link)
    return match is not None and match["osname"] not in (".", "..") and match["bootcsum"] not in (".", "..")
