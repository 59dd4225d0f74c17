"""Options -> context, results -> exit codes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from apt_ostree.cli import app, common, screen
from apt_ostree.cli.deploy import RollbackOptions
from apt_ostree.cli.install import InstallOptions
from apt_ostree.cli.options import Settings
from apt_ostree.errors import UsageError
from apt_ostree.journal import RunLog
from apt_ostree.model import (
    Commit,
    DiffKind,
    Origin,
    PackageChange,
    PackageRequest,
    Plan,
    Result,
    TransactionKind,
)
from apt_ostree.paths import Paths
from apt_ostree.report import NullReporter


def plan(*added: str) -> Plan:
    return Plan(
        kind=TransactionKind.PKG_CHANGE,
        command="install",
        stateroot="debian",
        origin=Origin(requested=(PackageRequest(name="htop"),)),
        base=Commit(checksum="0" * 64),
        merge=None,
        changes=tuple(PackageChange(kind=DiffKind.ADDED, name=name, arch="amd64") for name in added),
    )


@pytest.mark.parametrize(("text", "value"), [(None, None), ("inf", math.inf), ("0", 0.0), ("2.5", 2.5)])
def test_seconds(text: str | None, value: float | None) -> None:
    assert common.seconds("--wait", text) == value


@pytest.mark.parametrize("text", ["soon", "-1", "nan", ""])
def test_seconds_refuses_what_is_no_time(text: str) -> None:
    with pytest.raises(UsageError):
        common.seconds("--wait", text)


def test_context_carries_every_option() -> None:
    options = InstallOptions(
        packages=["htop"],
        dry_run=True,
        cache_only=True,
        wait="inf",
        stateroot="debian",
        recommends=False,
        script_timeout="30",
        disable_repo=["extra"],
        json=True,
    )
    made = common.context(Settings(sysroot="/s", typed="apt-ostree install htop"), options, NullReporter())
    assert made.paths.sysroot == Path("/s")
    asked = made.options
    assert (asked.dry_run, asked.cache_only, asked.download_only) == (True, True, False)
    assert (asked.wait, asked.script_timeout) == (math.inf, 30.0)
    assert (asked.stateroot, asked.recommends, asked.disable_repos) == ("debian", False, ("extra",))
    assert asked.command == "apt-ostree install htop"
    assert asked.confirm(plan("htop", "libfoo"))


@pytest.mark.parametrize(
    ("line", "verb"),
    [("install -y x", "install"), ("--sysroot /s -v override remove x", "override"), ("pin 0 --sysroot=/s", "pin")],
)
def test_a_log_is_named_by_the_verb(
    line: str, verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[Settings] = []

    def stop(settings: Settings) -> Paths:
        seen.append(settings)
        raise UsageError("far enough")

    monkeypatch.setattr(common, "paths_of", stop)
    assert app.run(line.split()) == 2 and "far enough" in capsys.readouterr().err
    monkeypatch.undo()
    options = common.context(seen[0], RollbackOptions(), NullReporter()).options
    log = RunLog(tmp_path, options.command, options.verb)
    assert log.path is not None and log.path.name.endswith(f"-{verb}.log")
    log.close("done")
    assert log.path.read_text().splitlines()[0].endswith(f" apt-ostree {line}")


def test_a_verb_without_an_option_gets_its_neutral_value() -> None:
    asked = common.context(Settings(), RollbackOptions(), NullReporter()).options
    assert (asked.wait, asked.recommends, asked.script_timeout, asked.disable_repos) == (None, None, 600.0, ())


@pytest.mark.parametrize(("text", "limit"), [("0", 0.0), ("inf", 0.0), ("60", 60.0)])
def test_script_timeout(text: str, limit: float) -> None:
    options = InstallOptions(packages=["htop"], script_timeout=text)
    assert common.context(Settings(), options, NullReporter()).options.script_timeout == limit


def test_extra_packages_are_those_nobody_named() -> None:
    assert common.extra_packages(plan("libz", "htop", "liba")) == ("liba", "libz")


class Terminal:
    def isatty(self) -> bool:
        return True


def test_a_question_is_asked_only_when_more_comes_than_was_named(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Plan] = []
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("sys.stderr", Terminal())
    monkeypatch.setattr(screen, "ask", lambda _settings, _reporter, one: asked.append(one) or False)
    options = InstallOptions(packages=["htop"])
    confirm = common.confirmation(Settings(), options, NullReporter())
    assert confirm(plan("htop"))
    assert not asked
    assert not confirm(plan("htop", "libfoo"))
    assert len(asked) == 1
    for silent in (InstallOptions(packages=["htop"], yes=True), InstallOptions(packages=["htop"], json=True)):
        assert common.confirmation(Settings(), silent, NullReporter())(plan("htop", "libfoo"))
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (Result(command="x", changed=True), 0),
        (Result(command="x", changed=False, would_change=True), 0),
        (Result(command="x", changed=False), 77),
    ],
)
def test_exit_code_when_nothing_is_to_do(result: Result, code: int) -> None:
    options = RollbackOptions(unchanged_exit_77=True, json=True)
    assert common.change(Settings(), options, lambda _context: result) == code
    assert common.change(Settings(), RollbackOptions(json=True), lambda _context: result) == 0


def test_reboot_happens_after_a_change_only(monkeypatch: pytest.MonkeyPatch) -> None:
    rebooted: list[Any] = []
    monkeypatch.setattr("apt_ostree.tools.systemctl.reboot", lambda: rebooted.append(True))
    options = RollbackOptions(reboot=True, json=True)
    common.change(Settings(), options, lambda _context: Result(command="x", changed=False))
    assert not rebooted
    common.change(Settings(), options, lambda _context: Result(command="x", changed=True, reboot_needed=True))
    assert rebooted


def test_reboot_of_another_sysroot_is_refused_before_the_work() -> None:
    worked: list[Any] = []
    with pytest.raises(UsageError):
        common.change(Settings(sysroot="/s"), RollbackOptions(reboot=True), worked.append)
    assert not worked
