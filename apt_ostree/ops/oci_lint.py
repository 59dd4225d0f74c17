"""oci lint: a tree, wherever it is, is held to the rules of images."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from apt_ostree import repos
from apt_ostree.lint import registry
from apt_ostree.linting import Description, Report
from apt_ostree.oci import fetch, importing
from apt_ostree.oci.names import Reference
from apt_ostree.report import Reporter
from apt_ostree.tools import ostree, skopeo
from apt_ostree.tools.skopeo import Access
from apt_ostree.view.commit import open_commit
from apt_ostree.view.directory import open_directory
from apt_ostree.view.model import View


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Look at `target`: a revision of `repo`, or without one a directory; or at an `image`."""

    target: str
    repo: Path | None = None
    image: Reference | None = None
    access: Access = field(default_factory=Access)
    skip: tuple[str, ...] = ()
    fatal_warnings: bool = False


def descriptions() -> tuple[Description, ...]:
    """Every lint there is."""
    return registry.descriptions()


def run(request: Request, reporter: Reporter) -> Report:
    """What was found.

    Raises UsageError for an unknown lint, AptOstreeError for a target that is none, BadImageError, NotRootError.
    """
    registry.check_names(request.skip)
    with open_target(request, reporter) as view:
        return registry.run(view, skip=request.skip, strict=request.fatal_warnings)


@contextmanager
def open_target(request: Request, reporter: Reporter) -> Iterator[View]:
    """The tree to look at, as long as it is needed: one branch for each kind of target.

    A kind that must be fetched or unpacked first does that here, in a private directory that is gone afterwards.
    """
    if request.repo is not None:
        repos.require(request.repo)
        yield open_commit(request.repo, repos.resolve(request.repo, request.target), name=request.target)
    elif request.image is not None:
        with tempfile.TemporaryDirectory(dir=skopeo.big_files(), prefix="apt-ostree-lint-") as folder:
            repo = Path(folder) / "repo"
            ostree.init(repo, mode="bare" if os.geteuid() == 0 else "archive", settings={"core.fsync": "false"})
            with fetch.opened(request.image, request.access) as image:
                commit = importing.pull(image, repo, reporter).commit
            yield open_commit(repo, commit, name=request.target)
    else:
        yield open_directory(Path(request.target).absolute())
