"""compose install: the same layer() on a bare repo, without a sysroot."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from apt_ostree import (
    aptroot,
    commitmeta,
    commits,
    fetch,
    guarding,
    pkgdb,
    preflight,
    repos,
    requests,
    resolve,
    transaction,
    unfetched,
)
from apt_ostree.context import Context
from apt_ostree.errors import ResolveError, ToolError
from apt_ostree.layer import LayerJob, layer, state_digest
from apt_ostree.model import Commit, Resolution, Result
from apt_ostree.ops import install
from apt_ostree.paths import Store
from apt_ostree.report import phase
from apt_ostree.resolving import resolve_on_base
from apt_ostree.tools import ostree
from apt_ostree.tree import users


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Layer `packages` on `ref` of `repo` and commit the tree to `branch`."""

    repo: Path
    ref: str
    branch: str
    packages: tuple[str, ...]


def run(context: Context, request: Request) -> Result:
    """Make a commit of `branch` whose parent is `ref`. Raises AptOstreeError, ResolveError, VerificationError."""
    branch = requests.parse_branch(request.branch)
    _base(request)  # a ref that is not there is told before anything is waited for
    repos.check_branch(branch, ostree.refs(request.repo))
    names, local = install.parse(request.packages)
    wanted = resolve.Wanted(requested=names, local=local, recommends=context.options.recommends is not False)
    store = Store(request.repo)
    advice = unfetched.in_a_base(cache_only=context.options.cache_only)
    with ExitStack() as held:
        guard = held.enter_context(guarding.guarded(context, store, None))
        base = _base(request)  # whoever was waited for may have moved the branch
        source = held.enter_context(_sources(store, base.checksum, advice))
        inner = guard.context
        with phase(inner.reporter, "resolve", "Resolving dependencies"), _kernel_hint():
            root, resolution = resolve_on_base(
                inner, store, base.checksum, source, wanted, transaction.apt_directory(store)
            )
        _refuse_inactive(context, resolution)
        changes = pkgdb.diff((), tuple(planned.package for planned in resolution.packages))
        if context.options.dry_run:
            return Result(command=context.options.command, changed=False, changes=changes, message="Dry run.")
        download = sum(p.download_size for p in fetch.missing(store, resolution))
        preflight.check_space(store.repo, download=download, installed=resolution.installed_size, alone=True)
        with phase(inner.reporter, "download", "Downloading packages"):
            fetch.import_local(store, local)
            fetched = fetch.download(root, store, resolution, inner.reporter)
        job = LayerJob(
            store=store,
            base=base,
            resolution=resolution,
            digest=state_digest(base.checksum, resolution),
            native=root.native,
            metadata=_kept(base),
            identities=users.Identities(),
            branch=branch,
            script_timeout=context.options.script_timeout or None,
            command=context.options.command,
        )
        commit = layer(job, inner.reporter)
        return Result(
            command=context.options.command,
            changed=True,
            changes=changes,
            download_bytes=fetched,
            duration=guard.durations.seconds,
            message=f"{branch} is {commit.checksum}",
            commit=commit.checksum,
        )


def _base(request: Request) -> Commit:
    repos.require(request.repo)
    return commits.load(request.repo, repos.resolve(request.repo, request.ref)).commit


def _kept(base: Commit) -> dict[str, str]:
    """What is true of the new tree as well: the kernel arguments its treefile asks for."""
    return {key: str(value) for key, value in base.metadata.items() if key == commitmeta.KARGS}


@contextmanager
def _kernel_hint() -> Iterator[None]:
    """On a machine an override puts another kernel in the place of the base's; here the base itself can be made."""
    try:
        yield
    except ResolveError as error:
        if error.code == "kernel":
            error.hint = "name it in 'packages' of the base's treefile, and compose the base anew; or leave it out"
        raise


def _refuse_inactive(context: Context, resolution: Resolution) -> None:
    if resolution.inactive and not (context.options.allow_inactive or context.options.idempotent):
        raise ResolveError(
            f"already in the base: {', '.join(str(request) for request in resolution.inactive)}",
            hint="leave them out, or use --allow-inactive",
            code="already-in-base",
        )


@contextmanager
def _sources(store: Store, commit: str, advice: unfetched.Advice) -> Iterator[aptroot.SourceTree]:
    """The base's own apt configuration and keyrings, out of the commit."""
    with tempfile.TemporaryDirectory(prefix="sources-", dir=store.work) as folder:
        root = Path(folder)
        for subpath in ("/usr/etc/apt", "/usr/share/keyrings"):
            target = root / ("etc/apt" if subpath == "/usr/etc/apt" else "usr/share/keyrings")
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                ostree.checkout_copy(store.repo, commit, target, subpath=subpath)
            except ToolError:
                target.mkdir(exist_ok=True)  # a base without keyrings: its sources may bring their own keys
        yield aptroot.SourceTree(etc_apt=root / "etc/apt", root=root, advice=advice)
