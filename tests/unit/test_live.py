"""apply-live's parts: what /etc follows, what is left alone, whose files are mapped, what a record may say."""

from __future__ import annotations

from pathlib import Path

import pytest

from apt_ostree import records
from apt_ostree.live import etc, record, services
from apt_ostree.model import Commit, Deployment, Origin
from apt_ostree.paths import Paths


def make(root: Path, files: dict[str, str]) -> Path:
    root.mkdir()
    for rel, text in files.items():
        (root / rel).parent.mkdir(parents=True, exist_ok=True)
        (root / rel).write_text(text)
    return root


def test_etc_follows_forth_and_back(tmp_path: Path) -> None:
    old = make(tmp_path / "old", {"same": "1", "changed": "1", "mine": "1", "gone": "1", "gone-mine": "1", "d/x": "1"})
    new = make(tmp_path / "new", {"same": "1", "changed": "2", "mine": "2", "added": "2", "there": "2", "n/m/y": "2"})
    (new / "link").symlink_to("added")
    here = {"same": "1", "changed": "1", "mine": "me", "gone": "1", "gone-mine": "me", "d/x": "1", "there": "me"}
    live = make(tmp_path / "etc", here)
    moves = etc.plan(old, new, live)
    assert set(moves.touched) == {"changed", "added", "gone", "d", "d/x", "n", "n/m", "n/m/y", "link"}
    assert set(moves.kept) == {"mine", "gone-mine", "there"}
    etc.follow(moves.touched, new, live)
    assert (live / "changed").read_text() == "2" and (live / "n/m/y").read_text() == "2" and not (live / "d").exists()
    assert (live / "link").readlink() == Path("added") and not (live / "gone").exists()
    assert (live / "mine").read_text() == "me" and (live / "there").read_text() == "me"
    assert etc.plan(old, new, live).touched == (), "once more changes nothing"
    back = etc.plan(new, old, live)
    etc.follow(set(back.touched) & set(moves.touched), old, live)
    found = {str(p.relative_to(live)): p.read_text() for p in live.rglob("*") if p.is_file()}
    assert found == here


def test_etc_goes_through_no_link(tmp_path: Path) -> None:
    old, new = make(tmp_path / "old", {}), make(tmp_path / "new", {"d/x": "2"})
    live, elsewhere = make(tmp_path / "etc", {}), make(tmp_path / "elsewhere", {})
    (live / "d").symlink_to(elsewhere)
    moves = etc.plan(old, new, live)
    etc.follow(moves.touched, new, live)
    assert "d/x" in moves.kept and not list(elsewhere.iterdir())


def test_services_that_run_the_old(tmp_path: Path) -> None:
    line = "7f0-7f1 r--p 00000000 fe:00 123   /usr/lib/libx.so.1{}\n"
    for pid, cgroup, maps in (
        ("10", "0::/system.slice/cron.service\n", line.format(" (deleted)")),
        ("11", "0::/user.slice/user-0.slice/session-1.scope\n", line.format("")),
        ("12", "0::/system.slice/other.service\n", "7f0-7f1 r--p 0 0:0 0 \n"),
        ("not-a-pid", "", ""),
    ):
        make(tmp_path / pid, {"cgroup": cgroup, "maps": maps, "comm": "sh\n"})
    assert services.stale(tmp_path, {"/usr/lib/libx.so.1"}) == ("cron.service", "sh (pid 11)")
    assert services.stale(tmp_path, set()) == ()
    folder = "/usr/lib/systemd/system/"
    assert services.units([folder + "b.service", folder + "t@.service", folder + "x.wants/a.service"]) == ("b.service",)


@pytest.mark.parametrize("spoiled", [{"replaced": "../../etc"}, {"inprogress": "x"}, {"etc": ["../shadow", "/x", ""]}])
def test_a_spoiled_record_leads_nowhere(tmp_path: Path, spoiled: dict[str, object]) -> None:
    paths = Paths(tmp_path)
    good = {"deployment": f"debian-{'a' * 64}.0", "boot-id": "b", "replaced": "b" * 64, "etc": ["fine"]}
    records.write(paths.store.root / "live.json", {**good, **spoiled})
    found = record.read(paths)
    assert found.etc == () and found.replaced in ("", "b" * 64) and not found.inprogress


def test_a_record_counts_in_its_boot_only(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    made = Deployment(
        index=0, osname="debian", checksum="a" * 64, serial=0, path=tmp_path, origin=Origin(),
        commit=Commit(checksum="a" * 64), booted=True,
    )  # fmt: skip
    (tmp_path / "proc/sys/kernel/random").mkdir(parents=True)
    (tmp_path / "proc/sys/kernel/random/boot_id").write_text("now\n")
    for boot, there in (("now", True), ("before", False)):
        records.write(
            paths.store.root / "live.json", {"deployment": made.id, "boot-id": boot, "replaced": "b" * 64, "etc": []}
        )
        assert bool(record.current(paths, made).replaced) is there
    assert not record.current(paths, None).replaced
