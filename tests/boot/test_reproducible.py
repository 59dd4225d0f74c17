"""The whole of a real tree twice from its lockfile, kernel and initramfs too, each time from an empty cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import basecache
from tests.support.composing import refs
from tests.support.ground import Ground
from tests.support.process import run

pytestmark = pytest.mark.real

TREEFILE = basecache.TREEFILES / "debian-13-minimal.toml"


def test_a_real_tree_is_the_same_twice(ground: Ground, work: Path) -> None:
    lock, made = work / "minimal.lock.json", []
    for number, options in enumerate((("--write-lockfile",), ("--locked",), ("--locked",))):
        repo = work / f"repo{number}"
        run(["ostree", "init", "--mode=bare", f"--repo={repo}"])
        run(["ostree", "config", f"--repo={repo}", "set", "core.fsync", "false"])
        ground.apt_ostree("compose", "tree", TREEFILE, "--repo", repo, "--lockfile", lock, *options)
        made.append(refs(repo))
    assert made[0] and made[0] == made[1] == made[2]
