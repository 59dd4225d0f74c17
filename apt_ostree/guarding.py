"""What every run that changes something has around it: root, the lock, signals, a private mount namespace, a log."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from apt_ostree import bootguard, history, lock, staged, sysroot
from apt_ostree.context import Context
from apt_ostree.errors import AptOstreeError, NotRootError
from apt_ostree.faults import point
from apt_ostree.journal import RunLog
from apt_ostree.layer import remove_stale
from apt_ostree.paths import Paths, Store
from apt_ostree.report import Durations, Reporter, TeeReporter
from apt_ostree.signals import Interrupts
from apt_ostree.tools import mount


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """What a run has while it holds the lock."""

    context: Context  # its reporter also writes the log and keeps the times
    held: lock.Held
    durations: Durations
    interrupts: Interrupts


def require_root(command: str) -> None:
    """Raise NotRootError unless we are root."""
    if os.geteuid() != 0:
        raise NotRootError(f"'{command}' must be run as root", hint=f"sudo {command}")


@contextmanager
def guarded(context: Context, store: Store, log_directory: Path | None) -> Iterator[Guard]:
    """Root, signals, a mount namespace that dies with us, the lock, a clean work dir and the log of the run."""
    require_root(context.options.command)
    durations, interrupts = Durations(), Interrupts()
    os.umask(0o022)  # scripts inherit it: a tree must not depend on who makes it
    with interrupts.installed():
        mount.enter_private_namespace()
        make_writable(context.paths)
        refuse_links(store)
        with lock.hold(store, context.options.command, context.options.wait) as held:
            point("lock")
            remove_stale(store)
            store.work.mkdir(mode=0o700, parents=True, exist_ok=True)
            if store == context.paths.store:
                _catch_up(context.paths)
            with _swept(store, interrupts), _logged(context, log_directory, durations) as reporter:
                yield Guard(
                    context=replace(context, reporter=reporter),
                    held=held,
                    durations=durations,
                    interrupts=interrupts,
                )


def _catch_up(paths: Paths) -> None:
    """Write down what a run deployed that died before it could.

    What is too many since then is for the next deployment, or for `cleanup`: it may be what somebody is about to pin.
    """
    note = history.begun(paths.store)
    if not note.exists():
        return
    system = sysroot.load(paths)
    left = history.unfinished(paths.store, system.deployments)
    if left is None:
        note.unlink()
    elif not left.told:
        staged.follow(paths, system.deployments[0])
        bootguard.note(paths)
        history.append(paths.store, left.record)


def refuse_links(store: Store) -> None:
    """Our corner of a repo that somebody else made must not lead out of it: what is in `work` is removed.

    Raises AptOstreeError.
    """
    ours = (store.root.parent, store.root, store.lock, store.work, store.debs, store.apt, store.staged_initrds)
    for path in (*ours, store.root / "live", store.root / "log"):
        if path.is_symlink():
            raise AptOstreeError(f"{path} is a symbolic link", hint=f"look where it leads: ls -l {path}", code="unsafe")


@contextmanager
def _swept(store: Store, interrupts: Interrupts) -> Iterator[None]:
    """No work dir stays, not even when a signal came while one was being removed."""
    try:
        yield
    except RecursionError as error:
        raise AptOstreeError(
            "the tree has directories in directories a thousand deep",
            hint="leave the package that makes them out",
            code="refused-path",
        ) from error
    finally:
        with interrupts.shielded():
            remove_stale(store)


@contextmanager
def _logged(context: Context, directory: Path | None, durations: Durations) -> Iterator[Reporter]:
    if directory is None:
        yield TeeReporter(context.reporter, durations)
        return
    log = RunLog(directory, context.options.command, context.options.verb)
    try:
        yield TeeReporter(context.reporter, durations, log)
    except AptOstreeError as error:
        log.close("\n".join((f"failed: {error.message}", *error.details)))
        raise
    except BaseException as error:
        log.close(f"failed: {error!r}")
        raise
    log.close("done")


def make_writable(paths: Paths) -> None:
    """On a booted system /sysroot and /boot may be read-only; for us, and only for us, they are not.

    As libostree does for itself (ostree-prepare-root(1), ostree_sysroot_initialize_with_mount_namespace).
    """
    if not paths.is_running_root:
        return
    # not os.path.ismount: it sees no bind mount on the same file system, and these are such
    mounted = {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()}
    for place in (Path("/sysroot"), Path("/boot")):
        if str(place) in mounted and not os.access(place, os.W_OK):
            mount.remount_writable(place)
