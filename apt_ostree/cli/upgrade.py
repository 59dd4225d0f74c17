"""`apt-ostree upgrade` (`update`)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
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
    Uninstalling,
    repeated,
)
from apt_ostree.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class UpgradeOptions(Installing, Uninstalling, Requests, Recommends, LockFinalization, Making):
    check: Annotated[
        bool, typer.Option("--check", help="Say whether there is an upgrade; exit with 77 when there is none.")
    ] = False
    preview: Annotated[bool, typer.Option("--preview", help="The same, with every package that would change.")] = False
    automatic: Annotated[
        bool,
        typer.Option(
            "--automatic", help="Do what AutomaticUpdatePolicy in /etc/apt-ostree.conf says; what the timer starts."
        ),
    ] = False
    allow_downgrade: Annotated[
        bool, typer.Option("--allow-downgrade", help="Also take a commit that is older than the present one.")
    ] = False
    skip_layer: Annotated[
        list[str],
        repeated(
            "--skip-layer",
            "REQUESTED",
            "Leave this requested package out for now; the next upgrade tries it again.",
            dynamic.requested,
        ),
    ] = field(default_factory=list)


def upgrade(settings: Settings, options: UpgradeOptions) -> int:
    """Bring the base and the layered packages up to date.

    Pulls the newest commit of the branch the base comes from, verified as its remote asks for, and layers the
    requested packages anew, in their newest versions. When the base is unchanged but a layered package is not, a new
    deployment is made as well. A commit that was chosen with deploy is left; one that was pinned with rebase is kept.

    A commit older than the present base is refused: somebody may be replaying it.

    A base that is a container image is compared by its digest first; of another one, only layers that the system does
    not have are read. It is verified as its reference asks for: apt-ostree-rebase(1).

    With --check or --preview the same is worked out and nothing is changed, downloaded base or built; with
    --download-only all that is needed is fetched, and upgrade --cache-only goes on from there without a network.
    """
    from apt_ostree.ops import automatic
    from apt_ostree.ops import upgrade as op

    if options.automatic:
        if options.check or options.preview or options.install or options.uninstall or options.skip_layer:
            raise UsageError("--automatic goes by /etc/apt-ostree.conf alone", hint="apt-ostree upgrade --automatic")
        return change(settings, options, automatic.run)
    looking = options.check or options.preview
    if looking and (options.download_only or options.reboot):
        raise UsageError("--check and --preview change nothing; leave --download-only and --reboot out")
    request = op.Request(
        check=options.check and not options.preview,
        preview=options.preview,
        allow_downgrade=options.allow_downgrade,
        install=tuple(options.install),
        uninstall=tuple(options.uninstall),
        skip_layer=tuple(options.skip_layer),
    )
    if looking:  # as rpm-ostree: scripts ask just this
        options = replace(options, unchanged_exit_77=True)
    return change(settings, options, lambda context: op.run(context, request))


def register(app: typer.Typer) -> None:
    verb(
        app,
        "upgrade",
        UpgradeOptions,
        examples="""
        apt-ostree upgrade
        apt-ostree upgrade --check           # is there anything new?
        apt-ostree upgrade --download-only   # later: upgrade --cache-only
        apt-ostree upgrade --skip-layer vim  # it does not fit the new base
        """,
    )(upgrade)
