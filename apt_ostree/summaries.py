"""The summary of a repo: what is in the file, what should be in it, and writing it."""

from __future__ import annotations

from pathlib import Path

from apt_ostree import deltas, gvariant, repos, signatures
from apt_ostree.errors import AptOstreeError, UsageError
from apt_ostree.publishing import Summary
from apt_ostree.signing import Signer
from apt_ostree.tools import ostree

TYPE = "(a(s(taya{sv}))a{sv})"  # OSTREE_SUMMARY_GVARIANT_STRING


def read(repo: Path) -> Summary | None:
    """The summary there is, None without one. Raises AptOstreeError (code `bad-summary`)."""
    try:
        data = (repo / "summary").read_bytes()
    except FileNotFoundError:
        return None
    try:
        entries, metadata = gvariant.decode(data, TYPE)
    except gvariant.GVariantError as error:
        raise AptOstreeError(
            f"the summary of '{repo}' is damaged: {error}", hint=f"rm {repo}/summary", code="bad-summary"
        ) from error
    modified = metadata.get("ostree.summary.last-modified", 0)
    known = metadata.get("ostree.static-deltas", {})
    return Summary(
        branches={name: commit.hex() for name, (_, commit, _) in entries},
        deltas={str(name): digest.hex() for name, digest in known.items() if isinstance(digest, bytes)},
        modified=int.from_bytes(modified.to_bytes(8, "little"), "big") if isinstance(modified, int) else 0,
        signed_by=signatures.of_file(repo / "summary.sig"),
    )


def is_current(repo: Path, summary: Summary | None, signer: Signer) -> bool:
    """True when a summary tells of every branch and delta as they are, and the keys have signed it."""
    if summary is None or signer.missing(summary.signed_by):
        return False
    known = {name: deltas.digest(repo, name) for name in deltas.names(repo)}
    return dict(summary.branches) == repos.branches(repo) and dict(summary.deltas) == known


def require_key(repo: Path, summary: Summary | None, signer: Signer) -> None:
    """Raises UsageError where a signed summary would lose its signature: clients that ask for it would stop."""
    if summary and (repo / "summary.sig").exists() and not signer.gpg:
        keys = ", ".join(summary.signed_by) or "somebody"
        raise UsageError(
            f"the summary of '{repo}' is signed (by {keys}) and would lose its signature",
            hint="say who signs the new one: --gpg-sign KEYID",
        )


def update(repo: Path, signer: Signer) -> Summary:
    """Write the summary anew, signed by the keys. Raises ToolError."""
    ostree.summary_update(repo, signer.gpg_options)
    return read(repo) or Summary()
