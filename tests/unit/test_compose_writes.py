"""What a compose leaves beside the repo, and how it moves branches: what cannot be is told before the work."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from apt_ostree import image, repos, requests
from apt_ostree.cli import compose_rootfs as cli
from apt_ostree.cli.common import treefile_path
from apt_ostree.errors import AptOstreeError, NotRootError, UsageError
from apt_ostree.model import MadeCommit
from apt_ostree.ops import compose_choice, compose_lockfile, compose_rootfs, compose_tree
from apt_ostree.report import Event, Warned


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


def test_where_no_file_can_be_is_told_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    for name in ("none/id", "file/id", "link", ".", "fifo", "a" * 256):
        with pytest.raises(UsageError, match="cannot be written") as caught:
            compose_choice.check_writable(tmp_path / name)
        assert caught.value.hint
    for name in ("file", "new", "link/new", "a" * 255):
        compose_choice.check_writable(tmp_path / name)
        compose_choice.write(tmp_path / name, "x")


def test_who_may_not_write_is_told_to_be_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compose_choice.os, "access", lambda path, mode: False)  # of a read-only file system, to root
    for uid, kind in ((0, UsageError), (1000, NotRootError)):
        monkeypatch.setattr(compose_choice.os, "geteuid", lambda uid=uid: uid)
        with pytest.raises(kind, match="cannot be written"):
            compose_choice.check_writable(tmp_path / "id")


@pytest.mark.parametrize("error", [OSError(36, "File name too long"), MemoryError(), KeyboardInterrupt()])
def test_whatever_ends_it_the_half_done_directory_is_told(error: BaseException) -> None:
    told: list[Event] = []
    reporter: Any = SimpleNamespace(event=told.append)
    with pytest.raises(type(error)), compose_rootfs._alone(reporter):
        raise error
    assert told == [Warned(message=compose_rootfs._HALF_DONE)]


def test_the_lockfile_of_an_example_is_where_one_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    example, mine = treefile_path("debian-13-minimal"), tmp_path / "sub/mine.toml"
    for kind in (compose_tree.Request, compose_lockfile.Request):
        assert kind(treefile=example, repo=tmp_path).lock_path == tmp_path / "debian-13-minimal.lock.json"
        assert kind(treefile=mine, repo=tmp_path).lock_path == tmp_path / "sub/mine.lock.json"
        given = tmp_path / "given"
        assert kind(treefile=example, repo=tmp_path, lockfile=given).lock_path == given
    assert compose_tree.Request(treefile=example, repo=tmp_path, locked=True).choice == tmp_path / (
        "debian-13-minimal.lock.json"
    )
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/link.toml").symlink_to(example)  # a link of one's own is in a place of one's own
    (tmp_path / "folder").symlink_to(example.parent)  # as the Debian package has it among its documentation
    for name, lock in (("sub/link", "sub/link"), ("folder/debian-13-minimal", "debian-13-minimal")):
        request = compose_tree.Request(treefile=tmp_path / f"{name}.toml", repo=tmp_path)
        assert request.lock_path == tmp_path / f"{lock}.lock.json"


@pytest.mark.parametrize(("there", "wanted"), [("a/b/c", "a/b"), ("a/b/c", "a/b/c/d"), ("a", "a/b")])
def test_no_branch_is_a_folder_of_another(there: str, wanted: str) -> None:
    with pytest.raises(UsageError, match=f"'{wanted}' cannot be beside '{there}': one is a folder of the other"):
        repos.check_branch(wanted, ("x", there))
    repos.check_branch(wanted, (wanted, f"{wanted}c", "a2/b", "origin:a/b/c/d/e"))


def test_a_branch_is_a_file() -> None:
    assert requests.parse_branch(f"a/{'b' * 255}")
    with pytest.raises(UsageError, match="longer than 255 bytes") as caught:
        requests.parse_branch(f"a/b{'é' * 128}")
    assert len(caught.value.message) < 200


def test_what_a_commit_can_carry() -> None:
    assert cli._version("13 \u00e9") == "13 \u00e9"
    for text in ("13\nx", "\x1b[2J", "1" * 256):
        with pytest.raises(UsageError, match="--set-version: "):
            cli._version(text)
    for word in ("a=" + "x" * 33_000, "a=\n", "ostree.x=1"):
        with pytest.raises(UsageError, match="--metadata: ") as caught:
            cli._metadata([word])
        assert len(caught.value.message) < 200
    with pytest.raises(UsageError, match=r"--metadata: .*262144 bytes"):
        cli._metadata([f"k{number}={'x' * 30_000}" for number in range(9)])
    assert cli._metadata(["a=b=c"]) == {"a": "b=c"}


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
