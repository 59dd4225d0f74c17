"""`apt-ostree override` and `apt-ostree reset`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Optional

import typer

from apt_ostree.cli import dynamic
from apt_ostree.cli.common import change, group, verb
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

WORDS = "NAME=VERSION or NAME/SUITE of the archive, or a .deb file"


@dataclass(frozen=True, kw_only=True)
class Editing(Installing, Uninstalling, Requests, Recommends, LockFinalization, Making):
    """What every verb of overrides understands."""


def _edit(settings: Settings, options: Editing, **overrides: Any) -> int:
    """Change overrides, together with the requests every verb of overrides takes."""
    from apt_ostree.ops import override as op

    request = op.Request(install=tuple(options.install), uninstall=tuple(options.uninstall), **overrides)
    return change(settings, options, lambda context: op.run(context, request))


@dataclass(frozen=True, kw_only=True)
class RemoveOptions(Editing):
    replace: Annotated[
        list[str],
        repeated("--replace", "PACKAGE", f"Replace this in the same change: {WORDS}."),
    ] = field(default_factory=list)
    packages: Annotated[
        list[str],
        typer.Argument(metavar="PACKAGE", autocompletion=dynamic.available, help="A package of the base."),
    ]


def remove(settings: Settings, options: RemoveOptions) -> int:
    """Remove packages of the base.

    A new deployment is made from the base without them. Packages that need one of them must be named too: the
    refusal says which. What is essential, or what the system boots with, stays.

    dpkg purges the package: its configuration leaves the defaults of /etc, and files that were changed on this
    system stay, as do its data in /var and its accounts. The removal is remembered for every new base; where the
    base does not have the package, it is inactive.
    """
    return _edit(settings, options, remove=tuple(options.packages), replace=tuple(options.replace))


@dataclass(frozen=True, kw_only=True)
class ReplaceOptions(Editing):
    remove: Annotated[
        list[str],
        repeated("--remove", "PACKAGE", "Remove this package of the base in the same change.", dynamic.available),
    ] = field(default_factory=list)
    packages: Annotated[list[str], typer.Argument(metavar="PACKAGE", help=f"{WORDS}. Files are named with a slash.")]


def replace(settings: Settings, options: ReplaceOptions) -> int:
    """Replace packages of the base by other versions.

    Newer and older versions are taken, and files with another build of the same version. Packages that only fit
    together must be named together: the refusal says which. NAME/SUITE means the version the suite has now.

    A replacement is remembered for every new base. It ends by itself, with a message, when a base has that version
    or a newer one; one by an older version ends only with a base of just that version.
    """
    return _edit(settings, options, replace=tuple(options.packages), remove=tuple(options.remove))


@dataclass(frozen=True, kw_only=True)
class ResetOverrideOptions(Editing):
    all: Annotated[bool, typer.Option("--all", "-a", help="Take back every override.")] = False
    packages: Annotated[
        Optional[list[str]],  # noqa: UP045 (click 8.1 takes no default but None for any number of arguments)
        typer.Argument(metavar="OVERRIDDEN", autocompletion=dynamic.overridden, help="A package that is overridden."),
    ] = None


def reset_override(settings: Settings, options: ResetOverrideOptions) -> int:
    """Take overrides back.

    The packages are in the new deployment again as the base has them.
    """
    return _edit(settings, options, reset=tuple(options.packages or ()), reset_all=options.all)


@dataclass(frozen=True, kw_only=True)
class ResetOptions(Editing):
    overlays: Annotated[bool, typer.Option("--overlays", "-l", help="Drop the layered packages.")] = False
    overrides: Annotated[bool, typer.Option("--overrides", "-o", help="Drop the overrides of base packages.")] = False
    initramfs: Annotated[
        bool, typer.Option("--initramfs", "-i", help="No longer make an initramfs here, track no files for it.")
    ] = False


def reset(settings: Settings, options: ResetOptions) -> int:
    """Go back to the base as it is.

    Drops layered packages, overrides and changes of the initramfs; with one or more of -l, -o and -i, only those.
    When nothing is left, the new deployment is the base commit itself.
    """
    from apt_ostree.ops import reset as op

    request = op.Request(
        layers=options.overlays,
        overrides=options.overrides,
        initramfs=options.initramfs,
        install=tuple(options.install),
        uninstall=tuple(options.uninstall),
    )
    return change(settings, options, lambda context: op.run(context, request))


def register(app: typer.Typer) -> None:
    override = group(app, "override", """Remove or replace packages of the base.""")
    verb(
        override,
        "remove",
        RemoveOptions,
        examples="""
        apt-ostree override remove nano
        apt-ostree override remove exim4-daemon-light exim4-base --install postfix
        apt-ostree override remove linux-image-cloud-amd64 \\
            linux-image-6.12.1-cloud-amd64 --install linux-image-amd64
        apt-ostree override remove nano --dry-run
        """,
    )(remove)
    verb(
        override,
        "replace",
        ReplaceOptions,
        examples="""
        apt-ostree override replace curl=8.14.1-2 libcurl4t64=8.14.1-2
        apt-ostree override replace podman/trixie-backports
        apt-ostree override replace ./sudo_1.9.16p2-3+fix1_amd64.deb
        """,
    )(replace)
    verb(
        override,
        "reset",
        ResetOverrideOptions,
        examples="""
        apt-ostree override reset nano
        apt-ostree override reset --all
        """,
    )(reset_override)
    verb(
        app,
        "reset",
        ResetOptions,
        examples="""
        apt-ostree reset                 # back to the base
        apt-ostree reset -o              # only the overrides
        apt-ostree reset -l --install vim
        """,
    )(reset)
