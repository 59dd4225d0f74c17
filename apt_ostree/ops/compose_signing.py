"""Signatures for commits that stand: composing nothing is no reason to leave out what --gpg-sign promises."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from apt_ostree import signatures
from apt_ostree.compose import tree
from apt_ostree.model import MadeCommit
from apt_ostree.tools import ostree

Lacking = Mapping[str, tuple[str, ...]]


def lacking(target: tree.Target, kept: Iterable[MadeCommit]) -> Lacking:
    """By checksum, the wanted keys that have not signed a commit; without those that all have signed."""
    found = {
        commit.checksum: target.signer.missing(signatures.of_commit(target.repo, commit.checksum)) for commit in kept
    }
    return {checksum: keys for checksum, keys in found.items() if keys}


def sign(target: tree.Target, wanted: Lacking) -> None:
    """Add what is lacking, as `repo sign` does; the checksums stay. The caller holds the lock. Raises ToolError."""
    for checksum, keys in wanted.items():
        ostree.gpg_sign(target.repo, checksum, keys, target.signer.gpg_home)


def would(kept: Iterable[MadeCommit], wanted: Lacking) -> tuple[str, ...]:
    """What there is to be signed, in words."""
    return tuple(
        f"{commit.ref} would be signed by {', '.join(wanted[commit.checksum])}"
        for commit in kept
        if commit.checksum in wanted
    )


def done(commit: MadeCommit, wanted: Lacking) -> str:
    """How it is told that a commit was signed; empty: it had every signature."""
    keys = wanted.get(commit.checksum, ())
    return f", now signed by {', '.join(keys)}" if keys else ""
