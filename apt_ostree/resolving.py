"""What apt makes of a set of requests on the package state of a base commit, with lists that are young enough."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from apt_ostree import aptroot, config, resolve
from apt_ostree.context import Context
from apt_ostree.errors import AptOstreeError, ToolError
from apt_ostree.model import Resolution
from apt_ostree.paths import Store
from apt_ostree.report import OutputLine
from apt_ostree.tools import ostree


def base_state(repo: Path, checksum: str) -> aptroot.BaseState:
    """The package state of a base commit, for apt. Raises AptOstreeError when the commit has none."""

    def text(name: str, default: str | None = None) -> str:
        try:
            return ostree.cat(repo, checksum, f"/usr/lib/sysimage/{name}")
        except ToolError as error:
            if default is not None:
                return default
            raise AptOstreeError(
                f"commit {checksum[:12]} has no dpkg database at /usr/lib/sysimage/dpkg",
                hint="packages can only be layered on trees made by: apt-ostree compose tree",
                details=error.details,
                code="no-dpkg",
            ) from error

    status = text("dpkg/status")
    architectures = tuple(text("dpkg/arch", "").split()) or (native_of(status),)
    return aptroot.BaseState(
        status=status, extended_states=text("apt/extended_states", ""), architectures=architectures
    )


def native_of(status: str) -> str:
    """The architecture of dpkg itself is the native one (dpkg(1) --print-architecture is compiled in)."""
    native = resolve.installed(status).native
    if not native:
        raise AptOstreeError("the base has no dpkg, so its architecture is not known")
    return native


def installed_in(repo: Path, checksum: str) -> resolve.Installed:
    """What a base commit has installed. Raises AptOstreeError when it has no package database."""
    return resolve.installed(base_state(repo, checksum).status)


def resolve_on_base(
    context: Context,
    store: Store,
    base: str,
    source: aptroot.SourceTree,
    wanted: resolve.Wanted,
    apt_directory: Path,
) -> tuple[aptroot.AptRoot, Resolution]:
    """Resolve on a base commit of the store's repo."""
    return resolve_with(context, store, base_state(store.repo, base), source, wanted, apt_directory)


def resolve_with(
    context: Context,
    store: Store,
    state: aptroot.BaseState,
    source: aptroot.SourceTree,
    wanted: resolve.Wanted,
    apt_directory: Path,
) -> tuple[aptroot.AptRoot, Resolution]:
    """Lay out the private apt root, refresh its lists when they are old, and ask apt."""
    foreign = _foreign(state, wanted)
    state = replace(state, architectures=(*state.architectures, *foreign))
    root = aptroot.build(apt_directory, state, source, disabled=context.options.disable_repos)
    ensure_lists(context, root)
    resolution = resolve.resolve(root, resolve.installed(state.status), wanted, store)
    return root, replace(resolution, foreign=foreign)


def _foreign(state: aptroot.BaseState, wanted: resolve.Wanted) -> tuple[str, ...]:
    named = {request.arch for request in wanted.requested}
    return tuple(sorted(named - {"", "all", "any", "native", *state.architectures}))


def ensure_lists(context: Context, root: aptroot.AptRoot) -> None:
    """Refresh lists that are missing, of other sources or too old (RefreshAge); never with --cache-only."""
    age = root.age()
    if context.options.cache_only:
        return
    limit = context.options.refresh_age
    if age is None or age > (config.REFRESH_AGE if limit is None else limit):
        root.refresh(lambda line: context.reporter.event(OutputLine(line=line)))


@contextmanager
def apt_directory_for_dry_run(context: Context) -> Iterator[Path]:
    """A place for apt's state that leaves the sysroot untouched: lists we have are linked in, not renewed there."""
    with tempfile.TemporaryDirectory(prefix="apt-ostree-") as folder:
        directory = Path(folder)
        lists = context.paths.store.apt / "state"
        if lists.is_dir():
            (directory / "state/lists/partial").mkdir(parents=True)
            for path in (lists / "lists").iterdir():
                if path.is_file() and path.name != "lock":
                    (directory / "state/lists" / path.name).symlink_to(path)
            if (lists / "refreshed").is_file():
                (directory / "state/refreshed").write_bytes((lists / "refreshed").read_bytes())
                stamp = (lists / "refreshed").stat()
                os.utime(directory / "state/refreshed", (stamp.st_atime, stamp.st_mtime))
        yield directory
