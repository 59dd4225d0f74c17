"""The only door to other programs.

`capture` answers short questions, `stream` runs long work line by line, `reading` hands over a program's
output as bytes. The environment is built, never inherited; stdin is closed; there is no shell anywhere.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import shlex
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from apt_ostree.errors import ToolError, ToolMissingError

log = logging.getLogger(__name__)

TAIL_LINES = 25
GRACE_SECONDS = 2.0
SBIN = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# what programs for people need: terminfo(5), locale(7), X(7)
_TERMINAL = ("TERM", "COLORTERM", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY")
INHERITED = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")

DEBIAN_PACKAGE = {
    "apt-cache": "apt",
    "apt-config": "apt",
    "apt-get": "apt",
    "bwrap": "bubblewrap",
    "dpkg-deb": "dpkg",
    "dpkg-query": "dpkg",
    "gpg": "gpg",
    "grub-mkimage": "grub-common",
    "mcopy": "mtools",
    "mke2fs": "e2fsprogs",
    "mkfs.fat": "dosfstools",
    "mmd": "mtools",
    "mount": "mount",
    "qemu-img": "qemu-utils",
    "sfdisk": "fdisk",
    "umount": "mount",
}

Argv = Sequence[str | Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """What a captured program left behind."""

    stdout: str
    stderr: str
    returncode: int


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment every program gets: a search path, a UTF-8 C locale, and what the caller declares."""
    return {"PATH": os.environ.get("PATH", SBIN), "LC_ALL": "C.UTF-8", "HOME": "/root", **(extra or {})}


def proxies() -> dict[str, str]:
    """The caller's proxies, for programs that download. No others: a proxy's address may have a password in it."""
    return {name: os.environ[name] for name in INHERITED if name in os.environ}


def keyring() -> dict[str, str]:
    """Where the caller keeps OpenPGP keys (gpg(1)): signing is done with a person's own key."""
    return {name: os.environ[name] for name in ("GNUPGHOME", "HOME") if name in os.environ}


def containers() -> dict[str, str]:
    """Where the caller keeps images, keys and passwords of registries (containers-auth.json(5)), and his proxies."""
    names = ("HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "REGISTRY_AUTH_FILE", "TMPDIR")
    more = ("CONTAINERS_STORAGE_CONF", "CONTAINERS_POLICY_JSON", "STORAGE_DRIVER", "STORAGE_OPTS")
    return {**proxies(), **{name: os.environ[name] for name in (*names, *more) if name in os.environ}}


def generator() -> dict[str, str]:
    """The caller's own GRUB menu generator, for libostree's grub2 back end: it must be the same in every call."""
    return {name: os.environ[name] for name in ("OSTREE_GRUB2_EXEC", "OSTREE_DEBUG_GRUB2") if name in os.environ}


def missing(program: str) -> ToolMissingError:
    """The error for a program that is not there; it names the Debian package that has it."""
    package = DEBIAN_PACKAGE.get(program, program)
    return ToolMissingError(
        f"the program '{program}' is needed and was not found", hint=f"sudo apt-get install {package}"
    )


def _argv(argv: Argv) -> list[str]:
    words = [str(word) for word in argv]
    log.debug("run: %s", shlex.join(words))
    return words


def failed(argv: Sequence[str], returncode: int, lines: Sequence[str]) -> ToolError:
    """The error for a program that ended badly, with its last lines."""
    how = f"was ended by signal {-returncode}" if returncode < 0 else f"failed with exit code {returncode}"
    return ToolError(
        f"'{shlex.join(argv[:3])}{' ...' if len(argv) > 3 else ''}' {how}",
        argv=argv,
        returncode=returncode,
        details=[line for line in lines if line.strip()][-TAIL_LINES:],
    )


def capture(
    argv: Argv,
    *,
    check: bool = True,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Completed:
    """Run a short program to its end and return what it wrote.

    Raises ToolError when it fails and `check` is set, ToolMissingError when it is not installed.
    """
    words = _argv(argv)
    feed: dict[str, Any] = {"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL}
    try:
        done = subprocess.run(
            words,
            capture_output=True,
            check=False,
            text=True,
            errors="replace",
            env=environment(env),
            cwd=cwd,
            process_group=0,  # a Ctrl-C is ours to handle: it must not tear a deploy apart
            **feed,
        )
    except (FileNotFoundError, PermissionError) as error:
        raise missing(words[0]) from error
    if check and done.returncode != 0:
        raise failed(words, done.returncode, (done.stderr or done.stdout).splitlines())
    return Completed(stdout=done.stdout, stderr=done.stderr, returncode=done.returncode)


def interactive(argv: Argv) -> None:
    """Run a program that talks to the person: with our terminal and what an editor wants to know of it.

    A Ctrl-C is the program's. Its output goes to stderr when stdout is not a terminal: that is for our answer.
    Raises ToolError, ToolMissingError.
    """
    words = _argv(argv)
    known = {name: os.environ[name] for name in _TERMINAL if name in os.environ}
    former = signal.signal(signal.SIGINT, lambda _signum, _frame: None)  # ignoring it would be inherited
    try:
        stdout = None if sys.stdout.isatty() else sys.stderr.fileno()
        done = subprocess.run(words, check=False, env={**environment(), **known}, stdout=stdout)
    except (FileNotFoundError, PermissionError) as error:
        raise missing(words[0]) from error
    finally:
        signal.signal(signal.SIGINT, former)
    if done.returncode != 0:
        raise failed(words, done.returncode, ())


@contextlib.contextmanager
def reading(argv: Argv, *, env: Mapping[str, str] | None = None, stdin: IO[bytes] | None = None) -> Iterator[IO[bytes]]:
    """Run a program and hand over its standard output as a binary stream; the program is reaped at the end.

    `stdin` is a file it reads, by its descriptor. Raises ToolError when it fails, unless the block itself raised first.
    """
    with _child(argv, env, stdin=subprocess.DEVNULL if stdin is None else stdin, stdout=subprocess.PIPE) as process:
        if process.stdout is None:  # for the type checker: PIPE always gives a stream
            raise AssertionError("no stdout")
        yield process.stdout
        process.stdout.close()


@contextlib.contextmanager
def writing(argv: Argv, output: IO[bytes], *, env: Mapping[str, str] | None = None) -> Iterator[IO[bytes]]:
    """Run a program and hand over its standard input; what it writes goes to the file `output`, by its descriptor.

    Raises ToolError when it fails, unless the block itself raised first.
    """
    with _child(argv, env, stdin=subprocess.PIPE, stdout=output) as process:
        if process.stdin is None:  # as above
            raise AssertionError("no stdin")
        yield process.stdin
        with contextlib.suppress(BrokenPipeError):  # its exit code says more
            process.stdin.close()


@contextlib.contextmanager
def serving(argv: Argv, channel: int, *, env: Mapping[str, str] | None = None) -> Iterator[None]:
    """Run a program that answers on the socket `channel`, which it inherits, while the block runs.

    The block closes the other end, upon which the program has a short grace to clean up; then it is ended. What it
    writes is in the ToolError of a program that ended by itself.
    """
    words = _argv(argv)
    with tempfile.TemporaryFile() as errors:
        process = _start(words, env, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, pass_fds=(channel,))
        try:
            yield
        except OSError as error:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(GRACE_SECONDS)
            if process.returncode is None:
                raise
            raise failed(words, process.returncode, _lines(errors)) from error
        finally:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(GRACE_SECONDS)
            process.kill()
            process.wait()


@contextlib.contextmanager
def _child(argv: Argv, env: Mapping[str, str] | None, **streams: Any) -> Iterator[subprocess.Popen[bytes]]:
    words = _argv(argv)
    with tempfile.TemporaryFile() as errors:
        process = _start(words, env, stderr=errors, **streams)
        try:
            yield process
            process.wait()
        except BrokenPipeError:  # it ended before it had read everything; how, is told below
            if process.wait() == 0:
                raise
        except BaseException:
            process.kill()
            process.wait()
            raise
        finally:
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with contextlib.suppress(BrokenPipeError):
                        stream.close()
        if process.returncode != 0:
            raise failed(words, process.returncode, _lines(errors))


def _start(words: list[str], env: Mapping[str, str] | None, **options: Any) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(words, env=environment(env), process_group=0, **options)
    except (FileNotFoundError, PermissionError) as error:
        raise missing(words[0]) from error


def _lines(errors: IO[bytes]) -> list[str]:
    errors.seek(0)
    return errors.read().decode(errors="replace").splitlines()


def stream(
    argv: Argv,
    on_line: Callable[[str], None],
    *,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
    cwd: Path | None = None,
) -> None:
    """Run long work in its own process group and pass every line it writes to `on_line`.

    When this is interrupted (a signal handler or the timeout raises), the whole group is ended and reaped
    before the exception goes on. `timeout` is in seconds. Raises ToolError, ToolMissingError.
    """
    import sh  # a quarter of a second that `status` should not pay

    words = _argv(argv)
    tail: deque[str] = deque(maxlen=TAIL_LINES)

    def receive(line: str) -> None:
        text = line.rstrip("\n")
        tail.append(text)
        on_line(text)

    try:
        command = sh.Command(words[0])
    except sh.CommandNotFound as error:
        raise missing(words[0]) from error
    with launching(), Path(os.devnull).open("rb") as nothing:
        try:
            running = command(
                *words[1:],
                _bg=True,
                _bg_exc=False,
                _out=receive,
                _err_to_out=True,
                _in=nothing,
                _env=environment(env),
                _new_group=True,
                _new_session=False,
                _tty_in=False,
                _tty_out=False,
                _decode_errors="replace",
                _truncate_exc=False,
                _return_cmd=True,
                _no_out=True,
                _cwd=str(cwd or "/"),
            )
        except sh.ForkException as error:  # execve(2) failed: no interpreter, or no program at all
            raise failed(words, 126, ["it cannot be executed"]) from error
        process = _Running(running, _pidfd(running.pid))
    try:
        _wait(process, words, tail, timeout)
    finally:
        if process.fd >= 0:
            os.close(process.fd)


@dataclass(frozen=True, slots=True)
class _Running:
    """A command of sh, and a descriptor that tells of its end (pidfd_open(2)), -1 when it has ended already.

    sh's own waiting polls, and holds a lock that a signal could leave taken.
    """

    command: Any
    fd: int

    def ended(self, seconds: float | None) -> bool:
        """Wait for the end; False when it did not come in time."""
        return self.fd < 0 or bool(select.select([self.fd], [], [], seconds)[0])


def _pidfd(pid: int) -> int:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return -1


def _wait(running: _Running, words: list[str], tail: deque[str], timeout: float | None) -> None:
    import sh

    try:
        if _launch.late is not None:
            raise _launch.late
        if not running.ended(timeout):
            raise ToolError(
                f"'{shlex.join(words[:3])}' was ended after {timeout:.0f} s", argv=words, returncode=124, details=tail
            )
    except BaseException:
        _end(running)
        raise
    try:
        running.command.wait()
    except sh.ErrorReturnCode as error:
        raise failed(words, error.exit_code, list(tail)) from error


def _end(running: _Running) -> None:
    """End a process group for certain: SIGTERM, a short grace, SIGKILL; then it is reaped by sh's own thread."""
    for signum in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            running.command.signal_group(signum)
        if running.ended(GRACE_SECONDS):
            return


class _Launch:
    """A program is being started: an exception now would leave it running with nobody to end it."""

    active = False
    late: BaseException | None = None


_launch = _Launch()


@contextlib.contextmanager
def launching() -> Iterator[None]:
    """Around the start of a program: what a signal handler hands to `interrupt` is raised when it has started."""
    _launch.active, _launch.late = True, None
    try:
        yield
    finally:
        _launch.active = False


def interrupt(error: BaseException) -> None:
    """Raise `error` from a signal handler, or keep it until the program that is being started can be ended."""
    if not _launch.active:
        raise error
    _launch.late = error
