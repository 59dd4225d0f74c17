"""What a compose leaves beside the repo, and how it moves branches."""

from __future__ import annotations

import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from apt_ostree import image
from apt_ostree.errors import AptOstreeError
from apt_ostree.model import MadeCommit
from apt_ostree.ops import compose_choice, compose_tree


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "id"
    compose_choice.write(target, "one\n")
    assert target.read_text() == "one\n" and stat.S_IMODE(target.stat().st_mode) == 0o644

    def broken(descriptor: int) -> None:
        raise OSError("no space")

    monkeypatch.setattr(compose_choice.os, "fsync", broken)
    with pytest.raises(OSError, match="no space"):
        compose_choice.write(target, "two\n")
    assert target.read_text() == "one\n" and list(tmp_path.iterdir()) == [target]


def test_an_image_replaces_nothing_that_came_meanwhile(tmp_path: Path) -> None:
    made, target = tmp_path / "made", tmp_path / "disk"
    made.write_text("new")
    target.write_text("precious")
    plan: Any = SimpleNamespace(target=target, replaces=False)
    with pytest.raises(AptOstreeError, match="has come to be"):
        image._name(made, plan)
    assert target.read_text() == "precious"
    image._name(made, SimpleNamespace(target=target, replaces=True))  # type: ignore[arg-type]
    assert target.read_text() == "new"


def test_branches_move_together(monkeypatch: pytest.MonkeyPatch) -> None:
    refs = {"base": "b1"}

    def create(repo: Path, ref: str, checksum: str) -> None:
        if (ref, checksum) == ("base", "b2"):
            raise AptOstreeError("no")
        refs[ref] = checksum

    monkeypatch.setattr(compose_tree.ostree, "ref_create", create)
    monkeypatch.setattr(compose_tree.ostree, "ref_delete", lambda repo, ref: refs.pop(ref))
    monkeypatch.setattr(compose_tree.ostree, "refs", lambda repo: tuple(refs))
    target = SimpleNamespace(repo=Path("/repo"), ref="base", previous="b1")
    stack: Any = SimpleNamespace(target=target, layers=[SimpleNamespace(ref="desktop", previous="")])
    made = [
        MadeCommit(ref=ref, checksum=checksum, parent="", packages=1, fresh=True)
        for ref, checksum in (("base", "b2"), ("desktop", "d1"))
    ]
    with pytest.raises(AptOstreeError):
        compose_tree._move(stack, made)
    assert refs == {"base": "b1"}
