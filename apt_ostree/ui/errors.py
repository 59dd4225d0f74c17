"""How an error is shown: message, details, hint. Never a traceback."""

from __future__ import annotations

from typing import TypedDict

from apt_ostree.errors import AptOstreeError
from apt_ostree.ui.theme import PLAIN, Style, Theme, clean


class ErrorBody(TypedDict):
    """What went wrong. `details` are the last lines of the tool that failed."""

    code: str
    message: str
    hint: str
    details: list[str]


class ErrorJson(TypedDict):
    """The one object on stdout when a command with --json fails."""

    error: ErrorBody


def as_json(error: AptOstreeError) -> ErrorJson:
    """The error object of --json."""
    return {
        "error": {
            "code": error.code,
            "message": error.message,
            "hint": error.hint,
            "details": list(error.details),
        }
    }


def text(error: AptOstreeError, *, theme: Theme = PLAIN) -> str:
    """The error for people, as it goes to stderr. Ends with a newline."""
    first, *rest = error.message.splitlines() or [""]
    lines = [f"{theme.paint('error:', Style.RED)} {clean(first)}", *(clean(line) for line in rest)]
    lines += [f"  {clean(line)}" for detail in error.details for line in detail.splitlines()]
    if error.hint:
        lines.append(f"{theme.paint('hint:', Style.BOLD)} {clean(error.hint)}")
    return "\n".join(lines) + "\n"
