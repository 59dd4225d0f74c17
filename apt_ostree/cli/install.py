"""`apt-ostree install` and `apt-ostree uninstall`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from apt_ostree.cli import dynamic
from apt_ostree.cli.common import change, verb
from apt_ostree.cli.options import Installing, LockFinalization, Making, Recommends, Requests, Settings, Uninstalling


@dataclass(frozen=True, kw_only=True)
class InstallOptions(Uninstalling, Requests, Recommends, LockFinalization, Making):
    packages: Annotated[
        list[str],
        typer.Argument(
            metavar="PACKAGE",
            autocompletion=dynamic.available,
            help="A package of the archive (NAME, NAME=VERSION, NAME/SUITE, NAME:ARCH), a .deb file, "
            "or a directory of .deb files. Files are named with a slash: ./tool.deb.",
        ),
    ]


def install(settings: Settings, options: InstallOptions) -> int:
    """Layer packages on top of the base system.

    A new deployment is made from the base commit and everything that is requested; the running system stays as it
    is until the next boot. Packages of the base are never changed by this: a request that would need that is refused.

    Requests are remembered and layered again on every new base. When anything fails, nothing is changed.

    Asks before it goes on only on a terminal, and only when more packages come than were named.
    """
    from apt_ostree.ops import install as op

    request = op.Request(packages=tuple(options.packages), uninstall=tuple(options.uninstall))
    return change(settings, options, lambda context: op.run(context, request))


@dataclass(frozen=True, kw_only=True)
class UninstallOptions(Installing, Requests, Recommends, LockFinalization, Making):
    packages: Annotated[
        list[str],
        typer.Argument(
            metavar="REQUESTED",
            autocompletion=dynamic.requested,
            help="A requested package, by its name or as NAME_VERSION_ARCH.",
        ),
    ]


def uninstall(settings: Settings, options: UninstallOptions) -> int:
    """Remove layered packages.

    Takes back requests made with install; packages that only they needed go too. A new deployment is made from the
    base commit and the requests that remain; when none remain, it is the base commit itself.
    """
    from apt_ostree.ops import uninstall as op

    request = op.Request(packages=tuple(options.packages), install=tuple(options.install))
    return change(settings, options, lambda context: op.run(context, request))


def register(app: typer.Typer) -> None:
    verb(
        app,
        "install",
        InstallOptions,
        examples="""
        apt-ostree install htop                  # one package of the archive
        apt-ostree install nginx=1.26.3-3 vim/trixie-backports
        apt-ostree install ./tool_1.0_amd64.deb  # a file you have
        apt-ostree install --dry-run postgresql  # what would come along
        apt-ostree install emacs --uninstall vim # both in one deployment
        """,
    )(install)
    verb(
        app,
        "uninstall",
        UninstallOptions,
        examples="""
        apt-ostree uninstall htop
        apt-ostree uninstall vim --install emacs
        """,
    )(uninstall)
