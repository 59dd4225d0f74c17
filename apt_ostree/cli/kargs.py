"""`apt-ostree kargs`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Optional

import typer

from apt_ostree.cli.common import change, paths_of, verb
from apt_ostree.cli.options import (
    DryRun,
    Json,
    LockFinalization,
    Reboot,
    Settings,
    Stateroot,
    Unchanged,
    Wait,
    repeated,
)
from apt_ostree.cli.screen import show


@dataclass(frozen=True, kw_only=True)
class KargsOptions(LockFinalization, Stateroot, Json, DryRun, Reboot, Unchanged, Wait):
    append: Annotated[list[str], repeated("--append", "KEY=VALUE", "Add an argument, at the end.")] = field(
        default_factory=list
    )
    replace: Annotated[
        list[str],
        repeated("--replace", "KEY=VALUE", "Change the value of the only KEY; KEY=OLD=NEW changes one of several."),
    ] = field(default_factory=list)
    delete: Annotated[
        list[str],
        repeated("--delete", "KEY=VALUE", "Remove this argument; KEY alone removes the only one there is."),
    ] = field(default_factory=list)
    append_if_missing: Annotated[
        list[str],
        typer.Option(
            "--append-if-missing", metavar="KEY=VALUE", help="As --append, unless just this argument is there."
        ),
    ] = field(default_factory=list)
    delete_if_present: Annotated[
        list[str],
        typer.Option(
            "--delete-if-present", metavar="KEY=VALUE", help="As --delete, and no error when it is not there."
        ),
    ] = field(default_factory=list)
    editor: Annotated[bool, typer.Option("--editor", help="Edit them in $VISUAL, $EDITOR or the system's editor.")] = (
        False
    )
    import_proc_cmdline: Annotated[
        bool,
        typer.Option("--import-proc-cmdline", help="Start from what the running kernel was given."),
    ] = False
    deploy_index: Annotated[
        Optional[int],  # noqa: UP045 (Typer reads the annotation; it knows Optional on every version)
        typer.Option(
            "--deploy-index", metavar="N", help="Start from those of deployment N (status -v has the numbers)."
        ),
    ] = None


def kargs(settings: Settings, options: KargsOptions) -> int:
    """Show or change the kernel arguments.

    Without an option that changes something, prints those of the deployment that boots next, and needs no root.

    Otherwise makes a new deployment of the same tree with the changed arguments; all that is given on one command
    line is one change: deletions first, then replacements, then additions. An argument with spaces in its value is
    quoted for the kernel: --append='dyndbg="file a.c +p"'. Later deployments keep what was set. The argument ostree=
    is not among them.

    Where the boot loader is GRUB, an argument that it would not hand to the kernel as it is gets refused: one with $,
    a backslash or a single quote, and one with & ; < > { | or } outside of double quotes.
    """
    from apt_ostree import kargs as rules
    from apt_ostree.ops import kargs as op

    edits = rules.Edits(
        delete=tuple(options.delete),
        delete_if_present=tuple(options.delete_if_present),
        replace=tuple(options.replace),
        append=tuple(options.append),
        append_if_missing=tuple(options.append_if_missing),
    )
    source = op.Source(index=options.deploy_index, proc_cmdline=options.import_proc_cmdline)
    if edits or options.editor:
        request = op.Request(edits=edits, edit_by_hand=options.editor, source=source)
        return change(settings, options, lambda context: op.run(context, request))
    from apt_ostree.ui import kargs as view

    found = op.show(paths_of(settings), options.stateroot, source)
    show(
        settings,
        options.json,
        lambda: view.as_json(found.deployment, found.kargs),
        lambda _theme: view.text(found.kargs),
    )
    return 0


def register(app: typer.Typer) -> None:
    verb(
        app,
        "kargs",
        KargsOptions,
        examples="""
        apt-ostree kargs                                     # print them
        apt-ostree kargs --append=console=ttyS0,115200 --delete=quiet
        apt-ostree kargs --replace=console=tty0=tty1         # one of several
        apt-ostree kargs --append-if-missing=mitigations=auto --unchanged-exit-77
        apt-ostree kargs --editor
        """,
    )(kargs)
