"""The words of a refusal."""

from __future__ import annotations

from apt_ostree import refusals

# as apt-get(8) says it
SAID = (
    "Reading package lists...",
    "E: Version '99' for 'htop' was not found",
    "E: Release 'trixei' for 'foo:i386' was not found",
)


def test_a_version_that_is_not_there_is_told_with_those_that_are() -> None:
    offers = [("htop", f"3.{number}", "http://deb.example.org trixie/main amd64 Packages") for number in range(9)]
    error = refusals.no_version(refusals.unavailable(SAID), [*offers, offers[0], ("other", "1", "http://x")])
    assert error.message == "htop has no version '99'; foo:i386 is in no suite 'trixei'"
    assert error.details[0] == "there is htop 3.0 in http://deb.example.org trixie/main amd64"
    assert len(error.details) == 7 and error.details[-1] == "and 3 more"
    assert "htop=3.0" in error.hint and error.exit_code == 3


def test_what_is_available_is_told_as_nothing_else() -> None:
    assert refusals.unavailable(["E: Unable to correct problems, you have held broken packages."]) == ()
    assert refusals.no_version(refusals.unavailable(SAID), []).details == ("no source has any",)
