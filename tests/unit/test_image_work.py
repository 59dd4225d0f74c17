"""The work directory of compose image, and somebody else's sweep at the worst moment."""

from __future__ import annotations

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
