"""install and uninstall: a change of the packages the origin asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from apt_ostree import fetch, requests, transaction
from apt_ostree.context import Context
from apt_ostree.errors import ResolveError, UsageError
from apt_ostree.model import LocalPackage, Origin, Package, PackageRequest, Result, TransactionKind
from apt_ostree.planning import Change, Situation


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`packages` and `uninstall` as typed: names, name=version, name/suite, .deb files, directories of them."""

    packages: tuple[str, ...] = ()
    uninstall: tuple[str, ...] = ()


def run(context: Context, request: Request) -> Result:
    """Layer packages on the base (and, with `uninstall`, drop others in the same transaction).

    Raises UsageError for malformed names and files, ResolveError for what cannot be had.
    """
    if not request.packages and not request.uninstall:
        raise UsageError("no packages were named", hint="apt-ostree install NAME...")
    names, local = parse(request.packages)
    return transaction.execute(context, lambda situation: _change(situation, names, local, request.uninstall))


def parse(arguments: Sequence[str]) -> tuple[tuple[PackageRequest, ...], tuple[LocalPackage, ...]]:
    """Arguments -> archive requests and local files. What has a slash in front or ends in .deb is a file."""
    names: list[PackageRequest] = []
    local: list[LocalPackage] = []
    for argument in arguments:
        if argument.startswith(("/", "./", "../", "~/")) or argument.endswith(".deb") or argument in (".", ".."):
            local += [fetch.local_package(path) for path in fetch.local_files(argument)]
        else:
            names.append(requests.parse(argument))
    return tuple(dict.fromkeys(names)), tuple(dict.fromkeys(local))


def _change(
    situation: Situation,
    names: tuple[PackageRequest, ...],
    local: tuple[LocalPackage, ...],
    uninstall: Sequence[str],
    origin: Origin | None = None,
) -> Change:
    before = origin or situation.origin
    start = remove_requests(before, uninstall) if uninstall else before
    fresh = _not_requested_yet(situation, start, names)
    fresh_local = _not_local_yet(situation, start, local)
    if not fresh and not fresh_local and not uninstall:
        unchanged = "No change."
        return Change(kind=TransactionKind.PKG_CHANGE, origin=before, base=situation.base, unchanged=unchanged)
    warnings = _refuse_inactive(situation, fresh, start.overrides_remove)
    origin = replace(
        start,
        # the newest word on a package wins: htop=1.0 after htop takes its place, htop:i386 does not
        requested=tuple(old for old in start.requested if not any(_same_package(old, new) for new in fresh)) + fresh,
        requested_local=tuple(
            old
            for old in start.requested_local
            if not any(_same_package(old.package, new.package) for new in fresh_local)
        )
        + fresh_local,
        skipped=tuple(old for old in start.skipped if not any(_same_package(old, new) for new in fresh)),
        recommends=start.recommends
        if situation.context.options.recommends is None
        else situation.context.options.recommends,
    )
    return Change(kind=TransactionKind.PKG_CHANGE, origin=origin, base=situation.base, warnings=warnings)


def _same_package(one: PackageRequest | Package, other: PackageRequest | Package) -> bool:
    """False for two architectures of one package, which can be installed together (Multi-Arch: same)."""
    return one.name == other.name and (one.arch == other.arch or "all" in (one.arch, other.arch))


def edited(change: Change, situation: Situation, packages: Sequence[str], uninstall: Sequence[str]) -> Change:
    """A change of another verb with packages added and dropped on the way (--install, --uninstall)."""
    names, local = parse(packages)
    packaged = _change(situation, names, local, uninstall, change.origin)
    origin = replace(
        change.origin,
        requested=packaged.origin.requested,
        requested_local=packaged.origin.requested_local,
        skipped=packaged.origin.skipped,
    )
    return replace(change, origin=origin, warnings=change.warnings + packaged.warnings)


def _not_requested_yet(
    situation: Situation, origin: Origin, names: Sequence[PackageRequest]
) -> tuple[PackageRequest, ...]:
    local = {item.package.name for item in origin.requested_local}
    known = [request for request in names if request in origin.requested or request.name in local]
    if known and not situation.context.options.idempotent:
        raise ResolveError(
            f"already requested: {', '.join(str(request) for request in known)}",
            hint="with --idempotent that is no error",
            code="already-requested",
        )
    return tuple(request for request in names if request not in known)


def _not_local_yet(situation: Situation, origin: Origin, local: Sequence[LocalPackage]) -> tuple[LocalPackage, ...]:
    have = {item.sha256 for item in origin.requested_local}
    known = [item for item in local if item.sha256 in have]
    if known and not situation.context.options.idempotent:
        raise ResolveError(
            f"already requested: {', '.join(item.nevra for item in known)}",
            hint="with --idempotent that is no error",
            code="already-requested",
        )
    return tuple(item for item in local if item.sha256 not in have)


def _refuse_inactive(situation: Situation, fresh: Sequence[PackageRequest], removed: Sequence[str]) -> tuple[str, ...]:
    """What the base has already is refused, or with --allow-inactive kept as a sleeping request.

    What is `removed` from the base provides nothing.
    """
    gone = [package for package in map(situation.installed.find, removed) if package is not None]
    base = situation.installed.without(gone)
    provided = [(request, base.provider(request)) for request in fresh]
    inactive = [f"{request} is provided by {provider} of the base" for request, provider in provided if provider]
    if inactive and not situation.context.options.allow_inactive:
        raise ResolveError(
            f"already in the base: {', '.join(str(request) for request, provider in provided if provider)}",
            details=inactive,
            hint="with --allow-inactive the request is kept and takes effect when the base no longer has the package",
            code="already-in-base",
        )
    return tuple(f"{line}; the request is kept, inactive" for line in inactive)


def remove_requests(origin: Origin, arguments: Sequence[str]) -> Origin:
    """The origin without these requests, named by package name, by request or by name_version_arch.

    Raises ResolveError naming all that are not requested.
    """
    requested, local, unknown = [*origin.requested, *origin.skipped], list(origin.requested_local), []
    for argument in arguments:
        exact = [r for r in requested if argument == str(r)]  # libc6, when libc6:i386 is requested as well
        hits = exact or [r for r in requested if argument in (r.name, f"{r.name}:{r.arch}")]
        local_hits = [item for item in local if argument in (item.package.name, item.nevra, str(item))]
        if not hits and not local_hits:
            unknown.append(argument)
        requested = [r for r in requested if r not in hits]
        local = [item for item in local if item not in local_hits]
    if unknown:
        import difflib
        import shlex

        have = [str(r) for r in origin.requested] + [item.nevra for item in origin.requested_local]
        names = [*(r.name for r in origin.requested), *(item.package.name for item in origin.requested_local)]
        near = {name: difflib.get_close_matches(name, names, n=1, cutoff=0.8) for name in unknown}
        meant = dict.fromkeys(name for argument in arguments for name in near.get(argument, [argument]))
        typo = f"did you mean: sudo apt-ostree uninstall {' '.join(meant)}" if all(near.values()) else ""
        base = (
            f"what it is there for: apt-ostree why {shlex.quote(unknown[0])}; "
            f"out of the base it is taken by: sudo apt-ostree override remove {shlex.quote(unknown[0])}"
        )
        raise ResolveError(
            f"not requested, so not to be uninstalled: {', '.join(unknown)}",
            details=[f"layered packages: {', '.join(have) or 'none'}"],
            hint="; ".join(filter(None, (typo, base))),
            code="not-requested",
        )
    return replace(
        origin,
        requested=tuple(r for r in requested if r in origin.requested),
        requested_local=tuple(local),
        skipped=tuple(r for r in requested if r in origin.skipped),
    )
