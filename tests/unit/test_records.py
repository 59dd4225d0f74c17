"""Records on disk and the settings of boot: what is damaged or somebody else's is passed over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from apt_ostree import records, staged
from apt_ostree.model import Commit, Deployment, Origin

SUM = "a" * 64
GOOD: dict[str, Any] = {
    "osname": "debian", "checksum": SUM, "serial": 1, "origin": "[origin]\nrefspec=x\n", "kargs": ["a", 'b="c d"'],
    "locked": True, "boot-id": "old",
}  # fmt: skip


def test_a_record_is_read_as_written(tmp_path: Path) -> None:
    path = tmp_path / "below/record.json"
    assert records.read(path) == {}
    records.write(path, GOOD)
    assert records.read(path) == GOOD and [entry.name for entry in path.parent.iterdir()] == ["record.json"]
    found = staged.parse(records.read(path))
    assert found is not None and found.kargs == ("a", 'b="c d"') and found.locked and found.id == f"debian-{SUM}.1"


@pytest.mark.parametrize("content", ["", "[1]", "{", "\0", "[" * 100000, '"x"'])
def test_damage_is_no_record(tmp_path: Path, content: str) -> None:
    (tmp_path / "r").write_text(content)
    assert records.read(tmp_path / "r") == {}
    (tmp_path / "link").symlink_to("/etc/passwd")
    assert records.read(tmp_path / "link") == {} and records.read(tmp_path) == {}


@pytest.mark.parametrize(
    "spoiled",
    [{"checksum": "../x"}, {"osname": "../../etc"}, {"osname": "-x"}, {"serial": "1"}, {"serial": -1}, {"origin": 5},
     {"boot-id": ""}, {"checksum": None}],
)  # fmt: skip
def test_a_spoiled_record_stages_nothing(spoiled: dict[str, Any]) -> None:
    assert staged.parse({**GOOD, **spoiled}) is None


def test_what_counts_as_lost() -> None:
    record = staged.parse(GOOD)
    assert record is not None
    made = Deployment(
        index=0, osname="debian", checksum=SUM, serial=1, path=Path("/x"), origin=Origin(), commit=Commit(checksum=SUM)
    )
    assert staged.lost(record, (), "new") and not staged.lost(record, (), "old")
    assert not staged.lost(record, (made,), "new")
