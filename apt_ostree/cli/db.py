"""`apt-ostree db`: packages of commits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from apt_ostree.cli import dynamic
from apt_ostree.cli.common import absolute, group, one_of, paths_of, verb
from apt_ostree.cli.options import Json, Settings, repeated
from apt_ostree.cli.registry import Registry, access
from apt_ostree.cli.screen import show

if TYPE_CHECKING:
    from apt_ostree.oci.names import Reference

FORMATS = "block|diff|json"
SBOMS = "spdx|cyclonedx"
REVISION = "'booted', 'pending', 'rollback', an index of status, a version, a ref or a checksum"


@dataclass(frozen=True, kw_only=True)
class AnyRepo:
    repo: Annotated[
        str, typer.Option("--repo", metavar="DIR", help="Look into this repository, not into the system's.")
    ] = ""


@dataclass(frozen=True, kw_only=True)
class Revisions(AnyRepo, Json):
    revisions: Annotated[
        Optional[list[str]],  # noqa: UP045 (click 8.1 takes no default but None for any number of arguments)
        typer.Argument(
            metavar="REVISION",
            autocompletion=dynamic.revisions,
            help=f"{REVISION[0].upper()}{REVISION[1:]}. Without one: the booted or first deployment.",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class ListOptions(Revisions):
    match: Annotated[
        list[str],
        repeated("--match", "PATTERN", "Only packages whose name fits a shell pattern."),
    ] = field(default_factory=list)


def db_list(settings: Settings, options: ListOptions) -> int:
    """List the packages of a commit.

    Works for deployments and for every commit in the repository that lists its packages.
    """
    from apt_ostree.ops import db as op
    from apt_ostree.ui import db as view

    repo = absolute(options.repo) if options.repo else None
    found = op.db_list(paths_of(settings), options.revisions or (), options.match, repo=repo)
    show(settings, options.json, lambda: view.list_json(found), lambda _theme: view.list_text(found))
    return 0


@dataclass(frozen=True, kw_only=True)
class VersionOptions(Revisions):
    """Options of db version."""


def db_version(settings: Settings, options: VersionOptions) -> int:
    """Show which set of packages a commit has.

    Two commits with the same digest have the same packages in the same versions.
    """
    from apt_ostree.ops import db as op
    from apt_ostree.ui import db as view

    repo = absolute(options.repo) if options.repo else None
    found = op.db_version(paths_of(settings), options.revisions or (), repo=repo)
    show(settings, options.json, lambda: view.version_json(found), lambda _theme: view.version_text(found))
    return 0


@dataclass(frozen=True, kw_only=True)
class DiffOptions(AnyRepo, Json):
    format: Annotated[
        str,
        typer.Option("--format", metavar=FORMATS, help="By kind of change, one line a package, or JSON as --json."),
    ] = "block"
    older: Annotated[
        str, typer.Argument(metavar="FROM", autocompletion=dynamic.revisions, help=f"A revision: {REVISION}.")
    ] = ""
    newer: Annotated[
        str, typer.Argument(metavar="TO", autocompletion=dynamic.revisions, help="The revision to compare with.")
    ] = ""


def db_diff(settings: Settings, options: DiffOptions) -> int:
    """Compare the packages of two commits.

    With one revision, the booted deployment is compared with it. With none, the booted deployment with the one that
    boots next, or else the rollback deployment with the booted one; of a system that is not running, the second
    deployment with the first.

    The JSON is that of rpm-ostree.
    """
    from apt_ostree.ops import db as op
    from apt_ostree.ui import db as view

    one_of("--format", options.format, FORMATS)
    repo = absolute(options.repo) if options.repo else None
    found = op.db_diff(paths_of(settings), options.older, options.newer, repo=repo)
    show(
        settings,
        options.json or options.format == "json",
        lambda: view.diff_json(found),
        lambda theme: view.diff_text(found, style=options.format, theme=theme),
    )
    return 0


@dataclass(frozen=True, kw_only=True)
class SbomOptions(Registry, AnyRepo, Json):
    format: Annotated[
        str, typer.Option("--format", metavar=SBOMS, help="SPDX 2.3 or CycloneDX 1.6; both are JSON, as with --json.")
    ] = "spdx"
    revision: Annotated[
        str,
        typer.Argument(
            metavar="REVISION|IMAGE",
            autocompletion=dynamic.revisions,
            help=f"{REVISION[0].upper()}{REVISION[1:]}. Without one: the booted or first deployment. Or the image it "
            "is attached to: docker://HOST/NAME:TAG or oci:DIR:TAG.",
        ),
    ] = ""


def db_sbom(settings: Settings, options: SbomOptions) -> int:
    """Write the bill of materials of a commit.

    One JSON document: all installed packages with versions, architectures, sources, package URLs and dependencies, as
    dpkg's database in the commit has them. Licences are those that a machine-readable copyright file declares for the
    package's source; where a file is in another format, or names a licence without its text, nothing is asserted.

    The same commit gives the same document, byte for byte: its time is the commit's, its identity is made of the
    commit's checksum. The content of the commit must be in the repository.

    Of an image it is the document that 'oci export --sbom' has attached to it, or whoever else may write to where the
    image is: its digest is looked at, what it says is not.
    """
    from apt_ostree.ops import db as op

    one_of("--format", options.format, SBOMS)
    if not options.repo and (image := _image(options.revision)):
        from apt_ostree.ops import oci_sbom

        attached = oci_sbom.read(image, options.format, access(options))
        show(settings, True, lambda: attached, lambda _theme: "")
        return 0
    repo = absolute(options.repo) if options.repo else None
    document = op.db_sbom(paths_of(settings), options.revision, kind=options.format, repo=repo)
    show(settings, True, lambda: document, lambda _theme: "")  # there is no other form than JSON
    return 0


def _image(text: str) -> Reference | None:
    """The image that is named, None for what is a revision. Raises UsageError."""
    from apt_ostree.oci import names

    return names.parse(text) if names.is_reference(text) else None


def register(app: typer.Typer) -> None:
    db = group(app, "db", """Look at the packages of commits.""")
    verb(
        db,
        "list",
        ListOptions,
        examples="""
        apt-ostree db list
        apt-ostree db list pending --match 'lib*'
        apt-ostree db list --repo repo debian/13/x86_64/minimal
        """,
    )(db_list)
    verb(
        db,
        "diff",
        DiffOptions,
        examples="""
        apt-ostree db diff
        apt-ostree db diff rollback booted
        apt-ostree db diff --format json 1 0
        """,
    )(db_diff)
    verb(
        db,
        "sbom",
        SbomOptions,
        examples="""
        apt-ostree db sbom > booted.spdx.json
        apt-ostree db sbom --format cyclonedx --repo repo debian/13/x86_64/minimal
        apt-ostree db sbom oci:img:13
        """,
    )(db_sbom)
    verb(
        db,
        "version",
        VersionOptions,
        examples="""
        apt-ostree db version
        apt-ostree db version booted pending
        """,
    )(db_version)
