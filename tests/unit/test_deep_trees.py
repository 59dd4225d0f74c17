"""Directories in directories, a thousand deep, and paths longer than the kernel has them: told, and no bug of ours."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from apt_ostree import trees
from apt_ostree.errors import AptOstreeError
from apt_ostree.lint import registry
from apt_ostree.oci import derived, names, staging
from apt_ostree.oci import source as sources
from apt_ostree.oci.decompress import Budget, reading
from apt_ostree.oci.derived import Rules
from apt_ostree.oci.layout import BadImageError, Descriptor, digest_of
from apt_ostree.oci.objects import Objects
from apt_ostree.oci.staging import Stage
from apt_ostree.trees import MAX_DEPTH, Tree, TreeError, Trees
from apt_ostree.view.commit import open_commit
from apt_ostree.view.directory import open_directory
from tests.support import ocitrees
from tests.support.ocilayout import file, packed
from tests.support.process import run


def dig(place: Path, depth: int, name: str = "d") -> None:
    """Directories in directories, each made from the one above: the path of the last is of any length."""
    fd = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=fd)
        below = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(os.open("last", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.close(fd)


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    made = tmp_path / "root"
    (made / "usr").mkdir(parents=True)
    (made / "var").mkdir()
    yield made
    run(["rm", "--recursive", made])  # what Python has for it recurses


def test_a_directory_is_looked_at_as_far_as_paths_go(root: Path) -> None:
    dig(root / "var", 1500)
    found = open_directory(root)
    assert len(found.nodes) == 1503 and sum(1 for _ in found.below("var")) == 1501
    assert list(found.below("var"))[-1].path.endswith("/d/last")
    registry.run(found)
    dig(root / "usr", 2100)
    with pytest.raises(AptOstreeError, match="longer than a path can be") as caught:
        open_directory(root)
    assert caught.value.code == "refused-path"


def test_a_directory_that_no_import_would_take_is_not_exported(root: Path) -> None:
    dig(root / "var", MAX_DEPTH - 1)
    assert len(sources.rootfs(root, 0).directories) == MAX_DEPTH + 2
    for place, depth, name in (("usr", 1500, "d"), ("usr/long", 20, "n" * 255)):
        (root / place).mkdir(exist_ok=True)
        dig(root / place, depth, name)
        with pytest.raises(AptOstreeError, match="directories in directories") as caught:
            sources.rootfs(root, 0)
        assert caught.value.code == "refused-path"
        run(["rm", "--recursive", root / place])
        (root / "usr").mkdir(exist_ok=True)


@pytest.mark.parametrize("depth", [MAX_DEPTH + 10, 1500])
def test_a_commit_too_deep(depth: int, root: Path, tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    made = Stage(ocitrees.repo(repo, "archive"), "archive", Objects(repo))
    tree, meta = made.add("dirtree", staging.dirtree({}, {})), made.add("dirmeta", staging.dirmeta(0, 0, 0o755))
    for _ in range(depth):
        tree = made.add("dirtree", staging.dirtree({}, {"d": (tree, meta)}))
    checksum = made.add("commit", staging.commit(tree, meta, metadata={}))
    for refuse in (
        lambda: sources.commit(repo, checksum),
        lambda: open_commit(repo, checksum),
        lambda: list(Trees(repo).own(tree, [])),
    ):
        with pytest.raises(TreeError, match="too deep"):
            refuse()
    with pytest.raises(BadImageError, match="too deep"):
        staging.check_paths(made, checksum)


def chain(names: list[str]) -> dict[str, Tree]:
    made = {str(len(names)): Tree({"file": "x"}, {})}
    for number, name in enumerate(names):
        made[str(number)] = Tree({}, {name: (str(number + 1), "m")})
    return made


def read(made: dict[str, Tree]) -> Trees:
    known = Trees(Path("/nowhere"))
    known.known.update(made)
    return known


def test_the_paths_of_a_commit_are_paths_of_the_kernel() -> None:
    """15 names of 255 bytes with 15 slashes, and 250 and a slash and `file`: 4095."""
    longest = chain(["n" * 255] * 15 + ["é" * 125])
    assert trees.count("0", longest.__getitem__) == trees.Size(17, 15 * 256 + 250 + 1 + 4, 16)
    assert list(read(longest).own("0", [])) == ["x"] and len(list(read(longest).walk("0"))) == 17
    longer = chain(["n" * 255] * 15 + ["é" * 125 + "n"])
    with pytest.raises(TreeError, match="more than 4095 bytes"):
        trees.count("0", longer.__getitem__)
    with pytest.raises(TreeError, match="more than 4095 bytes"):
        list(read(longer).walk("0"))
    with pytest.raises(TreeError, match="more than 4095 bytes"):
        list(read(chain(["n" * 255] * 17)).own("0", []))


def test_a_directory_at_many_depths_is_measured_at_the_deepest() -> None:
    made = chain(["d"] * (MAX_DEPTH - 50))
    made["top"] = Tree({}, {"a": ("0", "m"), "b": ("b0", "m")})
    made |= {f"b{number}": Tree({}, {"b": (f"b{number + 1}", "m")}) for number in range(99)}
    made["b99"] = Tree({}, {"b": ("0", "m")})
    with pytest.raises(TreeError, match="too deep"):
        trees.count("top", made.__getitem__)


def test_what_differs_between_hostile_trees_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    made = {"0": Tree({"file": "x"}, {})}
    for number in range(1, 20):
        made[str(number)] = Tree({}, {f"d{name}": (str(number - 1), "m") for name in range(10)})
    monkeypatch.setattr(trees, "MAX_PATHS", 5000)
    with pytest.raises(TreeError, match="more than 5000 paths"):
        list(read(made).own("19", []))


def test_names_are_names_of_the_kernel() -> None:
    good, bad = (staging.dirtree({"n" * size: "0" * 64}, {}) for size in (255, 256))
    assert list(trees.parse(good).files) == ["n" * 255]
    with pytest.raises(TreeError, match="a name that cannot be"):
        trees.parse(bad)


@pytest.mark.parametrize(
    "path",
    ["/".join(["d"] * 1500), "/".join(["n" * 255] * 17), "etc/" + "/".join(["n" * 255] * 15 + ["m" * 250])],
    ids=["deep", "long", "long where a commit has it"],
)
def test_a_hostile_layer(path: str, tmp_path: Path) -> None:
    repo = ocitrees.repo(tmp_path / "repo", "archive")
    stage = Stage(ocitrees.repo(tmp_path / "stage", "archive"), "archive", Objects(repo))
    data = packed([file(path, b"x")])
    blob = Descriptor(media_type=names.LAYER, digest=digest_of(data), size=len(data))
    with (
        pytest.raises(BadImageError, match=r"too deep|too long"),
        reading(io.BytesIO(data), blob, "", Budget(1 << 20)) as tar,
    ):
        derived.read(tar, stage, Rules())
