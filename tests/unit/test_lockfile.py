"""Lockfiles: what is written is what is read, and what is no lockfile is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from apt_ostree import lockfile
from apt_ostree.compose import selection
from apt_ostree.errors import ResolveError, UsageError
from apt_ostree.lockfile import Lock, Locked, LockedLayer
from apt_ostree.treefile import parse

TREE = parse('suite = "trixie"\nref = "x"\npackages = ["aa", "bb"]\n')
FOO = Locked(name="foo", version="1:2-3", arch="amd64", sha256="a" * 64, size=10, priority="optional")
LOCK = Lock(selection=selection.digest(TREE, "amd64"), epoch=1_700_000_000, sources=("b" * 64,), packages=(FOO,))


def test_round_trip_with_one_package_a_line(tmp_path: Path) -> None:
    text = lockfile.dump(LOCK)
    (tmp_path / "x.lock.json").write_text(text)
    assert lockfile.load(tmp_path / "x.lock.json") == LOCK
    assert next(line for line in text.splitlines() if '"foo"' in line).startswith('  {"name": "foo"')
    assert lockfile.beside(tmp_path / "x.toml") == tmp_path / "x.lock.json"


def test_layers_in_a_lockfile() -> None:
    more = replace(FOO, name="more")
    lock = replace(LOCK, layers=(LockedLayer(name="one", packages=(more,)), LockedLayer(name="two", packages=())))
    text = lockfile.dump(lock)
    assert lockfile.parse(text) == lock and lock.everything == (FOO, more)
    assert next(line for line in text.splitlines() if '"more"' in line).startswith('  {"name": "more"')
    assert '"layers"' not in lockfile.dump(LOCK)


LAYERED = 'suite = "trixie"\nref = "x"\n[[layers]]\nname = "one"\nref = "y"\npackages = ["more"]\n'


def test_a_lockfile_of_other_layers() -> None:
    tree = parse(LAYERED)
    lock = replace(LOCK, selection=selection.digest(tree, "amd64"), layers=(LockedLayer(name="one", packages=()),))
    selection.check_selection(lock, tree, "amd64")
    selection.check_selection(lock, parse(LAYERED.replace('"y"', '"z"')), "amd64")  # where it goes does not choose
    for other in (LAYERED.replace("more", "less"), LAYERED.replace("one", "two")):
        with pytest.raises(ResolveError, match="does not fit"):
            selection.check_selection(lock, parse(other), "amd64")
    with pytest.raises(ResolveError, match="does not fit"):  # somebody cut a layer out
        selection.check_selection(replace(lock, layers=()), tree, "amd64")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("layers", [{"name": "../x", "packages": []}]),
        ("layers", [{"name": "x"}]),
        ("layers", 3),
        ("format", 2),
        ("selection", "x"),
        ("epoch", -1),
        ("epoch", True),
        ("epoch", 10**15),
        ("sources", ["../x"]),
        ("packages", [{"name": "foo"}]),
        (
            "packages",
            [{"name": "../foo", "version": "1", "arch": "all", "sha256": "a" * 64, "size": 1, "priority": ""}],
        ),
        ("packages", [{"name": "foo", "version": "1", "arch": "all", "sha256": "../../x", "size": 1, "priority": ""}]),
        ("packages", 3),
    ],
)
def test_what_cannot_be_is_refused(key: str, value: object) -> None:
    data = {**json.loads(lockfile.dump(LOCK)), key: value}
    with pytest.raises(UsageError, match="is not a lockfile") as caught:
        lockfile.parse(json.dumps(data))
    assert "--write-lockfile" in caught.value.hint


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", "\0", "[" * 100_000])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a lockfile"):
        lockfile.parse(text)


def test_a_lockfile_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ResolveError, match="there is no lockfile") as caught:
        lockfile.load(tmp_path / "none")
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    "other",
    ['packages = ["aa"]', 'packages = ["aa", "bb"]\nrecommends = true', 'packages = ["aa", "bb"]\nvariant = "minbase"'],
)
def test_a_lockfile_of_another_choice(other: str) -> None:
    with pytest.raises(ResolveError, match="does not fit"):
        selection.check_selection(LOCK, parse(f'suite = "trixie"\nref = "x"\n{other}\n'), "amd64")


def test_what_does_not_choose_packages_does_not_matter() -> None:
    tree = parse('suite = "trixie"\nref = "y"\nversion = "2"\npackages = ["bb", "aa"]\n')
    selection.check_selection(LOCK, tree, "amd64")
    with pytest.raises(ResolveError, match="does not fit"):
        selection.check_selection(LOCK, tree, "arm64")


def test_the_time_of_a_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    assert selection.epoch(tmp_path) == 0
    for name, date in (
        ("a_InRelease", "Sat, 01 Jan 2000 00:00:00 UTC"),
        ("b_Release", "Sun, 02 Jan 2000 00:00:00 UTC"),
    ):
        (tmp_path / name).write_text(f"Origin: x\nDate: {date}\n")
    (tmp_path / "c_InRelease").write_text("Date: never\n")
    assert selection.epoch(tmp_path) == 946771200
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "5")
    assert selection.epoch(tmp_path) == 5
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "now")
    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH"):
        selection.epoch(tmp_path)


def test_archives_of_a_suite_and_their_keys() -> None:
    lines = selection.sources(TREE, "amd64", keyrings=False)
    assert [line.split()[2] for line in lines] == ["trixie", "trixie-updates", "trixie-security"]
    assert all("signed-by=" in line for line in selection.sources(TREE, "amd64"))
    unknown = parse('suite = "mine"\nref = "x"\nmirrors = ["file:/srv/apt"]\n')
    assert selection.sources(unknown, "amd64") == ("deb file:/srv/apt mine main",)
