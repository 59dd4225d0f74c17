"""`oci lint`: for people and for scripts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from apt_ostree.linting import Description, Outcome, Report, Severity, State
from apt_ostree.ui.theme import PLAIN, Style, Theme, clean

SHOWN = 20  # findings of one lint that people are shown without -v
_STYLES = {State.OK: Style.GREEN, State.SKIPPED: Style.DIM}


def as_json(report: Report) -> dict[str, Any]:
    """`oci lint --json`."""
    return {
        "target": report.target,
        "passed": not report.fatal,
        "fatal": [outcome.name for outcome in report.fatal],
        "warnings": [outcome.name for outcome in report.warnings],
        "lints": [
            {
                "name": outcome.name,
                "severity": str(outcome.severity),
                "state": str(outcome.state),
                "findings": [{"path": item.path, "message": item.message} for item in outcome.findings],
                "hint": outcome.hint,
                "reason": outcome.reason,
            }
            for outcome in report.outcomes
        ],
    }


def text(report: Report, *, verbose: bool = False, theme: Theme = PLAIN) -> str:
    """What was found, with what to do; with `verbose` also the lints that found nothing. Ends with a newline."""
    lines = [line for outcome in report.outcomes for line in _lines(report, outcome, verbose, theme)]
    count = {state: sum(one.state is state for one in report.outcomes) for state in State}
    told = [f"{count[State.OK]} of {len(report.outcomes)} lints found nothing"]
    told += [f"{len(report.fatal)} fatal"] if report.fatal else []
    told += [f"{len(report.warnings)} to be warned of"] if report.warnings else []
    told += [f"{count[State.SKIPPED]} skipped"] if count[State.SKIPPED] else []
    return "\n".join([*lines, f"{clean(report.target)}: {', '.join(told)}."]) + "\n"


def _lines(report: Report, outcome: Outcome, verbose: bool, theme: Theme) -> Iterator[str]:
    if outcome.state is not State.FOUND:
        if verbose:
            word = theme.paint(f"{outcome.state:<7}", _STYLES[outcome.state])
            yield f"{word}  {outcome.name}{f': {outcome.reason}' if outcome.reason else ''}"
        return
    fatal = outcome in report.fatal
    yield f"{theme.paint('fatal  ' if fatal else 'warning', Style.RED if fatal else Style.YELLOW)}  {outcome.name}"
    shown = outcome.findings if verbose else outcome.findings[:SHOWN]
    yield from (f"         {clean(item.message)}" for item in shown)
    if len(shown) < len(outcome.findings):
        yield f"         and {len(outcome.findings) - len(shown)} more; -v shows them"
    yield f"         hint: {outcome.hint}"


def list_json(known: Iterable[Description]) -> dict[str, Any]:
    """`oci lint --list --json`."""
    return {
        "known": [
            {
                "name": one.name,
                "severity": str(one.severity),
                "scope": str(one.scope),
                "bootc": one.bootc,
                "text": one.text,
            }
            for one in known
        ]
    }


def list_text(known: Iterable[Description], theme: Theme = PLAIN) -> str:
    """`oci lint --list` for people: two lines a lint."""
    lines = []
    for one in known:
        style = Style.RED if one.severity is Severity.FATAL else Style.YELLOW
        lines += [f"{one.name} ({theme.paint(str(one.severity), style)})", f"    {one.text}"]
    return "\n".join(lines) + "\n"
