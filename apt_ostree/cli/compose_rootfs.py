"""`apt-ostree compose postprocess` and `commit`: the steps of a compose, for trees that something else bootstrapped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated

import typer

from apt_ostree import requests
from apt_ostree.cli.common import absolute, change, treefile_path, verb
from apt_ostree.cli.options import DryRun, GpgSigning, Json, Repo, Settings, Wait, repeated
from apt_ostree.cli.repo import signing
from apt_ostree.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class PostprocessOptions(Json, DryRun):
    rootfs: Annotated[str, typer.Argument(metavar="ROOTFS", help="The root directory; it is changed in place.")]
    treefile: Annotated[
        str,
        typer.Option(
            "--treefile",
            metavar="TREEFILE",
            help="Also do what this treefile says of the system and of files. What it says of packages, of refs and "
            "of the commit does not matter here.",
        ),
    ] = ""
    repo: Annotated[str, typer.Option("--repo", metavar="DIR", help="Where --branch is; only to be read.")] = ""
    branch: Annotated[
        str,
        typer.Option("--branch", metavar="NAME", help="Give accounts the ids they have in the commit of this branch."),
    ] = ""


def postprocess(settings: Settings, options: PostprocessOptions) -> int:
    """Make an image tree of a root directory.

    Takes what mmdebstrap, debootstrap or a chroot left and brings it, in place, into the form that 'compose tree'
    gives to its own: the kernel beside its modules with an initramfs of the tree's own dracut, accounts with fixed ids,
    package state in /usr/lib/sysimage, seeds and lines for all of /var, /etc in /usr/etc. Then 'compose commit' can
    commit it.

    The tree must be complete: merged /usr, every package configured, nothing mounted in it, the files its own and not
    hard links into another tree. To boot, it needs a kernel with dracut, ostree and ostree-boot, and systemd-sysv. What
    can be found to be wrong is refused before anything is changed. When a later step fails or is interrupted, the
    directory is neither one nor the other and must be made again.
    """
    from apt_ostree.ops import compose_rootfs as op

    if bool(options.repo) != bool(options.branch):
        raise UsageError("--repo and --branch go together", hint="give both, or none")
    request = op.PostprocessRequest(
        root=absolute(options.rootfs),
        treefile=treefile_path(options.treefile) if options.treefile else None,
        repo=absolute(options.repo) if options.repo else None,
        branch=options.branch,
    )
    return change(settings, options, lambda context: op.postprocess(context, request))


@dataclass(frozen=True, kw_only=True)
class CommitOptions(GpgSigning, Json, DryRun, Wait, Repo):
    rootfs: Annotated[str, typer.Argument(metavar="ROOTFS", help="The image tree; it stays as it is.")]
    branch: Annotated[str, typer.Option("--branch", metavar="NAME", help="The branch that gets the new commit.")]
    parent: Annotated[
        str, typer.Option("--parent", metavar="REV", help="Make the commit a child of REV, not of the branch's commit.")
    ] = ""
    no_parent: Annotated[bool, typer.Option("--no-parent", help="Make a commit without a parent.")] = False
    set_version: Annotated[
        str, typer.Option("--set-version", metavar="VERSION", help="The version the commit carries.")
    ] = ""
    metadata: Annotated[
        list[str],
        repeated("--metadata", "KEY=VALUE", "Store this string in the commit's metadata."),
    ] = field(default_factory=list)
    write_commitid_to: Annotated[
        str,
        typer.Option(
            "--write-commitid-to", metavar="FILE", help="Write the commit's checksum to FILE and leave the branch."
        ),
    ] = ""


def commit(settings: Settings, options: CommitOptions) -> int:
    """Commit an image tree to a branch.

    Takes a directory that 'compose postprocess' made, and refuses any other: it looks at the tree once more. The
    commit has the list of its packages, the ids of its accounts and the kernel arguments the tree asks for, as that of
    'compose tree' has, and is marked as bootable when there is a kernel. An account that has another id than in the
    branch's commit is refused.

    With --gpg-sign the commit is signed when it is made. Its time is that of SOURCE_DATE_EPOCH of the environment
    where that is set, else now.
    """
    from apt_ostree.ops import compose_rootfs as op

    if options.no_parent and options.parent:
        raise UsageError("--parent and --no-parent exclude each other", hint="leave one of them out")
    request = op.CommitRequest(
        root=absolute(options.rootfs),
        repo=absolute(options.repo),
        branch=options.branch,
        parent="" if options.no_parent else options.parent or None,
        version=_version(options.set_version),
        metadata=_metadata(options.metadata),
        commit_file=absolute(options.write_commitid_to) if options.write_commitid_to else None,
        signing=signing(options),
    )
    return change(settings, options, lambda context: op.commit(context, request))


def _metadata(words: list[str]) -> dict[str, str]:
    """KEY=VALUE words. Raises UsageError for what is none, and for keys that are ours or ostree's."""
    found = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise UsageError(f"--metadata: '{word[:40]}' is not KEY=VALUE", hint="--metadata org.example.build=7")
        if key == "version":
            raise UsageError(f"--metadata: the key '{key}' is set otherwise", hint="for the version: --set-version")
        with _told_by("--metadata"):
            requests.check_metadata(key, value)
        found[key] = value
    with _told_by("--metadata"):
        requests.check_metadata_size(found.items())
    return found


def _version(text: str) -> str:
    """The value of --set-version. Raises UsageError."""
    with _told_by("--set-version"):
        requests.check_version(text)
    return text


@contextmanager
def _told_by(option: str) -> Iterator[None]:
    """A complaint about a value begins with its option."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{option}: {error.message}", hint=error.hint) from error


def register(compose: typer.Typer) -> None:
    verb(
        compose,
        "postprocess",
        PostprocessOptions,
        examples="""
        mmdebstrap --mode=root --include=dracut,linux-image-amd64,ostree,ostree-boot,\\
        systemd-sysv,udev trixie rootfs
        apt-ostree compose postprocess rootfs --dry-run
        apt-ostree compose postprocess rootfs
        apt-ostree compose commit rootfs --repo repo --branch mine/tree
        """,
    )(postprocess)
    verb(
        compose,
        "commit",
        CommitOptions,
        examples="""
        apt-ostree compose commit rootfs --repo repo --branch mine/tree --dry-run
        apt-ostree compose commit rootfs --repo repo --branch mine/tree \\
            --set-version 13.1 --metadata org.example.build=7
        """,
    )(commit)
