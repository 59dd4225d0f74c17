"""Words that only the system knows, for TAB: packages, requests, revisions. Never fails, never prints."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import typer

Completion = Callable[[typer.Context, str], list[str]]


def _quiet(find: Completion) -> Completion:
    """A completion that has no answer says nothing: a message would land in the middle of the person's line."""

    @functools.wraps(find)
    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        try:
            return find(ctx, incomplete)
        except Exception:  # whatever goes wrong, the shell must get its (empty) answer
            return []

    return complete


@_quiet
def available(ctx: typer.Context, incomplete: str) -> list[str]:
    """Packages of the archive."""
    from apt_ostree.ops import complete

    return list(complete.available(incomplete))


@_quiet
def requested(ctx: typer.Context, incomplete: str) -> list[str]:
    """Packages the next deployment was asked to have."""
    from apt_ostree.ops import complete

    return list(complete.requested(_sysroot(ctx)))


@_quiet
def overridden(ctx: typer.Context, incomplete: str) -> list[str]:
    """Packages of the base that are overridden."""
    from apt_ostree.ops import complete

    return list(complete.overridden(_sysroot(ctx)))


@_quiet
def revisions(ctx: typer.Context, incomplete: str) -> list[str]:
    """Checksums, versions and refs that could be deployed."""
    from apt_ostree.ops import complete

    return list(complete.revisions(_sysroot(ctx)))


@_quiet
def schemas(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of the JSON schemas."""
    from apt_ostree.ops import schema

    return list(schema.names())


def _sysroot(ctx: typer.Context) -> Path:
    return Path(ctx.find_root().params.get("sysroot") or "/")
