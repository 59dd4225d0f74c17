"""All lints, and how a tree is held to them."""

from __future__ import annotations

from collections.abc import Collection

from apt_ostree.errors import UsageError
from apt_ostree.lint import boot, content, identities, layout, privileges
from apt_ostree.lint.model import Lint
from apt_ostree.linting import Description, Outcome, Report, Scope, Severity, State
from apt_ostree.view.model import View

LINTS: tuple[Lint, ...] = tuple(
    sorted(
        (*boot.LINTS, *content.LINTS, *identities.LINTS, *layout.LINTS, *privileges.LINTS),
        key=lambda lint: (lint.severity is not Severity.FATAL, lint.name),
    )
)


def descriptions() -> tuple[Description, ...]:
    """Every lint, the fatal ones first."""
    return tuple(lint.description for lint in LINTS)


def check_names(names: Collection[str]) -> None:
    """Raises UsageError, naming those there are, for a name that is no lint."""
    known = [lint.name for lint in LINTS]
    for name in names:
        if name not in known:
            raise UsageError(
                f"there is no lint '{name}'; there are: {', '.join(known)}", hint="apt-ostree oci lint --list"
            )


def run(view: View, *, skip: Collection[str] = (), strict: bool = False) -> Report:
    """Hold a tree to every lint but those to skip. Raises UsageError for an unknown name, AptOstreeError."""
    check_names(skip)
    return Report(target=view.name, outcomes=tuple(_outcome(view, lint, skip) for lint in LINTS), strict=strict)


def _outcome(view: View, lint: Lint, skip: Collection[str]) -> Outcome:
    outside = Scope.IMAGE if view.running else Scope.RUNNING
    reason = ""
    if lint.name in skip:
        reason = "as you asked"
    elif lint.scope is outside:
        reason = f"it is about {'images' if view.running else 'the running system'} only"
    if reason:
        return Outcome(name=lint.name, severity=lint.severity, state=State.SKIPPED, reason=reason)
    findings = tuple(lint.check(view))
    return Outcome(
        name=lint.name,
        severity=lint.severity,
        state=State.FOUND if findings else State.OK,
        findings=findings,
        hint=lint.hint if findings else "",
    )
