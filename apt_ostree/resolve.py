"""Requests + base + sources -> Resolution. apt works it out; the base is locked.

apt simulates (`apt-get -s install`) against the base's own package state, with everything installed pinned above
every candidate. What it would do to the base beyond adding to it is refused here, with names.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from debian.deb822 import Deb822

from apt_ostree.aptroot import AptRoot
from apt_ostree.errors import ResolveError
from apt_ostree.model import (
    LocalPackage,
    Package,
    PackageRequest,
    PlannedPackage,
    Resolution,
    Step,
    StepKind,
)
from apt_ostree.paths import Store
from apt_ostree.requests import installed_size
from apt_ostree.tools import apt

# apt-get(8) -s: "Inst name:arch [old] (version origin... [arch]) ...", "Conf name (...)", "Remv name [version]"
_ACTION = re.compile(
    r"(?P<verb>Inst|Conf|Remv|Purg) (?P<name>[^\s:]+)(?::\S+)?(?: \[(?P<old>[^\]]+)\])?"
    r"(?: \((?P<new>\S+) (?P<repos>.*)\s?\[(?P<arch>\w[\w-]*)\]\))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One line of apt's simulation."""

    verb: str
    name: str
    old: str
    new: str
    arch: str
    repo: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the new deployment is to have on top of its base."""

    requested: tuple[PackageRequest, ...] = ()
    local: tuple[LocalPackage, ...] = ()
    recommends: bool = True


@dataclass(frozen=True, slots=True)
class Installed:
    """What the base has: installed packages by name, and who provides which virtual name."""

    packages: dict[str, tuple[Package, ...]]
    providers: dict[str, str]

    def provider(self, request: PackageRequest) -> str:
        """The base package that satisfies a request: of this name, or providing it; empty when there is none."""
        here = [p for p in self.packages.get(request.name, ()) if not request.arch or p.arch in (request.arch, "all")]
        return here[0].nevra if here else self.providers.get(request.name, "")


def installed(status: str) -> Installed:
    """Read a dpkg status text (deb-control(5) fields; dpkg's `Status: want flag installed`)."""
    packages: dict[str, tuple[Package, ...]] = {}
    providers: dict[str, str] = {}
    for stanza in Deb822.iter_paragraphs(status.splitlines(keepends=True), use_apt_pkg=False):
        if not stanza.get("Status", "").endswith(" installed"):
            continue
        package = Package(name=stanza["Package"], version=stanza["Version"], arch=stanza["Architecture"])
        packages[package.name] = (*packages.get(package.name, ()), package)
        for item in stanza.get("Provides", "").split(","):
            if item.strip():
                providers.setdefault(item.split()[0].partition(":")[0], package.nevra)
    return Installed(packages, providers)


def resolve(root: AptRoot, base: Installed, wanted: Wanted, store: Store) -> Resolution:
    """Ask apt how to add `wanted` to the base. Raises ResolveError naming everything that stands in the way.

    Requests the base itself satisfies are returned as `inactive`; it is the caller's to mind that.
    """
    inactive = tuple(request for request in wanted.requested if base.provider(request))
    active = [request for request in wanted.requested if request not in inactive]
    _known(root, active)
    if not active and not wanted.local:
        return Resolution(inactive=inactive, sources=root.releases())
    items = [str(request) for request in active]
    items += [str(local.path or store.debs / f"{local.sha256}.deb") for local in wanted.local]
    options = ["-o", f"APT::Install-Recommends={'true' if wanted.recommends else 'false'}"]
    done = apt.simulate_install(root.config, items, options)
    if done.returncode != 0:
        raise unsolvable(items, (done.stdout + done.stderr).splitlines())
    actions = parse_actions(done.stdout)
    refuse_base_changes(actions, items)
    return _resolution(root, actions, wanted, inactive)


def _known(root: AptRoot, requests: Sequence[PackageRequest]) -> None:
    names = apt.package_names(root.config) if requests else frozenset()
    unknown = [request.name for request in requests if request.name not in names]
    if unknown:
        raise not_found(unknown, names)


def not_found(unknown: Sequence[str], names: Collection[str]) -> ResolveError:
    """The error for packages that are not among `names`, with those of `names` that look alike."""
    details = []
    for name in unknown:
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.75)
        details.append(f"{name}: no such package" + (f"; near: {', '.join(near)}" if near else ""))
    hint = "sudo apt-ostree refresh-md" if names else "no package lists are here: sudo apt-ostree refresh-md"
    return ResolveError(
        f"{'package' if len(unknown) == 1 else 'packages'} not found: {', '.join(unknown)}",
        hint=hint,
        details=details,
        code="not-found",
    )


def parse_actions(text: str) -> tuple[Action, ...]:
    """The Inst, Conf and Remv lines of `apt-get -s`, in order."""
    actions = []
    for line in text.splitlines():
        match = _ACTION.match(line)
        if match:
            repo = (match["repos"] or "").split(", ")[0]
            actions.append(
                Action(
                    verb=match["verb"],
                    name=match["name"],
                    old=match["old"] or "",
                    new=match["new"] or "",
                    arch=match["arch"] or "",
                    repo=repo,
                )
            )
    return tuple(actions)


def unsolvable(items: Iterable[str], lines: Sequence[str]) -> ResolveError:
    """apt found no solution: its own explanation, without the parts that every run prints."""
    noise = ("Reading package lists", "Building dependency tree", "Reading state information", "NOTE:", "W: --force")
    told = [line for line in lines if line.strip() and not line.startswith(noise)]
    removals = [line for line in told if "Packages need to be removed but remove is disabled" in line]
    names = " ".join(Path(item).name if "/" in item and item.endswith(".deb") else item for item in items)
    what = "they conflict with packages of the base" if removals else "apt finds no way that keeps the base as it is"
    return ResolveError(
        f"cannot install {names}: {what}",
        details=told,
        hint="look at the packages above; a newer base may help, or another version: apt-ostree install NAME=VERSION",
    )


def refuse_base_changes(actions: Sequence[Action], items: Sequence[str]) -> None:
    """A layer only adds. Raises ResolveError when apt would remove or exchange a package of the base."""
    removed = [f"{a.name} {a.old} would be removed" for a in actions if a.verb in ("Remv", "Purg")]
    changed = [f"{a.name} {a.old} would become {a.new}" for a in actions if a.verb == "Inst" and a.old]
    if removed or changed:
        raise ResolveError(
            f"cannot install {' '.join(items)}: packages of the base would change",
            details=removed + changed,
            hint="deploy a newer base that has these versions, or ask for a version that fits: NAME=VERSION",
            code="base-would-change",
        )


def _resolution(
    root: AptRoot, actions: Sequence[Action], wanted: Wanted, inactive: tuple[PackageRequest, ...]
) -> Resolution:
    local = {(item.package.name, item.package.version, item.package.arch): item for item in wanted.local}
    asked = {request.name for request in wanted.requested}
    news = [a for a in actions if a.verb == "Inst"]
    remote = [f"{a.name}:{a.arch}={a.new}" for a in news if (a.name, a.new, a.arch) not in local]
    shown = reversed([*apt.show(root.config, remote)]) if remote else ()
    records = {(r["Package"], r["Version"], r["Architecture"]): r for r in shown}
    packages = []
    for action in news:
        mine = local.get((action.name, action.new, action.arch))
        record = records.get((action.name, action.new, action.arch))
        packages.append(_planned(action, mine, record, mine is not None or action.name in asked))
    return Resolution(packages=tuple(packages), steps=steps(actions), inactive=inactive, sources=root.releases())


def _planned(action: Action, local: LocalPackage | None, record: Deb822 | None, requested: bool) -> PlannedPackage:
    if local is not None:
        return PlannedPackage(
            package=local.package,
            sha256=local.sha256,
            installed_size=local.package.size,
            repo="local file",
            local=local,
            requested=True,
        )
    if record is None or "SHA256" not in record:
        raise ResolveError(
            f"the package lists have no SHA256 for {action.name} {action.new}", hint="sudo apt-ostree refresh-md"
        )
    package = Package(
        name=action.name,
        version=action.new,
        arch=record["Architecture"],
        source=record.get("Source", action.name).split()[0],
        size=installed_size(record.get("Installed-Size", "")),
    )
    return PlannedPackage(
        package=package,
        sha256=record["SHA256"],
        filename=record["Filename"],
        download_size=int(record["Size"]),
        installed_size=package.size,
        repo=action.repo,
        requested=requested,
    )


def steps(actions: Sequence[Action]) -> tuple[Step, ...]:
    """apt's order as dpkg calls: runs of Inst are unpacked together, runs of Conf configured together.

    Pre-Depends (Policy 7.2) make apt configure one package before the next is unpacked.
    """
    kinds = {"Inst": StepKind.UNPACK, "Conf": StepKind.CONFIGURE}
    rounds: list[tuple[StepKind, list[tuple[str, str]]]] = []
    for action in actions:
        kind = kinds.get(action.verb)
        if kind is None:
            continue
        if not rounds or rounds[-1][0] is not kind:
            rounds.append((kind, []))
        rounds[-1][1].append((action.name, action.arch))
    return tuple(Step(kind=kind, keys=tuple(keys)) for kind, keys in rounds)
