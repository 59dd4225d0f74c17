"""dpkg(1), dpkg-deb(1), dpkg-query(1). `prefix` is a sandbox's argv prefix: the tree's own dpkg runs in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from apt_ostree import run

# --force-unsafe-io: the tree is thrown away when we fail, so dpkg need not sync it.
# --force-confnew: into the pristine /usr/etc; ostree's merge protects the user's edits.
# --status-fd: what dpkg works on stands between the lines of the scripts, so that each line has its package.
# It must be a descriptor of its own: dpkg closes it for its children, and a script without stdout fails (EBADF).
OPTIONS = ("--force-unsafe-io", "--force-confnew", "--status-fd=3")
ADMINDIR = "/var/lib/dpkg"
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


def divert(
    prefix: Sequence[str], path: str, place: str, *, admindir: str = ADMINDIR, by: str = "", rename: bool = False
) -> None:
    """`dpkg-divert --add`: what packages have at `path` is at `place`, moved there (`rename`) or put by other means.

    `by` is the package that diverts, empty for a local diversion.
    """
    run.capture([*prefix, *_divert(admindir, by, rename), "--divert", place, "--add", path])


def undivert(prefix: Sequence[str], path: str, *, admindir: str = ADMINDIR, by: str = "", rename: bool = False) -> None:
    """`dpkg-divert --remove`: what was diverted from `path` is gone, or moved back (`rename`)."""
    run.capture([*prefix, *_divert(admindir, by, rename), "--remove", path])


def _divert(admindir: str, by: str, rename: bool) -> list[str]:
    whose = ["--package", by] if by else ["--local"]
    return ["dpkg-divert", "--admindir", admindir, "--quiet", *whose, "--rename" if rename else "--no-rename"]


def changed(prefix: Sequence[str], admindir: str, packages: Iterable[str]) -> tuple[str, ...]:
    """`dpkg --verify`: the paths of installed packages that are not as they have them. Raises ToolError."""
    lines = run.capture([*prefix, "dpkg", "--admindir", admindir, "--verify", *packages]).stdout.splitlines()
    return tuple(line[12:] for line in lines)  # "??5?????? c /etc/x" or "missing     /etc/x"


def audit(prefix: Sequence[str]) -> str:
    """`dpkg --audit`: empty when every package is in a good state."""
    return run.capture([*prefix, "dpkg", "--audit"]).stdout.strip()


def search(admindir: Path | str, *paths: str, prefix: Sequence[str] = ()) -> tuple[tuple[str, str], ...]:
    """`dpkg-query --search`: (package names separated by `, `, or a diversion in words) and path, for each match."""
    done = run.capture([*prefix, "dpkg-query", f"--admindir={admindir}", "--search", "--", *paths], check=False)
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
