"""dpkg(1), dpkg-deb(1), dpkg-query(1). `prefix` is a sandbox's argv prefix: the tree's own dpkg runs in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from apt_ostree import run

# --force-unsafe-io: the tree is thrown away when we fail, so dpkg need not sync it.
# --force-confnew: into the pristine /usr/etc; ostree's merge protects the user's edits.
# --status-fd: what dpkg works on stands between the lines of the scripts, so that each line has its package.
# It must be a descriptor of its own: dpkg closes it for its children, and a script without stdout fails (EBADF).
OPTIONS = ("--force-unsafe-io", "--force-confnew", "--status-fd=3")
_DPKG = ("sh", "-c", 'exec dpkg "$@" 3>&1', "dpkg", *OPTIONS)


def unpack(
    prefix: Sequence[str], debs: Sequence[str], on_line: Callable[[str], None], *, timeout: float | None = None
) -> None:
    """`dpkg --unpack` of archives, by the paths they have in the sandbox, triggers put off. Raises ToolError."""
    # as apt calls it: what a new version Breaks (Policy 7.3) is in the same run, or apt would not have chosen it
    options = ["--no-triggers", "--auto-deconfigure"]
    run.stream([*prefix, *_DPKG, *options, "--unpack", *debs], on_line, timeout=timeout)


def configure(
    prefix: Sequence[str], names: Sequence[str], on_line: Callable[[str], None], *, timeout: float | None = None
) -> None:
    """`dpkg --configure` of packages (`name:arch`), triggers put off; no names: everything pending, triggers too."""
    what = ["--no-triggers", "--configure", *names] if names else ["--configure", "--pending"]
    run.stream([*prefix, *_DPKG, *what], on_line, timeout=timeout)


def purge(
    prefix: Sequence[str], names: Sequence[str], on_line: Callable[[str], None], *, timeout: float | None = None
) -> None:
    """`dpkg --purge` of packages (`name:arch`), triggers put off. Raises ToolError.

    Dependencies are apt's business (it calls dpkg just so); essential packages stay refused.
    """
    options = ["--no-triggers", "--force-depends"]
    run.stream([*prefix, *_DPKG, *options, "--purge", *names], on_line, timeout=timeout)


def add_architecture(prefix: Sequence[str], architecture: str) -> None:
    """`dpkg --add-architecture`."""
    run.capture([*prefix, "dpkg", "--add-architecture", architecture])


def divert(prefix: Sequence[str], admindir: str, path: str, place: str) -> None:
    """`dpkg-divert --add`: what packages have at `path` is at `place`, where it was put by other means."""
    options = ["--admindir", admindir, "--quiet", "--local", "--no-rename", "--divert", place]
    run.capture([*prefix, "dpkg-divert", *options, "--add", path])


def undivert(prefix: Sequence[str], admindir: str, path: str) -> None:
    """`dpkg-divert --remove`: what was diverted from `path` is gone."""
    run.capture([*prefix, "dpkg-divert", "--admindir", admindir, "--quiet", "--local", "--no-rename", "--remove", path])


def audit(prefix: Sequence[str]) -> str:
    """`dpkg --audit`: empty when every package is in a good state."""
    return run.capture([*prefix, "dpkg", "--audit"]).stdout.strip()


def search(admindir: Path, path: str) -> tuple[tuple[str, str], ...]:
    """`dpkg-query --search`: (package names separated by `, `, or a diversion in words) and path, for each match."""
    done = run.capture(["dpkg-query", f"--admindir={admindir}", "--search", "--", path], check=False)
    rows = (line.partition(": ") for line in done.stdout.splitlines())
    return tuple((owners, found) for owners, colon, found in rows if colon)


@contextmanager
def deb_tar(path: Path) -> Iterator[IO[bytes]]:
    """The file system archive of a .deb as a tar stream (`dpkg-deb --fsys-tarfile`)."""
    with run.reading(["dpkg-deb", "--fsys-tarfile", path]) as stream:
        yield stream


def deb_control_tar(path: Path) -> bytes:
    """The control archive of a .deb as a tar (`dpkg-deb --ctrl-tarfile`)."""
    with run.reading(["dpkg-deb", "--ctrl-tarfile", path]) as stream:
        return stream.read()


def architecture() -> str:
    """`dpkg --print-architecture`: the machine's own. Raises ToolError, ToolMissingError."""
    return run.capture(["dpkg", "--print-architecture"]).stdout.strip()
