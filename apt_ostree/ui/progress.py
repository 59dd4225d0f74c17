"""Progress on stderr: a live display for a terminal, a line a phase elsewhere, JSON lines for programs."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TextIO

from apt_ostree.report import Advanced, Event, OutputLine, PhaseDone, PhaseStarted, Reporter, Warned
from apt_ostree.ui.theme import Style, Theme, clean, for_stream, size

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

_REFRESH = 8  # times a second
PATIENCE = 30.0  # seconds a log is left without a sign of life


class JsonReporter:
    """Each event is one JSON object on a line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()  # tools' output arrives on threads of its own

    def event(self, event: Event) -> None:
        with self._lock, contextlib.suppress(OSError, ValueError):  # a reader that went away stops nothing
            self._stream.write(json.dumps(event_json(event), ensure_ascii=False) + "\n")
            self._stream.flush()


def event_json(event: Event) -> dict[str, Any]:
    """An event as `--progress=json` writes it."""
    match event:
        case PhaseStarted(name=name, title=title):
            return {"event": "phase-started", "name": name, "title": title}
        case PhaseDone(name=name, title=title, seconds=seconds):
            return {"event": "phase-done", "name": name, "title": title, "seconds": round(seconds, 3)}
        case Advanced(done=done, total=total, unit=unit):
            return {"event": "advanced", "done": done, "total": total, "unit": unit}
        case OutputLine(line=line):
            return {"event": "output", "line": line}
        case Warned(message=message):
            return {"event": "warning", "message": message}


class HumanReporter:
    """Lines for a log or a pipe: `Resolving dependencies... done`; in a long phase, now and then how far it is."""

    def __init__(self, stream: TextIO, *, theme: Theme | None = None, verbose: bool = False) -> None:
        self._stream = stream
        self._theme = theme or for_stream(stream)
        self._verbose = verbose
        self._open = ""  # title of the line that waits for its "done"
        self._amount = ""
        self._start = self._said = time.monotonic()
        self._lock = threading.Lock()

    def event(self, event: Event) -> None:
        with self._lock, contextlib.suppress(OSError, ValueError):
            self._write(event)
            self._stream.flush()

    def _write(self, event: Event) -> None:
        match event:
            case PhaseStarted(title=title):
                self._break()
                self._stream.write(f"{clean(title)}...")
                self._open, self._amount = title, ""
                self._start = self._said = time.monotonic()
            case PhaseDone(title=title):
                # something was written in between: the phase needs its name again
                self._stream.write(" done\n" if self._open == title else f"{clean(title)}... done\n")
                self._open = ""
            case Warned(message=message):
                self._break()
                self._stream.write(f"{self._theme.paint('warning:', Style.YELLOW)} {clean(message)}\n")
            case OutputLine(line=line) if self._verbose:
                self._break()
                self._stream.write(f"  {clean(line)}\n")
                self._said = time.monotonic()
            case OutputLine(line=line):
                self._sign_of_life(self._amount or clean(line.strip()))
            case Advanced(done=done, total=total, unit=unit):
                self._amount = amount(done, total, unit)
                self._sign_of_life(self._amount)

    def _sign_of_life(self, text: str) -> None:
        now = time.monotonic()
        if text and now - self._said >= PATIENCE:
            self._break()
            self._stream.write(f"  {text}, after {now - self._start:.0f} s\n")
            self._said = now

    def _break(self) -> None:
        if self._open:
            self._stream.write("\n")
            self._open = ""

    def close(self) -> None:
        """End the line of a phase that did not come to its end."""
        with self._lock, contextlib.suppress(OSError, ValueError):
            self._break()
            self._stream.flush()


class LiveReporter:
    """One live display: phases so far, bytes or packages, elapsed time, the line a script prints now."""

    def __init__(self, stream: TextIO, *, theme: Theme, phases: int = 0, verbose: bool = False) -> None:
        from rich.console import Console  # 70 ms that a status should not pay

        self._console = Console(
            file=stream, no_color=not theme.colour, highlight=False, markup=False, emoji=False, soft_wrap=True
        )
        self._phases, self._verbose = phases, verbose
        self._count, self._title, self._amount, self._line = 0, "", "", ""
        self._start = time.monotonic()
        self._live: Live | None = None

    def event(self, event: Event) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._take(event)

    def _take(self, event: Event) -> None:
        match event:
            case PhaseStarted(title=title):
                self._count += 1
                self._title, self._amount, self._line = clean(title), "", ""
                self._show()
            case PhaseDone(title=title, seconds=seconds):
                self._console.print(f"{clean(title)}... done ({seconds:.1f} s)")
                self._title = self._amount = self._line = ""
            case Advanced(done=done, total=total, unit=unit):
                self._amount = amount(done, total, unit)
            case OutputLine(line=line):
                self._line = clean(line.strip()) or self._line
                if self._verbose:
                    self._console.print(f"  {clean(line)}", style="dim")
            case Warned(message=message):
                self._console.print(f"warning: {clean(message)}", style="yellow")

    def _show(self) -> None:
        from rich.live import Live

        if self._live is None:
            self._live = Live(
                get_renderable=self._picture, console=self._console, refresh_per_second=_REFRESH, transient=True
            )
            self._live.start()

    def _picture(self) -> Text:
        from rich.text import Text

        if not self._title:
            return Text("")
        number = f"[{self._count}/{self._phases}]" if self._phases >= self._count else f"[{self._count}]"
        elapsed = int(time.monotonic() - self._start)
        head = " ".join(filter(None, (number, self._title, self._amount, f"{elapsed // 60}:{elapsed % 60:02}")))
        picture = Text(head, no_wrap=True, overflow="ellipsis", style="bold")
        if self._line:
            picture.append("\n  " + self._line[: max(self._console.width - 3, 10)], style="dim not bold")
        return picture

    def close(self) -> None:
        """Take the display off the screen."""
        if self._live is not None:
            with contextlib.suppress(OSError, ValueError):
                self._live.stop()
            self._live = None


def amount(done: int, total: int, unit: str) -> str:
    """`1.2 MB/34.0 MB` or `3/12 packages`."""
    if unit == "bytes":
        return f"{size(done)}/{size(total)}" if total else size(done)
    return f"{done}/{total} {unit}" if total else f"{done} {unit}"


@contextlib.contextmanager
def reporting(
    stream: TextIO, *, mode: str = "auto", colour: str = "auto", verbose: bool = False, phases: int = 0
) -> Iterator[Reporter]:
    """A reporter for `stream` that cleans up after itself. `mode`: `auto`, `plain` or `json`.

    `phases` is how many are to come, 0 when nobody knows.
    """
    if mode == "json":
        yield JsonReporter(stream)
        return
    theme = for_stream(stream, colour)
    reporter: HumanReporter | LiveReporter
    if mode == "auto" and theme.terminal:
        reporter = LiveReporter(stream, theme=theme, phases=phases, verbose=verbose)
    else:
        reporter = HumanReporter(stream, theme=theme, verbose=verbose)
    try:
        yield reporter
    finally:
        reporter.close()
