"""A lint: a question to a view. Its docstring is what `--list` says, its hint what to do about what it finds."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from apt_ostree.linting import Description, Finding, Scope, Severity
from apt_ostree.view.model import View

Check = Callable[[View], Iterator[Finding]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lint:
    """`check` yields what is wrong; `bootc`: it is one of bootc's."""

    name: str
    severity: Severity
    check: Check
    hint: str
    scope: Scope = Scope.ANY
    bootc: bool = True

    @property
    def description(self) -> Description:
        """For `--list`: the first paragraph of the check's docstring."""
        text = inspect.cleandoc(self.check.__doc__ or "").partition("\n\n")[0]
        return Description(
            name=self.name,
            severity=self.severity,
            scope=self.scope,
            bootc=self.bootc,
            text=" ".join(text.split()),
        )


def finding(path: str, what: str) -> Finding:
    """A finding about a path of a view: `what` follows the path in the sentence."""
    absolute = f"/{path}"
    return Finding(path=absolute, message=f"{absolute} {what}")
