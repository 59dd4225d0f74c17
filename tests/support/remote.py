"""A real remote: an archive repo over http with signed commits, a signed summary and static deltas.

Only what is new since the base is in it: whoever has the base asks for nothing else, and compressing a whole Debian
would take a quarter of a minute. Releases are made in a bare repo beside it, where a commit takes a second.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from apt_ostree import commitmeta, commits, pkgdb
from tests.support.archive import HttpServer, SigningKey
from tests.support.process import run
from tests.support.sysroots import Base, Sysroot

NAME = "origin"
STATUS = "usr/lib/sysimage/dpkg/status"


@dataclass(slots=True)
class Remote:
    """The server's side. `branch` is the base's own; `base` its first commit, which every client has."""

    directory: Path
    base: Base
    key: SigningKey
    server: HttpServer = field(init=False)

    def __post_init__(self) -> None:
        settings = ("core.fsync", "false")  # it will not outlive the tests
        self.archive.parent.mkdir(parents=True, exist_ok=True)
        for repo, mode in ((self.bare, "bare"), (self.archive, "archive")):
            run(["ostree", "init", f"--mode={mode}", f"--repo={repo}"])
            run(["ostree", "config", f"--repo={repo}", "set", *settings])
        run(["ostree", "pull-local", f"--repo={self.bare}", self.base.repo, self.base.ref])
        self.sign(self.base.checksum, self.key)
        self.server = HttpServer(self.archive)
        self._give(self._objects(), set())
        self.point(self.base.checksum)

    @property
    def bare(self) -> Path:
        return self.directory / "bare"

    @property
    def archive(self) -> Path:
        return self.directory / "archive"

    @property
    def branch(self) -> str:
        return self.base.ref

    @property
    def refspec(self) -> str:
        return f"{NAME}:{self.branch}"

    # --- releases

    def release(
        self,
        version: str,
        *,
        versions: Mapping[str, str] | None = None,
        files: Mapping[str, str] | None = None,
        parent: str = "",
        branch: str = "",
        timestamp: str = "",
        delta: bool = False,
        signed_by: SigningKey | None = None,
    ) -> str:
        """A commit on top of `parent` (default: the branch's tip), with packages at these versions; the branch moves.

        `files` are path -> text. `timestamp` is what `ostree commit --timestamp` takes.
        """
        branch, before = branch or self.branch, self._objects()
        parent = parent or self.tip(branch)
        overlay = Path(tempfile.mkdtemp(dir=self.directory))
        overlay.chmod(0o755)
        status = self._status(parent, versions or {})
        for path, text in {**(files or {}), "usr/lib/version": f"{version}\n", STATUS: status}.items():
            target = overlay / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        kept = commits.load(self.bare, parent).metadata
        listed = commitmeta.encode(pkglist=pkgdb.parse_status(status))
        strings = {k: v for k, v in kept.items() if isinstance(v, str) and k.startswith(commitmeta.PREFIX)}
        strings = {**strings, **listed, "version": version}
        done = run([
            "ostree", "commit", f"--repo={self.bare}", f"--branch={branch}", "--bootable", f"--parent={parent}",
            f"--tree=ref={parent}", f"--tree=dir={overlay}",
            *(f"--add-metadata-string={key}={value}" for key, value in strings.items()),
            *([f"--timestamp={timestamp}"] if timestamp else []),
        ])  # fmt: skip
        checksum = done.stdout.strip()
        self.sign(checksum, signed_by or self.key)
        if delta:
            run(["ostree", "static-delta", "generate", f"--repo={self.bare}", f"--from={parent}", f"--to={checksum}"])
        # the files of the commit that are new are just those of the overlay: an archive compresses them
        run(["ostree", "commit", f"--repo={self.archive}", "--orphan", f"--tree=dir={overlay}"])
        self._give(self._objects(), before)
        shutil.rmtree(overlay)
        self.point(checksum, branch)
        return checksum

    def _status(self, commit: str, versions: Mapping[str, str]) -> str:
        text = run(["ostree", "cat", f"--repo={self.bare}", commit, f"/{STATUS}"]).stdout
        paragraphs = []
        for paragraph in text.split("\n\n"):
            lines = paragraph.splitlines()
            name = next((line.split()[1] for line in lines if line.startswith("Package: ")), "")
            fresh = versions.get(name)
            paragraphs.append("\n".join(
                f"Version: {fresh}" if fresh and line.startswith("Version: ") else line for line in lines
            ))  # fmt: skip
        return "\n\n".join(paragraphs).rstrip("\n") + "\n"

    def _objects(self) -> set[Path]:
        return {path.relative_to(self.bare) for path in (self.bare / "objects").rglob("*") if path.is_file()}

    def _give(self, after: set[Path], before: set[Path]) -> None:
        """Metadata objects are the same in every kind of repo."""
        wanted = [path for path in after - before if path.suffix != ".file"] if before else []
        wanted += [path for path in after if path.suffix in (".commit", ".commitmeta")]
        for path in wanted:
            (self.archive / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(self.bare / path, self.archive / path)
        if (self.bare / "deltas").is_dir():
            shutil.copytree(self.bare / "deltas", self.archive / "deltas", dirs_exist_ok=True)

    def tip(self, branch: str = "") -> str:
        """What the branch stands at."""
        return run(["ostree", "rev-parse", f"--repo={self.archive}", branch or self.branch]).stdout.strip()

    def point(self, checksum: str, branch: str = "") -> None:
        """Move a branch, anywhere, and write the summary anew."""
        branch = branch or self.branch
        run(["ostree", "refs", f"--repo={self.archive}", f"--create={branch}", "--force", checksum])
        self.summarise(self.key)

    # --- signatures

    def sign(self, checksum: str, key: SigningKey) -> None:
        """Sign a commit of the bare repo."""
        run(["ostree", "gpg-sign", f"--repo={self.bare}", f"--gpg-homedir={key.home}", checksum, key.fingerprint])

    def summarise(self, key: SigningKey) -> None:
        """Write the summary and sign it."""
        words = [f"--gpg-sign={key.fingerprint}", f"--gpg-homedir={key.home}"]
        (self.archive / "summary.sig").unlink(missing_ok=True)
        run(["ostree", "summary", f"--repo={self.archive}", "--update", *words])

    def object(self, checksum: str, kind: str) -> Path:
        """The file of an object on the server."""
        return self.archive / "objects" / checksum[:2] / f"{checksum[2:]}.{kind}"

    # --- clients

    def subscribe(self, sysroot: Sysroot, *, key: SigningKey | None = None) -> None:
        """Make this remote the origin of the only deployment: it verifies commits and the summary."""
        public = (key or self.key).export(self.directory / f"{sysroot.path.parent.name}.gpg")
        run([
            "ostree", "remote", "add", f"--repo={sysroot.repo}", "--force", f"--gpg-import={public}",
            "--set=gpg-verify=true", "--set=gpg-verify-summary=true", NAME, self.server.uri,
        ])  # fmt: skip
        run(["ostree", "refs", f"--repo={sysroot.repo}", f"--create={self.refspec}", "--force", self.base.checksum])
        origin = sysroot.default.parent / f"{sysroot.default.name}.origin"
        fresh = origin.with_suffix(".new")
        fresh.write_text(f"[origin]\nrefspec={self.refspec}\n")
        fresh.replace(origin)

    def reset(self) -> None:
        """Back to the first commit; what was released stays."""
        self.server.heal()
        self.point(self.base.checksum)


def based_on(remote: Remote, checksum: str) -> Base:
    """A commit of the remote as a base."""
    return replace(remote.base, repo=remote.bare, checksum=checksum)
