"""Gathering a status, and the revisions db understands."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from apt_ostree import commitmeta
from apt_ostree.errors import AptOstreeError, NotOstreeError, UsageError
from apt_ostree.model import DiffKind, Package
from apt_ostree.ops import db, doctor, status
from apt_ostree.paths import Paths
from tests.support import tiny
from tests.support.tiny import Tiny

OLD = (Package(name="foo", version="1", arch="amd64"), Package(name="bar", version="1", arch="amd64"))
NEW = (Package(name="foo", version="2", arch="amd64"),)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Tiny]:
    """[0] has foo 2; [1], version 13.1, has foo 1 and bar."""
    root = tiny.sysroot(tmp_path / "sysroot")
    tree = tiny.tree(tmp_path / "tree")
    root.commit(tree, strings={"version": "13.1", **commitmeta.encode(pkglist=OLD)})
    root.deploy()
    root.commit(tree, strings=commitmeta.encode(pkglist=NEW))
    root.deploy()
    yield root
    tiny.remove(root)


def boot(made: Tiny, index: int) -> None:
    made.boot(status.report(Paths(made.path)).deployments[index].path)


def test_diff_of_the_next_boot(made: Tiny) -> None:
    paths = Paths(made.path)
    assert status.report(paths).changes == ()
    boot(made, 1)
    report = status.report(paths)
    assert [(c.name, c.kind) for c in report.changes] == [("bar", DiffKind.REMOVED), ("foo", DiffKind.UPGRADED)]
    assert [d.index for d in status.report(paths, booted_only=True).deployments] == [1]


def test_who_is_busy(made: Tiny) -> None:
    paths = Paths(made.path)
    assert status.report(paths).transaction is None
    paths.store.lock.parent.mkdir(parents=True)
    record = {"pid": 7, "command": "install foo", "phase": "commit", "since": 1.0}
    fd = os.open(paths.store.lock, os.O_RDWR | os.O_CREAT)
    try:
        os.write(fd, json.dumps(record).encode())
        assert status.report(paths).transaction is None  # a record without its holder means nothing
        fcntl.flock(fd, fcntl.LOCK_EX)
        owner = status.report(paths).transaction
    finally:
        os.close(fd)
    assert owner is not None and (owner.pid, owner.command) == (7, "install foo")


def test_a_failed_finalisation_is_told(made: Tiny) -> None:
    paths = Paths(made.path)
    (paths.boot / "ostree/finalize-failure.stamp").write_text("No space left on device\n")
    assert status.report(paths).last_failure == "No space left on device"
    assert any("No space left" in probe.detail for probe in doctor.probes(paths))


def test_no_ostree_system(tmp_path: Path) -> None:
    with pytest.raises(NotOstreeError):
        status.report(Paths(tmp_path))


def test_revisions(made: Tiny) -> None:
    paths = Paths(made.path)
    first, second = (d.checksum for d in status.report(paths).deployments)
    offline = [db.db_list(paths, [name])[0].checksum for name in ("pending", "rollback")]
    assert offline == [first, second], "what boots next, and what `rollback` goes to"
    boot(made, 1)
    wanted = {"0": first, "1": second, "booted": second, "pending": first, "13.1": second, tiny.REF: first}
    for name, checksum in {**wanted, first[:10]: first, second: second}.items():
        assert db.db_list(paths, [name])[0].checksum == checksum, name
    for name in ("rollback", "99", "no/such/ref", "--help"):
        with pytest.raises(AptOstreeError):
            db.db_list(paths, [name])


def test_a_repo_that_is_none_is_told_as_that(made: Tiny, tmp_path: Path) -> None:
    paths = Paths(made.path)
    asked = (
        lambda repo: db.db_list(paths, ["x"], repo=repo),
        lambda repo: db.db_diff(paths, "x", "y", repo=repo),
        lambda repo: db.db_version(paths, repo=repo),
        lambda repo: db.db_sbom(paths, kind="spdx", repo=repo),
    )
    for ask in asked:
        with pytest.raises(AptOstreeError, match=f"there is no ostree repo at '{tmp_path}/nope'") as caught:
            ask(tmp_path / "nope")
        assert "--repo" in caught.value.hint and "init" not in caught.value.hint
    with pytest.raises(AptOstreeError) as caught:
        db.db_list(paths, ["no/such"], repo=paths.repo)
    assert caught.value.hint == f"see what there is: ostree refs --repo={paths.repo}"


def test_list(made: Tiny) -> None:
    paths = Paths(made.path)
    (found,) = db.db_list(paths, ["1"])
    assert [p.name for p in found.packages] == ["bar", "foo"]
    (found,) = db.db_list(paths, ["1"], ["f*", "x"])
    assert [p.name for p in found.packages] == ["foo"]
    assert db.db_list(paths)[0].packages == NEW  # offline: what boots next


def test_diff_names_its_sides(made: Tiny) -> None:
    paths = Paths(made.path)
    offline = db.db_diff(paths)
    assert (offline.from_name, offline.to_name) == ("1", "0")
    boot(made, 1)
    pending = db.db_diff(paths)
    assert (pending.from_name, pending.to_name) == ("booted", "pending")
    assert pending.changes == offline.changes == db.db_diff(paths, "0").changes
    back = db.db_diff(paths, "0", "1")
    assert [(c.name, c.kind) for c in back.changes] == [("bar", DiffKind.ADDED), ("foo", DiffKind.DOWNGRADED)]
    boot(made, 0)
    assert db.db_diff(paths).from_name == "rollback"


def test_a_bare_repo(made: Tiny) -> None:
    paths = Paths(Path("/nonexistent"))
    assert db.db_diff(paths, f"{tiny.REF}^", tiny.REF, repo=made.repo).changes
    with pytest.raises(UsageError):
        db.db_list(paths, repo=made.repo)


def test_doctor_looks_and_changes_nothing(made: Tiny) -> None:
    paths = Paths(made.path)
    before = sorted(p.relative_to(made.path) for p in made.path.rglob("*"))
    names = [probe.name for probe in doctor.probes(paths)]
    assert names[:5] == ["ostree directory", "booted marker", "kernel argument", "sysroot loads", "transactions"]
    assert "tool ostree" in names and "repo space" in names and any(n.startswith("boot entry") for n in names)
    assert sorted(p.relative_to(made.path) for p in made.path.rglob("*")) == before


def test_doctor_tells_left_over_work(made: Tiny) -> None:
    paths = Paths(made.path)
    (paths.store.work / "layer-x").mkdir(parents=True)
    (probe,) = [probe for probe in doctor.probes(paths) if probe.name == "work directories"]
    assert probe.state == "warning" and "cleanup" in probe.hint


def test_tools() -> None:
    assert doctor.tool_probe(doctor.Tool(program="ostree", minimum="2022.7")).state == "ok"
    assert doctor.tool_probe(doctor.Tool(program="ostree", minimum="9999")).state == "failed"
    assert doctor.tool_probe(doctor.Tool(program="no-such-tool", minimum="1")).state == "failed"
    assert doctor.tool_probe(doctor.Tool(program="no-such-tool", minimum="1", only_for="x")).state == "warning"


def test_file_system_of_a_path(tmp_path: Path) -> None:
    info = f"""1 0 8:1 / / rw - ext4 /dev/sda1 rw
2 1 8:2 / {tmp_path} rw - xfs /dev/sdb1 rw
3 1 8:3 / {tmp_path}\\040x rw - vfat /dev/sdc1 rw
4 2 8:4 / {tmp_path} rw shared:1 - btrfs /dev/sdd1 rw
"""
    assert doctor.filesystem(tmp_path / "a", info) == "btrfs"
    assert doctor.filesystem(Path(f"{tmp_path} x"), info) == "vfat"
    assert doctor.filesystem(Path("/"), info) == "ext4"
