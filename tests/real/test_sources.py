"""Package sources that misbehave for a while."""

from __future__ import annotations

from pathlib import Path

import pytest

from apt_ostree import aptroot
from apt_ostree.errors import AptOstreeError
from tests.support.archive import LocalRepo
from tests.support.debs import DebBuilder

pytestmark = pytest.mark.real


def root(archive: LocalRepo, work: Path) -> aptroot.AptRoot:
    """A private apt root whose only source is the archive."""
    etc = work / "etc/apt"
    (etc / "sources.list.d").mkdir(parents=True)
    (etc / "sources.list.d/web.sources").write_text(archive.sources())
    state = aptroot.BaseState(status="", extended_states="", architectures=("amd64",))
    (work / "apt").mkdir()
    return aptroot.build(work / "apt", state, aptroot.SourceTree(etc_apt=etc, root=work))


def half_synchronised(archive: LocalRepo) -> tuple[Path, bytes]:
    """Give a mirror an index that is not yet the one its Release file names; returns what heals it."""
    index = archive.dist / "main/binary-amd64/Packages"
    good = index.read_bytes()
    index.write_bytes(good + b"\n")
    return index, good


def test_a_mirror_in_synchronisation_is_waited_for(
    http_repo: LocalRepo, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aptroot, "SYNC_PAUSES", (0.0, 0.0))
    http_repo.publish(DebBuilder(name="foo"))
    index, good = half_synchronised(http_repo)
    told: list[str] = []

    def listen(line: str) -> None:
        told.append(line)
        if "trying again" in line:
            index.write_bytes(good)

    made = root(http_repo, work)
    made.refresh(listen)
    assert sum("trying again" in line for line in told) == 1, told
    assert made.age() is not None


def test_a_mirror_that_stays_so_is_an_error(http_repo: LocalRepo, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aptroot, "SYNC_PAUSES", (0.0, 0.0))
    http_repo.publish(DebBuilder(name="foo"))
    half_synchronised(http_repo)
    made, told = root(http_repo, work), list[str]()
    with pytest.raises(AptOstreeError) as caught:
        made.refresh(told.append)
    assert caught.value.code == "refresh-failed" and any(aptroot.IN_SYNC in line for line in caught.value.details)
    assert sum("trying again" in line for line in told) == 2 and made.age() is None
