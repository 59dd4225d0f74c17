"""The words of a refusal."""

from __future__ import annotations

import pytest

from apt_ostree import refusals, unfetched

# as apt-get(8) says it
SAID = (
    "Reading package lists...",
    "E: Version '99' for 'htop' was not found",
    "E: Release 'trixei' for 'foo:i386' was not found",
)


def test_a_version_that_is_not_there_is_told_with_those_that_are() -> None:
    offers = [("htop", f"3.{number}", "http://deb.example.org trixie/main amd64 Packages") for number in range(9)]
    error = refusals.no_version(
        refusals.unavailable(SAID), [*offers, offers[0], ("other", "1", "http://x")], unfetched.ON_A_SYSTEM
    )
    assert error.message == "htop has no version '99'; foo:i386 is in no suite 'trixei'"
    assert error.details[0] == "there is htop 3.0 in http://deb.example.org trixie/main amd64"
    assert len(error.details) == 7 and error.details[-1] == "and 3 more"
    assert "htop=3.0" in error.hint and error.exit_code == 3


def test_what_is_available_is_told_as_nothing_else() -> None:
    assert refusals.unavailable(["E: Unable to correct problems, you have held broken packages."]) == ()
    error = refusals.no_version(refusals.unavailable(SAID), [], unfetched.ON_A_SYSTEM)
    assert error.details == ("no source has any",) and "refresh-md" in error.hint


@pytest.mark.parametrize(
    ("advice", "unknown", "none"),
    [
        (unfetched.ON_A_SYSTEM, "sudo apt-ostree refresh-md", "refresh-md"),
        (unfetched.of_a_treefile(cache_only=False), "the treefile", "the treefile"),
        (unfetched.of_a_treefile(cache_only=True), "without --cache-only", "without --cache-only"),
        (unfetched.in_a_base(cache_only=False), "of the base", "the base"),
        (unfetched.in_a_base(cache_only=True), "without --cache-only", "without --cache-only"),
    ],
)
def test_what_helps_depends_on_where_the_sources_are(advice: unfetched.Advice, unknown: str, none: str) -> None:
    assert unknown in refusals.not_found(["hotp"], ["htop"], advice).hint
    assert none in refusals.not_found(["hotp"], [], advice).hint
    on_system = advice is unfetched.ON_A_SYSTEM
    assert all(("refresh-md" in hint) == on_system for hint in (advice.unknown, advice.none, advice.stale))
