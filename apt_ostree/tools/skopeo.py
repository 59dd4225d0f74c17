"""skopeo(1): copies images between registries, layouts and storages, and hands over single blobs.

Passwords are in a file (`--authfile`), never in an argument: every user can read those (proc_pid_cmdline(5)).
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import socket
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from apt_ostree import run
from apt_ostree.errors import ToolError

_MESSAGE = 32 * 1024  # bytes of one request or answer (skopeo's proxy.go, maxMsgSize)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How a registry is spoken to. `tls_verify` None: as registries.conf says."""

    authfile: Path | None = None
    tls_verify: bool | None = None

    def options(self, side: str = "") -> list[str]:
        """As arguments; `side` is `src-` or `dest-` where a command has two images."""
        secure = [] if self.tls_verify is None else [f"--{side}tls-verify={str(self.tls_verify).lower()}"]
        return [*secure, *([f"--{side}authfile={self.authfile}"] if self.authfile else [])]


def copy(source: str, destination: str, access: Access) -> None:
    """`skopeo copy --preserve-digests`: what arrives has the digest that left. Raises ToolError."""
    argv = ["skopeo", "copy", "--quiet", "--preserve-digests", *access.options("dest-"), source, destination]
    run.capture(argv, env=run.containers())


def inspect_raw(image: str, access: Access) -> str:
    """`skopeo inspect --raw`: an image's manifest as it is. Raises ToolError."""
    return run.capture(["skopeo", "inspect", "--raw", *access.options(), image], env=run.containers()).stdout


class Proxy:
    """`skopeo experimental-image-proxy`: one JSON object a packet, data through pipes that come with the answer."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel

    def _send(self, method: str, words: Sequence[object]) -> None:
        self._channel.send(json.dumps({"method": method, "args": list(words)}).encode())

    def _receive(self, method: str) -> tuple[Any, int, int]:
        """The value, the number of a pipe and its descriptor (-1: none). Raises ToolError."""
        message, ancillary, _, _ = self._channel.recvmsg(_MESSAGE, socket.CMSG_SPACE(4))
        if not message:
            raise ConnectionResetError("skopeo ended")
        found = [array.array("i", data[:4])[0] for _, kind, data in ancillary if kind == socket.SCM_RIGHTS]
        answer = json.loads(message)
        if not answer.get("success"):
            for fd in found:
                os.close(fd)
            lines = str(answer.get("error", "")).splitlines()
            raise ToolError(f"skopeo cannot read the image ({method})", argv=("skopeo",), details=lines)
        return answer.get("value"), int(answer.get("pipeid") or 0), found[0] if found else -1

    def call(self, method: str, *words: object) -> Any:
        """A request without data. Raises ToolError."""
        self._send(method, words)
        return self._receive(method)[0]

    @contextlib.contextmanager
    def reading(self, method: str, *words: object, strict: bool = True) -> Iterator[tuple[Any, IO[bytes]]]:
        """A request with data: its value, and the stream. Raises ToolError; if `strict`, for what comes up at the end.

        Whatever the block leaves of the stream is read and dropped.
        """
        self._send(method, words)
        value, pipe, fd = self._receive(method)
        self._send("FinishPipe", [pipe])  # answered when all is read; only then the pipe ends
        finished = False
        try:
            with os.fdopen(fd, "rb", buffering=0) as stream:
                yield value, stream
                while stream.read(1 << 20):
                    pass
                finished = strict
        finally:
            with contextlib.nullcontext() if finished else contextlib.suppress(ToolError, OSError):
                self._receive("FinishPipe")


@contextlib.contextmanager
def proxy(access: Access) -> Iterator[Proxy]:
    """Run the proxy around a block. Raises ToolError, ToolMissingError.

    It unpacks archives and layers of storages and forgets to remove them (1.9), so it gets a directory that we remove.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with tempfile.TemporaryDirectory(dir=big_files(), prefix="apt-ostree-oci-") as folder, theirs:
        serving = ["experimental-image-proxy", "--sockfd", str(theirs.fileno()), *access.options()]
        argv, env = ["skopeo", "--tmpdir", folder, *serving], {**run.containers(), "TMPDIR": folder}
        with run.serving(argv, theirs.fileno(), env=env), ours:
            theirs.close()
            yield from _greeted(ours)


def big_files() -> str:
    """Where what is big is put for a while: /tmp may be in memory (file-hierarchy(7))."""
    return os.environ.get("TMPDIR") or "/var/tmp"  # noqa: S108 (a directory of 0700 is made in it)


def _greeted(channel: socket.socket) -> Iterator[Proxy]:
    made = Proxy(channel)
    made.call("Initialize")
    try:
        yield made
    finally:
        with contextlib.suppress(ToolError, OSError):
            made.call("Shutdown")
