"""A repo of a few files that is published by apt-ostree over http, and clients that pull from it with plain ostree."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.archive import HttpServer, SigningKey
from tests.support.ground import Ground
from tests.support.process import Done, run

BRANCH = "debian/13/x86_64/tiny"
REMOTE = "origin"


@dataclass(frozen=True, slots=True)
class Publisher:
    """The server's side: an archive repo in `folder`."""

    folder: Path
    ground: Ground
    server: HttpServer

    @property
    def repo(self) -> Path:
        return self.server.directory

    def call(self, *words: str | Path, key: SigningKey | None = None, check: int = 0, **env: str) -> Done:
        """Run apt-ostree on the repo, with a key to sign with."""
        signing = ("--gpg-sign", key.fingerprint, "--gpg-homedir", key.home) if key else ()
        return self.ground.apt_ostree(*words, "--repo", self.repo, *signing, check=check, env=env)

    def commit(self, files: Mapping[str, bytes], branch: str = BRANCH) -> str:
        """Commit these files (path -> content) on top of the branch; returns the checksum."""
        tree = self.folder / "tree"
        for path, content in files.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_bytes(content)
        done = run(["ostree", "commit", f"--repo={self.repo}", f"--branch={branch}", f"--tree=dir={tree}"])
        shutil.rmtree(tree)
        return done.stdout.strip()

    def client(self, name: str, key: SigningKey) -> Client:
        """A client that trusts a key, for commits and for the summary."""
        made = Client(self.folder / name, self)
        run(["ostree", "init", "--mode=bare-user", f"--repo={made.repo}"])
        public = key.export(self.folder / f"{name}.gpg")
        run([
            "ostree", "remote", "add", f"--repo={made.repo}", f"--gpg-import={public}", "--set=gpg-verify=true",
            "--set=gpg-verify-summary=true", REMOTE, self.server.uri,
        ])  # fmt: skip
        return made


@dataclass(frozen=True, slots=True)
class Client:
    """A repo that pulls from the publisher."""

    repo: Path
    publisher: Publisher

    def pull(self, *options: str, check: bool = True, what: str = BRANCH, inside: Path | None = None) -> Done:
        """`ostree pull`, not through the caches of an earlier one; by the ostree `inside` a tree, or this machine's."""
        shutil.rmtree(self.repo / "tmp/cache", ignore_errors=True)
        argv: list[str | Path] = []
        repo = self.repo
        if inside:
            repo = Path("/run", self.repo.name)
            argv = ["bwrap", "--die-with-parent", "--dev", "/dev", "--proc", "/proc", "--bind", self.repo, repo]
            argv += ["--ro-bind", inside / "usr", "/usr", "--dir", "/tmp", "--dir", "/var/tmp"]
            for name in ("bin", "lib", "lib64"):
                argv += ["--symlink", f"usr/{name}", f"/{name}"]
        return run([*argv, "ostree", "pull", f"--repo={repo}", *options, REMOTE, what], check=check)

    def fetched(self, *options: str, inside: Path, what: str = BRANCH) -> dict[str, int]:
        """Objects and deltas that a pull asks the server for, with their sizes in bytes.

        It is made by the ostree `inside` a tree, 2023.7 or later: one that is older begins to fetch the objects of a
        commit while the parts of its delta are unpacked, and how many is a matter of luck.
        """
        server = self.publisher.server
        server.requests.clear()
        self.pull(*options, what=what, inside=inside)
        asked = [path.lstrip("/") for path in server.requests]
        return {
            path: (server.directory / path).stat().st_size
            for path in asked
            if path.startswith(("objects/", "deltas/")) and not path.endswith(".commitmeta")
        }


@contextmanager
def publishing(folder: Path, ground: Ground) -> Iterator[Publisher]:
    """A new archive repo, served while the block runs."""
    repo = folder / "published"
    ground.apt_ostree("repo", "init", repo)
    with HttpServer(repo).running() as server:
        yield Publisher(folder, ground, server)


def content(seed: int, size: int = 300_000) -> bytes:
    """Bytes that do not compress, always the same ones."""
    return random.Random(seed).randbytes(size)  # noqa: S311 (no secret)


def versions(publisher: Publisher, count: int) -> list[str]:
    """Commits of a file that changes a little, and of files that stay."""
    made = []
    for number in range(count):
        big = content(1) + f"version {number}".encode() + content(2)
        made.append(publisher.commit({"usr/bin/big": big, "usr/lib/same": content(3), "usr/v": str(number).encode()}))
    return made
