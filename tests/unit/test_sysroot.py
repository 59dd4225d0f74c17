"""Deployments as they are on disk."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from apt_ostree import commitmeta, host, sysroot
from apt_ostree.errors import NotOstreeError
from apt_ostree.model import LayerMeta, Package, Unlocked
from apt_ostree.paths import Paths
from apt_ostree.states import ProbeState
from tests.support import tiny
from tests.support.tiny import Tiny


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Tiny]:
    """Three deployments; [2] is pinned and has a version, [0] and [1] are of one commit."""
    root = tiny.sysroot(tmp_path / "sysroot")
    tree = tiny.tree(tmp_path / "tree")
    root.commit(tree, strings={"version": "13.1"}, options=["--subject=first"])
    root.deploy()
    subprocess.run(["ostree", "admin", "pin", f"--sysroot={root.path}", "0"], check=True, capture_output=True)
    (tree / "usr/new").write_text("x")
    root.commit(tree)
    root.deploy()
    root.deploy()
    yield root
    tiny.remove(root)


def load(made: Tiny) -> sysroot.Sysroot:
    return sysroot.load(Paths(made.path))


def told(made: Tiny) -> list[str]:
    """The ids `ostree admin status` prints, in its order."""
    out = subprocess.run(
        ["ostree", "admin", "status", f"--sysroot={made.path}"], check=True, capture_output=True, text=True
    ).stdout
    return list(sysroot.from_text(out))


def origin_of(made: Tiny, index: int) -> Path:
    return Path(f"{load(made).deployments[index].path}.origin")


def test_order_and_facts_are_those_of_ostree(made: Tiny) -> None:
    found = load(made)
    assert [d.id for d in found.deployments] == told(made)
    assert found.stateroots == ("debian",)
    assert found.default_stateroot == "debian"
    assert found.problems == ()
    first, second, third = found.deployments
    assert (first.serial, second.serial) == (1, 0)
    assert third.commit.version == "13.1" and third.commit.subject == "first"
    assert [d.origin.pinned for d in found.deployments] == [False, False, True]
    assert first.kargs == tiny.KARGS
    assert first.origin.refspec == tiny.REF
    assert first.commit.parent == third.checksum
    assert all(d.path.is_dir() for d in found.deployments)
    assert found.booted is None and not any(d.pending or d.rollback for d in found.deployments)


def test_a_commit_time_is_the_one_ostree_shows(made: Tiny) -> None:
    found = load(made).deployments[0]
    raw = subprocess.run(
        ["ostree", f"--repo={made.repo}", "show", "--raw", found.checksum], check=True, capture_output=True, text=True
    ).stdout
    assert f"uint64 {found.commit.timestamp}," in raw


def test_booted_pending_and_rollback_by_the_kernel_command_line(made: Tiny) -> None:
    made.boot(load(made).deployments[1].path)
    found = load(made)
    assert [d.booted for d in found.deployments] == [False, True, False]
    assert [d.pending for d in found.deployments] == [True, False, False]
    assert [d.rollback for d in found.deployments] == [False, False, True]
    assert found.booted is found.deployments[1]


def test_a_layered_commit_knows_its_base(made: Tiny, tmp_path: Path) -> None:
    base = load(made).deployments[0]
    package = Package(name="foo", version="1", arch="amd64")
    layer = LayerMeta(base=base.checksum, packages=(package,), state_digest="d")
    (tmp_path / "tree/usr/foo").write_text("foo")
    made.commit(tmp_path / "tree", ref="layered", strings=commitmeta.encode(layer, pkglist=(package,)))
    made.deploy("layered")
    composed = load(made).deployments[0]
    assert composed.commit.layer is None and composed.base_checksum == composed.checksum, "nothing is layered here"
    origin = origin_of(made, 0)
    origin.write_text(origin.read_text() + "[packages]\nrequested=foo;\n")
    first = load(made).deployments[0]
    assert first.commit.layer == layer
    assert first.base_commit == base.commit
    assert first.base_checksum == base.checksum
    assert not any(key.startswith("apt-ostree.p") for key in first.commit.metadata)


def test_unlocked_states(made: Tiny) -> None:
    first = load(made).deployments[0]
    origin = origin_of(made, 0)
    origin.write_text(origin.read_text() + "unlocked=hotfix\n")
    assert load(made).deployments[0].unlocked is Unlocked.HOTFIX
    state = made.path / "run/ostree/deployment-state" / f"{first.checksum}.{first.serial}"
    state.mkdir(parents=True)
    (state / "unlocked-transient").touch()
    assert load(made).deployments[0].unlocked is Unlocked.TRANSIENT
    (state / "unlocked-development").touch()
    assert load(made).deployments[0].unlocked is Unlocked.DEVELOPMENT
    assert load(made).deployments[1].unlocked is Unlocked.NONE


@pytest.mark.parametrize("content", [b"garbage here\n", b"\xff\xfe", b"[packages]\nrequested=Not A Package;\n", None])
def test_a_broken_origin_is_told_and_stops_nothing(made: Tiny, content: bytes | None) -> None:
    path = origin_of(made, 0)
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    first, second, _ = load(made).deployments
    assert first.origin_error and not first.origin.refspec
    assert second.origin.refspec == tiny.REF


def test_an_origin_that_is_a_link_is_not_read(made: Tiny, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("root:$y$hash\n")
    path = origin_of(made, 0)
    path.unlink()
    path.symlink_to(secret)
    error = load(made).deployments[0].origin_error
    assert error and "root:" not in error


def test_a_missing_commit_leaves_the_deployment(made: Tiny) -> None:
    lost = load(made).deployments[0].checksum
    (made.repo / "objects" / lost[:2] / f"{lost[2:]}.commit").unlink()
    found = load(made)
    assert len(found.deployments) == 3
    assert found.deployments[0].checksum == lost
    assert any(lost in problem for problem in found.problems)


def test_an_entry_that_leads_nowhere_is_a_problem(made: Tiny) -> None:
    entry = made.path / "boot/loader/entries/ostree-9-debian.conf"
    entry.write_text("title x\nversion 9\noptions ostree=/ostree/boot.1/debian/nothing/0\n")
    found = load(made)
    assert len(found.deployments) == 3
    assert any("ostree-9-debian.conf" in problem for problem in found.problems)


def _as_variant(commit: bytes) -> bytes:
    """The metadata of a commit object is an `a{sv}`, the type of the staged file; its end is the last offset."""
    width = 1 if len(commit) < 1 << 8 else 2
    return commit[: int.from_bytes(commit[-width:], "little")]


def test_staged(made: Tiny, tmp_path: Path) -> None:
    checksum = load(made).deployments[2].checksum
    target = f"{{'name': <'{checksum}.7'>, 'osname': <'debian'>, 'bootcsum': <'x'>}}"
    variant = [f"--add-metadata=target={target}", "--add-metadata=kargs=['rw', 'note=\"a b\"', 'ostree=/x']"]
    name = made.commit(tmp_path / "tree", ref="staged", options=variant)
    data = (made.repo / "objects" / name[:2] / f"{name[2:]}.commit").read_bytes()
    place = made.path / "run/ostree/staged-deployment"
    place.parent.mkdir(parents=True)
    place.write_bytes(_as_variant(data))
    made.boot(load(made).deployments[1].path)
    found = load(made)
    first = found.deployments[0]
    assert first.staged and first.serial == 7 and first.kargs == ("rw", 'note="a b"')
    assert [d.staged for d in found.deployments] == [True, False, False, False]
    assert first.pending and not first.finalization_locked
    (place.parent / "staged-deployment-locked").touch()
    assert load(made).deployments[0].finalization_locked
    place.write_bytes(b"\x01\x02\x03")
    found = load(made)
    assert len(found.deployments) == 3 and found.problems


def test_history_is_the_branch_then_the_parents(made: Tiny) -> None:
    first, _, third = load(made).deployments
    found = [commit.checksum for commit in sysroot.history(made.repo, third.checksum, tiny.REF)]
    assert found == [first.checksum, third.checksum]
    assert [c.checksum for c in sysroot.history(made.repo, third.checksum, "no/such")] == [third.checksum]


def test_what_ostree_says_is_understood() -> None:
    one, other = "a" * 64, "b" * 64
    text = f"  debian {one}.0 (finalization locked)\n    Version: 1\n* debian {other}.2\n    origin refspec: x\n"
    assert sysroot.from_text(text) == {
        f"debian-{one}.0": {"booted": False, "staged": True, "finalization-locked": True},
        f"debian-{other}.2": {"booted": True, "staged": False, "finalization-locked": False},
    }
    json = f'{{"deployments": [{{"checksum": "{one}", "stateroot": "debian", "serial": 0, "booted": true}}]}}'
    assert sysroot.from_json(json) == {f"debian-{one}.0": {"booted": True}}


def test_no_sysroot_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(NotOstreeError) as caught:
        host.require_ostree(Paths(tmp_path))
    assert caught.value.exit_code == 6
    assert caught.value.message.endswith(f"there is no {tmp_path}/ostree") and not caught.value.details
    with pytest.raises(NotOstreeError):
        sysroot.load(Paths(tmp_path))


def test_an_empty_sysroot_is_one(tmp_path: Path) -> None:
    root = tiny.sysroot(tmp_path / "sysroot")
    host.require_ostree(Paths(root.path))
    found = load(root)
    assert found.deployments == () and found.default_stateroot == "debian"


@pytest.mark.parametrize("name", ["ostree", "boot"])
def test_a_link_out_of_the_sysroot_is_refused(made: Tiny, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    (made.path / name).rename(outside)
    (made.path / name).symlink_to(outside)
    for look in (lambda: load(made), lambda: host.require_ostree(Paths(made.path))):
        with pytest.raises(NotOstreeError, match="leads out of the sysroot"):
            look()
    (made.path / name).unlink()
    outside.rename(made.path / "inside")
    (made.path / name).symlink_to("inside")
    assert load(made).deployments


def test_boot_entries_are_checked(made: Tiny) -> None:
    paths = Paths(made.path)
    assert [probe.state for probe in host.check_boot(paths)] == [ProbeState.OK] * 3
    menu = made.path / "boot/loader/syslinux.cfg"
    menu.write_text("TIMEOUT 10\n")
    assert {probe.state for probe in host.check_boot(paths)} == {ProbeState.FAILED}
    menu.unlink()
    next(made.path.glob("boot/ostree/*/initramfs*")).unlink()
    assert {probe.state for probe in host.check_boot(paths)} == {ProbeState.FAILED}


@pytest.mark.root  # becomes another user
def test_a_plain_user_can_look(made: Tiny) -> None:
    for folder in (made.path, *made.path.parents):
        if folder.stat().st_uid == 0 and folder not in (Path("/"), Path("/tmp")):
            folder.chmod(folder.stat().st_mode | 0o055)
    before = told(made)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgid(65534)
        os.setuid(65534)
        os.write(writer, "\n".join(d.id for d in load(made).deployments).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        assert pipe.read().splitlines() == before
    assert os.waitpid(child, 0)[1] == 0


def test_reading_loads_neither_rich_nor_sh() -> None:
    code = "import apt_ostree.ops.status, apt_ostree.ui.status, sys; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not {"rich", "sh", "debian"} & set(out)
