"""Package sources that misbehave for a while."""

from __future__ import annotations

from pathlib import Path

import pytest

from apt_ostree import aptroot
from apt_ostree.errors import AptOstreeError, VerificationError
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


def test_a_suite_that_is_not_there_is_told_as_that(http_repo: LocalRepo, work: Path) -> None:
    source = work / "etc/apt/sources.list.d/web.sources"
    root(http_repo, work)
    source.write_text(source.read_text().replace("Suites: stable", "Suites: stabel"))
    state = aptroot.BaseState(status="", extended_states="", architectures=("amd64",))
    made = aptroot.build(work / "apt", state, aptroot.SourceTree(etc_apt=work / "etc/apt", root=work))
    with pytest.raises(AptOstreeError, match=f"the archive {http_repo.uri} has no suite 'stabel'") as caught:
        made.refresh(lambda _line: None)
    assert (caught.value.code, caught.value.exit_code) == ("no-suite", 1)


def test_an_archive_without_a_signature_is_not_taken(http_repo: LocalRepo, work: Path) -> None:
    for name in ("InRelease", "Release.gpg"):
        (http_repo.dist / name).unlink()
    with pytest.raises(VerificationError):
        root(http_repo, work).refresh(lambda _line: None)
