"""How the inner layers tell what they are doing, without knowing who listens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseStarted:
    """A phase begins. `title` is what people read: "Resolving dependencies"."""

    name: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseDone:
    """A phase ended well. `seconds` is wall time."""

    name: str
    title: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Advanced:
    """Work inside the running phase. `unit` is "bytes" or "packages"; total 0 means unknown."""

    done: int
    total: int
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputLine:
    """One line a tool or a maintainer script printed."""

    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """Something the person should know; also part of the result."""

    message: str


Event = PhaseStarted | PhaseDone | Advanced | OutputLine | Warned


class Reporter(Protocol):
    """Receives events; never fails and never blocks the work."""

    def event(self, event: Event) -> None: ...


class NullReporter:
    """Listens to nothing."""

    def event(self, event: Event) -> None:
        return None


class TeeReporter:
    """Passes every event on to several reporters."""

    def __init__(self, *reporters: Reporter) -> None:
        self._reporters = reporters

    def event(self, event: Event) -> None:
        for reporter in self._reporters:
            reporter.event(event)


class Durations:
    """A reporter that remembers how long each phase took, in seconds."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def event(self, event: Event) -> None:
        if isinstance(event, PhaseDone):
            self.seconds[event.name] = round(self.seconds.get(event.name, 0.0) + event.seconds, 3)


@contextmanager
def phase(reporter: Reporter, name: str, title: str) -> Iterator[None]:
    """Report the start and the good end of a phase around a block; a failing block reports no end."""
    reporter.event(PhaseStarted(name=name, title=title))
    start = monotonic()
    yield
    reporter.event(PhaseDone(name=name, title=title, seconds=monotonic() - start))
