"""`verify`: for people and for scripts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from apt_ostree.findings import Check
from apt_ostree.ui.theme import PLAIN, Style, Theme, clean

_STYLES = {"ok": Style.GREEN, "failed": Style.RED, "skipped": Style.DIM}
SHOWN = 20  # problems of one check that people are shown without -v


def whole(checks: Iterable[Check]) -> bool:
    """True when nothing failed."""
    return all(check.state != "failed" for check in checks)


def as_json(checks: Iterable[Check]) -> dict[str, Any]:
    """`verify --json`."""
    listed = tuple(checks)
    return {
        "whole": whole(listed),
        "checks": [
            {"name": check.name, "state": check.state, "detail": check.detail, "problems": list(check.problems)}
            for check in listed
        ],
    }


def text(checks: Iterable[Check], *, verbose: bool = False, theme: Theme = PLAIN) -> str:
    """A line for each check, its problems below. Ends with a newline."""
    listed = tuple(checks)
    lines = [line for check in listed for line in _lines(check, verbose, theme)]
    broken = sum(check.state == "failed" for check in listed)
    lines.append(f"{broken} of {len(listed)} checks failed." if broken else "Everything is whole.")
    return "\n".join(lines) + "\n"


def _lines(check: Check, verbose: bool, theme: Theme) -> Iterator[str]:
    yield f"{theme.paint(f'{check.state:<7}', _STYLES[check.state])}  {clean(check.name)}: {clean(check.detail)}"
    shown = check.problems if verbose else check.problems[:SHOWN]
    yield from (f"         {clean(problem)}" for problem in shown)
    if len(shown) < len(check.problems):
        yield f"         and {len(check.problems) - len(shown)} more; -v shows them"
