"""`apt-ostree initramfs` and `apt-ostree initramfs-etc`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import typer

from apt_ostree.cli.common import change, paths_of, verb
from apt_ostree.cli.options import (
    DryRun,
    Json,
    LockFinalization,
    Making,
    Reboot,
    Settings,
    Stateroot,
    Unchanged,
    Wait,
    repeated,
)
from apt_ostree.cli.screen import show
from apt_ostree.errors import UsageError

if TYPE_CHECKING:
    from apt_ostree.model import Origin


@dataclass(frozen=True, kw_only=True)
class InitramfsOptions(LockFinalization, Making):
    enable: Annotated[bool, typer.Option("--enable", help="Make an initramfs for each new deployment.")] = False
    disable: Annotated[bool, typer.Option("--disable", help="Take the base's initramfs again.")] = False
    arg: Annotated[
        list[str],
        typer.Option(
            "--arg",
            metavar="ARG",
            help="Hand this argument to dracut; with --enable. May be repeated, the order stays.",
        ),
    ] = field(default_factory=list)


def initramfs(settings: Settings, options: InitramfsOptions) -> int:
    """Show or change whose initramfs is booted.

    A base brings an initramfs for any machine. With --enable the tree's own dracut makes another one on this machine,
    for every new deployment, with the arguments given here and the settings in /usr of the tree; files of the
    machine's /etc get there with initramfs-etc. Without an option, prints what is set, and needs no root.
    """
    if options.enable and options.disable:
        raise UsageError("--enable and --disable exclude each other", hint="apt-ostree initramfs --enable")
    if options.arg and not options.enable:
        raise UsageError("--arg goes with --enable", hint="apt-ostree initramfs --enable --arg=ARG")
    from apt_ostree.ops import initramfs as op
    from apt_ostree.ui import initramfs as view

    if not (options.enable or options.disable):
        return _print(settings, options, view.text)
    request = op.Request(enable=options.enable, arguments=tuple(options.arg))
    return change(settings, options, lambda context: op.run(context, request))


@dataclass(frozen=True, kw_only=True)
class EtcOptions(LockFinalization, Stateroot, Json, DryRun, Reboot, Unchanged, Wait):
    track: Annotated[
        list[str],
        repeated("--track", "FILE", "Track this file or directory below /etc."),
    ] = field(default_factory=list)
    untrack: Annotated[list[str], repeated("--untrack", "FILE", "Track this one no longer.")] = field(
        default_factory=list
    )
    untrack_all: Annotated[bool, typer.Option("--untrack-all", help="Track nothing any more.")] = False
    force_sync: Annotated[
        bool, typer.Option("--force-sync", help="Make a new deployment if tracked files have changed.")
    ] = False


def initramfs_etc(settings: Settings, options: EtcOptions) -> int:
    """Show or change which files of /etc the initramfs has.

    Tracked files are put into a small initrd of their own, which the boot loader loads beside the big one: settings
    for what runs before the deployment is mounted, like /etc/crypttab. Every new deployment has them as they are in
    /etc when it is made; --force-sync makes one for that alone. Without an option, prints what is tracked.
    """
    from apt_ostree.ops import initramfs_etc as op
    from apt_ostree.ui import initramfs as view

    if not (options.track or options.untrack or options.untrack_all or options.force_sync):
        return _print(settings, options, view.etc_text)
    request = op.Request(
        track=tuple(options.track),
        untrack=tuple(options.untrack),
        untrack_all=options.untrack_all,
        sync=options.force_sync,
    )
    return change(settings, options, lambda context: op.run(context, request))


def _print(settings: Settings, options: InitramfsOptions | EtcOptions, text: Callable[[Origin], str]) -> int:
    from apt_ostree.ops import initramfs as op
    from apt_ostree.ui import initramfs as view

    origin = op.first(paths_of(settings), options.stateroot).origin
    show(settings, options.json, lambda: view.as_json(origin), lambda _theme: text(origin))
    return 0


def register(app: typer.Typer) -> None:
    verb(
        app,
        "initramfs",
        InitramfsOptions,
        examples="""
        apt-ostree initramfs
        apt-ostree initramfs --enable
        apt-ostree initramfs --enable --arg=--force-drivers --arg="dm_crypt nvme"
        apt-ostree initramfs --disable
        """,
    )(initramfs)
    verb(
        app,
        "initramfs-etc",
        EtcOptions,
        examples="""
        apt-ostree initramfs-etc --track /etc/crypttab --track /etc/cmdline.d
        apt-ostree initramfs-etc --force-sync
        apt-ostree initramfs-etc --untrack-all
        """,
    )(initramfs_etc)
