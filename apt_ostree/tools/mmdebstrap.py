"""mmdebstrap(1): bootstrap a Debian tree out of an archive."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from apt_ostree import run


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrap:
    """One call. `sources` are lines of sources.list(5) (none: the archive mmdebstrap knows for the suite)."""

    suite: str
    target: Path
    variant: str
    architectures: Sequence[str]  # the native one first
    components: Sequence[str]
    packages: Sequence[str]
    sources: Sequence[str]
    apt_options: Sequence[str]
    dpkg_options: Sequence[str]
    skip: Sequence[str]
    setup_hooks: Sequence[str]
    customize_hooks: Sequence[str]


def argv(job: Bootstrap) -> tuple[str, ...]:
    """The complete command line."""
    return (
        "mmdebstrap",
        "--mode=root",
        "--format=directory",
        "--verbose",
        f"--variant={job.variant}",
        f"--architectures={','.join(job.architectures)}",
        f"--components={','.join(job.components)}",
        *([f"--include={','.join(job.packages)}"] if job.packages else []),
        *(f"--aptopt={option}" for option in job.apt_options),
        *(f"--dpkgopt={option}" for option in job.dpkg_options),
        *([f"--skip={','.join(job.skip)}"] if job.skip else []),
        *(f"--setup-hook={hook}" for hook in job.setup_hooks),
        *(f"--customize-hook={hook}" for hook in job.customize_hooks),
        job.suite,
        str(job.target),
        *job.sources,
    )


def bootstrap(words: Sequence[str], on_line: Callable[[str], None], *, env: Mapping[str, str]) -> None:
    """Run a command line made by `argv`. Raises ToolError, ToolMissingError."""
    run.stream(words, on_line, env={**run.proxies(), **env})


def check() -> None:
    """Raise ToolMissingError when mmdebstrap is not installed."""
    run.capture(["mmdebstrap", "--version"])
