"""Small hand-made trees for the tests of the tree rules."""

from __future__ import annotations

import os
from pathlib import Path

PASSWD = "root:x:0:0:root:/root:/bin/bash\n_apt:x:42:65534::/nonexistent:/usr/sbin/nologin\n"  # noqa: S105  a file, not a secret
GROUP = "root:x:0:\nmail:x:8:\nshadow:x:42:\nnogroup:x:65534:\n"
STATUS = "Package: foo\nStatus: install ok installed\nVersion: 1\nArchitecture: all\nInstalled-Size: 3\n\n"


def put(root: Path, rel: str, text: str = "x", mode: int = 0o644) -> Path:
    """A file with its parents."""
    path = root / rel
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def owned(root: Path, package: str, *paths: str, database: str = "var/lib/dpkg") -> None:
    """Tell the database that a package has these paths."""
    put(root, f"{database}/info/{package}.list", "".join(f"{path}\n" for path in ("/.", *paths)))


def _common(root: Path, database: str) -> None:
    for name, text in (("passwd", PASSWD), ("group", GROUP), ("shadow", "root:*:20000:0:99999:7:::\n")):
        put(root, f"etc/{name}", text)
    put(root, f"{database}/status", STATUS)
    put(root, "usr/bin/true", mode=0o755)
    put(root, "usr/bin/systemd-tmpfiles", mode=0o755)
    for name in ("bin", "sbin", "lib"):
        (root / "usr" / name).mkdir(exist_ok=True)
        (root / name).symlink_to(f"usr/{name}")


def bootstrapped(root: Path) -> Path:
    """The smallest thing mmdebstrap could leave."""
    for name in ("boot", "dev", "home", "media", "mnt", "opt", "proc", "root", "run", "srv", "sys", "usr/local/bin"):
        (root / name).mkdir(parents=True)
    (root / "root").chmod(0o700)
    _common(root, "var/lib/dpkg")
    for name in ("var/cache", "var/log", "var/opt", "var/tmp", "tmp"):
        (root / name).mkdir()
    for name in ("var/tmp", "tmp"):
        (root / name).chmod(0o1777)
    return root


def layered(root: Path) -> tuple[Path, Path]:
    """A folded tree on a base, and the directory with what is new in /var."""
    links = {"home": "var/home", "root": "var/roothome", "opt": "var/opt", "srv": "var/srv", "mnt": "var/mnt"}
    tree, var = root / "tree", root / "upper/var"
    tree.mkdir(parents=True)
    var.mkdir(parents=True)
    _common(tree, "usr/lib/sysimage/dpkg")
    for name in ("boot", "dev", "proc", "run", "sys", "sysroot", "tmp", "var"):
        (tree / name).mkdir()
    for name, target in {**links, "media": "run/media", "ostree": "sysroot/ostree"}.items():
        (tree / name).symlink_to(target)
    (tree / "usr/local").symlink_to("../var/usrlocal")
    return tree, var


def names(path: Path) -> list[str]:
    return sorted(os.listdir(path))
