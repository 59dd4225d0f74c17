"""Trees that are composed in seconds: a signed archive of the cached base's own packages, and treefiles for it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support import basecache
from tests.support.archive import LocalRepo, SigningKey
from tests.support.ground import Ground, nevra
from tests.support.process import Done, run
from tests.support.sysroots import Base

REF = "lean/tree"
PACKAGES = ("systemd", "passwd")  # what the last look at a tree asks for, and what makes accounts
_LEFT_OUT = 20_000_000  # bytes: the kernel is not needed here, and copied and hashed for a long time


@dataclass(slots=True)
class Composing:
    """An archive, and what is composed of it below `directory`; every repo is a new one with an empty cache."""

    ground: Ground
    archive: LocalRepo
    directory: Path
    counter: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def mirror(self) -> dict[str, Any]:
        """The archive as a treefile has it."""
        return {"uri": self.archive.uri, "signed-by": str(self.archive.directory / "key.asc")}

    def treefile(self, packages: Sequence[str] = (), **keys: Any) -> Path:
        """A treefile of the lean tree with more packages and keys (`_` stands for `-`)."""
        table: Mapping[str, Any] = {
            "suite": self.archive.suite,
            "ref": REF,
            "variant": "essential",
            "mirrors": [self.mirror],
            "packages": [*PACKAGES, *packages],
            **{key.replace("_", "-"): value for key, value in keys.items()},
        }
        path = self.directory / f"tree{next(self.counter)}.toml"
        path.write_text(basecache.to_toml(table))
        return path

    def repo(self) -> Path:
        """A new bare repo."""
        path = self.directory / f"repo{next(self.counter)}"
        run(["ostree", "init", "--mode=bare", f"--repo={path}"])
        run(["ostree", "config", f"--repo={path}", "set", "core.fsync", "false"])
        return path

    def tree(self, treefile: Path, repo: Path, *options: str | Path, check: bool | int = True, **env: str) -> Done:
        """`compose tree`."""
        return self.ground.apt_ostree("compose", "tree", treefile, "--repo", repo, *options, check=check, env=env)


def archive_of(base: Base, directory: Path, key: SigningKey) -> LocalRepo:
    """A signed archive of the packages a base was composed of, without the biggest ones."""
    made = LocalRepo(directory, key, architectures=("amd64",))
    key.export(directory / "key.asc")
    stored = base.repo / "extensions/apt-ostree/debs"
    for path in stored.glob("*.deb"):
        if path.stat().st_size < _LEFT_OUT:  # apt-ftparchive finds the architecture in the name
            (made.pool / f"{nevra(path).replace(':', '%3a')}.deb").hardlink_to(path)
    made.reindex()
    return made


def refs(repo: Path) -> dict[str, str]:
    """Every ref of a repo with its commit."""
    names = run(["ostree", "refs", f"--repo={repo}"]).stdout.split()
    return {name: run(["ostree", "rev-parse", f"--repo={repo}", name]).stdout.strip() for name in names}
