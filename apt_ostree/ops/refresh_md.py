"""refresh-md: fetch the package lists of the sources the next deployment would use."""

from __future__ import annotations

from dataclasses import dataclass

from apt_ostree import aptroot, guarding, host, transaction
from apt_ostree.context import Context
from apt_ostree.model import Result
from apt_ostree.planning import situate
from apt_ostree.report import OutputLine, phase
from apt_ostree.resolving import base_state


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`force`: also when the lists are still fresh."""

    force: bool = True


def run(context: Context, request: Request) -> Result:
    """Refresh the package lists. Raises VerificationError, AptOstreeError."""
    host.require_ostree(context.paths)
    with guarding.guarded(context, context.paths.store, None) as guard:
        situation = situate(guard.context)
        state = base_state(context.paths.repo, situation.base.checksum)
        source = aptroot.SourceTree(etc_apt=situation.merge.path / "etc/apt", root=situation.merge.path)
        directory = transaction.apt_directory(context.paths.store)
        root = aptroot.build(directory, state, source, disabled=context.options.disable_repos)
        age = root.age()
        if request.force or age is None:
            with phase(guard.context.reporter, "refresh", "Refreshing package lists"):
                root.refresh(lambda line: guard.context.reporter.event(OutputLine(line=line)))
        return Result(
            command=context.options.command,
            changed=False,
            duration=guard.durations.seconds,
            message="Package lists are up to date.",
        )
