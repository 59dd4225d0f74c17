"""A tree of a desktop's size: how long composing it takes, with how much memory, and what the repo and status say."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.support import basecache, sysroots
from tests.support.process import CHECKOUT, environment, run
from tests.support.sysroots import Base

PACKAGES = ("task-xfce-desktop", "task-desktop", "firefox-esr", "libreoffice")


def report(folder: Path, show: Callable[..., None]) -> None:
    """Compose the desktop in a new repo, packages downloaded before; then deploy it and ask for its status."""
    treefile, repo = folder / "desktop.toml", folder / "desktop-repo"
    keys = tomllib.loads((basecache.TREEFILES / "debian-13-minimal.toml").read_text())
    keys |= {"ref": "debian/13/x86_64/desktop", "recommends": True, "packages": [*keys["packages"], *PACKAGES]}
    treefile.write_text(basecache.to_toml(keys))
    run(["ostree", "init", "--mode=bare", f"--repo={repo}"])
    words = ("compose", "tree", str(treefile), "--repo", str(repo))
    fetch, _ = _measure([*words, "--download-only"])
    show("desktop: packages downloaded", fetch)
    spent, memory = _measure(words)
    checksum = run(["ostree", "rev-parse", f"--repo={repo}", keys["ref"]]).stdout.strip()
    packages = len(run([*_program(), "db", "list", "--repo", str(repo), checksum]).stdout.splitlines()) - 1
    show(f"desktop: compose tree, {packages} packages", spent)
    size = int(run(["du", "--summarize", "--bytes", repo / "objects"]).stdout.split()[0])
    print(f"  largest process {memory / 1e6:.0f} MB, repo {size / 1e6:.0f} MB")
    sysroot = sysroots.build(folder / "desktop-sysroot", Base(repo=repo, ref=keys["ref"], checksum=checksum))
    try:
        start = time.monotonic()
        assert checksum in sysroot.apt_ostree("status").stdout
        show("desktop: apt-ostree status", time.monotonic() - start)
        start = time.monotonic()
        sysroot.apt_ostree("install", "-y", "--no-recommends", "htop")
        show("desktop: apt-ostree install htop", time.monotonic() - start)
    finally:
        sysroot.close()


def _program() -> list[str]:
    return [sys.executable, "-m", "apt_ostree"]


def _measure(words: Sequence[str]) -> tuple[float, int]:
    """Seconds a run of apt-ostree takes, and the bytes of memory the largest of its processes had."""
    start = time.monotonic()
    process = subprocess.Popen([*_program(), *words], cwd=CHECKOUT, env=environment(), stdin=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, words
    return time.monotonic() - start, usage.ru_maxrss * 1024
