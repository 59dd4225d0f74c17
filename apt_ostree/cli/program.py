"""The root of the command tree: a verb is loaded when it is asked for, all of them when they are to be listed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer

from apt_ostree.cli.help import Verbs
from apt_ostree.cli.pages import ALIASES

# modules of this package with a `register(app)`, and the words they bring; one a line, so that two changes seldom meet
MODULES = {
    "boot": ("boot-check", "restage"),
    "compose": ("compose",),
    "control": ("cancel", "finalize-deployment"),
    "db": ("db",),
    "delta": ("delta",),
    "deploy": ("deploy", "rollback"),
    "doctor": ("doctor",),
    "etc_diff": ("etc-diff",),
    "history": ("history",),
    "initramfs": ("initramfs", "initramfs-etc"),
    "install": ("install", "uninstall"),
    "kargs": ("kargs",),
    "live": ("apply-live",),
    "oci": ("oci",),
    "override": ("override", "reset"),
    "packages": ("provides", "search", "show", "why"),
    "pin": ("pin", "unpin"),
    "rebase": ("rebase",),
    "repo": ("repo",),
    "schema": ("schema",),
    "status": ("status",),
    "upgrade": ("upgrade",),
    "upkeep": ("cleanup", "refresh-md"),
    "usroverlay": ("usroverlay",),
    "verify": ("verify",),
}
_OWNERS = {word: module for module, words in MODULES.items() for word in words}


class Program(Verbs):
    """The program itself. Building every verb costs more than most of them do, so only what is asked for is built."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name or alias, None when there is none."""
        if module := _OWNERS.get(ALIASES.get(cmd_name, cmd_name)):
            self._load(module)
        return super().get_command(ctx, cmd_name)

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of all commands."""
        self.load_all()
        return super().list_commands(ctx)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Every command is in it."""
        self.load_all()
        super().format_help(ctx, formatter)

    def load_all(self) -> None:
        """Have every command in `commands`."""
        for module in MODULES:
            self._load(module)

    def _load(self, module: str) -> None:
        if MODULES[module][0] not in self.commands:
            self.commands.update(commands_of(module))


def commands_of(module: str) -> dict[str, Any]:
    """The commands a module registers, as click has them, by name."""
    part = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
    part.callback()(_nothing)  # with one, a single command is a member of a group all the same
    import_module(f"apt_ostree.cli.{module}").register(part)
    commands: dict[str, Any] = typer.main.get_command(part).commands  # type: ignore[attr-defined]
    return commands


def _nothing() -> None:
    return None
