"""GVariants as ostree writes them, and bytes that are none."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from apt_ostree import commits, gvariant
from tests.support import tiny

METADATA = {
    "one": "'a string with \"quotes\" and ü'",
    "list": "['debian/13', '', 'x']",
    "empty": "@as []",
    "yes": "true",
    "small": "int16 -3",
    "big": "uint64 18446744073709551615",
    "bytes": "[byte 0x00, 0xff]",
    "pairs": "[('a', uint32 1), ('bc', 2)]",
    "fixed": "[(byte 0x01, uint32 7), (0x02, 8)]",
    "dict": "{'k': <'v'>, 'inner': <{'deep': <int32 5>}>}",
}
EXPECTED = {
    "one": 'a string with "quotes" and ü',
    "list": ["debian/13", "", "x"],
    "empty": [],
    "yes": True,
    "small": -3,
    "big": 2**64 - 1,
    "bytes": b"\x00\xff",
    "pairs": [("a", 1), ("bc", 2)],
    "fixed": [(1, 7), (2, 8)],
    "dict": {"k": "v", "inner": {"deep": 5}},
}


@pytest.fixture(scope="module", params=[10, 70000], ids=["small", "big"])
def commit_bytes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A commit object; the big one has framing offsets of four bytes."""
    folder = tmp_path_factory.mktemp("gvariant")
    made = tiny.sysroot(folder / "sysroot")
    options = [f"--add-metadata={key}={value}" for key, value in METADATA.items()]
    options.append(f"--add-metadata-string=long={'x' * request.param}")
    checksum = made.commit(tiny.tree(folder / "tree"), options=options)
    return (made.repo / "objects" / checksum[:2] / f"{checksum[2:]}.commit").read_bytes()


def test_values_of_every_kind_are_read(commit_bytes: bytes) -> None:
    metadata = gvariant.decode(commit_bytes, commits.TYPE)[0]
    assert {key: metadata[key] for key in EXPECTED} == EXPECTED
    assert metadata["long"] in ("x" * 10, "x" * 70000)


def test_damaged_bytes_are_refused_and_nothing_else_happens(commit_bytes: bytes) -> None:
    chance = random.Random(7)  # noqa: S311 (the same damage in every run)
    refused = 0
    for round_ in range(2000):
        data = bytearray(commit_bytes)
        for _ in range(chance.randint(1, 4)):
            data[-chance.randrange(1, min(len(data), 1200))] = chance.randrange(256)
        if round_ % 4 == 0:
            del data[chance.randint(1, len(data)) :]
        try:
            gvariant.decode(bytes(data), commits.TYPE)
        except gvariant.GVariantError:
            refused += 1
    assert refused > 500


def test_a_type_that_goes_on_and_on_is_refused() -> None:
    with pytest.raises(gvariant.GVariantError):
        gvariant.decode(b"\0" + b"a" * 100_000 + b"y", "v")


@pytest.mark.parametrize(
    "kind", ["", "a", "(s", "ss", "Z", "{sv", "a{s}", "a{sss}", "a{ass}", "a{vs}", "(" * 24 + "y" + ")" * 24]
)
def test_malformed_types_are_refused(kind: str) -> None:
    with pytest.raises(gvariant.GVariantError):
        gvariant.decode(b"\0\0\0\0", kind)


def test_values_of_a_nested_type_are_read_in_no_time() -> None:
    begun = time.process_time()
    gvariant.decode(b"\0" * 20_000, "a" + "(" * 12 + "y" + ")" * 12)
    assert time.process_time() - begun < 5


def test_keys_of_a_dictionary_are_basic() -> None:
    entry = gvariant.encode((["a"], "b"), "(ass)")
    with pytest.raises(gvariant.GVariantError, match="not a key and a value"):
        gvariant.decode(gvariant.frame(entry, [len(entry)]), "a{ass}")


def test_a_string_ends_with_its_zero() -> None:
    with pytest.raises(gvariant.GVariantError, match="zero in it"):
        gvariant.decode(b"a\0b\0", "s")


def test_nesting_has_an_end() -> None:
    data = b"\0\0s"
    for _ in range(60):
        data += b"\0v"
    with pytest.raises(gvariant.GVariantError, match="deeply"):
        gvariant.decode(data, "v")


def test_a_repo_that_is_not_ours_names_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(commits.CommitError, match="not in the repo"):
        commits.load(tmp_path, "0" * 64)
    with pytest.raises(commits.CommitError, match="not the checksum"):
        commits.load(tmp_path, "../../etc/passwd")
