"""File operations below a tree of somebody else: no path leads out of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from apt_ostree.errors import AptOstreeError
from apt_ostree.tree import fsops


# never an absolute path here: below no root, it would be one of the machine that runs the test
@pytest.mark.parametrize("rel", ["../kept", "usr/../../kept", "usr/..", "..", ".", "", "usr/./x"])
@pytest.mark.parametrize("act", [fsops.parent_of, fsops.make_dir, fsops.discard])
def test_no_path_leads_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: Callable[[Path, str], object], rel: str
) -> None:
    removed: list[Path] = []
    monkeypatch.setattr(fsops, "remove", removed.append)  # if the refusal fails, nothing must be lost
    root = tmp_path / "root"
    (root / "usr").mkdir(parents=True)
    with pytest.raises(AptOstreeError) as caught:
        act(root, rel)
    assert caught.value.code == "unsafe-tree"
    assert not removed and [path.name for path in root.iterdir()] == ["usr"]


def test_the_root_of_the_machine_is_never_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    removed: list[Path] = []
    monkeypatch.setattr(fsops.shutil, "rmtree", removed.append)  # if the refusal fails, nothing must be lost
    for path in (Path("/"), Path("/usr/..")):
        with pytest.raises(AptOstreeError):
            fsops.remove(path)
    assert not removed
    (tmp_path / "d").mkdir()
    fsops.remove(tmp_path / "d")
    assert removed == [tmp_path / "d"]


def test_names_with_dots_in_them_are_names(tmp_path: Path) -> None:
    assert fsops.make_dir(tmp_path, "usr/..x").is_dir()
    fsops.discard(tmp_path, "usr/..x")
    assert not (tmp_path / "usr/..x").exists()
