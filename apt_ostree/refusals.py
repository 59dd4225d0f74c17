"""The words of a refusal: what apt cannot do, or would do to the base, and the command that helps."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from shlex import quote

from apt_ostree.errors import ResolveError
from apt_ostree.installed import Installed
from apt_ostree.model import Package
from apt_ostree.unfetched import Advice

_NOISE = ("Reading package lists", "Building dependency tree", "Reading state information", "NOTE:", "W: --force")
_ABSENT = re.compile(r"E: (?P<what>Version|Release) '(?P<asked>[^']+)' for '(?P<name>[^']+)' was not found")
_FEW = 6  # versions that are told
_MANY = 8  # a command with more names than that is no help


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked for, as one would type it. `install` and so on are words of the command line."""

    install: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    replace: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [("install", self.install), ("remove", self.remove), ("replace", self.replace)]
        return " and ".join(f"{verb} {' '.join(names)}" for verb, names in parts if names) or "do this"

    def command(self) -> str:
        """The command that asks for it."""
        verb, first = ("replace", self.replace) if self.replace else ("remove", self.remove)
        rest = [f"--remove={quote(name)}" for name in self.remove if verb != "remove"]
        rest += [f"--install={quote(name)}" for name in self.install]
        return " ".join(["sudo apt-ostree override", verb, *map(quote, first), *rest])


@dataclass(frozen=True, slots=True, kw_only=True)
class Beyond:
    """What apt would do to the base that nobody asked for: `changed` is (base's, the new version)."""

    removed: tuple[Package, ...] = ()
    changed: tuple[tuple[Package, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.removed or self.changed)

    @property
    def harm(self) -> tuple[int, int]:
        """For the choice between two ways: fewer removals first, then fewer changes."""
        return (len(self.removed), len(self.changed))


def not_found(names: Sequence[str], all_names: Collection[str], advice: Advice) -> ResolveError:
    """Names the lists do not have, all in one error, with near ones."""
    details, best = [], []
    for name in names:
        near = difflib.get_close_matches(name, all_names, n=3, cutoff=0.75)
        near.sort(key=lambda other: other[:1] != name[:1])  # hardly anybody mistypes the first letter
        details.append(f"{name}: no such package" + (f"; near: {', '.join(near)}" if near else ""))
        best += near[:1]
    meant = f"did you mean {', '.join(best)}? Otherwise: " if len(best) == len(names) else ""
    return ResolveError(
        f"{'package' if len(names) == 1 else 'packages'} not found: {', '.join(names)}",
        hint=f"{meant}{advice.unknown}" if all_names else advice.none,
        details=details,
        code="not-found",
    )


def unavailable(lines: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """What apt says that no source has: names, each with what was asked for."""
    told = {"Version": "has no version", "Release": "is in no suite"}
    found = filter(None, map(_ABSENT.match, lines))
    return tuple((match["name"], f"{told[match['what']]} '{match['asked']}'") for match in found)


def no_version(
    absent: Sequence[tuple[str, str]], offers: Iterable[tuple[str, str, str]], advice: Advice
) -> ResolveError:
    """A version or suite that no source has. `offers` are those there are: name, version and source."""
    names = {name.partition(":")[0] for name, _ in absent}
    have = [(name, version, source) for name, version, source in dict.fromkeys(offers) if name in names]
    told = [f"there is {name} {version} in {source.removesuffix(' Packages')}" for name, version, source in have]
    return ResolveError(
        "; ".join(f"{name} {what}" for name, what in absent),
        details=[*told[:_FEW], *([f"and {len(told) - _FEW} more"] if len(told) > _FEW else [])]
        or ["no source has any"],
        hint=f"ask for one that is there: {have[0][0]}={have[0][1]}" if have else advice.unknown,
        code="no-version",
    )


def unsolvable(asked: Asked, lines: Iterable[str]) -> ResolveError:
    """apt found no solution: its own explanation, without the parts that every run prints."""
    return ResolveError(
        f"cannot {asked}: apt finds no way that keeps the base as it is",
        details=[line for line in lines if line.strip() and not line.startswith(_NOISE)],
        hint="look at the packages above; a newer base may help, or another version: NAME=VERSION",
    )


def base_would_change(asked: Asked, fresh: Asked, beyond: Beyond, base: Installed) -> ResolveError:
    """What stands in the way: packages of the base that nobody named. `fresh` is the part of `asked` that is new."""
    details = [f"{package.name} {package.version} would be removed{_why(package, base)}" for package in beyond.removed]
    details += [f"{package.name} {package.version} would become {version}" for package, version in beyond.changed]
    return ResolveError(
        f"cannot {asked}: packages of the base would change",
        details=details,
        hint=_way_out(fresh, beyond, base),
        code="base-would-change",
    )


def _why(package: Package, base: Installed) -> str:
    why = base.why_kept(package.name)
    return f", and {why}" if why else ""


def _way_out(fresh: Asked, beyond: Beyond, base: Installed) -> str:
    kept = [package.name for package in beyond.removed if base.why_kept(package.name)]
    if kept:
        return f"leave {', '.join(kept)} as the base has it, or deploy a base that fits"
    if sum(beyond.harm) > _MANY:
        return "deploy a newer base that has these versions, or ask for a version that fits: NAME=VERSION"
    whole = Asked(
        install=fresh.install,
        remove=(*fresh.remove, *(_spec(package, base) for package in beyond.removed)),
        replace=(*fresh.replace, *(f"{_spec(package, base)}={version}" for package, version in beyond.changed)),
    )
    return f"deploy a newer base that fits, or name them: {whole.command()}"


def _spec(package: Package, base: Installed) -> str:
    return package.name if package.arch in ("all", base.native) else f"{package.name}:{package.arch}"


def kept(packages: Sequence[Package], base: Installed) -> ResolveError:
    """Packages that are never removed."""
    return ResolveError(
        f"cannot remove {' '.join(package.name for package in packages)} from the base",
        details=[f"{package.name}: {base.why_kept(package.name)}" for package in packages],
        hint="compose a base without it: apt-ostree compose tree",
        code="kept",
    )


def no_kernel(base: Sequence[Package], removed: Sequence[str]) -> ResolveError:
    """Nothing takes the place of the kernel that an override removes."""
    return ResolveError(
        f"there would be no kernel: {' '.join(package.name for package in base)} is removed, and no other comes",
        hint=f"name another with --install, or take the base's back: apt-ostree override reset {' '.join(removed)}, "
        "in one command with what is to go: --uninstall PACKAGE",
        code="kept",
    )


def kernels(there: Sequence[Package], more: Sequence[Package]) -> ResolveError:
    """A kernel beside the one there is."""
    names = " ".join(package.name for package in more)
    if not there:
        return ResolveError(
            f"an image has exactly one kernel, these are {len(more)}: {names}", hint="name one of them", code="kernel"
        )
    old = " ".join(package.name for package in there)
    return ResolveError(
        f"an image has exactly one kernel, and the base has {old}",
        details=[f"{package.name} {package.version} would be another" for package in more],
        hint=f"put it in the place of the base's: apt-ostree override remove {old} --install {names}; "
        f"or leave it: add --uninstall {names}",
        code="kernel",
    )


def both_ways(names: Sequence[str]) -> ResolveError:
    """Packages that are to be installed and removed at once."""
    return ResolveError(
        f"requested, and removed from the base by an override: {', '.join(names)}",
        hint=f"sudo apt-ostree override reset {' '.join(names)}, or: sudo apt-ostree uninstall {' '.join(names)}",
        code="both-ways",
    )


def no_effect(messages: Sequence[str], hint: str) -> ResolveError:
    """Overrides that would change nothing, all in one error."""
    return ResolveError(messages[0], details=messages[1:], hint=hint, code="no-effect")
