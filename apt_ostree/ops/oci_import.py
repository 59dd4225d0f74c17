"""oci import: a container image as a commit of a repo."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from apt_ostree import repos
from apt_ostree.containers import Imported
from apt_ostree.context import Context
from apt_ostree.oci import fetch, importing, kept
from apt_ostree.oci.importing import Pulled
from apt_ostree.oci.names import Reference
from apt_ostree.ops.repo import publishing
from apt_ostree.report import Durations, TeeReporter
from apt_ostree.tools import ostree
from apt_ostree.tools.skopeo import Access


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Bring `source` into `repo`; `write_ref` is a branch that gets the commit, empty for none."""

    source: Reference
    repo: Path
    write_ref: str = ""
    access: Access = field(default_factory=Access)
    max_size: int = importing.MAX_SIZE


def run(context: Context, request: Request) -> Imported:
    """Import. Raises BadImageError for what does not verify, AptOstreeError, ToolError, ToolMissingError."""
    repos.require(request.repo)
    durations = Durations()
    reporter = TeeReporter(context.reporter, durations)
    if request.write_ref:
        kept.check_ref(request.repo, request.write_ref)
    with publishing(context, request.repo), fetch.opened(request.source, request.access) as image:
        pulled = importing.pull(image, request.repo, reporter, max_size=request.max_size)
        moved = bool(request.write_ref) and _write(request, pulled)
    return Imported(
        command=context.options.command,
        image=str(request.source),
        digest=pulled.digest,
        format=pulled.format,
        commit=pulled.commit,
        base=pulled.base,
        ref=request.write_ref,
        changed=pulled.changed or moved,
        layers=pulled.layers,
        fetched=pulled.fetched,
        fetched_bytes=pulled.fetched_bytes,
        reused_bytes=pulled.reused_bytes,
        warnings=pulled.warnings,
        duration=durations.seconds,
    )


def _write(request: Request, pulled: Pulled) -> bool:
    """Let the branch lead to the commit; True when it led elsewhere."""
    there = request.write_ref in ostree.refs(request.repo)
    if there and ostree.rev_parse(request.repo, request.write_ref) == pulled.commit:
        return False
    ostree.ref_create(request.repo, request.write_ref, pulled.commit)
    return True
