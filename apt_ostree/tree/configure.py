"""Unpack, configure and remove with the tree's own dpkg, in the sandbox, in the order apt worked out.

What is removed is purged: a removed package's conffiles (dpkg's state `config-files`) would otherwise stand in the
pristine /usr/etc as if somebody wanted them. On a host, ostree's merge keeps what its administrator changed, and
/var is not touched at all.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from apt_ostree.errors import AptOstreeError, ToolError
from apt_ostree.faults import point
from apt_ostree.model import Step, StepKind
from apt_ostree.report import Advanced, OutputLine, Reporter
from apt_ostree.tools import dpkg
from apt_ostree.tree.sandbox import DEBS

# dpkg(1) --status-fd
_PROCESSING = re.compile(r"processing: (?P<stage>[\w-]+): (?P<package>\S+)")
_STATUS = re.compile(r"status: \S+( \S+)?: .*|status: \S+ : (error|conffile-prompt) : .*")
_FAILED_SCRIPT = re.compile(
    r"\s*(?:installed|new|old) (?P<package>\S+) package (?P<script>\S+) (?:maintainer )?script subprocess "
    r"(?:returned error exit status |failed with exit status )?(?P<how>.+)"
)
_OWNED = re.compile(
    r"trying to overwrite (?:shared )?'(?P<path>[^']+)', which is (?:also|different from other) (?P<owner>.+)"
)
_SCRIPT_OF_STAGE = {"install": "preinst", "configure": "postinst", "trigproc": "postinst triggered", "remove": "prerm",
                    "upgrade": "preinst", "purge": "postrm"}  # fmt: skip
_SCRIPT_NAMES = {
    "pre-installation": "preinst",
    "post-installation": "postinst",
    "pre-removal": "prerm",
    "post-removal": "postrm",
}
_NOTED = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is to be unpacked, configured and removed, and how."""

    steps: tuple[Step, ...]
    debs: Mapping[tuple[str, str], str]  # (name, arch) -> file name in the sandbox's deb directory
    timeout: float | None  # seconds one dpkg call with scripts may take
    foreign: tuple[str, ...] = ()  # architectures to add first


class _Listener:
    """Follows dpkg's status lines, so that every other line is known to be of a package and script."""

    def __init__(self, reporter: Reporter, total: int) -> None:
        self.reporter = reporter
        self.total = total
        self.done = 0
        self.where = "dpkg"
        self.current = ""
        self.tail: deque[str] = deque(maxlen=_NOTED)
        self.failure: AptOstreeError | None = None

    def begin(self) -> None:
        """Another dpkg call: what was heard of the one before does not explain it."""
        self.tail.clear()
        self.failure = None

    def line(self, line: str) -> None:
        processing = _PROCESSING.fullmatch(line)
        if processing:
            if processing["package"] != self.current:
                self.tail.clear()  # an error is told with the lines of its own package
            stage, self.current = processing["stage"], processing["package"]
            self.where = f"{self.current}.{_SCRIPT_OF_STAGE.get(stage, stage)}"
            if stage in ("install", "upgrade", "configure", "remove"):
                self.done += 1
                self.reporter.event(Advanced(done=min(self.done, self.total), total=self.total, unit="packages"))
        elif not _STATUS.fullmatch(line):
            self.tail.append(line)
            # dpkg goes on with other packages and triggers: what failed first is what people must hear of
            self.failure = self.failure or _failure(line, self.current, list(self.tail))
            self.reporter.event(OutputLine(line=f"{self.where}: {line}"))


def perform(prefix: Sequence[str], work: Work, reporter: Reporter) -> None:
    """Run every step, then what is pending with its triggers.

    Raises AptOstreeError with package, script, code and the script's last lines.
    """
    total = sum(len(step.keys) for step in work.steps)
    listener = _Listener(reporter, total)
    for architecture in work.foreign:
        dpkg.add_architecture(prefix, architecture)
    for step in _before_pending(work.steps):
        if step.kind is StepKind.UNPACK:
            with _explaining(listener, work):
                dpkg.unpack(prefix, _paths(work, step), listener.line, timeout=work.timeout)
            point("unpack")
            continue
        names = [f"{name}:{arch}" for name, arch in step.keys]
        call = dpkg.purge if step.kind is StepKind.REMOVE else dpkg.configure
        with _explaining(listener, work):
            call(prefix, names, listener.line, timeout=work.timeout)
    with _explaining(listener, work):
        dpkg.configure(prefix, (), listener.line, timeout=work.timeout)
    point("configure")
    leftover = dpkg.audit(prefix)
    if leftover:
        raise AptOstreeError("packages were left half installed", details=leftover.splitlines(), code="half-installed")


def _before_pending(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """apt leaves its last round to `dpkg --configure --pending`, so the order in there (and with it the ids new
    accounts get) is dpkg's: DPkg::ConfigurePending of apt.conf(5)."""
    return steps[:-1] if steps and steps[-1].kind is StepKind.CONFIGURE else steps


def _paths(work: Work, step: Step) -> list[str]:
    return [f"{DEBS}/{work.debs[key]}" for key in step.keys]


@contextmanager
def _explaining(listener: _Listener, work: Work) -> Iterator[None]:
    listener.begin()
    try:
        yield
    except ToolError as error:
        raise _explained(error, listener, work) from error


def _explained(error: ToolError, listener: _Listener, work: Work) -> AptOstreeError:
    if listener.failure is not None:
        return listener.failure
    lines = list(listener.tail)
    if error.returncode == 124 and work.timeout is not None:
        return AptOstreeError(
            f"{listener.where} did not end within {work.timeout:.0f} s",
            details=lines,
            hint="give it longer with --script-timeout SECONDS",
            code="script-timeout",
        )
    return AptOstreeError(f"dpkg failed in {listener.where}", details=lines or error.details, code="dpkg-failed")


def _failure(line: str, package: str, lines: list[str]) -> AptOstreeError | None:
    """What a line of dpkg says went wrong, None for every other line. `package` is what it works on."""
    if script := _FAILED_SCRIPT.fullmatch(line):
        return _script_failed(script, lines)
    if owned := _OWNED.search(line):
        return AptOstreeError(
            f"package {package} has the file {owned['path']}, which {owned['owner']} has already",
            details=lines,
            hint="the two packages cannot be installed together; leave one out",
            code="file-conflict",
        )
    return None


def _script_failed(match: re.Match[str], lines: list[str]) -> AptOstreeError:
    script = _SCRIPT_NAMES.get(match["script"], match["script"])
    how = match["how"]
    code = f"exit code {how}" if how.isdigit() else how
    return AptOstreeError(
        f"the {script} script of package {match['package']} failed: {code}",
        details=lines,
        hint="nothing was changed; report this to the package's maintainer or leave the package out",
        code="script-failed",
    )
