"""Completions for bash, zsh and fish, from the command tree.

The words of the command line itself stand in the scripts, so TAB costs nothing; names of packages come from
`apt-cache pkgnames`, and what only the program knows (requests, revisions) it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from apt_ostree.cli import completion_bash, completion_fish, completion_zsh
from apt_ostree.cli.pages import PROGRAM, Page

WRITERS: dict[str, Callable[[Sequence[Page]], str]] = {
    PROGRAM: completion_bash.script,
    f"_{PROGRAM}": completion_zsh.script,
    f"{PROGRAM}.fish": completion_fish.script,
}


def scripts(pages: Sequence[Page]) -> dict[str, str]:
    """File name -> text, named as the shells look for them."""
    return {name: write(pages) for name, write in WRITERS.items()}
