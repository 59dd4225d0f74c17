"""`apt-ostree oci lint`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import typer

from apt_ostree.cli.common import absolute, verb
from apt_ostree.cli.options import Json, Settings, repeated
from apt_ostree.cli.registry import Registry, access
from apt_ostree.errors import AptOstreeError, UsageError


@dataclass(frozen=True, kw_only=True)
class LintOptions(Registry, Json):
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="A directory with a root file system; with --repo, a commit or branch; or an image: "
            "docker://HOST/NAME:TAG, oci:DIR:TAG, oci-archive:FILE, containers-storage:NAME.",
        ),
    ] = ""
    repo: Annotated[
        str, typer.Option("--repo", metavar="DIR", help="Look at a commit of this repository, not at a directory.")
    ] = ""
    skip: Annotated[list[str], repeated("--skip", "NAME", "Leave out this lint; unknown names are refused.")] = field(
        default_factory=list
    )
    fatal_warnings: Annotated[
        bool, typer.Option("--fatal-warnings", help="Take warnings for fatal: exit with 1 for them as well.")
    ] = False
    listing: Annotated[bool, typer.Option("--list", help="List all lints and what they look for.")] = False


def lint(settings: Settings, options: LintOptions) -> int:
    """Look for what keeps a tree from being a good image.

    Has the lints of 'bootc container lint', by the same names and with the same weight, and three of apt-ostree:
    dpkg-database, sysusers-ids and privileges. 'compose tree' looks for the same before it commits.

    A commit is read from its repository (bare, bare-user or archive) without a checkout: owners and modes are those
    of the commit, and no root is needed where the repository can be read. An image is imported into a repository that
    is gone afterwards, so that what is looked at is what a machine would get of it. Nothing is changed. What
    another file system is mounted on is not looked into. The directory / is the running system: what is only about
    images is left out, what is only about systems comes in.

    The exit status is 1 when something fatal is found.
    """
    from apt_ostree.cli import screen
    from apt_ostree.oci import names
    from apt_ostree.ops import oci_lint as op
    from apt_ostree.ui import lint as view

    if options.listing:
        known = op.descriptions()
        screen.show(settings, options.json, lambda: view.list_json(known), lambda theme: view.list_text(known, theme))
        return 0
    if not options.target:
        raise UsageError("TARGET is missing", hint="apt-ostree oci lint --help")
    request = op.Request(
        target=options.target,
        repo=absolute(options.repo) if options.repo else None,
        image=names.parse(options.target) if not options.repo and names.is_reference(options.target) else None,
        access=access(options),
        skip=tuple(options.skip),
        fatal_warnings=options.fatal_warnings,
    )
    with screen.reporting(settings, json=options.json) as reporter:
        report = op.run(request, reporter)
    verbose = settings.verbose > 0
    screen.show(
        settings,
        options.json,
        lambda: view.as_json(report),
        lambda theme: view.text(report, verbose=verbose, theme=theme),
    )
    return AptOstreeError.exit_code if report.fatal else 0


def register(oci: typer.Typer) -> None:
    """Add the command to the group `oci`."""
    verb(
        oci,
        "lint",
        LintOptions,
        examples="""
        apt-ostree oci lint rootfs
        apt-ostree oci lint --repo repo debian/13/x86_64/minimal
        apt-ostree oci lint oci:img:13
        apt-ostree oci lint rootfs --skip var-log --fatal-warnings
        apt-ostree oci lint --list
        """,
    )(lint)
