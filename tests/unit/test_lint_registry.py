"""`oci lint` as a whole: names, severities, what is skipped, and exit codes."""

from __future__ import annotations

import json
import os
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from apt_ostree.cli import app
from apt_ostree.lint import registry
from apt_ostree.linting import State
from apt_ostree.view.directory import open_directory
from tests.support.process import CHECKOUT, run
from tests.support.rootfs import clean, put

# what `bootc container lint --list` has
BOOTC = {
    "fatal": {
        "api-base-directories", "baseimage-root", "bootc-kargs", "etc-usretc", "kernel", "utf8", "var-run",
    },
    "warning": {
        "baseimage-composefs", "buildah-injected", "nonempty-boot", "nonempty-run-tmp", "sysusers", "var-log",
        "var-tmpfiles",
    },
}  # fmt: skip
OURS = {"dpkg-database", "privileges", "sysusers-ids"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return clean(tmp_path / "rootfs")


def call(capsys: pytest.CaptureFixture[str], *words: str | Path, code: int = 0) -> Any:
    """Run `oci lint --json`, and hold what it says to its schema."""
    assert app.run(["oci", "lint", *map(str, words), "--json"]) == code
    answer = json.loads(capsys.readouterr().out)
    name = "error" if code == 2 else "oci-lint"
    text = (resources.files("apt_ostree") / f"data/schemas/{name}.json").read_text()
    Draft202012Validator(json.loads(text)).validate(answer)
    return answer


def test_the_names_and_severities_are_those_of_bootc(capsys: pytest.CaptureFixture[str]) -> None:
    known = call(capsys, "--list")["known"]
    for severity, names in BOOTC.items():
        assert {one["name"] for one in known if one["severity"] == severity and one["bootc"]} == names
    assert {one["name"] for one in known if not one["bootc"]} == OURS
    assert all(len(one["text"]) > 30 for one in known)
    assert app.run(["oci", "lint", "--list"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in OURS | BOOTC["fatal"] | BOOTC["warning"])


def test_a_clean_tree(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = call(capsys, root, "--fatal-warnings")
    assert answer["passed"] and answer["fatal"] == answer["warnings"] == [] and answer["target"] == str(root)
    skipped = [one["name"] for one in answer["lints"] if one["state"] != "ok"]
    assert skipped == ["var-tmpfiles"]


def test_fatal_findings_fail(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "var/run").mkdir()
    put(root, "tmp/x")
    answer = call(capsys, root, code=1)
    assert (answer["passed"], answer["fatal"], answer["warnings"]) == (False, ["var-run"], ["nonempty-run-tmp"])
    assert app.run(["oci", "lint", str(root)]) == 1
    said = capsys.readouterr().out
    assert "/var/run is a directory" in said and "hint: replace it" in said and "/tmp/x" in said


def test_warnings_fail_only_when_asked(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(root, "tmp/x")
    assert call(capsys, root)["warnings"] == ["nonempty-run-tmp"]
    strict = call(capsys, root, "--fatal-warnings", code=1)
    assert (strict["fatal"], strict["warnings"]) == (["nonempty-run-tmp"], [])
    skipped = call(capsys, root, "--fatal-warnings", "--skip", "nonempty-run-tmp", "--skip=utf8")
    reasons = {one["name"]: one["reason"] for one in skipped["lints"] if one["state"] == "skipped"}
    assert reasons["nonempty-run-tmp"] == reasons["utf8"] == "as you asked" and len(reasons) == 3


@pytest.mark.parametrize("name", sorted(lint.name for lint in registry.LINTS))
def test_each_can_be_skipped(root: Path, name: str) -> None:
    outcomes = registry.run(open_directory(root), skip=(name,)).outcomes
    assert next(one for one in outcomes if one.name == name).state is State.SKIPPED


def test_unknown_lints_are_refused_with_those_there_are(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = call(capsys, root, "--skip", "var-runn", code=2)["error"]
    assert "var-runn" in error["message"] and all(lint.name in error["message"] for lint in registry.LINTS)
    call(capsys, code=2)


def test_what_is_no_tree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["oci", "lint", str(tmp_path / "nowhere")]) == 1
    assert "nowhere" in capsys.readouterr().err
    assert app.run(["oci", "lint", str(put(tmp_path, "file"))]) == 1
    assert app.run(["oci", "lint", "--repo", str(tmp_path), "ref"]) == 1
    assert "no ostree repo" in capsys.readouterr().err


def test_names_that_are_no_text_and_escapes_for_terminals(root: Path) -> None:
    """In a process of its own: how stdout writes what is no UTF-8 is set there."""
    put(root, "tmp/\x1b[31m")
    (root / os.fsdecode(b"tmp/\xff")).mkdir()
    argv = [sys.executable, "-m", "apt_ostree", "oci", "lint", root]
    done = run(argv, check=False, env={"PYTHONPATH": str(CHECKOUT)})
    assert "\x1b" not in done.stdout and "\\xff" in done.stdout
    answer = run([*argv, "--json"], check=False, env={"PYTHONPATH": str(CHECKOUT)}).json
    assert answer["fatal"] == ["utf8"]
    paths = {item["path"] for one in answer["lints"] for item in one["findings"]}
    assert "/tmp/\x1b[31m" in paths and "/tmp/\\xff" in paths


def test_many_findings_are_cut_for_people(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(25):
        put(root, f"tmp/{number:02}")
    assert sum(len(one["findings"]) for one in call(capsys, root)["lints"]) == 25
    app.run(["oci", "lint", str(root)])
    said = capsys.readouterr().out
    assert "/tmp/19 " in said and "/tmp/20 " not in said and "and 5 more" in said
    app.run(["-v", "oci", "lint", str(root)])
    assert "/tmp/24 " in capsys.readouterr().out
