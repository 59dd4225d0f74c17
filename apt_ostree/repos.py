"""Repos that stand alone: is this one, of which mode, and what does a name mean in it?"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from pathlib import Path

from apt_ostree.errors import AptOstreeError, ToolError, UsageError
from apt_ostree.publishing import CONTAINER_REFS
from apt_ostree.tools import ostree

MODES = ("archive", "bare-user", "bare")
_MODE = re.compile(r"^\s*mode\s*=\s*(\S+)", re.MULTILINE)
_NOT_FOUND = re.compile(r"error: Refspec '.*' not found")  # what we say ourselves, and better
_ARCHIVE = "archive-z2"  # how ostree.repo-config(5) spells it in the file


def is_repo(path: Path) -> bool:
    """True for an ostree repo."""
    return (path / "objects").is_dir() and (path / "config").is_file()


def require(repo: Path, *, mode: str = "") -> None:
    """Raises AptOstreeError (code `no-repo`) for what is no repo; the hint makes one of that mode (empty: of any)."""
    if not is_repo(repo):
        how = f"apt-ostree repo init {shlex.quote(str(repo))}{f' --mode {mode}' if mode else ''}"
        raise AptOstreeError(f"there is no ostree repo at '{repo}'", hint=how, code="no-repo")


def mode(repo: Path) -> str:
    """The mode of a repo, as `ostree init --mode` has it."""
    found = _MODE.search((repo / "config").read_text(errors="replace"))
    name = found[1] if found else "bare"
    return "archive" if name == _ARCHIVE else name


def parent(repo: Path) -> Path | None:
    """The repo that this one takes objects from too (ostree.repo-config(5), `core.parent`)."""
    for line in (repo / "config").read_text(errors="replace").splitlines():
        key, _, value = line.partition("=")
        if key.strip() == "parent":
            return Path(value.strip())
    return None


def branches(repo: Path) -> dict[str, str]:
    """Branches of the repo itself, no remote's, and where they stand. Raises AptOstreeError."""
    names = sorted(name for name in ostree.refs(repo) if ":" not in name)
    return {name: resolve(repo, name) for name in names}


def check_branch(ref: str, others: Iterable[str], *, of: str = "") -> None:
    """Raise UsageError for a branch that cannot be made beside the others: refs are files, so none lies below another.

    `of` tells whose branch it is.
    """
    for other in others:
        if other.startswith(f"{ref}/") or ref.startswith(f"{other}/"):
            raise UsageError(
                f"the ref '{ref}'{of} cannot be beside '{other}': one is a folder of the other",
                hint="refs are files of the repo; take names like debian/13/x86_64/desktop",
            )


def published(repo: Path) -> dict[str, str]:
    """The branches that somebody made, without the refs that keep imported images. Raises AptOstreeError."""
    return {name: commit for name, commit in branches(repo).items() if not name.startswith(CONTAINER_REFS)}


def resolve(repo: Path, revision: str) -> str:
    """The checksum a branch or a checksum means. Raises AptOstreeError (code `no-revision`)."""
    try:
        return ostree.rev_parse(repo, revision)
    except ToolError as error:
        said = () if any(_NOT_FOUND.fullmatch(line) for line in error.details) else error.details
        raise AptOstreeError(
            f"there is no ref '{revision}' in '{repo}'", details=said, hint=near(repo, revision), code="no-revision"
        ) from error


def near(repo: Path, name: str) -> str:
    """A hint for who named a ref that is not there: those with names like it, and how to see all. Raises ToolError."""
    from difflib import get_close_matches  # only who misspells one waits for it

    have = sorted(ref for ref in ostree.refs(repo) if not ref.startswith(CONTAINER_REFS))
    found = get_close_matches(name, have, n=3)
    look = f"ostree refs --repo={shlex.quote(str(repo))}"
    return f"did you mean {' or '.join(found)}? See: {look}" if found else f"see what there is: {look}"
