"""Views: a commit read from objects is what a directory of the same files is, in every mode of a repo."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from apt_ostree.commits import CommitError
from apt_ostree.errors import AptOstreeError
from apt_ostree.trees import object_path
from apt_ostree.view.commit import open_commit
from apt_ostree.view.directory import open_directory
from apt_ostree.view.model import Kind, Node, View, build
from tests.support.process import run
from tests.support.rootfs import put


def fill(root: Path) -> Path:
    put(root, "usr/bin/tool", "x" * 5000, 0o4755)
    put(root, "usr/lib/empty", "")
    put(root, "usr/lib/data.bin").write_bytes(os.urandom(3000))
    put(root, "usr/share/ä", "same")
    put(root, "usr/share/b", "same")
    (root / "usr/share").chmod(0o2755)
    (root / "usr/share/link").symlink_to("../lib//empty")
    (root / "bin").symlink_to("usr/bin")
    return root


def commit(root: Path, repo: Path, mode: str) -> str:
    run(["ostree", "init", f"--repo={repo}", f"--mode={mode}"])
    return run(["ostree", "commit", f"--repo={repo}", "--branch=b", f"--tree=dir={root}"]).stdout.strip()


def bare(view: View) -> dict[str, Node]:
    """What must be the same: sizes of directories and links are those of a file system."""
    return {p: replace(n, object="", size=n.size if n.kind is Kind.FILE else 0) for p, n in view.nodes.items()}


@pytest.mark.parametrize("mode", ["archive", "bare-user"])
def test_a_commit_is_what_was_committed(tmp_path: Path, mode: str) -> None:
    root = fill(tmp_path / "root")
    checksum = commit(root, tmp_path / "repo", mode)
    made, there = open_commit(tmp_path / "repo", checksum, name="b"), open_directory(root)
    assert (
        bare(made) == bare(there)
        and made.kids == there.kids
        and list(made.nodes) == list(there.nodes)
        and len(made.nodes) == 11
    )
    for node in there.nodes.values():
        if node.kind is Kind.FILE:
            assert made.read(node.path) == (root / node.path).read_bytes()
    assert made.name == "b" and not made.running


def test_bare_user_only_keeps_no_owners(tmp_path: Path) -> None:
    root = fill(tmp_path / "root")
    (root / "usr/bin/tool").chmod(0o755)
    (root / "usr/share").chmod(0o755)
    run(["ostree", "init", f"--repo={tmp_path / 'repo'}", "--mode=bare-user-only"])
    words = ["--branch=b", f"--tree=dir={root}", "--canonical-permissions"]
    checksum = run(["ostree", "commit", f"--repo={tmp_path / 'repo'}", *words]).stdout.strip()
    made = open_commit(tmp_path / "repo", checksum)
    assert {(node.uid, node.gid) for node in made.nodes.values()} == {(0, 0)}
    assert made.read("usr/share/link") == b"" and made.read("usr/bin/tool") == b"x" * 5000


def test_damage_is_told(tmp_path: Path) -> None:
    root, repo = fill(tmp_path / "root"), tmp_path / "repo"
    checksum = commit(root, repo, "archive")
    path = object_path(repo, str(open_commit(repo, checksum).nodes["usr/bin/tool"].object), "filez")
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:10])
    with pytest.raises(CommitError, match="missing or damaged"):
        open_commit(repo, checksum)
    path.unlink()
    with pytest.raises(CommitError, match="missing or damaged"):
        open_commit(repo, checksum)


def test_a_mode_that_is_not_read(tmp_path: Path) -> None:
    checksum = commit(fill(tmp_path / "root"), tmp_path / "repo", "archive")
    config = tmp_path / "repo/config"
    config.write_text(config.read_text().replace("archive-z2", "bare-split-xattrs"))
    with pytest.raises(AptOstreeError, match="bare-split-xattrs"):
        open_commit(tmp_path / "repo", checksum)


LINKS = {
    "bin": "usr/bin", "a": "b", "b": "a", "up": "../../usr/bin", "abs": "/usr/bin/tool", "gone": "nowhere",
    "usr/etc/alias": "../bin/tool",
}  # fmt: skip


@pytest.fixture
def made() -> View:
    nodes = [Node(path, Kind.DIRECTORY) for path in ("usr", "usr/bin", "usr/etc")]
    nodes += [Node(path, Kind.LINK, target=target) for path, target in LINKS.items()]
    return build("made", [*nodes, Node("usr/bin/tool", Kind.FILE)], lambda node: node.path.encode())


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("bin/tool", "usr/bin/tool"),
        ("/usr/../bin/./tool", "usr/bin/tool"),
        ("up/tool", "usr/bin/tool"),  # no way leads out of the tree
        ("abs", "usr/bin/tool"),
        ("usr/etc/alias", "usr/bin/tool"),
        ("a", None),
        ("gone", None),
        ("usr/bin/tool/x", None),
    ],
)
def test_resolve(made: View, path: str, place: str | None) -> None:
    node = made.resolve(path)
    assert (node.path if node else None) == place
    assert made.read(path) == (place or "").encode()


def test_locate_follows_no_last_link_and_knows_etc(made: View) -> None:
    places = {path: node.path for path in ("/bin/tool", "/etc/alias", "/bin") if (node := made.locate(path))}
    assert places == {"/bin/tool": "usr/bin/tool", "/etc/alias": "usr/etc/alias", "/bin": "bin"}
    assert made.locate("/gone/x") is None
