"""A signed package archive of our own, over file: and http on 127.0.0.1."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.debs import DebBuilder, RawDeb

Package = DebBuilder | RawDeb | Path


def _run(argv: Sequence[str | Path], *, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        [str(word) for word in argv],
        check=False,
        capture_output=True,
        text=True,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **(env or {})},
    )
    assert done.returncode == 0, f"{argv}: {done.stderr}"
    return done.stdout


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A throw-away OpenPGP key in a GnuPG home of its own. The home must be a short path (gpg-agent's socket)."""

    home: Path

    @classmethod
    def create(cls, home: Path, name: str = "Test Ground") -> SigningKey:
        """Make the key: ed25519, which gpgv (apt 2.6) and sqv (Debian 13) both take."""
        home.mkdir(mode=0o700, parents=True)
        key = cls(home)
        key._gpg("--quick-generate-key", f"{name} <{home.name}@example.invalid>", "ed25519", "sign", "never")
        return key

    def _gpg(self, *words: str | Path) -> str:
        base = ["gpg", "--batch", "--yes", "--quiet", "--passphrase", "", "--pinentry-mode", "loopback"]
        return _run([*base, *words], env={"GNUPGHOME": str(self.home), "HOME": str(self.home)})

    @property
    def armoured(self) -> str:
        """The public key as text."""
        return self._gpg("--armor", "--export")

    @property
    def fingerprint(self) -> str:
        """The key's fingerprint."""
        lines = self._gpg("--with-colons", "--list-keys").splitlines()
        return next(line.split(":")[9] for line in lines if line.startswith("fpr:"))

    def export(self, target: Path) -> Path:
        """Write the public key: armoured when `target` ends in .asc."""
        armour = ["--armor"] if target.suffix == ".asc" else []
        self._gpg(*armour, "--output", target, "--export")
        return target

    def clearsign(self, source: Path, target: Path) -> None:
        """`gpg --clearsign`."""
        self._gpg("--digest-algo", "SHA512", "--output", target, "--clearsign", source)

    def detach(self, source: Path, target: Path) -> None:
        """`gpg --detach-sign --armor`."""
        self._gpg("--digest-algo", "SHA512", "--armor", "--output", target, "--detach-sign", source)

    def close(self) -> None:
        """End the agent, which outlives gpg otherwise."""
        _run(["gpgconf", "--kill", "all"], env={"GNUPGHOME": str(self.home), "HOME": str(self.home)})


@dataclass(slots=True)
class LocalRepo:
    """An archive in `directory`: pool/ and dists/SUITE/, indices by apt-ftparchive, signed by `key` (None: not)."""

    directory: Path
    key: SigningKey | None
    suite: str = "stable"
    architectures: tuple[str, ...] = ("amd64", "i386")
    name: str = "local"
    base_uri: str = ""
    server: HttpServer | None = None  # what serves it, when it is over http

    def __post_init__(self) -> None:
        self.pool.mkdir(parents=True, exist_ok=True)
        self.publish()

    @property
    def pool(self) -> Path:
        return self.directory / "pool"

    @property
    def dist(self) -> Path:
        return self.directory / "dists" / self.suite

    @property
    def uri(self) -> str:
        """Where apt finds it: what was set as `base_uri`, else the `file:` address."""
        return self.base_uri or f"file:{self.directory}"

    def publish(self, *packages: Package) -> list[Path]:
        """Add packages (builders are built) and write all indices anew; returns where the .debs are."""
        paths = []
        for package in packages:
            if isinstance(package, Path):
                paths.append(Path(shutil.copy2(package, self.pool)))
            else:
                paths.append(package.build(self.pool))
        self.reindex()
        return paths

    def withdraw(self, name: str) -> None:
        """Take every version of a package out of the archive."""
        for path in self.pool.glob(f"{name}_*.deb"):
            path.unlink()
        self.reindex()

    def reindex(self) -> None:
        """Write Packages of every architecture, Release and the signatures."""
        for arch in self.architectures:
            target = self.dist / "main" / f"binary-{arch}" / "Packages"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(_run(["apt-ftparchive", "--arch", arch, "packages", "pool"], cwd=self.directory))
        self.sign()

    def sign(self) -> None:
        """Write Release and, with a key, InRelease and Release.gpg over the indices as they are now."""
        for name in ("Release", "InRelease", "Release.gpg"):
            (self.dist / name).unlink(missing_ok=True)
        fields = {
            "Origin": "Test Ground", "Label": self.name, "Suite": self.suite, "Codename": self.suite,
            "Architectures": " ".join(self.architectures), "Components": "main",
        }  # fmt: skip
        options = [word for key, value in fields.items() for word in ("-o", f"APT::FTPArchive::Release::{key}={value}")]
        text = _run(["apt-ftparchive", *options, "release", self.dist])
        release = self.dist / "Release"
        release.write_text(text)
        if self.key:
            self.key.clearsign(release, self.dist / "InRelease")
            self.key.detach(release, self.dist / "Release.gpg")

    def sources(self, *, uri: str = "", signed_by: str = "", arch: str = "") -> str:
        """A deb822 source (sources.list(5)); without `signed_by` the key itself stands in it (apt >= 2.4)."""
        lines = ["Types: deb", f"URIs: {uri or self.uri}", f"Suites: {self.suite}", "Components: main"]
        if arch:
            lines.append(f"Architectures: {arch}")
        if signed_by:
            lines.append(f"Signed-By: {signed_by}")
        elif self.key:
            body = [f" {line}" if line else " ." for line in self.key.armoured.splitlines()]
            lines += ["Signed-By:", *body]
        return "\n".join(lines) + "\n"


@dataclass(slots=True)
class HttpServer:
    """A directory over http on 127.0.0.1; counts requests and spoils answers on demand.

    The keys of `fail` (status code), `truncate` (bytes to send of the promised length), `tamper` (True: last byte
    changed) and `hang` are ends of request paths.
    """

    directory: Path
    requests: Counter[str] = field(default_factory=Counter)
    fail: dict[str, int] = field(default_factory=dict)
    truncate: dict[str, int] = field(default_factory=dict)
    tamper: set[str] = field(default_factory=set)
    hang: set[str] = field(default_factory=set)
    stopping: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def heal(self) -> None:
        """Answer everything as it is again."""
        for spoiled in (self.fail, self.truncate, self.tamper, self.hang):
            spoiled.clear()

    @contextlib.contextmanager
    def running(self) -> Iterator[HttpServer]:
        """Serve until the block ends."""
        handler = functools.partial(_Handler, site=self)
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            server.daemon_threads = True
            self.port = server.server_address[1]
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            try:
                yield self
            finally:
                self.stopping.set()
                server.shutdown()
                thread.join()


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, *args: Any, site: HttpServer) -> None:
        self.site = site
        super().__init__(*args, directory=str(site.directory))

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _spoiled(self, keys: Sequence[str] | set[str] | dict[str, int]) -> str | None:
        return next((key for key in keys if self.path.endswith(key)), None)

    def do_GET(self) -> None:
        """Answer, or do what the site says of this path."""
        self.site.requests[self.path] += 1
        if self._spoiled(self.site.hang) is not None:
            self.site.stopping.wait()
            self.close_connection = True
        elif (end := self._spoiled(self.site.fail)) is not None:  # "" is the end of every path
            self.send_error(self.site.fail[end])
        elif self._spoiled(self.site.truncate) or self._spoiled(self.site.tamper):
            self._send_spoiled()
        else:
            super().do_GET()

    def _send_spoiled(self) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        data = bytearray(path.read_bytes())
        BaseHTTPRequestHandler.send_response(self, 200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self._spoiled(self.site.tamper):
            data[-1] ^= 0xFF
        key = self._spoiled(self.site.truncate)
        self.wfile.write(data[: self.site.truncate[key]] if key else data)
        self.close_connection = True
