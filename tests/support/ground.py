"""What tests do on a bare repo, without a machine: composing, and asking what came of it."""

from __future__ import annotations

import functools
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from apt_ostree import commits
from apt_ostree.model import Package
from tests.support import basecache
from tests.support.process import CHECKOUT, Done, run
from tests.support.sysroots import Base


@functools.cache  # stored archives are named by their content
def nevra(deb: Path) -> str:
    """`name_version_arch` of an archive."""
    return run(["dpkg-deb", "--show", "--showformat=${Package}_${Version}_${Architecture}", deb]).stdout


@dataclass(frozen=True, slots=True)
class BareRepo:
    """A bare repo and apt-ostree's corner of it."""

    path: Path

    @property
    def store(self) -> Path:
        return self.path / "extensions/apt-ostree"


@dataclass(frozen=True, slots=True)
class Ground:
    """The session's directory, and apt-ostree without `--sysroot`."""

    directory: Path

    def copy(self, base: Base, name: str) -> Base:
        """The base in a repo of its own (objects are hard links), with the packages earlier tests fetched."""
        repo = self.directory / name
        run(["ostree", "init", "--mode=bare", f"--repo={repo}"])
        run(["ostree", "config", f"--repo={repo}", "set", "core.fsync", "false"])  # it will not outlive the test
        run(["ostree", "pull-local", f"--repo={repo}", base.repo, base.ref])
        basecache.seed(BareRepo(repo))
        return replace(base, repo=repo)

    def with_files(self, base: Base, files: Mapping[str, str]) -> Base:
        """A base that differs in these files (path -> text)."""
        overlay, branch = Path(tempfile.mkdtemp(dir=self.directory)), "ground/changed"
        for path, text in files.items():
            (overlay / path).parent.mkdir(parents=True, exist_ok=True)
            (overlay / path).write_text(text)
        overlay.chmod(0o755)
        trees = [f"--tree=ref={base.ref}", f"--tree=dir={overlay}"]
        done = run(["ostree", "commit", f"--repo={base.repo}", f"--branch={branch}", *trees])
        return replace(base, ref=branch, checksum=done.stdout.strip())

    def argv(self, *words: str | Path) -> list[str]:
        """The command line of apt-ostree from the checkout."""
        return [sys.executable, "-m", "apt_ostree", *(str(word) for word in words)]

    def apt_ostree(self, *words: str | Path, check: bool | int = True, env: Mapping[str, str] | None = None) -> Done:
        """Run apt-ostree. `check` True: must succeed; an exit code: must end with just that; False: anything."""
        done = run(self.argv(*words), check=False, env={"PYTHONPATH": str(CHECKOUT), **(env or {})})
        return done if check is False else done.must(0 if check is True else check)

    def rev_parse(self, repo: Path, ref: str) -> str:
        """The checksum a ref stands for."""
        return run(["ostree", "rev-parse", f"--repo={repo}", ref]).stdout.strip()

    def layered_packages(self, repo: Path, ref: str) -> tuple[Package, ...]:
        """All packages a layered commit says it has on top of its base."""
        layer = commits.load(repo, self.rev_parse(repo, ref)).commit.layer
        assert layer is not None, f"{ref} is no layered commit"
        return layer.packages

    def stored_deb(self, repo: Path, package: Package) -> Path:
        """The archive of a layered package in apt-ostree's corner of the repo."""
        for path in (repo / "extensions/apt-ostree/debs").glob("*.deb"):
            if nevra(path) == package.nevra:
                return path
        raise AssertionError(f"no stored archive of {package.nevra}")

    @staticmethod
    def foreign(packages: Sequence[str]) -> tuple[str, ...]:
        """The architectures that requests like `zlib1g:i386` name."""
        return tuple(sorted({name.partition(":")[2] for name in packages if ":" in name}))
