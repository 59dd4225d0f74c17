"""The program: command tree, and the one place where every exception becomes an exit code."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import shlex
import sys
from collections.abc import Collection, Sequence
from typing import Any

import typer

from apt_ostree import __version__
from apt_ostree.cli import argv as words
from apt_ostree.cli.common import expose, one_of
from apt_ostree.cli.hints import for_sysroot, without_sudo
from apt_ostree.cli.options import COLORS, PROGRESS, Settings
from apt_ostree.cli.pages import COMPLETION, HELP_NAMES, PROGRAM, verbs
from apt_ostree.cli.program import Program
from apt_ostree.errors import EXIT_BUG, AptOstreeError, InterruptedByUser, NotRootError, UsageError

COMPLETE_VARIABLE = "_APT_OSTREE_COMPLETE"
DEBUG_VARIABLE = "APT_OSTREE_DEBUG"
EXIT_PIPE = 141  # what a shell reports for a program that ended by SIGPIPE (signal(7): 128 + 13)

EXAMPLES = """\
apt-ostree status
sudo apt-ostree install htop       # in a new deployment, for the next boot
sudo apt-ostree rollback           # boot the previous one again
apt-ostree --sysroot /mnt status   # a system that is not running"""


def main(ctx: typer.Context, **given: Any) -> None:
    """Atomic package layering for image-based Debian and Ubuntu.

    The system is an OSTree commit, made of Debian packages, that is never changed while it runs. Every change makes
    a new deployment beside it, whole or not at all, and the next boot goes into it; the previous one stays for
    rollback.

    'apt-ostree help COMMAND' is the same as 'apt-ostree COMMAND --help'.
    """
    settings = Settings(typed=ctx.obj or PROGRAM, verb=ctx.invoked_subcommand or "", **given)
    if settings.version:
        typer.echo(f"{PROGRAM} {__version__}")
        raise typer.Exit(0)
    if settings.help_verbs:
        typer.echo("\n".join(" ".join(page.words) for page in verbs(command())))
        raise typer.Exit(0)
    one_of("--color", settings.color, COLORS)
    one_of("--progress", settings.progress, PROGRESS)
    ctx.obj = settings
    if ctx.invoked_subcommand is None:
        raise UsageError("what is to be done? A command is missing", hint=f"{PROGRAM} --help")
    _log(settings.verbose)


def command(*, whole: bool = True) -> Any:
    """The command tree as click has it: what `pages` walks, and `run` calls with verbs that come when asked for."""
    app = typer.Typer(
        name=PROGRAM,
        cls=Program,
        add_completion=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": list(HELP_NAMES)},
    )
    expose(main, Settings)
    app.callback(cls=Program, invoke_without_command=True, epilog=EXAMPLES)(main)
    root: Any = typer.main.get_command(app)
    root.params = [param for param in root.params if param.name not in COMPLETION]
    if whole:
        root.load_all()
    return root


def run(argv: Sequence[str]) -> int:
    """Run one command line and return its exit code; no exception and no traceback ever leaves."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names that the locale has no characters for
    try:
        code = _invoke(argv)
        sys.stdout.flush()
        return code
    except AptOstreeError as error:
        return _failed(error, argv)
    except KeyboardInterrupt:
        return _failed(InterruptedByUser("interrupted; nothing was changed"), argv)
    except BrokenPipeError:
        return _broken_pipe()
    except OSError as error:  # a full disk, a file that may not be read: the machine's trouble, not a bug
        return _failed(_system(error, _debug(argv)), argv)
    except Exception as error:  # the last line of defence: a person gets a sentence, not a traceback
        return _failed(_bug(error, _debug(argv)), argv)


def _invoke(argv: Sequence[str]) -> int:
    root = command(whole=False)
    if os.environ.get(COMPLETE_VARIABLE):
        return _complete(root)
    names = [(param, (*param.opts, *param.secondary_opts)) for param in root.params if param.name != "help"]
    flags = {name for param, some in names if param.is_flag or getattr(param, "count", False) for name in some}
    valued = {name for param, some in names for name in some} - flags
    line = words.normalize(argv, flags, valued)
    line = _asked_for_help(root, line, valued)
    try:
        with root.make_context(PROGRAM, line, obj=shlex.join((PROGRAM, *argv))) as context:
            return int(root.invoke(context) or 0)
    except typer.Exit as leaving:  # --help and --version
        return int(leaving.exit_code)
    except USAGE as error:
        raise _usage(error, root, line) from None


def _asked_for_help(root: Any, line: list[str], valued: Collection[str]) -> list[str]:
    """`help install` is `install --help`, and so is `compose help tree`; a word follows `valued` options."""
    names = [word for before, word in zip(["", *line], line, strict=False) if word[:1] != "-" and before not in valued]
    of_a_group = names[1:2] == ["help"] and hasattr(root.get_command(None, names[0]), "commands")
    return [*(name for name in names if name != "help"), "--help"] if names[:1] == ["help"] or of_a_group else line


# click's base of usage errors. Typer has its own copy of click since 0.26, so it is found through a public name.
USAGE: type[Exception] = typer.BadParameter.__mro__[1]


def _usage(error: Any, root: Any, line: Sequence[str]) -> UsageError:
    """A usage error of click in our words: its own rendering differs between versions."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else _path(root, line)
    param = getattr(error, "param", None)
    name = (param.metavar if param.param_type_name == "argument" else max(param.opts, key=len)) if param else ""
    message = (error.message or "").rstrip(".")
    if type(error).__name__ == "MissingParameter":
        return UsageError(f"{name} is missing", hint=f"{path} --help")
    if name:
        return UsageError(f"{name}: {_lower(message)}", hint=f"{path} --help")
    if message.startswith("No such command"):
        return _unknown_command(message, path, context.command if context is not None else root)
    meant = _meant(error, context, root)
    return UsageError(_lower(message), hint=f"did you mean {meant}? See: {path} --help" if meant else f"{path} --help")


def _meant(error: Any, context: Any, root: Any) -> str:
    """The option that was misspelt, of the command or a global one, as those stand behind the verb as well."""
    from difflib import get_close_matches

    params = [*(context.command.params if context is not None else ()), *root.params]
    known = [name for param in params if not getattr(param, "hidden", False) for name in param.opts if name[:2] == "--"]
    return next(iter(get_close_matches(getattr(error, "option_name", None) or "", known, n=1)), "")


def _unknown_command(message: str, path: str, group: Any) -> UsageError:
    from difflib import get_close_matches

    typed = message.partition("'")[2].partition("'")[0]
    others = _OF_OTHERS.get(typed, "").split() if path == PROGRAM else []
    near = others or get_close_matches(typed, group.list_commands(None), n=1)
    return UsageError(f"there is no command '{typed}'", hint=f"{path} {' '.join(near) or '--help'}")


# What apt, dpkg and git users type.
_OF_OTHERS = {"version": "--version", "list": "db list", "info": "show", "diff": "db diff", "switch": "rebase",
              "purge": "uninstall", "autoremove": "uninstall", "dist-upgrade": "upgrade", "full-upgrade": "upgrade",
}  # fmt: skip


def _path(root: Any, line: Sequence[str]) -> str:
    """The command a line is about, for errors that do not know."""
    path, command = [PROGRAM], root
    for word in line:
        if not word.startswith("-") and hasattr(command, "commands") and (found := command.get_command(None, word)):
            path.append(word)
            command = found
    return " ".join(path)


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _complete(root: Any) -> int:
    from apt_ostree.cli import rich_hidden

    # Typer renders the help of each candidate with rich when it finds it: a quarter of a second at every TAB.
    with rich_hidden():
        try:
            root.main(args=[], prog_name=PROGRAM, complete_var=COMPLETE_VARIABLE)
        except SystemExit as leaving:
            return leaving.code if isinstance(leaving.code, int) else 0
    return 0


def _failed(error: AptOstreeError, argv: Sequence[str]) -> int:
    from apt_ostree.cli import screen

    json, colour = words.wants_json(argv), words.value_of(argv, "--color", "auto")
    error.hint = for_sysroot(error.hint, words.value_of(argv, "--sysroot", "/"))
    if os.geteuid() == 0:
        error.hint = without_sudo(error.hint)
    try:
        screen.show_error(error, json=json, colour=colour)
    except BrokenPipeError:
        return _broken_pipe()
    except OSError:  # a full disk under stdout; when stderr is full too, the exit code must do
        with contextlib.suppress(OSError):
            screen.show_error(error, json=False, colour=colour)
    _drop_output()
    return error.exit_code


def _system(error: OSError, debug: bool) -> AptOstreeError:
    import traceback

    what = error.strerror or str(error)
    plain = isinstance(error, PermissionError) and os.geteuid() != 0
    return (NotRootError if plain else AptOstreeError)(
        f"{what}: '{error.filename}'" if error.filename else what,
        hint="sudo apt-ostree ..." if plain else "",
        code="system",
        details=traceback.format_exc().splitlines() if debug else (),
    )


def _bug(error: Exception, debug: bool) -> AptOstreeError:
    import traceback

    bug = AptOstreeError(
        f"internal error: {type(error).__name__}: {error}",
        code="bug",
        hint="this is a bug of apt-ostree; run the command again with -vv and report what it says",
        details=traceback.format_exc().splitlines() if debug else (),
    )
    bug.exit_code = EXIT_BUG
    return bug


def _broken_pipe() -> int:
    """Whoever read our output went away: end quietly."""
    _drop_output()
    return EXIT_PIPE


def _drop_output() -> None:
    """Forget what stdout cannot take any more, or Python complains about it at its exit."""
    try:
        sys.stdout.flush()
    except OSError:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)


def _debug(argv: Sequence[str]) -> bool:
    """True with -vv or the variable; the line may not have been parsed when this is asked."""
    loud = sum(word.count("v") for word in argv if word.startswith("-") and not word.startswith("--"))
    return loud + list(argv).count("--verbose") > 1 or bool(os.environ.get(DEBUG_VARIABLE))


def _log(verbose: int) -> None:
    level = {0: logging.WARNING, 1: logging.INFO}.get(verbose, logging.DEBUG)
    logging.basicConfig(level=level, format="%(message)s", stream=sys.stderr)
