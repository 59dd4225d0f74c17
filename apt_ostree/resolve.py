"""Requests + base + sources -> Resolution. apt works it out; the base is locked.

apt simulates (`apt-get -s install`) against the base's own package state, with everything installed pinned above
every candidate. Only packages that are overridden may go or become others; whatever else apt would do to the base
is refused, with names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from debian.deb822 import Deb822

from apt_ostree import overrides, refusals, run
from apt_ostree.aptroot import AptRoot
from apt_ostree.errors import ResolveError
from apt_ostree.installed import Installed, installed, is_kernel
from apt_ostree.model import (
    LocalPackage,
    Origin,
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
from apt_ostree.unfetched import Advice

__all__ = ["Action", "Installed", "Wanted", "installed", "parse_actions", "resolve", "steps", "wanted_by"]

# apt-get(8) -s: "Inst name:arch [old] (version origin... [arch]) ...", "Conf name (...)", "Purg name:arch [version]"
_ACTION = re.compile(
    r"(?P<verb>Inst|Conf|Remv|Purg) (?P<name>[^\s:]+)(?::(?P<of>\S+))?(?: \[(?P<old>[^\]]+)\])?"
    r"(?: \((?P<new>\S+) (?P<repos>.*)\s?\[(?P<arch>\w[\w-]*)\]\))?"
)
_REMOVES = ("Remv", "Purg")


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One line of apt's simulation."""

    verb: str
    name: str
    of: str  # the architecture, when it is not the native one
    old: str
    new: str
    arch: str
    repo: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the new deployment is to have on top of its base, and what of the base is to be another or not there.

    `exclude` names packages that must not come along. `known` is what the deployment before was asked for: a refusal
    names the command for what is new.
    """

    requested: tuple[PackageRequest, ...] = ()
    local: tuple[LocalPackage, ...] = ()
    remove: tuple[str, ...] = ()
    replacing: tuple[overrides.Replacement, ...] = ()
    recommends: bool = True
    exclude: tuple[str, ...] = ()
    known: Origin = field(default_factory=Origin)

    def asked(self, store: Store) -> refusals.Asked:
        """In words of the command line."""
        return refusals.Asked(
            install=(*map(str, self.requested), *(_file(local, store) for local in self.local)),
            remove=self.remove,
            replace=tuple(_item(item, store) for item in self.replacing),
        )

    def fresh(self) -> Wanted:
        """The part that is new."""
        return replace(
            self,
            requested=tuple(item for item in self.requested if item not in self.known.requested),
            local=tuple(item for item in self.local if item not in self.known.requested_local),
            remove=tuple(name for name in self.remove if name not in self.known.overrides_remove),
            replacing=tuple(item for item in self.replacing if item not in overrides.replacements(self.known)),
        )


def wanted_by(origin: Origin, recommends: bool, known: Origin) -> Wanted:
    """What an origin asks for."""
    return Wanted(
        requested=origin.requested,
        local=origin.requested_local,
        remove=origin.overrides_remove,
        replacing=overrides.replacements(origin),
        recommends=recommends,
        known=known,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Problem:
    """One question to apt."""

    root: AptRoot
    store: Store
    base: Installed
    wanted: Wanted
    active: overrides.Active
    requests: tuple[PackageRequest, ...]  # those the base does not satisfy

    def items(self) -> list[str]:
        """apt-get(8): a minus behind a name removes it, a file is installed as it is."""
        items = [str(request) for request in self.requests]
        items += [_file(local, self.store) for local in self.wanted.local]
        items += [f"{package.name}-" if package.arch == "all" else f"{package.name}:{package.arch}-"
                  for package in self.active.removals]  # fmt: skip
        items += [f"{name}-" for name in self.wanted.exclude]
        return items + [_item(item, self.store) for _, item in self.active.replacements]

    def options(self) -> list[str]:
        recommends = f"APT::Install-Recommends={'true' if self.wanted.recommends else 'false'}"
        rebuilt = any(overrides.version(new) == old.version for old, new in self.active.replacements)
        # for apt a package of the same version is there already
        return ["-o", recommends, *(["--reinstall"] if rebuilt else [])]

    def beyond(self, actions: Sequence[Action]) -> refusals.Beyond:
        """What these actions do to the base that no override names."""
        removed = [self.package(a) for a in actions if a.verb in _REMOVES]
        changed = [(self.package(a), a.new) for a in actions if a.verb == "Inst" and a.old]
        return refusals.Beyond(
            removed=tuple(package for package in removed if package not in self.active.removals),
            changed=tuple((old, new) for old, new in changed if old not in self.active.replaced),
        )

    def package(self, action: Action) -> Package:
        """The base's package an action is about."""
        found = self.base.find(f"{action.name}:{action.of}" if action.of else action.name)
        return found or Package(name=action.name, version=action.old, arch=action.of or action.arch)


def _file(local: LocalPackage, store: Store) -> str:
    return str(local.path or store.debs / f"{local.sha256}.deb")


def _item(item: overrides.Replacement, store: Store) -> str:
    return _file(item, store) if isinstance(item, LocalPackage) else str(item)


def resolve(root: AptRoot, base: Installed, wanted: Wanted, store: Store) -> Resolution:
    """Ask apt how to make of the base what is `wanted`. Raises ResolveError naming everything that stands in the way.

    Requests the base itself satisfies are returned as `inactive`; it is the caller's to mind that. Overrides of
    packages the base does not have are passed over.
    """
    asked = {request.name for request in wanted.requested} | {local.package.name for local in wanted.local}
    active = overrides.active(wanted.remove, wanted.replacing, base, asked)
    kept = [package for package in active.removals if base.is_fixed(package.name)]
    if kept:
        raise refusals.kept(kept, base)
    both = [str(r) for r in wanted.requested if base.find(str(replace(r, version="", suite=""))) in active.removals]
    if both:
        raise refusals.both_ways(both)
    left = base.without(active.removals)
    inactive = tuple(request for request in wanted.requested if left.provider(request))
    requests = tuple(request for request in wanted.requested if request not in inactive)
    _known(root, requests)
    if not (requests or wanted.local or active.removals or active.replacements):
        return Resolution(inactive=inactive, sources=root.releases())
    problem = _Problem(root=root, store=store, base=base, wanted=wanted, active=active, requests=requests)
    resolution = _resolution(problem, _solve(problem))
    _hold_one_kernel(base, wanted, resolution)
    return replace(resolution, inactive=inactive, sources=root.releases())


def _hold_one_kernel(base: Installed, wanted: Wanted, resolution: Resolution) -> None:
    """An image has exactly one kernel: another may take its place, none may not."""
    before = base.kernels
    gone = (*resolution.removals, *(old for old, _ in resolution.replacements))
    stay = [kernel for kernel in before if kernel not in gone]
    after = [*stay, *(planned.package for planned in resolution.packages if is_kernel(planned.package.name))]
    if before and not after:
        raise refusals.no_kernel(before, [name for name in wanted.remove if is_kernel(name)])
    if len(after) > 1 and len(after) > len(before):
        raise refusals.kernels(stay, [kernel for kernel in after if kernel not in stay])


def _known(root: AptRoot, requests: Sequence[PackageRequest]) -> None:
    names = apt.package_names(root.config) if requests else frozenset()
    unknown = [request.name for request in requests if request.name not in names]
    if unknown:
        raise refusals.not_found(unknown, names, root.advice)


def _solve(problem: _Problem) -> tuple[Action, ...]:
    """apt's answer with the base locked; when it has none, what it would do with an open one is what to tell."""
    done = apt.simulate_install(problem.root.config, problem.items(), problem.options())
    locked = parse_actions(done.stdout)
    beyond = problem.beyond(locked)
    if done.returncode == 0 and not beyond:
        return locked
    refuse_unavailable(problem.root, done)
    freely = apt.simulate_install(problem.root.config, problem.items(), [*problem.options(), *apt.WITHOUT_PINS])
    ways = [beyond] if done.returncode == 0 else []
    if freely.returncode == 0:
        ways.append(problem.beyond(parse_actions(freely.stdout)))
    ways = [way for way in ways if way]
    asked, fresh = problem.wanted.asked(problem.store), problem.wanted.fresh().asked(problem.store)
    if not ways:
        raise refusals.unsolvable(asked, (done.stdout + done.stderr).splitlines())
    raise refusals.base_would_change(asked, fresh, min(ways, key=lambda way: way.harm), problem.base)


def refuse_unavailable(root: AptRoot, done: run.Completed) -> None:
    """Raise ResolveError when apt found no solution because a version or a suite was asked for that no source has."""
    absent = refusals.unavailable(done.stderr.splitlines()) if done.returncode else ()
    if absent:
        raise refusals.no_version(absent, apt.madison(root.config, [name for name, _ in absent]), root.advice)


def parse_actions(text: str) -> tuple[Action, ...]:
    """The Inst, Conf and Remv lines of `apt-get -s`, in order."""
    actions = []
    for line in text.splitlines():
        match = _ACTION.match(line)
        if match:
            repo = (match["repos"] or "").split(", ")[0].strip()
            actions.append(
                Action(
                    verb=match["verb"],
                    name=match["name"],
                    of=match["of"] or "",
                    old=match["old"] or "",
                    new=match["new"] or "",
                    arch=match["arch"] or "",
                    repo=repo,
                )
            )
    return tuple(actions)


def _resolution(problem: _Problem, actions: Sequence[Action]) -> Resolution:
    locals_ = (*problem.wanted.local, *(new for _, new in problem.active.replacements if isinstance(new, LocalPackage)))
    local = {(item.package.name, item.package.version, item.package.arch): item for item in locals_}
    asked = {request.name for request in problem.wanted.requested}
    news = [a for a in actions if a.verb == "Inst"]
    _refuse_no_effect(problem, news)
    remote = [f"{a.name}:{a.arch}={a.new}" for a in news if (a.name, a.new, a.arch) not in local]
    shown = reversed([*apt.show(problem.root.config, remote)]) if remote else ()
    records = {(r["Package"], r["Version"], r["Architecture"]): r for r in shown}
    packages = []
    for action in news:
        key = (action.name, action.new, action.arch)
        planned = _planned(action, local.get(key), records.get(key), problem.root.advice)
        old = problem.package(action) if action.old else None
        named = old is not None or key in local or action.name in asked
        packages.append(replace(planned, replaces=old, requested=named))
    removals = tuple(problem.package(a) for a in actions if a.verb in _REMOVES)
    placed = [replace(a, arch=problem.package(a).arch) if a.verb in _REMOVES else a for a in actions]
    return Resolution(packages=tuple(packages), removals=removals, steps=steps(placed))


def _refuse_no_effect(problem: _Problem, news: Sequence[Action]) -> None:
    """A suite may have just the version of the base; one finds out here."""
    changed = [problem.package(action) for action in news]
    idle = [(old, new) for old, new in problem.active.replacements if old not in changed]
    if idle:
        raise refusals.no_effect(
            [f"no effect: for {overrides.told(new)} the base has {overrides.named(old)}" for old, new in idle],
            "see which versions there are: apt-cache policy NAME",
        )


def _planned(action: Action, local: LocalPackage | None, record: Deb822 | None, advice: Advice) -> PlannedPackage:
    if local is not None:
        return PlannedPackage(
            package=local.package,
            sha256=local.sha256,
            installed_size=local.package.size,
            repo="local file",
            local=local,
        )
    if record is None or "SHA256" not in record:
        raise ResolveError(f"the package lists have no SHA256 for {action.name} {action.new}", hint=advice.stale)
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
    )


def steps(actions: Sequence[Action]) -> tuple[Step, ...]:
    """apt's order as dpkg calls: runs of Inst are unpacked together, runs of Conf configured, of Purg removed.

    Pre-Depends (Policy 7.2) make apt configure one package before the next is unpacked.
    """
    kinds = {"Inst": StepKind.UNPACK, "Conf": StepKind.CONFIGURE, "Remv": StepKind.REMOVE, "Purg": StepKind.REMOVE}
    rounds: list[tuple[StepKind, list[tuple[str, str]]]] = []
    for action in actions:
        kind = kinds[action.verb]
        if not rounds or rounds[-1][0] is not kind:
            rounds.append((kind, []))
        rounds[-1][1].append((action.name, action.arch))
    return tuple(Step(kind=kind, keys=tuple(keys)) for kind, keys in rounds)
