"""cp(1) and rm(1), where Python's own would lose owners, times or extended attributes, or give up half way."""

from __future__ import annotations

from pathlib import Path

from apt_ostree import run


def copy_contents(source: Path, target: Path) -> None:
    """`cp --archive` of what is in a directory into another that exists."""
    run.capture(["cp", "--archive", "--reflink=auto", "--no-target-directory", source, target])


def remove(*paths: Path) -> None:
    """`rm -rf` of whole trees, however deep: shutil.rmtree calls itself for each level. What cannot go stays."""
    if paths:
        run.capture(["rm", "-rf", "--one-file-system", "--", *paths], check=False)


def disk_usage(*paths: Path) -> int:
    """`du`: bytes that files take together, each counted once however many links it has."""
    done = run.capture(["du", "--summarize", "--total", "--block-size=1", "--", *paths])
    return int(done.stdout.splitlines()[-1].split()[0])
