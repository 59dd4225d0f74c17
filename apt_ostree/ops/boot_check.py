"""boot-check: run the checks of /etc/apt-ostree/health.d; a new deployment that fails them is rolled back, once."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from apt_ostree import config, guarding, health, host, run, sysroot, transaction
from apt_ostree.context import Context
from apt_ostree.deploy import stages
from apt_ostree.errors import AptOstreeError, BusyError, InterruptedByUser, ToolError, ToolMissingError, UsageError
from apt_ostree.health import Book
from apt_ostree.journal import RunLog
from apt_ostree.model import Deployment, TransactionKind
from apt_ostree.planning import Change, Situation
from apt_ostree.report import OutputLine, Reporter, TeeReporter, Warned, phase
from apt_ostree.signals import Interrupts
from apt_ostree.states import BootCheck, CheckResult, Health, HealthState

FOLDERS = ("usr/lib/apt-ostree/health.d", "etc/apt-ostree/health.d")  # a name in the second stands for the first's
KINDS = ("required", "wanted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`automatic`: roll back and reboot as the settings say. `timeout`: seconds for each check."""

    automatic: bool = False
    timeout: float = 120.0


def execute(context: Context, request: Request) -> BootCheck:
    """Check the booted deployment and record what was found. Raises UsageError, NotRootError, AptOstreeError."""
    paths = context.paths
    host.require_ostree(paths)
    system = sysroot.load(paths)
    booted = system.booted
    if booted is None or not stages(paths, system):
        raise UsageError("only a booted system can be checked", hint="leave --sysroot out")
    book = health.read(paths, booted.osname)
    if context.options.dry_run:
        return _named(book.of(booted), booted, paths.sysroot)
    guarding.require_root(context.options.command)
    before = book.of(booted)
    new = before.state is HealthState.UNTESTED
    entry = replace(before, tries=before.tries + 1 if new else 0)
    book = _put(context, system, booted, book, entry)
    hopeless = new and entry.tries > health.MAX_TRIES  # they may take the machine down: not once more
    try:
        with Interrupts("nothing was found out").installed():
            checks = () if hopeless else _run_all(context, booted, request.timeout)
    except InterruptedByUser:  # by a shutdown: that they came to no end says nothing about the deployment
        _put(context, system, booted, book, before)
        raise
    failed = tuple(check.name for check in checks if check.required and not check.passed)
    if hopeless:
        failed = (f"the checks came to no end {health.MAX_TRIES} times",)
    state = HealthState.BAD if failed else HealthState.GOOD
    book = _put(context, system, booted, book, Health(state=state, failed=failed, when=int(time.time())))
    found = BootCheck(deployment=booted, health=book.of(booted), checks=checks)
    if state is HealthState.GOOD or not new or not request.automatic:
        return found
    return _roll_back(context, system, booted, book, found)


def _named(known: Health, booted: Deployment, root: Path) -> BootCheck:
    checks = tuple(CheckResult(name=path.name, required=required, passed=None) for path, required in _checks(root))
    return BootCheck(deployment=booted, health=known, checks=checks)


def _put(context: Context, system: sysroot.Sysroot, booted: Deployment, book: Book, entry: Health) -> Book:
    changed = replace(book, entries={**book.entries, booted.id: entry})
    _write(context, system, changed)
    return changed


def _write(context: Context, system: sysroot.Sysroot, book: Book) -> None:
    # through /var: what it is a mount of is read-only here
    health.write(context.paths.sysroot / "var/lib/apt-ostree/health.json", book, system.deployments)


def _checks(root: Path) -> Iterator[tuple[Path, bool]]:
    for kind in KINDS:
        found: dict[str, Path] = {}
        for folder in FOLDERS:
            directory = root / folder / f"{kind}.d"
            names = os.listdir(directory) if directory.is_dir() else []
            found.update({name: directory / name for name in names if not name.startswith(".") and name[-1] != "~"})
        for name in sorted(found):
            if os.access(found[name], os.X_OK) and found[name].is_file():
                yield found[name], kind == "required"


def _run_all(context: Context, booted: Deployment, timeout: float) -> tuple[CheckResult, ...]:
    log = RunLog(context.paths.log, context.options.command, context.options.verb)
    reporter = TeeReporter(context.reporter, log)
    results = []
    with phase(reporter, "check", "Checking the deployment"):
        for path, required in _checks(context.paths.sysroot):
            result = _run_one(reporter, path, required, booted, timeout)
            results.append(result)
            log.write(f"== {result.name}: {'passed' if result.passed else f'failed: {result.reason}'}")
            if not result.passed:
                reporter.event(Warned(message=f"the {_kind(required)} check {result.name} failed: {result.reason}"))
    log.close("done")
    return tuple(results)


def _kind(required: bool) -> str:
    return KINDS[0] if required else KINDS[1]


def _run_one(reporter: Reporter, path: Path, required: bool, booted: Deployment, timeout: float) -> CheckResult:
    start, lines, reason = time.monotonic(), list[str](), ""

    def listen(line: str) -> None:
        lines.append(line)
        reporter.event(OutputLine(line=f"{path.name}: {line}"))

    info = path.stat()
    if info.st_uid != 0 or info.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        reason = "others than root may write it"
    else:
        try:
            run.stream([path], listen, env={"APT_OSTREE_DEPLOYMENT": booted.id}, timeout=timeout)
        except ToolError as error:
            reason = f"no end after {timeout:g} s" if error.returncode == 124 else f"exit code {error.returncode}"
        except (ToolMissingError, OSError) as error:  # a script whose interpreter is not there
            reason = str(error)
    return CheckResult(
        name=path.name,
        required=required,
        passed=not reason,
        reason=reason,
        seconds=round(time.monotonic() - start, 3),
        output=tuple(lines[-run.TAIL_LINES :]),
    )


def _change(situation: Situation, wanted: str) -> Change:
    """The target as it is now: its index is another when something was staged while the checks ran."""
    target = next((deployment for deployment in situation.system.deployments if deployment.id == wanted), None)
    if target is None:
        raise AptOstreeError(f"{wanted} is no longer deployed", hint="apt-ostree status", code="no-rollback")
    base = target.base_commit or target.commit
    return Change(kind=TransactionKind.ROLLBACK, origin=target.origin, base=base, target=target)


def _roll_back(
    context: Context, system: sysroot.Sysroot, booted: Deployment, book: Book, found: BootCheck
) -> BootCheck:
    settings = config.load_leniently(context.paths.sysroot)
    if not settings.automatic_rollback:
        return replace(found, message=f"Not rolled back: AutomaticRollback=false in /{config.NAME}.")
    target = health.way_back(book, system.deployments, booted)
    if target is None:
        again = "; it is where the last rollback went" if book.rolled_back_to == booted.id else ""
        return replace(found, message=f"Not rolled back: there is no other deployment to go to{again}.")
    _write(context, system, replace(book, rolled_back_from=booted.id, rolled_back_to=target.id))
    wanted = target.id
    context = replace(context, options=replace(context.options, lenient=True))
    try:
        done = transaction.execute(context, lambda situation: _change(situation, wanted))
    except BusyError:  # that passes: the checks decide again at the next boot, or when somebody repeats this
        _put(context, system, booted, book, Health())
        raise
    except AptOstreeError:
        _write(context, system, book)
        raise
    if done.deployment is not None and done.deployment.id != wanted:  # old ostree cannot reorder, it made a new one
        target = done.deployment
        book = replace(book, rolled_back_from=booted.id, rolled_back_to=target.id)
        _write(context, sysroot.load(context.paths), book)
    return replace(
        found,
        rolled_back_to=target,
        reboot=settings.reboot_after_rollback,
        message=f"{booted.id} failed its checks; {target.id} boots next.",
    )
