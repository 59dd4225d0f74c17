"""Every command of the program, for real, on a machine that runs: one row of a table each."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from jsonschema import Draft202012Validator

from apt_ostree.cli import app, pages
from tests.real.test_upkeep import fake_reboot
from tests.support.archive import LocalRepo
from tests.support.nshost import NamespaceHost
from tests.support.process import Done, run
from tests.support.sysroots import changes
from tests.support.verbs import held_to, tool, whole

pytestmark = pytest.mark.real

PAGES = {" ".join(page.words): page for page in pages.verbs(app.command())}
RESULT = "result"


@dataclass(frozen=True, slots=True)
class Row:
    """How a command is called: what follows its name, and the exit codes that are right.

    `schema`: when these words are answered by another than the command's own. `elsewhere`: the test that calls it,
    for what no machine of a few seconds can do; here it only shows its help.
    """

    words: str = ""
    codes: tuple[int, ...] = (0,)
    schema: str = ""
    elsewhere: str = ""


# A row for every command, in the order they are called: each meets what those before it left. `{first}` is the
# checksum that was booted. Where there is --dry-run, that is called first, and must not change a byte.
ROWS: dict[str, Row] = {
    "status": Row(),
    "doctor": Row(),
    "schema": Row("status"),
    "history": Row(),
    "refresh-md": Row(),
    "search": Row("foo"),
    "show": Row("foo python3-typer"),
    "provides": Row("/usr/bin/env"),
    "db list": Row("--match python3-typer"),
    "db version": Row(),
    "etc-diff": Row(),
    "boot-check": Row(),
    "verify": Row("--fast"),
    "install": Row("-y foo"),
    "why": Row("bar"),
    "db diff": Row("booted pending"),
    "apply-live": Row("--allow-replacement"),
    "uninstall": Row("-y foo"),
    "override replace": Row("-y python3-typer=99"),
    "override reset": Row("-y python3-typer"),
    "override remove": Row("-y python3-typer"),
    "reset": Row("-y"),
    "initramfs": Row(),  # --enable takes its time: tests/real/test_initramfs.py
    "initramfs-etc": Row("--track /etc/issue", schema=RESULT),
    "kargs": Row("--append=ground=1 --lock-finalization", schema=RESULT),
    "finalize-deployment": Row("--allow-missing-checksum"),
    "restage": Row(),
    "pin": Row("booted"),
    "unpin": Row("booted"),
    "cancel": Row(),
    "upgrade": Row(codes=(0, 77)),
    "rebase": Row("-y :ground/other"),
    "deploy": Row("{first}"),
    "rollback": Row(),
    "usroverlay": Row(elsewhere="tests/real/test_upkeep.py: here a live commit stands in its way"),
    "cleanup": Row("--pending --base"),
    "compose tree": Row(elsewhere="tests/support/basecache.py: every base is composed by it"),
    "compose image": Row(elsewhere="tests/real/test_image.py"),
    "compose install": Row(elsewhere="tests/real/test_oracle.py"),
    "repo init": Row("/tmp/published --mode bare-user"),
    "repo sign": Row(elsewhere="tests/real/test_repo.py: it takes a key"),
    "repo summary": Row("--repo /tmp/published"),
    "delta generate": Row("--repo /ostree/repo ground/other"),
    "delta show": Row("--repo /ostree/repo"),
    "oci export": Row(elsewhere="tests/real/test_oci_toy.py: a tree of this size takes its time"),
    "oci import": Row(elsewhere="tests/real/test_oci_toy.py"),
    "oci verify": Row(elsewhere="tests/real/test_oci_verify.py"),
}


def schemas() -> dict[str, str]:
    """Command -> its schema: one of its own name, else that of results."""
    from apt_ostree.ops import schema

    return {name: "-".join(page.words) if "-".join(page.words) in schema.names() else RESULT
            for name, page in PAGES.items()}  # fmt: skip


def has(name: str, option: str) -> bool:
    return any(option in entry.names for entry in PAGES[name].options)


def test_every_command_has_a_row_and_a_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["--help-verbs"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert listed == list(PAGES), "what --help-verbs prints is the command tree"
    assert sorted(set(listed) - set(ROWS)) == [], "a command without a row in ROWS"
    assert sorted(set(ROWS) - set(listed)) == [], "a row without a command"
    for name in listed:
        assert app.run([*name.split(), "--help"]) == 0
        assert f"Usage: apt-ostree {name}" in capsys.readouterr().out
        if has(name, "--json"):
            assert app.run(["schema", *name.split()]) == 0
            Draft202012Validator.check_schema(json.loads(capsys.readouterr().out))
    assert app.run(["schema", "nothing"]) == 2
    assert [name for name in listed if not has(name, "--json")] == ["schema"]


def test_every_command_on_a_booted_machine(host: NamespaceHost, http_repo: LocalRepo) -> None:
    http_repo.publish(tool("foo", depends="bar"), tool("bar"), tool("python3-typer", "99"))
    first, env = host.booted_checksum(), fake_reboot(host)
    run(["ostree", "refs", f"--repo={host.sysroot.repo}", "--create=ground/other", first])
    assert host.apt_ostree("--help-verbs").stdout.splitlines() == list(PAGES)
    for name, row in ROWS.items():
        if row.elsewhere:
            assert f"Usage: apt-ostree {name}" in host.apt_ostree(*name.split(), "--help").stdout
            continue
        words = [*name.split(), *row.words.format(first=first).split()]
        schema = row.schema or schemas()[name]
        if has(name, "--dry-run"):
            before = state(host)
            answer(host, env, [*words, "--dry-run", "--json"], row, schema)
            assert changes(before, state(host)) == [], f"{name} --dry-run changed something"
        answer(host, env, [*words, *(["--json"] if has(name, "--json") else [])], row, schema)


def answer(host: NamespaceHost, env: dict[str, str], words: list[str], row: Row, schema: str) -> None:
    """Run a command; with --json what it says is held to the schema."""
    done: Done = host.apt_ostree(*words, check=False, env=env)
    assert done.returncode in row.codes, f"{' '.join(words)} ended with {done.returncode}\n{done.output}"
    if "--json" in words:
        held_to(schema, done)


def state(host: NamespaceHost) -> dict[str, str]:
    """Every byte of the sysroot, and of what libostree and we keep in /run."""
    script = "find /run/ostree* /run/apt-ostree* -type f -exec sha256sum {} + 2> /dev/null | sort"
    return {**whole(host.sysroot), "/run": host.run("sh", "-c", script).stdout}
