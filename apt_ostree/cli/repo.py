"""`apt-ostree repo`: repositories that others pull from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from apt_ostree.cli.common import absolute, change, context, group, one_of, verb
from apt_ostree.cli.options import DryRun, GpgSigning, Json, Repo, Settings, Unchanged, Wait
from apt_ostree.errors import EXIT_UNCHANGED

if TYPE_CHECKING:
    from apt_ostree.signing import Signing

MODES = "archive|bare-user|bare"


def signing(options: GpgSigning, ed25519_key_file: str = "") -> Signing:
    """Who is to sign, from what was typed."""
    from apt_ostree.signing import Signing

    return Signing(
        gpg_keys=tuple(options.gpg_sign),
        gpg_home=absolute(options.gpg_homedir) if options.gpg_homedir else None,
        ed25519_file=absolute(ed25519_key_file) if ed25519_key_file else None,
    )


def unchanged(options: Unchanged, active: bool) -> int:
    """The exit code of a command that did, or would do, something or nothing."""
    return EXIT_UNCHANGED if options.unchanged_exit_77 and not active else 0


@dataclass(frozen=True, kw_only=True)
class InitOptions(Json, DryRun, Unchanged):
    path: Annotated[str, typer.Argument(metavar="DIR", help="Where the repository is to be; nothing may be there.")]
    mode: Annotated[
        str,
        typer.Option(
            "--mode",
            metavar=MODES,
            help="archive: compressed, to be pulled from over http. bare: to compose in. bare-user: with the owners of "
            "files kept beside them, so that nobody needs to be root.",
        ),
    ] = "archive"


def init(settings: Settings, options: InitOptions) -> int:
    """Make a repository.

    A tree is composed in a bare repository, where a commit takes a second, and published from an archive, which any
    web server can serve. 'ostree pull-local' brings commits from one to the other, with their signatures.
    """
    from apt_ostree.ops import repo as op

    one_of("--mode", options.mode, MODES)
    return change(settings, options, lambda context: op.init(context, absolute(options.path), options.mode))


@dataclass(frozen=True, kw_only=True)
class SignOptions(GpgSigning, Json, DryRun, Unchanged, Wait, Repo):
    ed25519_key_file: Annotated[
        str,
        typer.Option(
            "--ed25519-key-file",
            metavar="FILE",
            help="Also sign with the secret ed25519 key in FILE, as base64. The ostree of Debian cannot.",
        ),
    ] = ""
    revisions: Annotated[
        Optional[list[str]],  # noqa: UP045 (click 8.1 takes no default but None for any number of arguments)
        typer.Argument(
            metavar="COMMIT",
            help="A branch or a checksum. Without one: what every branch stands at, but no layers of imported images.",
        ),
    ] = None


def sign(settings: Settings, options: SignOptions) -> int:
    """Sign commits of a repository.

    What a key has signed already it does not sign again. A machine whose remote has gpg-verify=true takes no commit
    that none of the remote's keys has signed.
    """
    from apt_ostree.cli import screen
    from apt_ostree.ops import repo as op
    from apt_ostree.ui import publish as view

    request = op.SignRequest(
        repo=absolute(options.repo),
        revisions=tuple(options.revisions or ()),
        signing=signing(options, options.ed25519_key_file),
    )
    with screen.reporting(settings, json=options.json) as reporter:
        done = op.sign(context(settings, options, reporter), request)
    screen.show(settings, options.json, lambda: view.signed_json(done), lambda theme: view.signed_text(done, theme))
    return unchanged(options, done.pending)


@dataclass(frozen=True, kw_only=True)
class SummaryOptions(GpgSigning, Json, DryRun, Unchanged, Wait, Repo):
    view: Annotated[bool, typer.Option("--view", help="Show the summary there is and change nothing.")] = False


def summary(settings: Settings, options: SummaryOptions) -> int:
    """Write and sign the summary of a repository.

    The summary lists every branch and every static delta; clients learn of deltas by it, and with
    gpg-verify-summary=true trust only what a signed one lists. It is written anew when it is no longer true, or when a
    key is given that has not signed it. A signed summary is never replaced by one without a signature.
    """
    from apt_ostree.cli import screen
    from apt_ostree.ops import repo as op
    from apt_ostree.ui import publish as view

    request = op.SummaryRequest(repo=absolute(options.repo), signing=signing(options), view=options.view)
    with screen.reporting(settings, json=options.json) as reporter:
        done = op.summary(context(settings, options, reporter), request)
    screen.show(settings, options.json, lambda: view.summary_json(done), lambda theme: view.summary_text(done, theme))
    return unchanged(options, done.changed or done.would_change or options.view)


def register(app: typer.Typer) -> None:
    repo = group(
        app,
        "repo",
        """Make repositories that others pull from.

        These commands need no running OSTree system and no root, only a repository that may be written.
        """,
    )
    verb(
        repo,
        "init",
        InitOptions,
        examples="""
        apt-ostree repo init /srv/ostree
        apt-ostree repo init build --mode bare
        """,
    )(init)
    verb(
        repo,
        "sign",
        SignOptions,
        examples="""
        apt-ostree repo sign --repo /srv/ostree --gpg-sign archive@example.org
        apt-ostree repo sign --repo /srv/ostree debian/13/x86_64/minimal \\
            --gpg-sign archive@example.org --gpg-homedir /srv/keys
        """,
    )(sign)
    verb(
        repo,
        "summary",
        SummaryOptions,
        examples="""
        apt-ostree repo summary --repo /srv/ostree --gpg-sign archive@example.org
        apt-ostree repo summary --repo /srv/ostree --view
        """,
    )(summary)
