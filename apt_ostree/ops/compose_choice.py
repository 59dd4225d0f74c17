"""Which packages a compose takes: apt's choice of now, or that of a lockfile. Where that is, and how it is written."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from apt_ostree import aptroot, fetch, lockfile, resolving
from apt_ostree.compose import layers, selection
from apt_ostree.compose.tree import Target
from apt_ostree.context import Context
from apt_ostree.errors import NotRootError, UsageError
from apt_ostree.lockfile import Lock, Locked
from apt_ostree.report import phase
from apt_ostree.treefile import examples


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The packages, and the apt that can fetch them."""

    root: aptroot.AptRoot
    lock: Lock


def choose(context: Context, target: Target, directory: Path, locked: Path | None) -> Chosen:
    """Choose with the apt in `directory`; `locked` is the lockfile that has chosen already.

    Raises ResolveError, UsageError, VerificationError, AptOstreeError.
    """
    cache_only = context.options.cache_only
    root = selection.apt_root(directory, target.treefile, target.architecture, cache_only=cache_only)
    fresh = replace(context, options=replace(context.options, refresh_age=0.0))
    if locked is None:
        resolving.ensure_lists(fresh, root)
        with phase(context.reporter, "resolve", "Resolving dependencies"):
            lock = selection.resolve(root, target.treefile)
        if target.treefile.layers:
            lock = layers.choose(directory, target, lock, context.reporter)
        return Chosen(root=root, lock=lock)
    lock = lockfile.load(locked)
    selection.check_selection(lock, target.treefile, target.architecture)
    absent = missing(target, lock)
    if absent and not cache_only:
        resolving.ensure_lists(fresh, root)
        selection.check_archive(root, absent)
    return Chosen(root=root, lock=lock)


def missing(target: Target, lock: Lock) -> Sequence[Locked]:
    """What is not in the repo's store yet."""
    return [package for package in lock.everything if not fetch.stored(target.store, package.sha256).is_file()]


def directory(target: Target) -> Path:
    """Where the apt of the repo's treefiles has its lists; made when it is not there."""
    path = target.store.root / "compose-apt"
    path.mkdir(mode=0o755, parents=True, exist_ok=True)
    return path


def lock_path(treefile: Path, given: Path | None) -> Path:
    """The lockfile of a treefile: `given`, or the one beside it; that of an example is where somebody works."""
    return given or lockfile.beside(Path(treefile.name).absolute() if examples.is_one(treefile) else treefile)


def check_writable(path: Path) -> None:
    """Ask for a file now what `write` would find after an hour of work.

    Raises UsageError when it cannot be written, NotRootError when only this user may not.
    """
    try:
        why = _hindrance(path)
    except PermissionError as error:
        why = error.strerror or str(error)
        if os.geteuid() != 0:
            raise NotRootError(f"'{path}' cannot be written: {why}", hint="sudo apt-ostree ...") from error
    if why:
        raise UsageError(f"'{path}' cannot be written: {why}", hint="name a file in a directory that is there")


def _hindrance(path: Path) -> str:
    """Why a file cannot be written, empty: it can. Raises PermissionError."""
    try:
        path.lstat()
    except FileNotFoundError:
        pass
    except PermissionError:
        raise
    except OSError as error:
        return error.strerror or str(error)
    if path.exists() and not path.is_file():
        return "it is a directory" if path.is_dir() else "it is no regular file"
    if not path.parent.is_dir():
        return f"there is no directory '{path.parent}'"
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, f"'{path.parent}' is no directory one may write to")
    return ""


def write(path: Path, text: str) -> None:
    """By a new file and a rename: whoever reads it sees the old or the new one."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".apt-ostree-")  # no name somebody could have taken
    fresh = Path(name)
    try:
        with os.fdopen(handle, "w") as file:
            os.fchmod(handle, 0o644)
            file.write(text)
            file.flush()
            os.fsync(handle)
        fresh.rename(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
