"""What a transaction will do, worked out without doing any of it: situation + change of origin -> Plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from apt_ostree import aptroot, bootfiles, config, grubwords, origin, overrides, pkgdb, resolve, sysroot
from apt_ostree.context import Context
from apt_ostree.errors import AptOstreeError, NotOstreeError
from apt_ostree.faults import point
from apt_ostree.layer import initramfs_of, state_digest
from apt_ostree.model import (
    Commit,
    Deployment,
    Origin,
    Package,
    PackageChange,
    Plan,
    PlannedPackage,
    Pull,
    Resolution,
    TransactionKind,
)
from apt_ostree.report import phase
from apt_ostree.resolving import base_state, installed_in, native_of, resolve_with


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What a verb finds: the deployments, and which of them its change starts from."""

    context: Context
    system: sysroot.Sysroot
    stateroot: str
    first: Deployment  # boots next: its origin is the one that is copied and edited
    merge: Deployment  # booted, else first: its /etc is merged
    config: config.Config = field(default_factory=config.Config)  # of that /etc

    @property
    def origin(self) -> Origin:
        """What the next origin starts as. Raises AptOstreeError when the first deployment has none that can be used."""
        first, why = self.first, self.first.origin_error
        if not why and not (first.origin.refspec or first.origin.container_image_reference):
            why = "it names no base"
        if why:
            raise AptOstreeError(
                f"the origin file of deployment {first.id} is broken: {why}",
                hint=f"repair {first.path}.origin; it should have [origin] with refspec= or baserefspec=",
                code="origin",
            )
        return origin.carried(first.origin)

    @property
    def base(self) -> Commit:
        """The commit the first deployment's tree was made from."""
        return self.first.base_commit or self.first.commit

    @cached_property
    def installed(self) -> resolve.Installed:
        """What that base has."""
        return installed_in(self.context.paths.repo, self.base.checksum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a verb wants: the origin of the new deployment, its base, or an existing deployment to go back to."""

    kind: TransactionKind
    origin: Origin
    base: Commit
    target: Deployment | None = None
    warnings: tuple[str, ...] = ()
    unchanged: str = ""  # why there is nothing to do
    kargs: tuple[str, ...] | None = None  # None: those of the first deployment
    keep_tree: bool = False  # the first deployment's commit as it is: nothing is resolved or built
    redeploy: bool = False  # also when origin, tree and kernel arguments stay: something beside them changed
    repo: Path | None = None  # where the base can be read; None: in the sysroot's repo
    pull: Pull | None = None  # what brings the base into the sysroot's repo


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A plan and the apt root it was worked out with (None when nothing needs to be fetched)."""

    plan: Plan
    situation: Situation
    apt: aptroot.AptRoot | None = None
    native: str = ""  # the base's native architecture, known once packages are resolved
    target: Deployment | None = None


MakeChange = Callable[[Situation], Change]


def situate(context: Context) -> Situation:
    """Read the sysroot and find where a change starts. Raises NotOstreeError, AptOstreeError."""
    system = sysroot.load(context.paths)
    name = context.options.stateroot or system.default_stateroot
    first = system.first(name)
    if first is None:
        known = ", ".join(system.stateroots) or "none"
        raise NotOstreeError(
            f"there is no deployment in stateroot '{name}'" if name else "there is no deployment to start from",
            hint=f"stateroots here: {known}; deploy a base first: ostree admin deploy --os=NAME REF",
        )
    booted = system.booted
    merge = booted if booted is not None and booted.osname == name else first
    load = config.load_leniently if context.options.lenient else config.load
    return Situation(context=context, system=system, stateroot=name, first=first, merge=merge, config=load(merge.path))


def make_plan(context: Context, make_change: MakeChange, apt_directory: Path) -> Planned:
    """Work out the whole plan. `apt_directory` is where apt keeps its private state. Raises AptOstreeError."""
    situation = situate(context)
    planned = _planned(context, situation, make_change(situation), apt_directory)
    if not planned.plan.no_change and bootfiles.scripted(context.paths):
        target = planned.target  # it keeps its own
        grubwords.require(
            planned.plan.kargs if target is None else target.kargs, known=(target or situation.first).kargs
        )
    return planned


def _planned(context: Context, situation: Situation, change: Change, apt_directory: Path) -> Planned:
    if situation.config.lock_layering:
        _refuse_layering(situation, change)
    if change.unchanged:
        return Planned(plan=_plan(situation, change, no_change=change.unchanged), situation=situation)
    if change.target is not None:
        plan = _plan(situation, change, target=change.target.checksum)
        return Planned(plan=plan, situation=situation, target=change.target)
    if change.keep_tree:
        same = "No change." if _same_settings(situation.first, change) else ""
        return Planned(
            plan=_plan(situation, change, target=situation.first.checksum, no_change=same), situation=situation
        )
    change = _settled(situation, change)
    if not change.origin.layered:
        return Planned(plan=_as_is(situation, change), situation=situation)
    if not change.origin.packaged:
        native = native_of(base_state(change.repo or context.paths.repo, change.base.checksum).status)
        return Planned(plan=_layered(situation, change, Resolution()), situation=situation, native=native)
    with phase(context.reporter, "resolve", "Resolving dependencies"):
        root, resolution = resolve_change(situation, change, apt_directory)
        point("resolve")
    return Planned(plan=_layered(situation, change, resolution), situation=situation, apt=root, native=root.native)


def _settled(situation: Situation, change: Change) -> Change:
    """Overrides the new base has outgrown are dropped, and what is to be said about the others is said."""
    if not change.origin.overrides_remove and not overrides.replacements(change.origin):
        return change
    same = change.base.checksum == situation.base.checksum
    base = (
        situation.installed if same else installed_in(change.repo or situation.context.paths.repo, change.base.checksum)
    )
    settled, said = overrides.settle(change.origin, base)
    return replace(change, origin=settled, warnings=(*change.warnings, *said))


def _refuse_layering(situation: Situation, change: Change) -> None:
    """LockLayering of apt-ostree.conf: the requests stay as they are (rpm-ostreed.conf(5) has it)."""
    if change.target is not None or change.unchanged:
        return
    before, after = situation.origin, change.origin
    names = ("requested", "requested_local", "overrides_remove", "overrides_replace", "overrides_replace_local")
    wanted = {name: set(getattr(after, name)) for name in names}
    wanted["requested"] |= set(after.skipped)
    had = {name: set(getattr(before, name)) for name in names}
    had["requested"] |= set(before.skipped)
    if wanted != had:
        raise AptOstreeError(
            "layered packages are locked on this system",
            hint=f"an administrator can allow it: LockLayering=false in /{config.NAME}",
            code="layering-locked",
        )


def _as_is(situation: Situation, change: Change) -> Plan:
    first = situation.first
    same = first.checksum == change.base.checksum and _same_settings(first, change)
    return _plan(situation, change, target=change.base.checksum, no_change="No change." if same else "")


def _same_settings(deployment: Deployment, change: Change) -> bool:
    """True when a deployment has all that a change asks for beside the tree."""
    same_origin = origin.render(origin.carried(deployment.origin)) == origin.render(change.origin)
    return same_origin and change.kargs in (None, deployment.kargs) and not change.redeploy


def _layered(situation: Situation, change: Change, resolution: Resolution) -> Plan:
    change = _told_of_sleepers(situation, change, resolution)
    change = replace(change, origin=overrides.pinned(change.origin, resolution))
    if resolution.keeps_base and not change.origin.regenerate_initramfs:
        return replace(_as_is(situation, change), resolution=resolution)
    digest = state_digest(change.base.checksum, resolution, initramfs_of(change.origin))
    target = ""
    for deployment in situation.system.deployments:
        if deployment.commit.layer is not None and deployment.commit.layer.state_digest == digest:
            target = deployment.checksum
    same = target == situation.first.checksum and _same_settings(situation.first, change)
    return _plan(
        situation,
        change,
        resolution=resolution,
        target=target,
        digest=digest,
        no_change="No change." if same else "",
    )


def _told_of_sleepers(situation: Situation, change: Change, resolution: Resolution) -> Change:
    """A request that the base fulfils by now is kept, but its package is layered no more: that is said once."""
    layer = situation.first.commit.layer
    had = {package.name for package in layer.packages} if layer else frozenset()
    said = tuple(
        f"{request} is in the base now; the request is kept, inactive"
        for request in resolution.inactive
        if request.name in had
    )
    return replace(change, warnings=(*change.warnings, *said)) if said else change


def _plan(
    situation: Situation,
    change: Change,
    *,
    resolution: Resolution | None = None,
    target: str = "",
    digest: str = "",
    no_change: str = "",
) -> Plan:
    return Plan(
        kind=change.kind,
        command=situation.context.options.command,
        stateroot=situation.stateroot,
        origin=change.origin,
        base=change.base,
        former_base=situation.base,
        merge=situation.merge,
        resolution=resolution,
        target=target,
        changes=() if no_change else package_changes(situation, change, resolution, target),
        warnings=situation.config.warnings + change.warnings,
        no_change=no_change,
        state_digest=digest,
        kargs=situation.first.kargs if change.kargs is None else change.kargs,
        pull=None if no_change else change.pull,
    )


def package_changes(
    situation: Situation, change: Change, resolution: Resolution | None, target: str
) -> tuple[PackageChange, ...]:
    """What the new deployment has more, less or else than the one that would boot next."""
    repo = situation.context.paths.repo
    before = pkgdb.packages(repo, situation.first.checksum)
    if target:
        after: Sequence[Package] = pkgdb.packages(_repo_of(situation, change, target), target)
    else:
        after = _after(pkgdb.packages(change.repo or repo, change.base.checksum), resolution or Resolution())
    planned = {p.package.key: p for p in resolution.packages} if resolution else {}
    return tuple(_sourced(item, planned.get((item.name, item.arch))) for item in pkgdb.diff(before, after))


def _after(base: Sequence[Package], resolution: Resolution) -> tuple[Package, ...]:
    gone = {package.key for package in (*resolution.removals, *(old for old, _ in resolution.replacements))}
    return (*(p for p in base if p.key not in gone), *(planned.package for planned in resolution.packages))


def _repo_of(situation: Situation, change: Change, checksum: str) -> Path:
    return change.repo if change.repo and checksum == change.base.checksum else situation.context.paths.repo


def _sourced(change: PackageChange, planned: PlannedPackage | None) -> PackageChange:
    return replace(change, repo=planned.repo, security=planned.security) if planned else change


def resolve_change(situation: Situation, change: Change, apt_directory: Path) -> tuple[aptroot.AptRoot, Resolution]:
    """Resolve the packages of a change with the sources of the merge deployment's /etc/apt.

    A refusal tells the command for what is new against the origin before the change.
    """
    context, merge, settings = situation.context, situation.merge, situation.config
    if context.options.refresh_age is None:
        context = replace(context, options=replace(context.options, refresh_age=settings.refresh_age))
    source = aptroot.SourceTree(etc_apt=merge.path / "etc/apt", root=merge.path)
    asked = context.options.recommends
    recommends = change.origin.recommends and settings.recommends if asked is None else asked
    wanted = resolve.wanted_by(change.origin, recommends, situation.first.origin)
    state = base_state(change.repo or context.paths.repo, change.base.checksum)
    return resolve_with(context, context.paths.store, state, source, wanted, apt_directory)
