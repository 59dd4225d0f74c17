"""A root file system that no lint has anything to say about, and what one says once it is spoilt."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from apt_ostree.lint import registry
from apt_ostree.linting import Outcome, State
from apt_ostree.view.directory import open_directory

DIRECTORIES = ("boot", "dev", "etc", "proc", "run", "sys", "sysroot", "tmp", "usr/lib/sysimage/dpkg/info", "var")
FILES = {
    "etc/group": "root:x:0:\nsvc:x:101:\npeople:x:1000:\n",
    "etc/hostname": "image\n",
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nsvc:x:101:101::/:/bin/false\nanna:x:1000:1000::/:/bin/sh\n",
    "usr/lib/bootc/kargs.d/10-quiet.toml": 'kargs = ["quiet", "a=b c"]\nmatch-architectures = ["x86_64"]\n',
    "usr/lib/modules/6.12.1/vmlinuz": "kernel",
    "usr/lib/modules/6.12.1/extra/x.ko": "module",
    "usr/lib/ostree/prepare-root.conf": "[composefs]\nenabled = maybe\n",
    "usr/lib/sysimage/dpkg/status": "Package: foo\nStatus: install ok installed\nVersion: 1\n\n",
    "usr/lib/sysusers.d/image.conf": "# accounts\n\ng root 0\nu root 0:0\nu svc 101 'A \"service\"'\n"
    "u anna 1000:1000\ng people -\n",
}


def clean(root: Path) -> Path:
    """Make one."""
    for name in DIRECTORIES:
        (root / name).mkdir(parents=True)
    for name, text in FILES.items():
        put(root, name, text)
    (root / "ostree").symlink_to("sysroot/ostree")
    (root / "bin").symlink_to("usr/bin")
    return root


def put(root: Path, rel: str, text: str = "x", mode: int = 0o644) -> Path:
    """A file with its parents."""
    path = root / rel
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def outcome(root: Path, name: str, *, running: bool = False) -> Outcome:
    """What one lint says of a tree."""
    view = replace(open_directory(root), running=running)
    return next(one for one in registry.run(view).outcomes if one.name == name)


def found(root: Path, name: str, *, running: bool = False) -> list[str]:
    """The paths a lint finds something about. Each is named in its sentence, and it is said what to do."""
    one = outcome(root, name, running=running)
    assert (one.state is State.FOUND) == bool(one.findings) == bool(one.hint)
    assert all(os.path.isabs(item.path) and item.message.startswith(f"{item.path} ") for item in one.findings)
    return [item.path for item in one.findings]
