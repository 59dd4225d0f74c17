"""The work directory of compose image, and somebody else's sweep at the worst moment."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from apt_ostree import image


@pytest.mark.parametrize("moment", ["image-work", "image-lock"])
def test_a_sweep_takes_nothing_from_a_run_that_is_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """It may take the empty directory of one that has just begun: that goes on with another."""
    target, swept = tmp_path / "disk.raw", list[bool]()

    def sweep(name: str) -> None:
        if name == moment and not swept:
            before = list(tmp_path.iterdir())
            image.sweep(target)
            swept.append(list(tmp_path.iterdir()) == before)

    monkeypatch.setattr(image, "point", sweep)
    with image._work(target) as work:
        (work / "disk.raw").touch()
        image.sweep(target)
        assert (work / "disk.raw").exists() and list(tmp_path.iterdir()) == [work]
    assert swept == [moment == "image-lock"] and not list(tmp_path.iterdir())


def test_a_name_is_taken_where_there_are_no_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, target = tmp_path / "made", tmp_path / "disk.raw"

    def link(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    made.write_text("a disk")
    image._claim(made, target)
    assert target.read_text() == "a disk" and not made.exists()
    made.write_text("another")
    with pytest.raises(FileExistsError):
        image._claim(made, target)
    assert target.read_text() == "a disk" and made.exists()
