"""Ctrl-C, SIGTERM and SIGHUP as one exception, and a shield for the moment that must not be torn apart."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from apt_ostree import run
from apt_ostree.errors import InterruptedByUser

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Turns a signal into InterruptedByUser; inside `shielded` it waits until the block has ended."""

    def __init__(self, outcome: str = "nothing was changed") -> None:
        self._outcome = outcome
        self._shielded = False
        self._late = 0

    def _handle(self, signum: int, _frame: FrameType | None) -> None:
        if self._shielded:
            self._late = signum
            return
        # once is enough: while we unwind, a second Ctrl-C must not leave a mount behind
        self._shielded = True
        run.interrupt(InterruptedByUser(f"interrupted by {signal.Signals(signum).name}; {self._outcome}"))

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Handle the signals around a block and put the former handlers back."""
        former = {signum: signal.signal(signum, self._handle) for signum in _SIGNALS}
        try:
            yield
        finally:
            for signum, handler in former.items():
                signal.signal(signum, handler)

    @contextmanager
    def shielded(self) -> Iterator[None]:
        """Let a block end in peace; a signal that came meanwhile is answered with `late`."""
        before, self._shielded = self._shielded, True
        try:
            yield
        finally:
            self._shielded = before

    @property
    def late(self) -> int:
        """The signal that arrived inside a shielded block, 0 if none did."""
        return self._late
