"""How a registry is spoken to: options that several commands have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from apt_ostree.cli.common import absolute, one_of
from apt_ostree.errors import UsageError

if TYPE_CHECKING:
    from apt_ostree.tools.skopeo import Access

BOOLEAN = "true|false"


@dataclass(frozen=True, kw_only=True)
class Registry:
    """How a registry is spoken to."""

    tls_verify: Annotated[
        str,
        typer.Option(
            "--tls-verify",
            metavar=BOOLEAN,
            help="false: take plain http and certificates that nobody signed. Without it: as registries.conf(5) says.",
        ),
    ] = ""
    authfile: Annotated[
        str,
        typer.Option(
            "--authfile",
            metavar="FILE",
            help="Where the passwords of registries are: containers-auth.json(5), as 'skopeo login' writes it.",
        ),
    ] = ""


def access(options: Registry) -> Access:
    """How a registry is spoken to, from what was typed. Raises UsageError."""
    from apt_ostree.tools.skopeo import Access

    if options.tls_verify:
        one_of("--tls-verify", options.tls_verify, BOOLEAN)
    authfile = absolute(options.authfile) if options.authfile else None
    if authfile and not authfile.is_file():
        raise UsageError(f"--authfile: there is no file '{authfile}'", hint=f"skopeo login --authfile {authfile} HOST")
    return Access(authfile=authfile, tls_verify=options.tls_verify == "true" if options.tls_verify else None)
