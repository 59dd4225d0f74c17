"""Where answers, errors, progress and questions go: stdout for the answer, stderr for all else. The door to ui."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from apt_ostree.cli.hints import for_sysroot
from apt_ostree.cli.options import Settings
from apt_ostree.errors import AptOstreeError
from apt_ostree.model import Plan, Result
from apt_ostree.report import Event, Reporter, Warned

if TYPE_CHECKING:
    from apt_ostree.ui.theme import Theme


class OnlyWarnings:
    """Passes on what even --quiet says."""

    def __init__(self, inner: Reporter) -> None:
        self._inner = inner

    def event(self, event: Event) -> None:
        if isinstance(event, Warned):
            self._inner.event(event)


@contextmanager
def reporting(settings: Settings, *, json: bool) -> Iterator[Reporter]:
    """The reporter for a command. With --json, nothing moves and nothing is coloured."""
    from apt_ostree.ui import progress

    quiet = settings.quiet or settings.progress == "none"
    mode = "plain" if settings.progress == "none" or (json and settings.progress == "auto") else settings.progress
    colour = "never" if json else settings.color
    with progress.reporting(sys.stderr, mode=mode, colour=colour, verbose=settings.verbose > 0) as reporter:
        yield OnlyWarnings(reporter) if quiet and mode != "json" else reporter


def show(settings: Settings, json: bool, as_json: Callable[[], Any], text: Callable[[Theme], str]) -> None:
    """Write the answer of a verb to stdout, as one JSON object or for people."""
    from apt_ostree.ui import jsonshape, theme

    if json:
        sys.stdout.write(jsonshape.dumps(as_json()) + "\n")
    else:
        sys.stdout.write(text(theme.for_stream(sys.stdout, settings.color)))
    sys.stdout.flush()


def show_result(settings: Settings, result: Result, *, json: bool) -> None:
    """Write what a verb did; --quiet leaves out what is no answer to a question."""
    from apt_ostree.ui import result as view

    if settings.quiet and not json and not result.would_change:
        return
    result = replace(result, message=for_sysroot(result.message, settings.sysroot))
    show(
        settings,
        json,
        lambda: view.as_json(result),
        lambda theme: view.text(result, verbose=settings.verbose > 0, theme=theme),
    )


def show_error(error: AptOstreeError, *, json: bool, colour: str = "auto") -> None:
    """Write an error: for people to stderr, with --json as the one object on stdout."""
    from apt_ostree.ui import errors, jsonshape, theme

    if json:
        sys.stdout.write(jsonshape.dumps(errors.as_json(error)) + "\n")
        sys.stdout.flush()
    else:
        sys.stderr.write(errors.text(error, theme=theme.for_stream(sys.stderr, colour)))
        sys.stderr.flush()


def ask(settings: Settings, reporter: Reporter, plan: Plan) -> bool:
    """Show a plan and ask whether to go on; Return alone means yes, the end of input means no."""
    from apt_ostree.ui import result, theme

    pause = getattr(reporter, "close", None)  # a live display would write over the question; it starts again by itself
    if pause is not None:
        pause()
    sys.stderr.write(result.plan_text(plan, theme=theme.for_stream(sys.stderr, settings.color)))
    sys.stderr.write("Continue? [Y/n] ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    return answer != "" and answer.strip().lower() in ("", "y", "yes")
