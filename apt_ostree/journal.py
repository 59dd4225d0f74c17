"""The log of every run, with all that tools and scripts printed; the last 20 are kept."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import IO

from apt_ostree.report import Event, OutputLine, PhaseDone, PhaseStarted, Warned

KEPT = 20


class RunLog:
    """A reporter that writes a file. It never fails the work: a log that cannot be written is done without."""

    def __init__(self, directory: Path, command: str, verb: str) -> None:
        self.path: Path | None = None
        self._file: IO[str] | None = None
        name = re.sub(r"[^a-z-]", "", verb)[:24] or "run"
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
            self.path = directory / f"{stamp}-{os.getpid()}-{name}.log"
            self._file = os.fdopen(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w")
            self.write(f"{stamp} {command}")
            _rotate(directory)
        except OSError:
            self.path = None

    def write(self, line: str) -> None:
        """Add one line."""
        if self._file is None:
            return
        try:
            self._file.write(line + "\n")
            self._file.flush()
        except OSError:
            self._file = None

    def event(self, event: Event) -> None:
        match event:
            case PhaseStarted():
                self.write(f"== {event.name}: {event.title}")
            case PhaseDone():
                self.write(f"== {event.name} done in {event.seconds:.3f} s")
            case OutputLine():
                self.write(event.line)
            case Warned():
                self.write(f"warning: {event.message}")
            case _:
                pass

    def close(self, outcome: str) -> None:
        """Write how the run ended."""
        self.write(outcome)
        if self._file is not None:
            self._file.close()
            self._file = None


def _rotate(directory: Path) -> None:
    logs = sorted(path for path in directory.glob("*.log") if path.is_file())
    for path in logs[:-KEPT]:
        path.unlink(missing_ok=True)
