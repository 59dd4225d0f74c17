"""One transaction at a time: flock(2) on a file in the repo's extension directory, with a record of its owner.

The kernel drops the lock when its holder dies, however it dies; the record is only there to name it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from apt_ostree.errors import AptOstreeError, BusyError
from apt_ostree.paths import Store
from apt_ostree.states import TransactionOwner

_POLL = 0.1  # seconds
_SIGNING = 1.0  # seconds


@dataclass(slots=True)
class Held:
    """The lock while we hold it; `phase` keeps the record true."""

    fd: int
    command: str
    since: float

    def phase(self, name: str) -> None:
        """Write into the record what is being done now."""
        record = {"pid": os.getpid(), "command": self.command, "phase": name, "since": self.since}
        data = json.dumps(record).encode()
        os.pwrite(self.fd, data, 0)
        os.ftruncate(self.fd, len(data))


def owner(store: Store) -> TransactionOwner | None:
    """Who holds the lock now, or None. Works without root: it only tries a shared lock."""
    try:
        fd = os.open(store.lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _record(fd)
    finally:
        os.close(fd)
    return None


def _record(fd: int) -> TransactionOwner:
    try:
        record = json.loads(os.pread(fd, 65536, 0))
        return TransactionOwner(
            pid=int(record["pid"]),
            command=str(record["command"]),
            phase=str(record["phase"]),
            since=float(record["since"]),
        )
    except (ValueError, KeyError, TypeError):
        return TransactionOwner(pid=0, command="unknown", phase="starting", since=time.time())


def holder(store: Store) -> int:
    """A pidfd of the process that holds the lock, checked by the kernel's word: the record alone may be stale.

    The descriptor is opened before the check, so it cannot be of another process that got the same number later.
    Raises ProcessLookupError when nobody holds it, AptOstreeError when the record names somebody who does not.
    """
    until = time.monotonic() + _SIGNING
    while True:
        found = owner(store)
        if found is None:
            raise ProcessLookupError
        fd = _open_process(found.pid)
        if fd >= 0 and _locks(found.pid, store.lock):
            return fd
        if fd >= 0:
            os.close(fd)
        if time.monotonic() >= until:
            break
        time.sleep(_POLL)  # the record may be that of a holder that was killed, until the new one has signed
    raise AptOstreeError(
        f"the lock {store.lock} is held, and not by the process {found.pid} that its record names",
        hint=f"see who holds it: sudo fuser -v {store.lock}",
        code="lock-owner",
    )


def _open_process(pid: int) -> int:
    try:
        return os.pidfd_open(pid) if pid > 0 else -1
    except ProcessLookupError:
        return -1


def _locks(pid: int, lock: Path) -> bool:
    """True when this process has the file open with an exclusive flock on it (proc_pid_fdinfo(5))."""
    mine = lock.stat()
    try:
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with contextlib.suppress(FileNotFoundError):  # closed while we look
                if os.path.samestat(entry.stat(), mine):
                    text = Path(f"/proc/{pid}/fdinfo/{entry.name}").read_text()
                    if re.search(r"^lock:.*\bFLOCK\b.*\bWRITE\b", text, re.MULTILINE):
                        return True
    except (FileNotFoundError, ProcessLookupError):
        pass  # it has ended
    return False


@contextmanager
def hold(store: Store, command: str, wait: float | None = None) -> Iterator[Held]:
    """Hold the lock around a block. `wait`: seconds to wait for another holder, None not at all.

    Raises BusyError naming the holder, AptOstreeError when the repo cannot be written.
    """
    fd = _open(store.lock)
    try:
        _acquire(fd, wait)
        held = Held(fd, command, time.time())
        held.phase("starting")
        try:
            yield held
        finally:
            os.ftruncate(fd, 0)
    finally:
        os.close(fd)


def _open(path: Path) -> int:
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except OSError as error:
        hint = "sudo apt-ostree ..." if error.errno == errno.EACCES else ""
        raise AptOstreeError(f"cannot open the lock {path}: {error.strerror}", hint=hint) from error


def _acquire(fd: int, wait: float | None) -> None:
    start = time.monotonic()
    until = start + (wait or 0)
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = _record(fd)
            # a record without a pid: somebody only looks (`owner` tries a shared lock), or is about to sign
            looking = holder.pid == 0 and time.monotonic() - start < _SIGNING
            if not looking and time.monotonic() >= until:
                raise _busy(holder) from error
            time.sleep(_POLL)
        else:
            return


def _busy(holder: TransactionOwner) -> BusyError:
    seconds = max(0, int(time.time() - holder.since))
    return BusyError(
        f"another transaction runs: '{holder.command}' (pid {holder.pid}, {holder.phase}, since {seconds} s)",
        hint="wait for it with --wait",
    )
