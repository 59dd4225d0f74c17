"""`apt-ostree deploy` and `apt-ostree rollback`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from apt_ostree.cli import dynamic
from apt_ostree.cli.common import change, verb
from apt_ostree.cli.options import (
    DryRun,
    Installing,
    Json,
    LockFinalization,
    Making,
    Reboot,
    Recommends,
    Requests,
    Settings,
    SkipBranchCheck,
    Stateroot,
    Unchanged,
    Uninstalling,
    Wait,
)


@dataclass(frozen=True, kw_only=True)
class DeployOptions(Installing, Uninstalling, Requests, Recommends, LockFinalization, Making):
    revision: Annotated[
        str,
        typer.Argument(
            metavar="REVISION",
            autocompletion=dynamic.revisions,
            help="A commit of the base's branch: a checksum, its first seven digits or more, or a version; "
            "version=X and revision=X say which is meant.",
        ),
    ]
    skip_branch_check: SkipBranchCheck = False


def deploy(settings: Settings, options: DeployOptions) -> int:
    """Deploy one commit of the base's branch.

    Makes a deployment of exactly this commit; the packages that are requested are layered on top of it. A commit
    that is not in the repository is pulled from the remote. The next upgrade goes on with the branch.

    The layered commit of a deployment that is here is deployed as it is, with the packages that were requested for it.

    A container image has no history: an earlier one is named by its digest, with apt-ostree-rebase(1).
    """
    from apt_ostree.ops import deploy as op

    request = op.Request(
        revision=options.revision,
        install=tuple(options.install),
        uninstall=tuple(options.uninstall),
        skip_branch_check=options.skip_branch_check,
    )
    return change(settings, options, lambda context: op.run(context, request))


@dataclass(frozen=True, kw_only=True)
class RollbackOptions(Stateroot, Json, DryRun, Reboot, Unchanged, Wait):
    """Options of rollback."""


def rollback(settings: Settings, options: RollbackOptions) -> int:
    """Boot the previous deployment next time.

    Puts the deployment that comes after the one that would boot next in front. Nothing is built or downloaded; /etc
    is the one that deployment had. A second rollback goes back again.
    """
    from apt_ostree.ops import rollback as op

    return change(settings, options, lambda context: op.run(context, op.Request()))


def register(app: typer.Typer) -> None:
    verb(
        app,
        "deploy",
        DeployOptions,
        examples="""
        apt-ostree deploy version=13.1     # the commit of this version
        apt-ostree deploy 3f2a9c01         # the commit whose checksum begins so
        apt-ostree deploy debian/13/x86_64/minimal --dry-run
        """,
    )(deploy)
    verb(
        app,
        "rollback",
        RollbackOptions,
        examples="""
        apt-ostree rollback
        apt-ostree rollback --reboot
        """,
    )(rollback)
