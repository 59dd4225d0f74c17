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
            metavar="REFSPEC|IMAGE",
            help="REMOTE:BRANCH; BRANCH alone keeps the remote, REMOTE: keeps the branch, :BRANCH is in the system's "
            "own repository. With :CHECKSUM behind it, or alone, the base stays at this commit. Or a container "
            "image, as told above.",
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
    """Switch to another base: a branch, a remote, a repository on a disk, a container image.

    The newest commit of the branch is pulled, verified as its remote asks for, and everything that was layered,
    overridden and set is made anew on it. From then on upgrade follows this branch, unless a commit was named: then
    the base stays at it until the next rebase or deploy, and upgrade brings newer layered packages only.

    A repository named with --repo is trusted as root trusts it: objects are checked, signatures are not asked for.

    A container image is named together with the way it is verified:

    ostree-unverified-registry:HOST/NAME:TAG, and ostree-unverified-image:TRANSPORT:NAME for images elsewhere, take what
    the policy of the system lets pass (containers-policy.json(5)); Debian's lets everything pass.

    ostree-image-signed:docker://HOST/NAME:TAG is refused unless the policy refuses by default what it does not name.

    ostree-remote-registry:REMOTE:HOST/NAME:TAG, and ostree-remote-image:REMOTE:TRANSPORT:NAME, take an image whose
    commit is signed with a key of an OSTree remote; layers on top of the commit are refused, nobody has signed them.

    HOST/NAME@sha256:DIGEST instead of a tag stays at one image. Afterwards upgrade follows the tag and reads the layers
    that changed. What an image has to be is said in apt-ostree-oci-import(1).

    Registries, policy and passwords are those of the system and never of a user: /etc/containers/policy.json or
    /usr/share/containers/policy.json, /etc/containers/registries.conf and registries.conf.d, registries.d, certs.d, and
    the first of /etc/ostree/auth.json, /run/ostree/auth.json and /usr/lib/ostree/auth.json; without such a file nobody
    is logged in. A registry without https needs insecure=true in containers-registries.conf(5). With --sysroot all of
    this is read from the tree of the deployment whose /etc is merged, the key files that the policy names as well.
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
        apt-ostree rebase \\
            ostree-image-signed:docker://registry.example.org/debian/minimal:13
        """,
    )(rebase)
