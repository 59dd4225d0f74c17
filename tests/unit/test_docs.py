"""man/ and completions/ say what the program does, and the tools that read them agree."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from apt_ostree import config, errors
from apt_ostree.cli import app, completion, conf_page, manual, pages, roff, treefile_page
from apt_ostree.treefile.keys import KEYS

ROOT = Path(__file__).resolve().parents[2]
ALL = tuple(pages.pages(app.command()))
BASH = ROOT / "completions" / "apt-ostree"


@pytest.mark.parametrize("directory", ["man", "completions"])
def test_the_committed_files_are_what_make_docs_writes(directory: str, tmp_path: Path) -> None:
    manual.write(tmp_path / "man", tmp_path / "completions")
    fresh = {path.name: path.read_text() for path in (tmp_path / directory).iterdir()}
    committed = {path.name: path.read_text() for path in (ROOT / directory).iterdir()}
    assert committed == fresh, "run: make docs"


def test_a_page_that_is_no_longer_made_goes(tmp_path: Path) -> None:
    (tmp_path / "man").mkdir()
    (tmp_path / "man" / "apt-ostree-gone.1").write_text("")
    manual.write(tmp_path / "man", tmp_path / "completions")
    assert not (tmp_path / "man" / "apt-ostree-gone.1").exists()


@pytest.mark.parametrize("page", ALL, ids=lambda page: page.manual)
def test_sections_of_a_page(page: pages.Page) -> None:
    text = manual.manuals(ALL)[f"{page.manual}.1"]
    titles = [line[4:] for line in text.splitlines() if line.startswith(".SH ")]
    wanted = ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "SEE ALSO"]
    assert [title for title in titles if title in wanted] == wanted
    assert "EXAMPLES" in titles or page.commands
    for entry in page.options:
        for name in entry.names:
            assert f"\\fB{name.replace('-', chr(92) + '-')}\\fR" in text


def test_exit_status_comes_from_the_errors() -> None:
    found = dict(manual.exit_status())
    assert list(found) == ["0", "1", "2", "3", "4", "5", "6", "7", "70", "77", "130"]
    assert found["4"] == errors.BusyError.__doc__


def test_groff_has_no_complaint() -> None:
    for name, text in manual.manuals(ALL).items():
        if text.startswith(".so "):
            assert (ROOT / "man" / Path(text.split()[1]).name).is_file()
            continue
        done = subprocess.run(
            ["groff", "-man", "-ww", "-Tutf8", "-z"], input=text, capture_output=True, text=True, check=True
        )
        assert done.stderr == "", name


def test_every_key_of_a_treefile_is_described() -> None:
    text = treefile_page.roff()
    for key in (*KEYS, *(below for one in KEYS for below in one.keys)):
        name = key.name.replace("-", chr(92) + "-")
        assert f"\\fB{name}\\fR" in text and key.text.endswith("."), key.name


def test_every_setting_is_described_with_its_default() -> None:
    keys = {key: value for keys, _ in conf_page.settings() for key, value in keys}
    assert set(keys) == set(config._KEYS) and all(text.endswith(".") for _, text in conf_page.settings())
    shipped = config.parse("[Daemon]\n" + "".join(f"{key}={value}\n" for key, value in keys.items()))
    assert shipped == config.Config()
    assert all(f"\\fB{key}\\fR={value}" in conf_page.roff() for key, value in keys.items())


def test_roff_escapes() -> None:
    assert roff.escape(".so /etc/passwd") == "\\&.so /etc/passwd"
    assert roff.escape("a\\b -c") == "a\\eb \\-c"


def bash(*words: str, path: Path) -> list[str]:
    """What bash offers for the last of `words`, with a stand-in apt-cache in front of the real one."""
    script = f"""
        source {BASH}
        COMP_WORDS=("$@"); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        _apt_ostree
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", script, "bash", *words],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": f"{path}:{os.environ['PATH']}"},
        cwd=path,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split("\n")[:-1]


@pytest.fixture
def stand_ins(tmp_path: Path) -> Path:
    """Programs the script asks: apt-cache knows two packages, apt-ostree echoes how it was asked."""
    scripts = {
        "apt-cache": 'for p in htop hello; do case $p in "${@: -1}"*) echo $p;; esac; done',
        "apt-ostree": 'echo "asked:$COMP_CWORD"',
    }
    for name, text in scripts.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "my tool.deb").write_text("")
    return tmp_path


def test_bash_knows_commands_and_aliases(stand_ins: Path) -> None:
    commands = {name for name, _summary in ALL[0].commands}
    assert set(bash("apt-ostree", "", path=stand_ins)) == commands
    assert bash("apt-ostree", "compose", "", path=stand_ins) == [
        "commit", "image", "install", "lockfile", "postprocess", "tree",
    ]  # fmt: skip
    assert "--idempotent" in bash("apt-ostree", "remove", "--i", path=stand_ins)


def test_bash_knows_options_and_their_values(stand_ins: Path) -> None:
    assert bash("apt-ostree", "install", "--unch", path=stand_ins) == ["--unchanged-exit-77"]
    assert bash("apt-ostree", "--color", "=", "", path=stand_ins) == ["auto", "always", "never"]
    assert bash("apt-ostree", "status", "--color", "n", path=stand_ins) == ["never"]
    assert bash("apt-ostree", "--sysroot", "/x", "install", "--dry", path=stand_ins) == ["--dry-run"]
    assert bash("apt-ostree", "install", "--wait", "=", "4", "--js", path=stand_ins) == ["--json"]


def test_bash_knows_packages_and_files(stand_ins: Path) -> None:
    assert bash("apt-ostree", "install", "h", path=stand_ins) == ["htop", "hello"]
    assert bash("apt-ostree", "install", "-y", "--uninstall", "vim", "ht", path=stand_ins) == ["htop"]
    assert bash("apt-ostree", "install", "./my", path=stand_ins) == ["./my tool.deb"]


def test_bash_asks_the_program_for_what_only_it_knows(stand_ins: Path) -> None:
    assert bash("apt-ostree", "deploy", "", path=stand_ins) == ["asked:2"]
    assert bash("apt-ostree", "install", "--uninstall", "as", path=stand_ins) == ["asked:3"]


def test_every_shell_has_every_option() -> None:
    bash_text, zsh_text, fish_text = completion.scripts(ALL).values()
    for name in {name for page in ALL for entry in page.options for name in entry.names if name.startswith("--")}:
        assert name in bash_text
        assert name in zsh_text
        assert f"-l {name[2:]} " in fish_text
