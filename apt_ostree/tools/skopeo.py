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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from apt_ostree import run
from apt_ostree.errors import ToolError

MAX_MANIFEST = 8 * 1024 * 1024  # bytes; registries take 4 MiB
_MESSAGE = 32 * 1024  # bytes of one request or answer (skopeo's proxy.go, maxMsgSize)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How a registry is spoken to. `tls_verify` None: as registries.conf says.

    `policy` and `registries` are files of containers-policy.json(5) and containers-registries.d(5), None for the
    caller's own; `prefix` is a sandbox (bwrap.py). `env` None: what the caller's own images and keys need.
    """

    authfile: Path | None = None
    tls_verify: bool | None = None
    anonymous: bool = False
    policy: Path | None = None
    no_policy: bool = False
    registries: Path | None = None
    prefix: tuple[str, ...] = ()
    env: Mapping[str, str] | None = None

    def options(self, side: str = "") -> list[str]:
        """As arguments; `side` is `src-` or `dest-` where a command has two images."""
        secure = [] if self.tls_verify is None else [f"--{side}tls-verify={str(self.tls_verify).lower()}"]
        nobody = [f"--{side}no-creds"] if self.anonymous else []
        return [*secure, *nobody, *([f"--{side}authfile={self.authfile}"] if self.authfile else [])]

    def argv(self, *words: str) -> list[str]:
        """A command line."""
        policy = [f"--policy={self.policy}"] if self.policy else ["--insecure-policy"] if self.no_policy else []
        places = [f"--registries.d={self.registries}"] if self.registries else []
        return [*self.prefix, "skopeo", *policy, *places, *words]

    @property
    def environment(self) -> Mapping[str, str]:
        """Of a command."""
        return run.containers() if self.env is None else self.env


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Who signs an image that is copied: a sigstore key in a file, or a key of the caller's GPG keyring."""

    sigstore_key: Path | None = None
    gpg_key: str = ""
    passphrase_file: Path | None = None

    @property
    def options(self) -> list[str]:
        sigstore = [f"--sign-by-sigstore-private-key={self.sigstore_key}"] if self.sigstore_key else []
        gpg = [f"--sign-by={self.gpg_key}"] if self.gpg_key else []
        return [*sigstore, *gpg, *([f"--sign-passphrase-file={self.passphrase_file}"] if self.passphrase_file else [])]

    @property
    def environment(self) -> Mapping[str, str]:
        return run.keyring() if self.gpg_key else {}


NOBODY = Signer()


def copy(source: str, destination: str, access: Access, signer: Signer = NOBODY) -> None:
    """`skopeo copy --preserve-digests`: what arrives has the digest that left. Raises ToolError."""
    words = ("copy", "--quiet", "--preserve-digests", *access.options("dest-"), *signer.options)
    run.capture(access.argv(*words, source, destination), env={**access.environment, **signer.environment})


def copy_list(source: str, destination: str, access: Access) -> None:
    """`skopeo copy --multi-arch=index-only`: an index as it is, and none of what it lists. Raises ToolError."""
    words = ("copy", "--quiet", "--preserve-digests", "--multi-arch=index-only", *access.options("dest-"))
    run.capture(access.argv(*words, source, destination), env=access.environment)


def copy_judged(image: str, layout: Path, tag: str, access: Access, *, docker: bool) -> None:
    """`skopeo copy` into a layout, which the policy must allow; blobs the layout has are not read. Raises ToolError.

    A manifest of Docker is no manifest of a layout: that of an image in the format of `docker` is written anew.
    """
    words = ("copy", "--quiet", *(() if docker else ("--preserve-digests",)), "--remove-signatures")
    run.capture(
        access.argv(*words, *access.options("src-"), image, f"oci:{layout}:{tag}"),
        env=access.environment,
    )


def inspect_raw(image: str, access: Access) -> bytes:
    """`skopeo inspect --raw`: an image's manifest or a list as it is, byte by byte. Raises ToolError."""
    argv = access.argv("inspect", "--raw", *access.options(), image)
    with run.reading(argv, env=access.environment) as stream:
        data = stream.read(MAX_MANIFEST + 1)
        if len(data) > MAX_MANIFEST:
            raise ToolError(f"the manifest of {image} has more than {MAX_MANIFEST} bytes", argv=argv)
    return data


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
        argv, env = access.argv("--tmpdir", folder, *serving), {**access.environment, "TMPDIR": folder}
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
