"""Why `apt-get update` failed: no such suite, no signature, or no network; and what a person can do about it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from apt_ostree.errors import AptOstreeError, VerificationError

UNVERIFIED = ("NO_PUBKEY", "is not signed", "BADSIG", "EXPKEYSIG", "couldn't be verified", "Hash Sum mismatch",
              "Clearsigned file isn't valid", "not valid yet", "signature")  # fmt: skip
# apt says this whatever the answer was; the line below its Err: tells whether the file is not there
_NO_RELEASE = re.compile(
    r"E: The repository '(?P<uri>\S+) (?P<suite>\S+) Release' (?:does not have|no longer has) a Release file"
)
_NOT_THERE = re.compile(r"\s+(?:404\s|File not found)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What helps, in words of the commands that use these sources."""

    unknown: str = "sudo apt-ostree refresh-md"  # a package that no list has
    none: str = "no package lists are here: sudo apt-ostree refresh-md"
    stale: str = "sudo apt-ostree refresh-md, then repeat the command"  # the archive has others than the lists say
    suite: str = "look at the suites of the sources in /etc/apt, or leave the source out with --disable-repo NAME"
    key: str = "give the source its key with Signed-By, or leave it out with --disable-repo NAME"
    network: str = (
        "check the network, leave the source out with --disable-repo NAME, "
        "or use what was fetched before with --cache-only"
    )


ON_A_SYSTEM = Advice()
_AGAIN = "run it again without --cache-only"


def in_a_base(*, cache_only: bool) -> Advice:
    """For a commit of a repository, which no system is around: its own sources count."""
    return Advice(
        unknown=_AGAIN if cache_only else "the sources are those of the base: look at its /etc/apt",
        none=f"no package lists are here: {_AGAIN}"
        if cache_only
        else "the base has no package sources in its /etc/apt",
        stale=_AGAIN if cache_only else "repeat the command later: the archive is being changed",
        suite="look at the suites of the sources in the base's /etc/apt, or leave one out with --disable-repo NAME",
    )


def of_a_treefile(*, cache_only: bool) -> Advice:
    """For a tree that is made: the treefile names the sources, and lists are fetched anew each time."""
    return Advice(
        unknown=_AGAIN if cache_only else "look at packages, suite and mirrors of the treefile",
        none=f"no package lists are here: {_AGAIN}" if cache_only else "look at suite and mirrors of the treefile",
        stale=_AGAIN if cache_only else "repeat the command: package lists are fetched anew",
        suite="look at suite and mirrors of the treefile",
        key="give the mirror its key with signed-by in the treefile",
        network="check the network, and mirrors in the treefile, or use what was fetched before with --cache-only",
    )


def error(said: Sequence[str], details: Sequence[str], advice: Advice) -> AptOstreeError:
    """The error for what apt `said`, of which `details` are the last lines.

    VerificationError when a source does not verify, code `no-suite` when an archive has none of that name, else
    `refresh-failed`.
    """
    told = [line for line in details if line.startswith(("E:", "W:", "Err:", "  "))] or list(details)
    if any(sign in line for line in told for sign in UNVERIFIED):
        return VerificationError("a package source cannot be verified", hint=advice.key, details=told)
    absent = [match for match in map(_NO_RELEASE.match, told) if match]
    if absent and all(_not_there(said, match["uri"], match["suite"]) for match in absent):
        return AptOstreeError(
            "; ".join(f"the archive {match['uri']} has no suite '{match['suite']}'" for match in absent),
            hint=advice.suite,
            details=told,
            code="no-suite",
        )
    return AptOstreeError(
        "the package lists could not be fetched", hint=advice.network, details=told, code="refresh-failed"
    )


def _not_there(said: Sequence[str], uri: str, suite: str) -> bool:
    """True when the archive answered, and that there is no such Release file."""
    for line, below in pairwise(said):
        if line.startswith("Err:") and line.endswith(f" {uri} {suite} Release"):
            return _NOT_THERE.match(below) is not None
    return False
