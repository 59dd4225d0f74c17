"""`apt-ostree delta`: static deltas of a repository."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from apt_ostree.cli.common import absolute, context, group, verb
from apt_ostree.cli.options import DryRun, GpgSigning, Json, Repo, Settings, Unchanged, Wait
from apt_ostree.cli.repo import signing, unchanged
from apt_ostree.errors import AptOstreeError, UsageError


@dataclass(frozen=True, kw_only=True)
class GenerateOptions(GpgSigning, Json, DryRun, Unchanged, Wait, Repo):
    ref: Annotated[str, typer.Argument(metavar="REF", help="The branch whose clients are to be brought up to date.")]
    source: Annotated[
        str, typer.Option("--from", metavar="REV", help="Start from this commit, not from the former ones of REF.")
    ] = ""
    target: Annotated[
        str, typer.Option("--to", metavar="REV", help="Come to this commit, not to what REF stands at.")
    ] = ""
    last: Annotated[
        str,
        typer.Option(
            "--last", metavar="N", help="Make a delta from each of the last N former commits; 1 if not given."
        ),
    ] = ""
    empty: Annotated[
        bool, typer.Option("--empty", help="Make one from nothing, for machines that have no commit of REF.")
    ] = False
    inline: Annotated[
        bool,
        typer.Option("--inline", help="Put all parts into the superblock: one request, where a delta is small."),
    ] = False


def generate(settings: Settings, options: GenerateOptions) -> int:
    """Make static deltas to a branch.

    A static delta has in one piece, compressed against the older commit, what a client otherwise pulls object by
    object. The report compares it with that plain pull. A delta that exists is kept; the summary, where there is one,
    is updated, for clients learn of deltas by it. When the summary is signed, --gpg-sign must say who signs it anew.

    With --empty and neither --from nor --last, only the delta from nothing is made. With --inline, libostree (seen with
    2022.7) may fetch changed files besides the delta, so it is worth it for small deltas only.
    """
    from apt_ostree.cli import screen
    from apt_ostree.ops import delta as op
    from apt_ostree.ui import publish as view

    request = op.Request(
        repo=absolute(options.repo),
        ref=options.ref,
        source=options.source,
        target=options.target,
        last=_last(options),
        empty=options.empty,
        inline=options.inline,
        signing=signing(options),
    )
    with screen.reporting(settings, json=options.json) as reporter:
        done = op.generate(context(settings, options, reporter), request)
    screen.show(
        settings, options.json, lambda: view.generated_json(done), lambda theme: view.generated_text(done, theme)
    )
    return unchanged(options, done.changed or done.would_change)


def _last(options: GenerateOptions) -> int:
    """How many former commits to start from. Raises UsageError."""
    if options.last and options.source:
        raise UsageError("--from and --last exclude each other", hint="leave one of them out")
    if not options.last:
        return 0 if options.empty else 1
    if not (options.last.isascii() and options.last.isdigit() and int(options.last[:9]) > 0 and len(options.last) < 9):
        raise UsageError(f"--last: '{options.last}' is not a number of commits", hint="--last=3")
    return int(options.last)


@dataclass(frozen=True, kw_only=True)
class ShowOptions(Json, Repo):
    delta: Annotated[
        str,
        typer.Argument(
            metavar="DELTA", help="The name of a delta, or a branch or checksum it leads to. Without it: all of them."
        ),
    ] = ""


def show(settings: Settings, options: ShowOptions) -> int:
    """Show static deltas and what they save.

    For each delta: what a client downloads, what it would download without the delta, and the parts. Deltas with all
    parts in the superblock are shown too. Of several, one that is damaged is told beside the others; the exit status is
    then 1.
    """
    from apt_ostree.cli import screen
    from apt_ostree.ops import delta as op
    from apt_ostree.ui import publish as view

    found = op.show(absolute(options.repo), options.delta)
    screen.show(settings, options.json, lambda: view.shown_json(found), lambda theme: view.shown_text(found, theme))
    return AptOstreeError.exit_code if found.damaged else 0


def register(app: typer.Typer) -> None:
    delta = group(
        app,
        "delta",
        """Make and show static deltas of a repository.

        These commands need no running OSTree system and no root, only a repository.
        """,
    )
    verb(
        delta,
        "generate",
        GenerateOptions,
        examples="""
        apt-ostree delta generate --repo /srv/ostree debian/13/x86_64/minimal \\
            --last 3 --gpg-sign archive@example.org
        apt-ostree delta generate --repo /srv/ostree debian/13/x86_64/minimal --empty
        apt-ostree delta generate --repo /srv/ostree debian/13/x86_64/minimal \\
            --from 4d214a28cf --inline --dry-run
        """,
    )(generate)
    verb(
        delta,
        "show",
        ShowOptions,
        examples="""
        apt-ostree delta show --repo /srv/ostree
        apt-ostree delta show --repo /srv/ostree debian/13/x86_64/minimal --json
        """,
    )(show)
