"""Every option of the command line, described once. Verbs combine the groups they need by inheritance.

The groups have no slots: Python cannot merge slots of several bases.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Optional

import typer

from apt_ostree.cli import dynamic


def repeated(flag: str, metavar: str, text: str, complete: Callable[..., Any] | None = None) -> Any:
    """An option that may be given several times; `text` is its help without saying so."""
    return typer.Option(flag, metavar=metavar, autocompletion=complete, help=f"{text} May be repeated.")


COLORS = "auto|always|never"
PROGRESS = "auto|plain|json|none"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Global options."""

    sysroot: Annotated[str, typer.Option("--sysroot", metavar="DIR", help="Work on the system below DIR.")] = "/"
    verbose: Annotated[
        int, typer.Option("--verbose", "-v", count=True, help="Say more; twice: every program that is run.")
    ] = 0
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but answers, warnings and errors.")] = False
    color: Annotated[str, typer.Option("--color", metavar=COLORS, help="When to use colours.")] = "auto"
    progress: Annotated[
        str, typer.Option("--progress", metavar=PROGRESS, help="How to show progress on standard error.")
    ] = "auto"
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False
    help_verbs: Annotated[
        bool, typer.Option("--help-verbs", hidden=True, help="List every command, one a line, and exit.")
    ] = False
    typed: str = ""  # the whole command line, for logs and history; no option
    verb: str = ""  # its first word that is no global option; no option either


@dataclass(frozen=True, kw_only=True)
class Json:
    json: Annotated[bool, typer.Option("--json", help="Answer with one JSON object on standard output.")] = False


@dataclass(frozen=True, kw_only=True)
class DryRun:
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Show what would be done and change nothing.")] = (
        False
    )


@dataclass(frozen=True, kw_only=True)
class Stateroot:
    stateroot: Annotated[
        str,
        typer.Option(
            "--stateroot", "--os", metavar="NAME", help="Work on this stateroot, not on the booted or first one."
        ),
    ] = ""


@dataclass(frozen=True, kw_only=True)
class Wait:
    wait: Annotated[
        Optional[str],  # noqa: UP045 (Typer reads the annotation; it knows Optional on every version)
        typer.Option(
            "--wait",
            metavar="SECONDS",
            help="When another transaction runs, wait until it is done, at most SECONDS.",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class Unchanged:
    unchanged_exit_77: Annotated[
        bool, typer.Option("--unchanged-exit-77", help="Exit with 77 when there is nothing to do.")
    ] = False


@dataclass(frozen=True, kw_only=True)
class Reboot:
    reboot: Annotated[bool, typer.Option("--reboot", "-r", help="Reboot when the change is made.")] = False


@dataclass(frozen=True, kw_only=True)
class LockFinalization:
    """For verbs that stage a deployment."""

    lock_finalization: Annotated[
        bool,
        typer.Option(
            "--lock-finalization",
            help="Stage the deployment and hold it back: no shutdown switches to it until finalize-deployment says so.",
        ),
    ] = False


@dataclass(frozen=True, kw_only=True)
class Yes:
    yes: Annotated[
        bool,
        typer.Option(
            "--assumeyes", "-y", help="Ask nothing, go on. Otherwise more than the requested packages is asked about."
        ),
    ] = False


@dataclass(frozen=True, kw_only=True)
class Sources:
    disable_repo: Annotated[
        list[str],
        repeated("--disable-repo", "NAME", "Leave out one file of sources.list.d, named without its suffix."),
    ] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class CacheOnly:
    cache_only: Annotated[
        bool, typer.Option("--cache-only", "-C", help="Use no network, only what was downloaded before.")
    ] = False


@dataclass(frozen=True, kw_only=True)
class Archive(Sources, CacheOnly):
    """Where packages come from and how."""


@dataclass(frozen=True, kw_only=True)
class Download:
    download_only: Annotated[
        bool, typer.Option("--download-only", help="Download the packages and stop before anything is changed.")
    ] = False


@dataclass(frozen=True, kw_only=True)
class Scripts:
    script_timeout: Annotated[
        str,
        typer.Option(
            "--script-timeout",
            metavar="SECONDS",
            help="End a package's script that runs longer; 600 if not given, 0 for no limit.",
        ),
    ] = "600"


@dataclass(frozen=True, kw_only=True)
class Recommends:
    recommends: Annotated[
        Optional[bool],  # noqa: UP045 (as above)
        typer.Option(
            "--recommends/--no-recommends",
            help="Bring recommended packages along, or do not; a deployment remembers it. At first they come along.",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class Requests:
    """How package requests that are true already are treated."""

    idempotent: Annotated[
        bool, typer.Option("--idempotent", help="Requesting what is requested already is no error.")
    ] = False
    allow_inactive: Annotated[
        bool,
        typer.Option(
            "--allow-inactive",
            help="Also accept packages the base has; the request comes alive when the base drops them.",
        ),
    ] = False


@dataclass(frozen=True, kw_only=True)
class Making(Archive, Download, Json, DryRun, Reboot, Scripts, Stateroot, Unchanged, Wait, Yes):
    """What every verb that makes a deployment understands."""


@dataclass(frozen=True, kw_only=True)
class Uninstalling:
    uninstall: Annotated[
        list[str],
        repeated("--uninstall", "REQUESTED", "Uninstall this package in the same change.", dynamic.requested),
    ] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Installing:
    install: Annotated[
        list[str],
        repeated("--install", "PACKAGE", "Install this package in the same change.", dynamic.available),
    ] = field(default_factory=list)


SkipBranchCheck = Annotated[
    bool, typer.Option("--skip-branch-check", help="Also take a commit that is not one of the branch.")
]


@dataclass(frozen=True, kw_only=True)
class Repo:
    repo: Annotated[str, typer.Option("--repo", metavar="DIR", help="The OSTree repository to work in.")]


@dataclass(frozen=True, kw_only=True)
class GpgSigning:
    """Whose OpenPGP signature is made."""

    gpg_sign: Annotated[
        list[str],
        repeated("--gpg-sign", "KEYID", "Sign with this OpenPGP key: a fingerprint, a key id or an address."),
    ] = field(default_factory=list)
    gpg_homedir: Annotated[
        str, typer.Option("--gpg-homedir", metavar="DIR", help="Where GnuPG has the key, when it is not ~/.gnupg.")
    ] = ""
