"""Packages into our store, by content: from the archive through apt's signed chain, or from the user's files."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from apt_ostree.aptroot import AptRoot
from apt_ostree.errors import AptOstreeError, ToolError, UsageError, VerificationError
from apt_ostree.model import Deployment, LocalPackage, PlannedPackage, Resolution
from apt_ostree.paths import Store
from apt_ostree.report import Advanced, OutputLine, Reporter
from apt_ostree.tools import apt
from apt_ostree.tree import debcheck

UNUSED = 14 * 24 * 3600.0  # seconds a stored package is kept after its last use
_STATUS = re.compile(r"dlstatus:\d+:([\d.]+):.*")


def sha256(path: Path) -> str:
    """sha256 of a file, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def stored(store: Store, checksum: str) -> Path:
    """Where a package of this content is, or would be."""
    return store.debs / f"{checksum}.deb"


def missing(store: Store, resolution: Resolution) -> tuple[PlannedPackage, ...]:
    """The archive's packages of a resolution that are not in the store yet."""
    return tuple(p for p in resolution.packages if p.local is None and not stored(store, p.sha256).is_file())


def download(root: AptRoot, store: Store, resolution: Resolution, reporter: Reporter) -> int:
    """Fetch exactly the resolved versions into the store; returns the bytes fetched.

    apt checks them against its signed lists (apt-secure(8)); we check size and content once more and read each
    archive whole before it is taken in. Raises VerificationError, AptOstreeError.
    """
    wanted = missing(store, resolution)
    for planned in resolution.packages:
        if planned not in wanted and planned.local is None:
            _use(stored(store, planned.sha256))
    if not wanted:
        return 0
    total = sum(p.download_size for p in wanted)
    store.debs.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fetch-", dir=_private(store.work)) as folder:
        _fetch(root, wanted, Path(folder), total, reporter)
        found = {sha256(path): path for path in Path(folder).glob("*.deb")}
        for planned in wanted:
            path = found.get(planned.sha256)
            if path is None:
                raise VerificationError(
                    f"what was fetched for {planned.package.name} {planned.package.version} is not what the "
                    "signed package lists promise",
                    hint=root.advice.stale,
                )
            debcheck.inspect(path, f"{planned.package.name} {planned.package.version}")
        for planned in wanted:
            _take(found[planned.sha256], stored(store, planned.sha256))
    return total


def _fetch(root: AptRoot, wanted: Sequence[PlannedPackage], folder: Path, total: int, reporter: Reporter) -> None:
    def line(text: str) -> None:
        status = _STATUS.fullmatch(text)
        if status:
            reporter.event(Advanced(done=int(total * float(status[1]) / 100), total=total, unit="bytes"))
        else:
            reporter.event(OutputLine(line=text))

    items = [f"{p.package.name}:{p.package.arch}={p.package.version}" for p in wanted]
    try:
        apt.download(root.config, items, folder, line)
    except ToolError as error:
        told = [text for text in error.details if text.startswith(("E:", "W:", "Err:", "  "))] or list(error.details)
        unverified = ("Hash Sum mismatch", "unexpected size", "cannot be authenticated", "Failed to verify")
        if any(sign in text for text in told for sign in unverified):
            raise VerificationError(
                "a fetched package is not what the signed package lists promise",
                details=told,
                hint=root.advice.stale,
            ) from error
        raise AptOstreeError(
            "packages could not be downloaded",
            details=told,
            hint="check the network, then repeat the command; what is here already is kept",
            code="download-failed",
        ) from error


def local_package(path: Path) -> LocalPackage:
    """Read a .deb the user brought. Raises UsageError when it cannot be read or is none."""
    if not path.is_file():  # a pipe or a device may never end
        raise UsageError(f"'{path}' is not a regular file")
    try:
        checksum = sha256(path)
    except OSError as error:
        raise UsageError(f"cannot read '{path}': {error.strerror}") from error
    package = debcheck.control(path)
    try:
        debcheck.inspect(path, str(path))
    except VerificationError as error:
        raise VerificationError(error.message, details=error.details, hint="get the file again") from error
    return LocalPackage(sha256=checksum, package=package, path=path)


def local_files(argument: str) -> tuple[Path, ...]:
    """The .deb files an argument names: a file, or all in a directory. Raises UsageError when there are none."""
    path = Path(argument).absolute()
    if path.is_dir():
        files = tuple(sorted(item for item in path.iterdir() if item.suffix == ".deb"))
        if not files:
            raise UsageError(f"the directory '{argument}' holds no .deb files")
        return files
    if not path.exists():
        name = path.name.removesuffix(".deb").partition("_")[0]
        hint = f"from the package sources it is installed by its name: apt-ostree install {shlex.quote(name)}"
        raise UsageError(f"there is no file '{argument}'", hint=hint)
    return (path,)


def import_local(store: Store, packages: Sequence[LocalPackage]) -> None:
    """Copy local packages into the store by content. Raises AptOstreeError when a stored one is gone."""
    store.debs.mkdir(mode=0o700, parents=True, exist_ok=True)
    for local in packages:
        target = stored(store, local.sha256)
        if target.is_file():
            continue
        if local.path is None:
            raise AptOstreeError(
                f"the stored file of the local package {local.nevra} is gone",
                hint=f"install it from its file again, or: sudo apt-ostree uninstall {local.package.name}",
            )
        with tempfile.TemporaryDirectory(prefix="local-", dir=_private(store.work)) as folder:
            copy = Path(folder) / "local.deb"
            shutil.copyfile(local.path, copy)
            if sha256(copy) != local.sha256:
                raise AptOstreeError(f"'{local.path}' changed while it was read", hint="repeat the command")
            # what was judged before may have been another file of this name, for a moment
            if debcheck.control(copy) != local.package:
                raise AptOstreeError(f"'{local.path}' changed while it was read", hint="repeat the command")
            debcheck.inspect(copy, str(local.path))
            _take(copy, target)


def prune(store: Store, deployments: Iterable[Deployment]) -> int:
    """Drop stored packages nobody used for two weeks; returns how many.

    Local packages that a deployment asks for stay: they are nowhere else.
    """
    kept = {f"{local.sha256}.deb" for deployment in deployments for local in deployment.origin.local_debs}
    old = time.time() - UNUSED
    doomed = [path for path in _archives(store) if path.name not in kept and path.stat().st_mtime < old]
    for path in doomed:
        path.unlink()
    return len(doomed)


def _archives(store: Store) -> list[Path]:
    return list(store.debs.glob("*.deb")) if store.debs.is_dir() else []


def _use(path: Path) -> None:
    """Note that a stored package is of use still (`prune` goes by this)."""
    os.utime(path)


def _take(source: Path, target: Path) -> None:
    source.chmod(0o600)
    with source.open("rb") as stream:
        os.fsync(stream.fileno())
    _use(source)  # not the time the archive gave it
    source.rename(target)


def _private(directory: Path) -> Path:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory
