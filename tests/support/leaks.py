"""What a test must not leave behind: mounts, processes, loop devices."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36  # prctl(2)
_OCTAL = re.compile(r"\\([0-7]{3})")
SETTLE = 5.0  # seconds a dying process gets to be gone


def adopt_orphans() -> None:
    """Make this process the parent of every orphaned descendant, so that none escapes the check."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def reap_foreign() -> None:
    """Reap dead children that lived in another pid namespace.

    They are adopted: what we start ourselves is in our own. A namespace ends only when all its dead are reaped.
    """
    for pid in _children().get(os.getpid(), []):
        with contextlib.suppress(OSError):
            status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
            if status["State"].startswith("Z") and len(status["NSpid"].split()) > 1:
                os.waitpid(pid, os.WNOHANG)


def mounts(below: Path) -> set[str]:
    """Mount points below a path (others on the machine are no business of ours)."""
    found = set()
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = _OCTAL.sub(lambda match: chr(int(match[1], 8)), line.split(" ")[4])
        if Path(point).is_relative_to(below):
            found.add(point)
    return found


def loops(below: Path) -> set[str]:
    """Loop devices whose file is below a path."""
    found = set()
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):
            if Path(backing.read_text().strip().removesuffix(" (deleted)")).is_relative_to(below):
                found.add(backing.parts[3])
    return found


def _children() -> dict[int, list[int]]:
    tree: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                after_name = (entry / "stat").read_text().rpartition(")")[2].split()
                tree.setdefault(int(after_name[1]), []).append(int(entry.name))
    return tree


def processes() -> dict[int, str]:
    """Living descendants of this process, with their command lines."""
    tree = _children()
    found: dict[int, str] = {}
    waiting = [os.getpid()]
    while waiting:
        for pid in tree.get(waiting.pop(), []):
            with contextlib.suppress(OSError):
                state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
                if state == "Z":
                    continue
                command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found[pid] = command.strip()
            waiting.append(pid)
    return found


@dataclass(frozen=True, slots=True)
class Leaks:
    """The state before a test, to be compared with the state after it."""

    below: Path
    mounts: frozenset[str]
    loops: frozenset[str]
    processes: frozenset[int]

    @classmethod
    def watch(cls, below: Path) -> Leaks:
        """Look now."""
        return cls(below, frozenset(mounts(below)), frozenset(loops(below)), frozenset(processes()))

    def found(self) -> list[str]:
        """What is there now and was not before, each as a sentence; processes get a moment to end."""
        until = time.monotonic() + SETTLE
        while (left := self._new_processes()) and time.monotonic() < until:
            time.sleep(0.05)
        return [
            *(f"process {pid} is left: {command}" for pid, command in left.items()),
            *(f"mount {point} is left" for point in sorted(mounts(self.below) - self.mounts)),
            *(f"loop device {name} is left" for name in sorted(loops(self.below) - self.loops)),
        ]

    def _new_processes(self) -> dict[int, str]:
        return {pid: command for pid, command in processes().items() if pid not in self.processes}
