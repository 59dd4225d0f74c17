"""db works on commits whose content is gone, and directory objects are read as ostree writes them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from apt_ostree import commitmeta, commits, gvariant, trees
from apt_ostree.cli import app
from apt_ostree.model import Package
from tests.support import tiny
from tests.support.process import run
from tests.support.tiny import Tiny

OLD = (Package(name="foo", version="1.0", arch="amd64", source="foo", size=9),)
NEW = (Package(name="bar", version="2", arch="all"), Package(name="foo", version="1.1", arch="amd64"))
NAME = "ümlaut \t name"


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Tiny]:
    root = tiny.sysroot(tmp_path / "sysroot")
    yield root
    tiny.remove(root)


def asked(capsys: pytest.CaptureFixture[str], *words: str | Path) -> dict[str, list[dict[str, object]]]:
    assert app.run([str(word) for word in words]) == 0
    found: dict[str, list[dict[str, object]]] = json.loads(capsys.readouterr().out)
    return found


def test_db_on_pruned_commits(made: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = tiny.tree(tmp_path / "tree")
    old, new, same = (
        made.commit(tree, ref=ref, strings={"version": ref, **commitmeta.encode(pkglist=packages)})
        for ref, packages in (("old", OLD), ("new", NEW), ("same", NEW))
    )
    pulled = tmp_path / "pulled"
    run(["ostree", "init", f"--repo={pulled}", "--mode=bare-user"])
    words = ("pull-local", f"--repo={pulled}", "--commit-metadata-only", made.repo)
    run(["ostree", *words, "old", "new", "same"])
    for path in [*made.repo.glob("objects/*/*.file"), *made.repo.glob("objects/*/*.dirtree")]:
        path.unlink()  # and a repo whose content was pruned
    for repo in (pulled, made.repo):
        listed = asked(capsys, "db", "list", "--json", "--repo", repo, old)["commits"][0]
        assert listed["checksum"] == old and listed["packages"] == [
            {"name": "foo", "version": "1.0", "arch": "amd64", "source": "foo", "size": 9}
        ]
        diff = asked(capsys, "db", "diff", "--json", "--repo", repo, old, new[:12])
        assert [change[:2] for change in diff["pkgdiff"]] == [["bar", 0], ["foo", 2]]  # type: ignore[index]
        first, second, third = asked(capsys, "db", "version", "--json", "--repo", repo, old, "new", same)["commits"]
        assert (first["version"], first["packages"], second["packages"]) == ("old", 1, 2)
        assert first["digest"] != second["digest"] == third["digest"]
    app.run(["db", "version", "--repo", str(pulled), old])
    assert " old, 1 packages, " in capsys.readouterr().out


def test_directory_objects(made: Tiny, tmp_path: Path) -> None:
    tree = tiny.tree(tmp_path / "tree")
    many = tree / "usr/share/many"
    many.mkdir(parents=True)
    for number in range(3000):  # offsets of one, two and three bytes
        (many / f"{'n' * (number % 250)}{number}").write_text("x")
    (tree / "usr/share/few").mkdir()
    (tree / "usr/share/few" / NAME).write_text("y")
    root = commits.load(made.repo, made.commit(tree)).root
    read = trees.Trees(made.repo)
    found = dict(read.walk(root))
    assert len(found["usr/share/many"].files) == 3000 and NAME in found["usr/share/few"].files
    for checksum, parsed in read.known.items():
        data = trees.object_path(made.repo, checksum, "dirtree").read_bytes()
        files, dirs = gvariant.decode(data, "(a(say)a(sayay))")
        assert {name: value.hex() for name, value in files} == parsed.files
        assert {name: (below.hex(), meta.hex()) for name, below, meta in dirs} == parsed.dirs
    (tree / "usr/share/few/other").write_text("z")
    other = commits.load(made.repo, made.commit(tree)).root
    assert len(list(read.own(other, [root]))) == 1 and list(read.own(root, [other])) == []
    assert list(read.own(root, [root])) == [] and len(set(read.own(root, []))) > 5


@pytest.mark.parametrize(
    "data",
    [b"\x01", b"\xff" * 40, b"a\0" + b"c" * 31 + b"\x02\x24\x25", b"../x\0" + b"c" * 32 + b"\x05\x26\x27",
     b"\0" * 300, bytes(range(256)) * 300],
)  # fmt: skip
def test_directories_that_are_none(data: bytes) -> None:
    with pytest.raises(trees.TreeError):
        trees.parse(data)


def test_an_empty_directory() -> None:
    assert trees.parse(b"\0") == trees.Tree({}, {}) == trees.parse(b"")
