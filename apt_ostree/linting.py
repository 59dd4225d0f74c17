"""The nouns of `oci lint`: what was looked for in a tree, and what was found. Standard library only, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """Whether a finding keeps a tree from being an image."""

    FATAL = "fatal"
    WARNING = "warning"


class Scope(StrEnum):
    """Which trees a lint is about: the system it runs on has other things in it than an image."""

    ANY = "any"
    RUNNING = "running"
    IMAGE = "image"


class State(StrEnum):
    """What a lint said."""

    OK = "ok"
    FOUND = "found"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong, in a sentence; `path` is absolute."""

    path: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a lint looks for; `bootc`: it is one of `bootc container lint` too, by the same name."""

    name: str
    severity: Severity
    scope: Scope
    bootc: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one lint found. `hint` is what to do about it, `reason` why it was skipped."""

    name: str
    severity: Severity
    state: State
    findings: tuple[Finding, ...] = ()
    hint: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What all lints found in one tree; `strict`: warnings are fatal as well."""

    target: str
    outcomes: tuple[Outcome, ...]
    strict: bool = False

    def found(self, severity: Severity) -> tuple[Outcome, ...]:
        """Lints of a severity that found something."""
        return tuple(one for one in self.outcomes if one.state is State.FOUND and one.severity is severity)

    @property
    def fatal(self) -> tuple[Outcome, ...]:
        """What the tree fails for."""
        return self.found(Severity.FATAL) + (self.found(Severity.WARNING) if self.strict else ())

    @property
    def warnings(self) -> tuple[Outcome, ...]:
        """What is only told."""
        return () if self.strict else self.found(Severity.WARNING)
