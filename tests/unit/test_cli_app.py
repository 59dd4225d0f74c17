"""The program from outside: exit codes, error texts, JSON errors, help, start-up cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from apt_ostree import __version__
from apt_ostree.cli import app, hints, pages
from apt_ostree.cli.program import MODULES, commands_of
from apt_ostree.errors import BusyError

ALL = list(pages.pages(app.command()))


def program(*words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "apt_ostree", *words],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **(env or {})},
        check=False,
    )


def failing(error: BaseException) -> Any:
    def invoke(_argv: Any) -> int:
        raise error

    return invoke


def test_the_verbs_of_the_first_release() -> None:
    assert {page.command.removeprefix("apt-ostree").strip() for page in ALL} >= {
        "", "cleanup", "compose", "compose install", "compose tree", "db", "db diff", "db list", "deploy", "doctor",
        "install", "refresh-md", "rollback", "schema", "status", "uninstall",
    }  # fmt: skip


@pytest.mark.parametrize("page", ALL, ids=lambda page: page.manual)
def test_help_fits_80_columns_and_has_examples(page: pages.Page, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run([*page.words, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"Usage: {page.command}")
    assert max(map(len, text.splitlines())) <= 80
    assert page.summary.endswith(".")
    assert page.commands or "Examples:" in text
    assert all(entry.help for entry in (*page.options, *page.arguments))


def test_the_alias_is_the_same_command(capsys: pytest.CaptureFixture[str]) -> None:
    app.run(["uninstall", "--help"])
    first = capsys.readouterr().out
    app.run(["remove", "--help"])
    assert capsys.readouterr().out == first


@pytest.mark.parametrize("words", [(), ("install",), ("compose", "tree")])
def test_help_is_the_word_as_well(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run([*words, "--help"]) == 0
    first = capsys.readouterr().out
    behind = [[words[0], "help", *words[1:]]] if len(words) > 1 else []
    for line in (
        *behind,
        ["help", *words],
        ["-v", "help", *words],
        ["help", "--json", *words],
        ["--sysroot", "/", "help", *words],
        ["help", "help", *words],
    ):
        assert app.run(line) == 0
        assert capsys.readouterr().out == first
    assert app.run(["help", "nosuch"]) == 2


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["--version"]) == 0
    assert capsys.readouterr().out == f"apt-ostree {__version__}\n"


@pytest.mark.parametrize(
    ("line", "said", "hint"),
    [
        ("", "command is missing", "apt-ostree --help"),
        ("isntall htop", "no command 'isntall'", "apt-ostree install"),
        ("version", "no command 'version'", "apt-ostree --version"),
        ("list", "no command 'list'", "apt-ostree db list"),
        ("compose list", "no command 'list'", "apt-ostree compose --help"),
        ("compose image x y.qcow2", "--repo is missing", "apt-ostree compose image --help"),
        ("compose tree x", "--repo is missing", "apt-ostree repo init DIR --mode bare makes one"),
        ("compose tree --write-lockfile=x t", "does not take a value", "hint: apt-ostree compose tree --help"),
        ("compose tre", "no command 'tre'", "apt-ostree compose tree"),
        ("install", "PACKAGE is missing", "apt-ostree install --help"),
        ("compose tree mine.toml", "--repo is missing", "apt-ostree repo init DIR --mode bare"),
        ("install --bogus htop", "no such option", "apt-ostree install --help"),
        ("install --dry-rnu htop", "no such option: --dry-rnu", "mean --dry-run? See: apt-ostree install --help"),
        ("status --sysrot /s", "no such option: --sysrot", "did you mean --sysroot?"),
        ("install ./nope_1_all.deb", "there is no file './nope_1_all.deb'", "by its name: apt-ostree install nope"),
        ("--versoin", "no such option: --versoin", "did you mean --version?"),
        ("install --script-timeout=soon htop", "not a number", "--script-timeout"),
        ("install --wait 5 htop", "after '='", "--wait=5"),
        ("--color=pink status", "auto, always, never", "--color=auto"),
        ("cleanup", "what to remove", "apt-ostree cleanup --base"),
        ("schema nothing-like-that", "no schema", "apt-ostree schema"),
        ("--sysroot /nowhere rollback --reboot", "--reboot is for the running system", "leave --reboot out"),
    ],
)
def test_usage_errors(line: str, said: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(line.split()) == 2
    text = " ".join(capsys.readouterr().err.split())
    assert said in text
    assert hint in text


def test_a_branch_without_its_repo_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["oci", "lint", "debian/13/minimal"]) == 1
    assert "a branch or checksum needs --repo DIR" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("--sysroot /s status", "look: apt-ostree --sysroot /s status, or: sudo apt-ostree --sysroot /s rollback"),
        ("install --sysroot=/s x", "look: apt-ostree --sysroot /s status, or: sudo apt-ostree --sysroot /s rollback"),
        ("status", "look: apt-ostree status, or: sudo apt-ostree rollback"),
        ("install -- --sysroot /s", "look: apt-ostree status, or: sudo apt-ostree rollback"),
    ],
)
def test_a_hint_is_about_the_same_system(
    line: str, hint: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = "look: apt-ostree status, or: sudo apt-ostree rollback"
    error = BusyError("held", hint=given)
    monkeypatch.setattr(app, "_invoke", failing(error))
    for uid, told in ((1000, hint), (0, hint.replace("sudo ", ""))):
        monkeypatch.setattr(app.os, "geteuid", lambda uid=uid: uid)
        error.hint = given
        assert app.run(line.split()) == 4
        assert capsys.readouterr().err.endswith(f"hint: {told}\n")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("apt-ostree status", "apt-ostree --sysroot '/a b' status"),
        ("sudo apt-ostree ...", "sudo apt-ostree --sysroot '/a b' ..."),
        ("apt-ostree --sysroot /else doctor", "apt-ostree --sysroot /else doctor"),
        ("compose a base: apt-ostree compose tree", "compose a base: apt-ostree compose tree"),
        (
            "see man apt-ostree-treefile, a bug of apt-ostree; run",
            "see man apt-ostree-treefile, a bug of apt-ostree; run",
        ),
    ],
)
def test_commands_in_a_hint(text: str, told: str) -> None:
    assert hints.for_sysroot(text, "/a b") == told
    assert hints.for_sysroot(text, "/") == text


def test_root_needs_no_sudo_but_the_package() -> None:
    given = "did you mean: sudo apt-ostree uninstall sudo vim; or: sudo rm x"
    assert hints.without_sudo(given) == "did you mean: apt-ostree uninstall sudo vim; or: rm x"
    assert hints.without_sudo("sudo chmod 0600 x") == "chmod 0600 x"


def test_a_usage_error_with_json_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["install", "--json", "--bogus"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "usage"
    assert "--bogus" in error["message"]
    assert set(error) == {"code", "message", "hint", "details"}


@pytest.mark.parametrize("line", ["status", "install -y htop", "db list", "search foo", "refresh-md"])
def test_no_ostree_system_is_one_sentence_and_a_hint(
    line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = tmp_path / "nope"
    assert app.run(["--sysroot", str(nowhere), *line.split()]) == 6
    said, hint = capsys.readouterr().err.splitlines()
    assert said == f"error: '{nowhere}' is not an ostree system: there is no {nowhere}"
    assert "--sysroot DIR" in hint and f"apt-ostree --sysroot {nowhere} doctor" in hint
    nowhere.mkdir()
    assert app.run(["--sysroot", str(nowhere), *line.split()]) == 6
    assert f"there is no {nowhere}/ostree\n" in capsys.readouterr().err


def test_exit_codes_of_our_errors(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(app, "_invoke", failing(BusyError("held by 42", hint="wait", details=("a detail",))))
    assert app.run(["status"]) == 4
    text = capsys.readouterr().err
    assert "held by 42" in text
    assert "a detail" in text


def test_ctrl_c_says_what_is_true(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(app, "_invoke", failing(KeyboardInterrupt()))
    assert app.run(["status"]) == 130
    assert "nothing was changed" in capsys.readouterr().err


def test_a_bug_is_one_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(app, "_invoke", failing(ZeroDivisionError("by zero")))
    monkeypatch.delenv(app.DEBUG_VARIABLE, raising=False)
    assert app.run(["status"]) == 70
    text = capsys.readouterr().err
    assert "ZeroDivisionError" in text
    assert "Traceback" not in text
    assert app.run(["status", "-vv"]) == 70
    assert "Traceback" in capsys.readouterr().err


def test_a_reader_that_went_away_is_no_error() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "apt_ostree", "schema", "status"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait() == app.EXIT_PIPE


@pytest.mark.parametrize("words", [("schema", "status"), ("doctor", "--json")])
def test_a_full_disk_is_no_bug(words: tuple[str, ...]) -> None:
    argv = [sys.executable, "-m", "apt_ostree", *words]
    with open("/dev/full", "w") as full:
        done = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "error: No space left on device\n"


@pytest.mark.parametrize("words", [("--help",), ("install", "--help"), ("--version",)])
def test_help_loads_neither_rich_nor_sh(words: tuple[str, ...]) -> None:
    assert _heavy(program(*words, env={"PYTHONPROFILEIMPORTTIME": "1"}).stderr) == []


@pytest.mark.parametrize("module", MODULES)
def test_a_module_brings_the_words_that_are_said_of_it(module: str) -> None:
    assert sorted(commands_of(module)) == list(MODULES[module])


def test_every_module_with_verbs_is_known() -> None:
    folder = Path(app.__file__).parent
    having = {path.stem for path in folder.glob("*.py") if "\ndef register(app: typer.Typer)" in path.read_text()}
    assert having - {"compose_rootfs"} == set(MODULES), "compose_rootfs is registered by compose"


@pytest.mark.parametrize("word", [*(word for words in MODULES.values() for word in words), *pages.ALIASES])
def test_a_verb_brings_no_others(word: str) -> None:
    """Building the whole tree would take longer than most verbs do."""
    root = app.command(whole=False)
    assert root.get_command(None, word) is not None
    assert tuple(sorted(root.commands)) in MODULES.values() and pages.ALIASES.get(word, word) in root.commands


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_tab_loads_neither_rich_nor_sh(shell: str) -> None:
    line = {
        "_APT_OSTREE_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": "apt-ostree inst",
        "COMP_CWORD": "1",
        "_TYPER_COMPLETE_ARGS": "apt-ostree inst",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "PYTHONPROFILEIMPORTTIME": "1",
    }
    done = program(env=line)
    assert "install" in done.stdout
    assert _heavy(done.stderr) == []


@pytest.mark.parametrize("option", ["--install-completion", "--show-completion"])
def test_completions_are_installed_by_no_option(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run([option, "bash"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and f"no such option: {option}" in err


def test_source_bash() -> None:
    done = program(env={"_APT_OSTREE_COMPLETE": "source_bash"})
    assert done.returncode == 0
    assert "complete" in done.stdout


def _heavy(report: str) -> list[str]:
    """Modules of rich and sh in the report of `python -X importtime`.

    `rich` alone is Typer 0.15 asking for it and being told that it is not there; loading it brings `rich._extension`.
    """
    modules = [line.rpartition("|")[2].strip() for line in report.splitlines() if line.startswith("import time:")]
    assert "typer" in modules
    return [name for name in modules if name == "sh" or name.startswith(("rich.", "sh."))]
