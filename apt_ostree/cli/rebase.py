"""`apt-ostree rebase`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from apt_ostree.cli import dynamic
from apt_ostree.cli.common import change, verb
from apt_ostree.cli.options import (
    Installing,
    LockFinalization,
    Making,
    Recommends,
    Requests,
    Settings,
    SkipBranchCheck,
    Uninstalling,
)


@dataclass(frozen=True, kw_only=True)
class RebaseOptions(Installing, Uninstalling, Requests, Recommends, LockFinalization, Making):
    target: Annotated[
        str,
        typer.Argument(
            metavar="REFSPEC",
            help="REMOTE:BRANCH; BRANCH alone keeps the remote, REMOTE: keeps the branch, :BRANCH is in the system's "
            "own repository. With :CHECKSUM behind it, or alone, the base stays at this commit.",
        ),
    ]
    revision: Annotated[
        str,
        typer.Argument(
            metavar="REVISION",
            autocompletion=dynamic.revisions,
            help="A checksum or version of the branch to stay at.",
        ),
    ] = ""
    repo: Annotated[
        str, typer.Option("--repo", metavar="DIR", help="Take the branch from the OSTree repository at DIR.")
    ] = ""
    skip_branch_check: SkipBranchCheck = False


def rebase(settings: Settings, options: RebaseOptions) -> int:
    """Switch to another base: a branch, a remote, a repository on a disk.

    The newest commit of the branch is pulled, verified as its remote asks for, and everything that was layered,
    overridden and set is made anew on it. From then on upgrade follows this branch, unless a commit was named: then
    the base stays at it until the next rebase or deploy, and upgrade brings newer layered packages only.

    A repository named with --repo is trusted as root trusts it: objects are checked, signatures are not asked for.
    """
    from apt_ostree.ops import rebase as op

    request = op.Request(
        target=options.target,
        revision=options.revision,
        repo=options.repo,
        skip_branch_check=options.skip_branch_check,
        install=tuple(options.install),
        uninstall=tuple(options.uninstall),
    )
    return change(settings, options, lambda context: op.run(context, request))


def register(app: typer.Typer) -> None:
    verb(
        app,
        "rebase",
        RebaseOptions,
        examples="""
        apt-ostree rebase debian:debian/13/x86_64/server
        apt-ostree rebase debian/14/x86_64/minimal      # same remote
        apt-ostree rebase mirror:                       # same branch
        apt-ostree rebase debian:debian/13/x86_64/server 13.1
        apt-ostree rebase --repo /media/usb/repo debian/13/x86_64/minimal
        """,
    )(rebase)
