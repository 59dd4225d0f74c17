"""override remove, replace, reset: packages of the base that are to be gone or to be another version."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from apt_ostree import overrides, pkgdb, refusals, requests, transaction
from apt_ostree.context import Context
from apt_ostree.errors import UsageError
from apt_ostree.installed import Installed
from apt_ostree.model import LocalPackage, Origin, PackageRequest, Result, TransactionKind
from apt_ostree.ops import install
from apt_ostree.planning import Change, Situation


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


def edited(
    origin: Origin, base: Installed, *, remove: Sequence[str] = (), replacing: Sequence[overrides.Replacement] = ()
) -> _Edit:
    """An origin with more overrides. Raises ResolveError for packages that are never removed."""
    edit = _Edit(origin)
    for name in remove:
        edit = _remove(edit, name, base)
    for item in replacing:
        edit = _replace(edit, item, base)
    return edit


def _change(
    situation: Situation,
    request: Request,
    removed: Sequence[str],
    replacing: Sequence[overrides.Replacement],
) -> Change:
    edit = _Edit(cleared(situation.origin) if request.reset_all else situation.origin)
    for name in request.reset:
        edit = _reset(edit, name)
    more = edited(edit.origin, situation.installed, remove=removed, replacing=replacing)
    edit = _Edit(more.origin, (*edit.idle, *more.idle))
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
    left = _dropped(edit.origin, lambda other: name in (other, other.partition(":")[0]))
    return _Edit(left, edit.idle) if left != edit.origin else edit.but(f"no effect: {argument} is not overridden")


def _remove(edit: _Edit, name: str, base: Installed) -> _Edit:
    package, origin = base.find(name), edit.origin
    if package is None:
        known = name in origin.overrides_remove
        why = "is removed already" if known else f"is not in the base{_elsewhere(origin, name)}"
        return edit.but(f"no effect: {name} {why}")
    if any(base.find(other) == package for other in origin.overrides_remove):
        return edit.but(f"no effect: {name} is removed already")
    if base.is_fixed(package.name):
        raise refusals.kept([package], base)
    origin = _dropped(origin, lambda other: base.find(other) == package)
    return _Edit(replace(origin, overrides_remove=(*origin.overrides_remove, name)), edit.idle)


def _replace(edit: _Edit, item: overrides.Replacement, base: Installed) -> _Edit:
    have, told = overrides.found(item, base), overrides.told(item)
    if item in overrides.replacements(edit.origin):
        return edit.but(f"no effect: the replacement {told} is there already")
    if have is None:
        return edit.but(f"no effect: {overrides.spec(item)} is not in the base; to add it: apt-ostree install {told}")
    origin = _dropped(edit.origin, lambda other: base.find(other) == have)
    if isinstance(item, PackageRequest) and item.version and pkgdb.compare(item.version, have.version) == 0:
        back = f"; to go back to it: apt-ostree override reset {have.name}" if origin != edit.origin else ""
        return edit.but(f"no effect: the base has {overrides.named(have)} already{back}")
    asked = replace(requests.parse(overrides.spec(item)), version=have.version)
    origin = replace(origin, overrides_base=(*origin.overrides_base, asked))
    if isinstance(item, LocalPackage):
        origin = replace(origin, overrides_replace_local=(*origin.overrides_replace_local, item))
    else:
        origin = replace(origin, overrides_replace=(*origin.overrides_replace, item))
    return _Edit(origin, edit.idle)


def _elsewhere(origin: Origin, name: str) -> str:
    layered = {request.name for request in origin.requested} | {item.package.name for item in origin.requested_local}
    return f"; it is layered: apt-ostree uninstall {name}" if name.partition(":")[0] in layered else ""


def _dropped(origin: Origin, meant: Callable[[str], bool]) -> Origin:
    """The origin without the overrides that are `meant` by their spec: the newest word on a package wins."""
    gone = [item for item in overrides.replacements(origin) if meant(overrides.spec(item))]
    left = tuple(other for other in origin.overrides_remove if not meant(other))
    return replace(overrides.without(origin, gone), overrides_remove=left)
