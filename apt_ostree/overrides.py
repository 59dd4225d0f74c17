"""Overrides of base packages: which apply to a base, which slept in, which it has outgrown."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from apt_ostree import pkgdb
from apt_ostree.installed import Installed, is_kernel
from apt_ostree.model import LocalPackage, Origin, Package, PackageRequest, Resolution

Replacement = PackageRequest | LocalPackage


@dataclass(frozen=True, slots=True, kw_only=True)
class Active:
    """The overrides that have something to act on: packages of the base, and what takes their place."""

    removals: tuple[Package, ...] = ()
    replacements: tuple[tuple[Package, Replacement], ...] = ()

    @property
    def replaced(self) -> tuple[Package, ...]:
        return tuple(package for package, _ in self.replacements)


def spec(item: Replacement | PackageRequest) -> str:
    """`name` or `name:arch` of the package an override is about."""
    if isinstance(item, LocalPackage):
        return item.package.name if item.package.arch == "all" else f"{item.package.name}:{item.package.arch}"
    return f"{item.name}:{item.arch}" if item.arch else item.name


def replacements(origin: Origin) -> tuple[Replacement, ...]:
    """Every replacement an origin asks for."""
    return (*origin.overrides_replace, *origin.overrides_replace_local)


def active(
    remove: Sequence[str], replacing: Sequence[Replacement], base: Installed, asked: Collection[str] = ()
) -> Active:
    """The overrides that concern packages this base has; `asked`: names of what is to be layered.

    A kernel has its version in its name, and every base another: one that is removed stands for whichever it is.
    """
    removals = [package for package in map(base.find, remove) if package is not None]
    if any(map(is_kernel, remove)):
        removals += [kernel for kernel in base.kernels if kernel not in removals and kernel.name not in asked]
    pairs = [(found(item, base), item) for item in replacing]
    return Active(
        removals=tuple(removals),
        replacements=tuple((package, item) for package, item in pairs if package is not None),
    )


def found(item: Replacement, base: Installed) -> Package | None:
    """The base's package a replacement is for; a package may change its architecture from or to `all`."""
    return base.find(spec(item))


def version(item: Replacement) -> str:
    """The version a replacement brings; empty while it is a suite that was not looked into yet."""
    return item.package.version if isinstance(item, LocalPackage) else item.version


def settle(origin: Origin, base: Installed) -> tuple[Origin, tuple[str, ...]]:
    """The origin without replacements this base has outgrown, and what there is to say about overrides.

    A replacement ends when the base comes to its version from below, or has just this version; one that was asked
    for to hold an older version ends only when the base has that version. What the base does not have at all is
    kept, without effect, and comes alive with a base that has it.
    """
    said: list[str] = []
    for name in origin.overrides_remove:
        if base.find(name) is None and not (is_kernel(name) and base.kernels):
            said.append(f"the removal of {name} is inactive: the base does not have it")
    asked = {spec(item): item.version for item in origin.overrides_base}
    retired = []
    for item in replacements(origin):
        have = found(item, base)
        if have is None:
            said.append(f"the replacement {told(item)} is inactive: the base does not have {spec(item)}")
        elif version(item) and caught_up(version(item), asked.get(spec(item), ""), have.version):
            said.append(f"the replacement {told(item)} is no longer needed and was dropped: base has {named(have)}")
            retired.append(item)
    return (without(origin, retired) if retired else origin), tuple(said)


def told(item: Replacement) -> str:
    """A replacement as people read it: name=version."""
    return f"{spec(item)}={item.package.version}" if isinstance(item, LocalPackage) else str(item)


def named(package: Package) -> str:
    """A package of the base as people read it."""
    return f"{package.name} {package.version}"


def caught_up(wanted: str, asked: str, now: str) -> bool:
    """Is a replacement by version `wanted` over, now that the base has `now`?

    `asked` is what the base had when it was asked for (empty: not known). Raises AptOstreeError for no versions.
    """
    ahead = pkgdb.compare(now, wanted)
    if asked and pkgdb.compare(asked, wanted) == 0:
        return ahead > 0  # the same version in another build: only a newer base ends it
    if asked and pkgdb.compare(asked, wanted) > 0:
        return ahead == 0  # an older one is held against every newer base
    return ahead >= 0


def without(origin: Origin, gone: Iterable[Replacement]) -> Origin:
    """The origin without these replacements."""
    dropped = tuple(gone)
    names = {spec(item) for item in dropped}
    return replace(
        origin,
        overrides_replace=tuple(item for item in origin.overrides_replace if item not in dropped),
        overrides_replace_local=tuple(item for item in origin.overrides_replace_local if item not in dropped),
        overrides_base=tuple(item for item in origin.overrides_base if spec(item) not in names),
    )


def pinned(origin: Origin, resolution: Resolution) -> Origin:
    """The origin with every `name/suite` among the replacements turned into the version that was found there."""
    versions = {new.name: new.version for _, new in resolution.replacements}
    return replace(
        origin,
        overrides_replace=tuple(
            replace(item, suite="", version=versions[item.name]) if item.suite and item.name in versions else item
            for item in origin.overrides_replace
        ),
    )
