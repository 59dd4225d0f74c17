"""override remove, replace, reset: packages of the base that are to be gone or to be another version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from apt_ostree import overrides, pkgdb, refusals, requests, transaction
from apt_ostree.errors import UsageError
from apt_ostree.installed import Installed
from apt_ostree.model import LocalPackage, Origin, Package, PackageRequest, Result, TransactionKind
from apt_ostree.ops import install
from apt_ostree.planning import Change, Context, Situation


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """As typed. `remove` and `reset` are names (NAME, NAME:ARCH), `replace` NAME=VERSION, NAME/SUITE or .deb files."""

    remove: tuple[str, ...] = ()
    replace: tuple[str, ...] = ()
    reset: tuple[str, ...] = ()
    reset_all: bool = False
    install: tuple[str, ...] = ()
    uninstall: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Edit:
    """An origin on its way, and the overrides that would have no effect."""

    origin: Origin
    idle: tuple[str, ...] = ()

    def but(self, message: str) -> _Edit:
        return _Edit(self.origin, (*self.idle, message))


def run(context: Context, request: Request) -> Result:
    """Change overrides and, with `install` and `uninstall`, layers in one deployment.

    Raises UsageError for malformed names, ResolveError for what has no effect or would take more of the base along.
    """
    if not (request.remove or request.replace or request.reset or request.reset_all):
        raise UsageError("no packages were named", hint="apt-ostree override remove NAME...")
    if request.reset and request.reset_all:
        raise UsageError("--all means every override; name packages or use it, not both")
    removed = tuple(dict.fromkeys(requests.parse_name(name) for name in request.remove))
    replacing = _replacing(request.replace)
    return transaction.execute(context, lambda situation: _change(situation, request, removed, replacing))


def _replacing(arguments: Sequence[str]) -> tuple[overrides.Replacement, ...]:
    names, local = install.parse(arguments)
    bare = [name for name in names if not name.version and not name.suite]
    if bare:
        raise UsageError(
            f"replace {bare[0]} by what? A version or a suite is missing",
            hint=f"{bare[0]}=VERSION, {bare[0]}/SUITE or a file: ./{bare[0].name}.deb",
        )
    return (*names, *local)


def _change(
    situation: Situation,
    request: Request,
    removed: Sequence[str],
    replacing: Sequence[overrides.Replacement],
) -> Change:
    base = situation.installed
    edit = _Edit(situation.origin)
    if request.reset_all:
        edit = _Edit(cleared(edit.origin))
    for name in request.reset:
        edit = _reset(edit, name)
    for name in removed:
        edit = _remove(edit, name, base)
    for item in replacing:
        edit = _replace(edit, item, base)
    if edit.idle and not situation.context.options.idempotent:
        raise refusals.no_effect(edit.idle, "see what is overridden: apt-ostree status -v")
    edits = bool(request.install or request.uninstall)
    unchanged = "" if edits or edit.origin != situation.origin else "No change."
    change = Change(kind=TransactionKind.PKG_CHANGE, origin=edit.origin, base=situation.base, unchanged=unchanged)
    return install.edited(change, situation, request.install, request.uninstall) if edits else change


def cleared(origin: Origin) -> Origin:
    """The origin without any override."""
    return replace(origin, overrides_remove=(), overrides_replace=(), overrides_replace_local=(), overrides_base=())


def _reset(edit: _Edit, argument: str) -> _Edit:
    name = argument.partition("=")[0].partition("/")[0].partition("_")[0]
    left = _dropped(edit.origin, name)
    return _Edit(left, edit.idle) if left != edit.origin else edit.but(f"no effect: {argument} is not overridden")


def _remove(edit: _Edit, name: str, base: Installed) -> _Edit:
    package = base.find(name)
    if any(_concerns(name, other) for other in edit.origin.overrides_remove):
        return edit.but(f"no effect: {name} is removed already")
    if package is None:
        return edit.but(f"no effect: {name} is not in the base{_elsewhere(edit.origin, name, 'uninstall')}")
    if base.why_kept(package.name):
        raise refusals.kept([package], base)
    origin = _dropped(edit.origin, name)
    return _Edit(replace(origin, overrides_remove=(*origin.overrides_remove, name)), edit.idle)


def _replace(edit: _Edit, item: overrides.Replacement, base: Installed) -> _Edit:
    have, told = overrides.found(item, base), overrides.told(item)
    if item in overrides.replacements(edit.origin):
        return edit.but(f"no effect: the replacement {told} is there already")
    if have is None:
        return edit.but(f"no effect: {overrides.spec(item)} is not in the base; to add it: apt-ostree install {told}")
    if isinstance(item, PackageRequest) and item.version and pkgdb.compare(item.version, have.version) == 0:
        return edit.but(f"no effect: the base has {overrides.named(have)} already{_instead(edit.origin, have)}")
    origin = _dropped(edit.origin, have.name if have.arch == "all" else f"{have.name}:{have.arch}")
    asked = replace(requests.parse(overrides.spec(item)), version=have.version)
    origin = replace(origin, overrides_base=(*origin.overrides_base, asked))
    if isinstance(item, LocalPackage):
        origin = replace(origin, overrides_replace_local=(*origin.overrides_replace_local, item))
    else:
        origin = replace(origin, overrides_replace=(*origin.overrides_replace, item))
    return _Edit(origin, edit.idle)


def _elsewhere(origin: Origin, name: str, verb: str) -> str:
    layered = {request.name for request in origin.requested} | {item.package.name for item in origin.requested_local}
    return f"; it is layered: apt-ostree {verb} {name}" if name.partition(":")[0] in layered else ""


def _instead(origin: Origin, have: Package) -> str:
    overridden = _dropped(origin, have.name) != origin
    return f"; to go back to it: apt-ostree override reset {have.name}" if overridden else ""


def _concerns(one: str, other: str) -> bool:
    """Two names of packages, with or without an architecture, that may mean the same one."""
    (name, _, arch), (other_name, _, other_arch) = one.partition(":"), other.partition(":")
    return name == other_name and (not arch or not other_arch or arch == other_arch)


def _dropped(origin: Origin, name: str) -> Origin:
    """The origin without any override of a package: the newest word on it wins."""
    gone = [item for item in overrides.replacements(origin) if _concerns(overrides.spec(item), name)]
    origin = overrides.without(origin, gone)
    return replace(
        origin, overrides_remove=tuple(other for other in origin.overrides_remove if not _concerns(other, name))
    )
