"""What a static delta is worth: the same update of a real base by delta and object by object, over http."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.support import publisher
from tests.support.archive import SigningKey
from tests.support.ground import Ground
from tests.support.process import run
from tests.support.publisher import REMOTE, Client, Publisher
from tests.support.sysroots import Base

REBUILT = 40  # programs that an update brings anew, each with a few bytes that are other
STEP = 20_000  # bytes between two of them: an address here and there


def report(base: Base, folder: Path, show: Callable[..., None]) -> None:
    """Print bytes and seconds of both ways."""
    with (
        publisher.publishing(folder, Ground(folder)) as server,
        tempfile.TemporaryDirectory(prefix="aot-gpg-", ignore_cleanup_errors=True) as home,
    ):
        key = SigningKey.create(Path(home) / "home")
        try:
            _measure(server, base, key, show)
        finally:
            key.close()


def _measure(server: Publisher, base: Base, key: SigningKey, show: Callable[..., None]) -> None:
    run(["ostree", "pull-local", f"--repo={server.repo}", base.repo, base.ref])
    fresh = _update(server, base)
    server.call("repo", "sign", base.checksum, fresh, key=key)
    made = server.call("delta", "generate", base.ref, "--json", key=key).json
    (delta,) = made["deltas"]
    show("delta generate", made["duration"]["delta"])
    plain = _pull(server, base, key, "--disable-static-deltas")
    show("ostree pull of the update, object by object", plain)
    with_delta = _pull(server, base, key, "--require-static-deltas")
    show("ostree pull of the update, by delta", with_delta, plain, "object by object")
    small, big = delta["bytes"], delta["plain-bytes"]
    print(f"  {small / 1e6:.2f} MB by delta, {big / 1e6:.2f} MB object by object: {small / big:.2f} x")


def _update(server: Publisher, base: Base) -> str:
    """A commit of the base in which programs were built anew."""
    tree = Path(tempfile.mkdtemp(dir=server.folder))
    run(["ostree", "checkout", "--user-mode", f"--repo={base.repo}", "--subpath=/usr/bin", base.checksum, tree / "bin"])
    programs = sorted(
        (path for path in (tree / "bin").iterdir() if path.is_file() and not path.is_symlink()),
        key=lambda path: (-path.stat().st_size, path.name),
    )
    overlay = tree / "overlay"
    for path in programs[:REBUILT]:
        data = bytearray(path.read_bytes())
        for at in range(100, len(data), STEP):
            data[at] ^= 0xFF
        (overlay / "usr/bin").mkdir(parents=True, exist_ok=True)
        (overlay / "usr/bin" / path.name).write_bytes(data)
    done = run([
        "ostree", "commit", f"--repo={server.repo}", f"--branch={base.ref}", "--owner-uid=0", "--owner-gid=0",
        f"--tree=ref={base.checksum}", f"--tree=dir={overlay}",
    ])  # fmt: skip
    return done.stdout.strip()


def _pull(server: Publisher, base: Base, key: SigningKey, option: str) -> float:
    """Seconds a client that has the base takes for the update."""
    client: Client = server.client(option.lstrip("-"), key)
    run(["ostree", "pull-local", f"--repo={client.repo}", f"--remote={REMOTE}", base.repo, base.ref])
    start = time.monotonic()
    client.pull(option, what=base.ref)
    return time.monotonic() - start
