"""A base that layers fast: Debian without what no toy package needs. For tests that make hundreds of deployments."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from tests.support.ground import Ground
from tests.support.process import run
from tests.support.sysroots import Base


class Buildable(Protocol):
    """What becomes a .deb."""

    def build(self, directory: Path) -> Path: ...


DROPPED = ("share/man", "share/doc", "share/locale", "share/zoneinfo", "lib/python3", "lib/python3.13", "lib/dracut")


def make(base: Base, folder: Path) -> Base:
    """The base with a third of its files and a kernel of a few bytes; dpkg's database is whole."""
    tree = folder / "lean"
    run(["ostree", "checkout", f"--repo={base.repo}", "--require-hardlinks", base.checksum, tree])
    for name in DROPPED:
        shutil.rmtree(tree / "usr" / name, ignore_errors=True)
    modules = next((tree / "usr/lib/modules").iterdir())
    shutil.rmtree(modules)
    modules.mkdir()
    for name in ("vmlinuz", "initramfs.img"):
        (modules / name).write_text(f"a toy {name}\n")
    return _commit(base, "lean/plain", f"--tree=dir={tree}")


def with_packages(
    ground: Ground, base: Base, debs: Mapping[str, Buildable], folder: Path, version: str, *, branch: str = ""
) -> Base:
    """A base commit of its own, with these packages in it, on `branch` (default: one of the version's name)."""
    files = [deb.build(folder / version) for deb in debs.values()]
    where = ("--repo", base.repo, "--ref", base.ref, "--branch", f"made/{version}")
    ground.apt_ostree("compose", "install", *where, "--cache-only", *files)
    return _commit(
        base, branch or f"lean/{version}", f"--tree=ref=made/{version}", f"--add-metadata-string=version={version}"
    )


def _commit(base: Base, branch: str, *options: str) -> Base:
    done = run(["ostree", "commit", f"--repo={base.repo}", f"--branch={branch}", "--bootable", *options])
    return replace(base, ref=branch, checksum=done.stdout.strip())
