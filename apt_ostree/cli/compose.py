"""`apt-ostree compose`: trees in a repository, without a system around them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from apt_ostree.cli import dynamic
from apt_ostree.cli.common import absolute, change, group, verb
from apt_ostree.cli.options import Archive, DryRun, Json, Recommends, Repo, Requests, Scripts, Settings, Wait

EXAMPLES = Path(__file__).parent.parent / "data/treefiles"


@dataclass(frozen=True, kw_only=True)
class InstallOptions(Requests, Recommends, Archive, Json, DryRun, Scripts, Wait, Repo):
    ref: Annotated[str, typer.Option("--ref", metavar="REF", help="The commit to layer on: a ref or a checksum.")]
    branch: Annotated[str, typer.Option("--branch", metavar="NAME", help="The branch that gets the new commit.")]
    packages: Annotated[
        list[str],
        typer.Argument(
            metavar="PACKAGE",
            autocompletion=dynamic.available,
            help="A package of the base's archive, a .deb file, or a directory of .deb files.",
        ),
    ]


def install(settings: Settings, options: InstallOptions) -> int:
    """Layer packages on a commit of a repository.

    Does to a commit what 'apt-ostree install' does to a deployment, and commits the tree to another branch; the
    commit it was made from is its parent. Sources and keys are those of the base itself.
    """
    from apt_ostree.ops import compose_install as op

    request = op.Request(
        repo=absolute(options.repo), ref=options.ref, branch=options.branch, packages=tuple(options.packages)
    )
    return change(settings, options, lambda context: op.run(context, request))


@dataclass(frozen=True, kw_only=True)
class TreeOptions(Json, DryRun, Wait, Repo):
    treefile: Annotated[
        str,
        typer.Argument(
            metavar="TREEFILE",
            help="What the tree is made of: a file, or the name of an example that comes with the program.",
        ),
    ]


def tree(settings: Settings, options: TreeOptions) -> int:
    """Make a base commit from a treefile.

    Lets mmdebstrap make a tree of Debian packages, brings it into the form an image needs, and commits it to the
    branch the treefile names. The treefile is TOML with the keys suite, ref, packages, mirrors, components,
    architecture, variant, recommends and version.
    """
    from apt_ostree.ops import compose_tree as op

    request = op.Request(treefile=_treefile(options.treefile), repo=absolute(options.repo))
    return change(settings, options, lambda context: op.run(context, request))


def _treefile(argument: str) -> Path:
    """The treefile of this path; a bare name that is no file here is one of those that come with the program."""
    path = absolute(argument)
    shipped = EXAMPLES / f"{argument.removesuffix('.toml')}.toml"
    return shipped if "/" not in argument and not path.exists() and shipped.is_file() else path


def register(app: typer.Typer) -> None:
    compose = group(
        app,
        "compose",
        """Make trees in a repository.

        These commands need no running OSTree system, only a repository.
        """,
    )
    verb(
        compose,
        "install",
        InstallOptions,
        examples="""
        apt-ostree compose install --repo repo --ref debian/13/x86_64/minimal \\
            --branch lab htop
        """,
    )(install)
    verb(
        compose,
        "tree",
        TreeOptions,
        examples="""
        ostree init --repo=repo --mode=bare
        apt-ostree compose tree debian-13-minimal --repo repo    # an example of ours
        apt-ostree compose tree mine.toml --repo repo --dry-run
        """,
    )(tree)
