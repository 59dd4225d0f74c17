"""What apt says when it cannot fetch package lists, and what we make of it."""

from __future__ import annotations

import pytest

from apt_ostree import unfetched
from apt_ostree.errors import VerificationError

# as apt 3.0 says it: the reason stands below the Err: line, the E: line comes last
NO_SUITE = """\
Ign:1 http://deb.example.org/debian trixei InRelease
Err:2 http://deb.example.org/debian trixei Release
  404  Not Found [IP: 192.0.2.1 80]
Reading package lists...
E: The repository 'http://deb.example.org/debian trixei Release' does not have a Release file."""
NO_FILE = """\
Err:2 file:/srv/archive nosuch Release
  File not found - /srv/archive/dists/nosuch/Release (2: No such file or directory)
E: The repository 'file:/srv/archive nosuch Release' no longer has a Release file."""
UNSIGNED = """\
Get:2 http://deb.example.org/debian trixie Release [14 B]
Ign:3 http://deb.example.org/debian trixie Release.gpg
E: The repository 'http://deb.example.org/debian trixie Release' is not signed."""
REFUSED = NO_SUITE.replace("404  Not Found", "403  Forbidden")
UNREACHED = """\
Err:1 http://deb.example.org/debian trixie InRelease
  Could not connect to deb.example.org:80
E: Failed to fetch http://deb.example.org/debian/dists/trixie/InRelease  Could not connect to deb.example.org:80
E: Some index files failed to download. They have been ignored, or old ones used instead."""
OTHER_KEY = """\
Err:1 http://deb.example.org/debian trixie InRelease
  The following signatures couldn't be verified because the public key is not available: NO_PUBKEY 0123
W: GPG error: http://deb.example.org/debian trixie InRelease: signatures couldn't be verified: NO_PUBKEY 0123"""


@pytest.mark.parametrize(
    ("said", "code", "message"),
    [
        (NO_SUITE, "no-suite", "the archive http://deb.example.org/debian has no suite 'trixei'"),
        (NO_FILE, "no-suite", "the archive file:/srv/archive has no suite 'nosuch'"),
        (REFUSED, "refresh-failed", "could not be fetched"),
        (UNREACHED, "refresh-failed", "could not be fetched"),
        (UNSIGNED, "verification", "cannot be verified"),
        (OTHER_KEY, "verification", "cannot be verified"),
        (f"{NO_SUITE}\n{UNSIGNED}", "verification", "cannot be verified"),
    ],
)
def test_why_lists_are_not_here(said: str, code: str, message: str) -> None:
    lines = said.splitlines()
    error = unfetched.error(lines, lines[-25:], unfetched.ON_A_SYSTEM)
    assert error.code == code and message in error.message
    assert (error.exit_code == 7) == (code == "verification") == isinstance(error, VerificationError)
    assert error.details and error.hint


def test_the_reason_is_among_the_details() -> None:
    lines = REFUSED.splitlines()
    assert "403" in "".join(unfetched.error(lines, lines, unfetched.ON_A_SYSTEM).details)
