"""The record of the checks after a boot, and where a rollback goes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from apt_ostree import health, records, transaction
from apt_ostree.context import Context, Options
from apt_ostree.errors import AptOstreeError
from apt_ostree.health import Book
from apt_ostree.model import Commit, Deployment, Origin, Plan, TransactionKind
from apt_ostree.paths import Paths
from apt_ostree.report import NullReporter
from apt_ostree.states import Health, HealthState

GOOD, BAD, UNTESTED = HealthState.GOOD, HealthState.BAD, HealthState.UNTESTED


def deployment(index: int, letter: str, *, osname: str = "debian", staged: bool = False) -> Deployment:
    checksum = letter * 64
    return Deployment(
        index=index, osname=osname, checksum=checksum, serial=0, path=Path("/x"), origin=Origin(),
        commit=Commit(checksum=checksum), staged=staged,
    )  # fmt: skip


A, B, C = deployment(0, "a"), deployment(1, "b"), deployment(2, "c")


def book(**states: HealthState) -> Book:
    named = {"a": A, "b": B, "c": C}
    return Book(entries={named[key].id: Health(state=value, when=ord(key)) for key, value in states.items()})


@pytest.mark.parametrize(
    ("known", "wanted"),
    [
        (book(), B),
        (book(c=GOOD), C),
        (book(b=GOOD, c=GOOD), C),
        (book(b=BAD), C),
        (book(b=BAD, c=BAD), None),
        (Book(rolled_back_to=A.id), None),
        (Book(rolled_back_to=B.id), B),
    ],
)
def test_the_way_back(known: Book, wanted: Deployment | None) -> None:
    assert health.way_back(known, (A, B, C), A) == wanted


def test_only_deployments_that_can_be_booted_are_a_way_back() -> None:
    others = (deployment(0, "d", staged=True), A, deployment(2, "e", osname="lab"))
    assert health.way_back(Book(), others, A) is None


def test_the_record_comes_back_without_what_is_gone(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    path = health.file_of(paths, "debian")
    entry = Health(state=BAD, failed=("10-x",), when=5)
    health.write(path, Book(entries={A.id: entry, B.id: entry}, rolled_back_from=A.id, rolled_back_to=B.id), [A])
    found = health.read(paths, "debian")
    assert dict(found.entries) == {A.id: entry} and found.rolled_back_to == B.id
    assert health.known_bad(paths, "debian", A.checksum) == "10-x"
    assert health.known_bad(paths, "debian", B.checksum) == health.known_bad(paths, "lab", A.checksum) == ""


def test_a_damaged_record_says_nothing(tmp_path: Path) -> None:
    assert health.parse({"deployments": [1], "rollback": 3}) == Book()
    strange = health.parse({"deployments": {"x": 1, "y": {"state": "great", "failed": "no", "when": "now"}}})
    assert dict(strange.entries) == {"y": Health()}
    path = health.file_of(Paths(tmp_path), "debian")
    records.write(path, {"deployments": None})
    assert health.read(Paths(tmp_path), "debian").of(A) == Health()


def test_what_was_found_bad_is_warned_of_and_refused_to_a_timer(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    health.write(health.file_of(paths, "debian"), Book(entries={A.id: Health(state=BAD, failed=("10-x",))}), [A])
    plan = Plan(
        kind=TransactionKind.UPGRADE, command="x", stateroot="debian", origin=Origin(), base=A.commit, merge=None
    )
    for avoid in (False, True):
        context = Context(paths=paths, reporter=NullReporter(), options=Options(avoid_bad=avoid))
        guard: Any = SimpleNamespace(context=context)
        assert transaction._warn_of_bad(guard, plan, B.checksum) == plan
        if avoid:
            with pytest.raises(AptOstreeError, match="10-x failed"):
                transaction._warn_of_bad(guard, plan, A.checksum)
        else:
            assert "10-x failed" in transaction._warn_of_bad(guard, plan, A.checksum).warnings[0]
