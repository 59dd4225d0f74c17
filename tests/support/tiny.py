"""Sysroots of a few files that deploy in a fraction of a second: for what reads a sysroot and layers nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.process import run

STATEROOT = "debian"
REF = "debian/13"
KARGS = ("root=LABEL=root", 'note="a b"')
STATUS = """Package: base-files
Status: install ok installed
Architecture: amd64
Version: 13.8
Installed-Size: 350

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1.0

Package: libc6
Status: install ok triggers-pending
Architecture: amd64
Source: glibc (2.41-12)
Version: 2.41-12+b1
Installed-Size: 12
"""


def _ostree(*words: str | Path) -> str:
    return run(["ostree", *words]).stdout.strip()


def tree(path: Path, *, status: str = STATUS) -> Path:
    """Files a deployment cannot be made without, and a dpkg database."""
    files = {
        "usr/lib/modules/6.12.1/vmlinuz": "kernel",
        "usr/lib/modules/6.12.1/initramfs.img": "initramfs",
        "usr/lib/os-release": 'ID=debian\nPRETTY_NAME="Debian 13"\n',
        "usr/etc/hostname": "tiny\n",
        "usr/lib/sysimage/dpkg/status": status,
    }
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    return path


@dataclass(frozen=True, slots=True)
class Tiny:
    """A sysroot at `path`."""

    path: Path

    @property
    def repo(self) -> Path:
        return self.path / "ostree/repo"

    @property
    def deploys(self) -> Path:
        return self.path / "ostree/deploy" / STATEROOT / "deploy"

    def commit(
        self,
        tree: Path,
        *,
        ref: str = REF,
        strings: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
    ) -> str:
        """Commit a tree to a branch and return the checksum."""
        metadata = [f"--add-metadata-string={key}={value}" for key, value in (strings or {}).items()]
        place = [f"--branch={ref}", f"--tree=dir={tree}"]
        return _ostree("commit", f"--repo={self.repo}", *place, *metadata, *options).splitlines()[-1]

    def deploy(self, rev: str = REF, *options: str) -> None:
        """Deploy as the next boot."""
        kargs = [f"--karg={karg}" for karg in KARGS] if not self.deploys.is_dir() else []
        _ostree("admin", "deploy", f"--sysroot={self.path}", f"--os={STATEROOT}", *kargs, *options, rev)

    def boot(self, deployment: Path) -> None:
        """Make the sysroot look as if the kernel had booted this deployment."""
        number = {link.resolve(): link for link in self.path.glob(f"ostree/boot.?/{STATEROOT}/*/*")}[
            deployment.resolve()
        ]
        (self.path / "run").mkdir(exist_ok=True)
        (self.path / "run/ostree-booted").touch()
        (self.path / "proc").mkdir(exist_ok=True)
        (self.path / "proc/cmdline").write_text(
            f"BOOT_IMAGE=/vmlinuz {' '.join(KARGS)} ostree=/{number.relative_to(self.path)}\n"
        )


def sysroot(path: Path) -> Tiny:
    """An empty sysroot with one stateroot."""
    path.mkdir()
    _ostree("admin", "init-fs", path)
    _ostree("admin", "os-init", STATEROOT, f"--sysroot={path}")
    return Tiny(path)


def remove(made: Tiny) -> None:
    """Take the immutable flags off, so that a temporary directory can be removed."""
    if os.geteuid() == 0:
        run(["chattr", "-i", *made.deploys.glob("*.[0-9]")], check=False)
