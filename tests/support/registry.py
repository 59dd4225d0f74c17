"""Debian's docker-registry on 127.0.0.1, with or without a password."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.process import environment

USER, PASSWORD = "somebody", "open sesame"
# htpasswd -nbB somebody 'open sesame'
HTPASSWD = "somebody:$2y$05$NuOFneEFSfkbuWmbseeqHe.74O/0vRyNXXdPS5b38fKg4I68P7f4W\n"
CONFIG = """\
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder}/data}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}", secret: nothing}}
"""


@contextmanager
def serving(folder: Path, *, htpasswd: str = "") -> Iterator[str]:
    """A registry while the block runs; yields HOST:PORT."""
    folder.mkdir(parents=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    text = CONFIG.format(folder=folder, port=port)
    if htpasswd:
        (folder / "htpasswd").write_text(htpasswd)
        text += f"auth: {{htpasswd: {{realm: test, path: {folder}/htpasswd}}}}\n"
    (folder / "config.yml").write_text(text)
    with (folder / "log").open("wb") as log:
        argv = ["docker-registry", "serve", folder / "config.yml"]
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment())
        try:
            _wait(f"http://127.0.0.1:{port}/v2/")
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def _wait(url: str) -> None:
    for _ in range(100):
        try:
            urllib.request.urlopen(url, timeout=5).close()  # noqa: S310 (our own address)
            return
        except urllib.error.HTTPError:
            return  # it wants a password: it is there
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"no registry at {url}")


def blobs(folder: Path) -> dict[str, int]:
    """Every blob a registry keeps, with its size."""
    return {path.parent.name: path.stat().st_size for path in (folder / "data").rglob("blobs/sha256/*/*/data")}


def auth(path: Path, host: str) -> Path:
    """A file as `skopeo login` writes it."""
    path.write_text(json.dumps({"auths": {host: {"auth": base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}}}))
    return path
