"""What verbs share: how a command is registered, its context is built, its result shown and its exit code found."""

from __future__ import annotations

import dataclasses
import inspect
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_origin, get_type_hints

import typer

from apt_ostree.cli.help import Verb, Verbs
from apt_ostree.cli.options import Settings
from apt_ostree.errors import EXIT_UNCHANGED, UsageError

if TYPE_CHECKING:
    from apt_ostree.model import Plan, Result
    from apt_ostree.paths import Paths
    from apt_ostree.report import Reporter
    from apt_ostree.transaction import Context

SCRIPT_TIMEOUT = 600.0  # seconds
Options = TypeVar("Options")
Body = Callable[[Settings, Options], int]


def verb(
    app: typer.Typer, name: str, options: type[Options], *, examples: str
) -> Callable[[Body[Options]], Body[Options]]:
    """Register `body(settings, options) -> exit code` as the command `name`.

    The fields of the dataclass `options` become the parameters Typer sees, so that a verb with twenty options is
    still a function of two arguments. `examples` has one command a line.
    """

    def register(body: Body[Options]) -> Body[Options]:
        def command(ctx: typer.Context, **words: Any) -> int:
            return body(ctx.obj, options(**words))

        command.__doc__ = body.__doc__
        expose(command, options)
        app.command(name, cls=Verb, epilog=inspect.cleandoc(examples))(command)
        return body

    return register


def expose(command: Callable[..., Any], options: type[Any]) -> None:
    """Give `command(ctx, **words)` the signature that the fields of the dataclass `options` describe."""
    hints = get_type_hints(options, include_extras=True)
    found = [inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)]
    for field in dataclasses.fields(options):
        if get_origin(hints[field.name]) is not Annotated:
            continue
        default: Any = inspect.Parameter.empty
        if field.default is not dataclasses.MISSING:
            default = field.default
        elif field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        found.append(
            inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, annotation=hints[field.name], default=default)
        )
    # Typer 0.15 with click 8.5 forgets the help of arguments; `pages` reads it here (update_wrapper keeps attributes)
    command.helps = {  # type: ignore[attr-defined]
        parameter.name: parameter.annotation.__metadata__[0].help for parameter in found[1:]
    }
    command.__signature__ = inspect.Signature(found)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in found}


def seconds(option: str, text: str | None) -> float | None:
    """The value of an option in seconds, None when it was not given. `inf` is one.

    Raises UsageError for what is no number or below zero.
    """
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isnan(value) or value < 0:
        raise UsageError(f"{option}: '{text}' is not a number of seconds", hint=f"{option}=30")
    return value


def one_of(option: str, value: str, allowed: str) -> None:
    """Raises UsageError when `value` is none of the words in `allowed`, separated by `|`."""
    words = allowed.split("|")
    if value not in words:
        raise UsageError(f"{option} is one of {', '.join(words)}, not '{value}'", hint=f"{option}={words[0]}")


def paths_of(settings: Settings) -> Paths:
    """Paths of the system the command is about. Raises UsageError for `--sysroot ''`, a variable that is not set."""
    from apt_ostree.paths import Paths

    if not settings.sysroot:
        raise UsageError("--sysroot: the path is empty", hint="apt-ostree --sysroot PATH ...")
    return Paths(absolute(settings.sysroot))


def absolute(path: str) -> Path:
    """A path of the command line, independent of the working directory; symbolic links stay as they are."""
    return Path(path).absolute()


def treefile_path(argument: str) -> Path:
    """The treefile of this path; a bare name that is no file here is one of those that come with the program."""
    from apt_ostree.treefile import examples

    return absolute(str(examples.find(argument, absolute("."))))


def change(settings: Settings, options: Any, work: Callable[[Context], Result]) -> int:
    """Run a verb that changes something, show its result, and return the exit code.

    `options` is a group of options.py; what the verb does not have gets its neutral value.
    """
    from apt_ostree.cli import screen
    from apt_ostree.ops import reboot

    paths, wants_reboot = paths_of(settings), getattr(options, "reboot", False)
    if wants_reboot:
        reboot.check(paths)  # before the work, not after it
    with screen.reporting(settings, json=options.json) as reporter:
        result = work(context(settings, options, reporter))
    screen.show_result(settings, result, json=options.json)
    if wants_reboot and result.changed and result.reboot_needed:
        reboot.run(paths)
    unchanged = not (result.changed or result.would_change)
    return EXIT_UNCHANGED if unchanged and getattr(options, "unchanged_exit_77", False) else 0


def context(settings: Settings, options: Any, reporter: Reporter) -> Context:
    """The context of a transaction, from what was typed. Raises UsageError for values that make no sense."""
    from apt_ostree import transaction

    def given(name: str, neutral: Any) -> Any:
        return getattr(options, name, neutral)

    return transaction.Context(
        paths=paths_of(settings),
        reporter=reporter,
        options=transaction.Options(
            dry_run=given("dry_run", False),
            download_only=given("download_only", False),
            cache_only=given("cache_only", False),
            wait=seconds("--wait", given("wait", None)),
            stateroot=given("stateroot", ""),
            idempotent=given("idempotent", False),
            allow_inactive=given("allow_inactive", False),
            recommends=given("recommends", None),
            lock_finalization=given("lock_finalization", False),
            script_timeout=_time_limit(given("script_timeout", None)),
            disable_repos=tuple(given("disable_repo", ())),
            command=settings.typed,
            verb=settings.verb,
            confirm=confirmation(settings, options, reporter),
        ),
    )


def _time_limit(text: str | None) -> float:
    """`--script-timeout` in seconds; 0 means no limit further down."""
    value = seconds("--script-timeout", text)
    if value is None:
        return SCRIPT_TIMEOUT
    return 0.0 if math.isinf(value) else value


def confirmation(settings: Settings, options: Any, reporter: Reporter) -> Callable[[Plan], bool]:
    """The question before a change: apt's rule, asked only of a person, only when more than the named packages come."""
    asks = sys.stdin.isatty() and sys.stderr.isatty() and not options.json
    if not asks or getattr(options, "yes", True) or getattr(options, "dry_run", False):
        return lambda plan: True

    def confirm(plan: Plan) -> bool:
        from apt_ostree.cli import screen

        return not extra_packages(plan) or screen.ask(settings, reporter, plan)

    return confirm


def extra_packages(plan: Plan) -> tuple[str, ...]:
    """Names of packages a plan brings along that nobody named, in order."""
    from apt_ostree.model import DiffKind

    requested = {request.name for request in plan.origin.requested}
    requested |= {local.package.name for local in plan.origin.requested_local}
    return tuple(
        sorted(change.name for change in plan.changes if change.kind is DiffKind.ADDED and change.name not in requested)
    )


def group(app: typer.Typer, name: str, text: str) -> typer.Typer:
    """Add a group of commands, described by `text` as a docstring would."""
    child = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)

    def callback() -> None:
        return None

    callback.__doc__ = text
    child.callback(cls=Verbs)(callback)
    app.add_typer(child, name=name, cls=Verbs)
    return child
