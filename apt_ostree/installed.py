"""What a base has installed: by name, by what is provided, and what it cannot be without."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from debian.deb822 import Deb822

from apt_ostree.model import Package, PackageRequest

# deb-control(5): dpkg removes none of these without force; Important is what apt had before Protected
_KEPT_FIELDS = ("Essential", "Protected", "Important")
# and what a deployment cannot come up without: its kernel, its init, and ostree's part in the initramfs
_KERNEL = re.compile(r"linux-image-\d.*(?<!-dbg)(?<!-dbgsym)")
_BOOT = re.compile(rf"{_KERNEL.pattern}|systemd|systemd-sysv|udev|ostree|ostree-boot|libostree-1-1")


@dataclass(frozen=True, slots=True)
class Installed:
    """Installed packages by name, those that provide a virtual name, and the names dpkg would not remove."""

    packages: dict[str, tuple[Package, ...]]
    virtual: dict[str, tuple[Package, ...]]
    kept: frozenset[str] = frozenset()

    @property
    def native(self) -> str:
        """The native architecture, which is that of dpkg itself; empty when there is no dpkg."""
        return next((package.arch for package in self.packages.get("dpkg", ())), "")

    @property
    def kernels(self) -> tuple[Package, ...]:
        """Packages with a kernel in them."""
        return tuple(package for name, found in self.packages.items() if is_kernel(name) for package in found)

    def find(self, spec: str) -> Package | None:
        """The package `name` or `name:arch` stands for; of several architectures the native one."""
        name, _, arch = spec.partition(":")
        here = [p for p in self.packages.get(name, ()) if not arch or p.arch in (arch, "all")]
        return next((p for p in here if p.arch in (self.native, "all")), here[0] if here else None)

    def provider(self, request: PackageRequest) -> str:
        """The base package that satisfies a request: of this name, or providing it; empty when there is none."""
        here = [p for p in self.packages.get(request.name, ()) if not request.arch or p.arch in (request.arch, "all")]
        return next((p.nevra for p in (*here, *self.virtual.get(request.name, ()))), "")

    def without(self, gone: Collection[Package]) -> Installed:
        """The same after some packages left."""

        def left(table: dict[str, tuple[Package, ...]]) -> dict[str, tuple[Package, ...]]:
            return {name: tuple(p for p in found if p not in gone) for name, found in table.items()}

        return Installed(left(self.packages), left(self.virtual), self.kept) if gone else self

    def is_fixed(self, name: str) -> bool:
        """True for a package that is never removed; a kernel can be when another takes its place."""
        return bool(self.why_kept(name)) and (name in self.kept or not is_kernel(name))

    def why_kept(self, name: str) -> str:
        """Why a package cannot be removed; empty when it can."""
        if name in self.kept:
            return "it is essential"
        return "the system does not boot without it" if _BOOT.fullmatch(name) else ""


def is_kernel(name: str) -> bool:
    """True for a package with a kernel in it (metapackages like linux-image-amd64 have none)."""
    return bool(_KERNEL.fullmatch(name))


def installed(status: str) -> Installed:
    """Read a dpkg status text (deb-control(5) fields; dpkg's `Status: want flag installed`)."""
    packages: dict[str, tuple[Package, ...]] = {}
    virtual: dict[str, tuple[Package, ...]] = {}
    kept = set()
    for stanza in Deb822.iter_paragraphs(status.splitlines(keepends=True), use_apt_pkg=False):
        if not stanza.get("Status", "").endswith(" installed"):
            continue
        package = Package(name=stanza["Package"], version=stanza["Version"], arch=stanza["Architecture"])
        packages[package.name] = (*packages.get(package.name, ()), package)
        for item in stanza.get("Provides", "").split(","):
            if item.strip():
                name = item.split()[0].partition(":")[0]
                virtual[name] = (*virtual.get(name, ()), package)
        if any(stanza.get(field, "") == "yes" for field in _KEPT_FIELDS):
            kept.add(package.name)
    return Installed(packages, virtual, frozenset(kept))
