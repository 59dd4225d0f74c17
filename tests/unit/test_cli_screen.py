"""What goes to which stream, the question before a change, and the words for TAB."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from apt_ostree.cli import dynamic, screen
from apt_ostree.cli.options import Settings
from apt_ostree.model import DiffKind, Package, PackageChange, Result
from apt_ostree.ops import complete
from apt_ostree.report import NullReporter, PhaseDone, PhaseStarted, Warned
from tests.unit.test_cli_common import plan

CHANGED = Result(command="apt-ostree rollback", changed=True, message="It boots next.", warnings=("careful",))


def events(settings: Settings, *, json: bool = False) -> None:
    with screen.reporting(settings, json=json) as reporter:
        reporter.event(PhaseStarted(name="resolve", title="Resolving dependencies"))
        reporter.event(PhaseDone(name="resolve", title="Resolving dependencies", seconds=1.0))
        reporter.event(Warned(message="careful"))


def test_progress_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    events(Settings())
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "Resolving dependencies... done\nwarning: careful\n"


@pytest.mark.parametrize("settings", [Settings(quiet=True), Settings(progress="none")])
def test_warnings_are_never_silenced(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    events(settings)
    assert capsys.readouterr().err == "warning: careful\n"


def test_progress_as_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    events(Settings(progress="json"), json=True)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == ["phase-started", "phase-done", "warning"]


def test_the_answer_goes_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    screen.show_result(Settings(), CHANGED, json=False)
    out, err = capsys.readouterr()
    assert "It boots next." in out
    assert err == ""
    screen.show_result(Settings(quiet=True), CHANGED, json=False)
    assert capsys.readouterr().out == ""
    screen.show_result(Settings(quiet=True), CHANGED, json=True)
    assert json.loads(capsys.readouterr().out)["changed"] is True


def test_a_command_in_an_answer_is_about_the_same_system(capsys: pytest.CaptureFixture[str]) -> None:
    result = Result(command="x", changed=True, message="Deploy it: apt-ostree upgrade")
    screen.show_result(Settings(sysroot="/s"), result, json=False)
    assert "Deploy it: apt-ostree --sysroot /s upgrade" in capsys.readouterr().out


def test_what_a_dry_run_found_is_an_answer(capsys: pytest.CaptureFixture[str]) -> None:
    new = Package(name="htop", version="3.4", arch="amd64")
    change = PackageChange(kind=DiffKind.ADDED, name="htop", arch="amd64", new=new)
    result = Result(command="x", changed=False, would_change=True, changes=(change,))
    screen.show_result(Settings(quiet=True), result, json=False)
    assert "htop 3.4" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("typed", "answer"), [("\n", True), ("y\n", True), ("YES\n", True), ("n\n", False), ("maybe\n", False), ("", False)]
)
def test_the_question(
    typed: str, answer: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    assert screen.ask(Settings(), NullReporter(), plan("htop", "libfoo")) is answer
    out, err = capsys.readouterr()
    assert out == ""
    assert "libfoo" in err
    assert err.endswith("Continue? [Y/n] ")


def test_a_live_display_is_paused_for_the_question(monkeypatch: pytest.MonkeyPatch) -> None:
    paused: list[bool] = []
    reporter: Any = SimpleNamespace(event=lambda _event: None, close=lambda: paused.append(True))
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    screen.ask(Settings(), reporter, plan("htop"))
    assert paused


def context(sysroot: str = "/") -> Any:
    return SimpleNamespace(find_root=lambda: SimpleNamespace(params={"sysroot": sysroot}))


def test_words_for_tab(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []
    monkeypatch.setattr(complete, "revisions", lambda root: asked.append(root) or ("abc", "13.1"))
    assert dynamic.revisions(context("/mnt"), "") == ["abc", "13.1"]
    assert asked == [Path("/mnt")]
    assert "status" in dynamic.schemas(context(), "")
    assert dynamic.available(context(), "") == []


def test_tab_never_fails(tmp_path: Path) -> None:
    assert dynamic.requested(context(str(tmp_path)), "") == []
    assert dynamic.revisions(context(str(tmp_path)), "") == []


def test_tab_offers_schemas_through_the_program() -> None:
    line = {"_APT_OSTREE_COMPLETE": "complete_bash", "COMP_WORDS": "apt-ostree schema stat", "COMP_CWORD": "2"}
    argv = [sys.executable, "-m", "apt_ostree"]
    done = subprocess.run(argv, capture_output=True, text=True, env={**os.environ, **line}, check=True)
    assert done.stdout.split() == ["status"]
    assert done.stderr == ""


def test_names_the_locale_cannot_show_are_no_error() -> None:
    argv = [sys.executable, "-m", "apt_ostree", "--sysroot", "/żółw", "status"]
    env = {**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(argv, capture_output=True, env=env, check=False)
    assert done.returncode == 6
    assert done.stderr.isascii()
