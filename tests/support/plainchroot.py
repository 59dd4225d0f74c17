"""The other side of the oracle: a plain, mutable chroot of the same base, and apt-get in it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from apt_ostree.tree.dpkgdb import STATE, SYSIMAGE

# Questions in advance are apt's courtesy (Policy 3.9.1); each package's postinst asks its own again, as with dpkg -i.
_NO_PRECONFIGURE = "#clear DPkg::Pre-Install-Pkgs;\n"

ENV = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "TERM": "dumb",
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBCONF_NONINTERACTIVE_SEEN": "true",
    "SYSTEMD_OFFLINE": "1",
}

# Everything is mounted in a namespace of its own, so nothing can be left behind.
_ENTER = """
set -e
mount --make-rprivate /
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=755 tmpfs dev
for node in null zero full random urandom tty; do touch dev/$node; mount --bind /dev/$node dev/$node; done
ln -s /proc/self/fd dev/fd; ln -s fd/0 dev/stdin; ln -s fd/1 dev/stdout; ln -s fd/2 dev/stderr
mkdir -m 1777 dev/shm
mount -t tmpfs -o mode=755 tmpfs run
mkdir -p run/lock run/media
mount -t tmpfs -o mode=1777 tmpfs tmp
hostname localhost
root=$1
shift
chroot "$root" ip link set lo up
exec chroot "$root" "$@"
"""


class PlainChroot:
    """A copy of a base commit as a machine that dpkg may change in place."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def of_commit(cls, repo: Path, commit: str, root: Path) -> PlainChroot:
        subprocess.run(["ostree", f"--repo={repo}", "checkout", "--force-copy", commit, root], check=True)
        (root / "usr/etc").rename(root / "etc")
        chroot = cls(root)
        chroot.run("systemd-tmpfiles", "--create", "--prefix=/var", "--exclude-prefix=/var/tmp", check=False)
        policy = root / "usr/sbin/policy-rc.d"
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
        return chroot

    def run(self, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        namespaces = ["unshare", "--mount", "--pid", "--fork", "--uts", "--ipc", "--net"]
        done = subprocess.run(
            [*namespaces, "sh", "-c", _ENTER, "sh", str(self.root), *argv],
            env=ENV,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(
                f"{argv[:3]} failed in the plain chroot:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
            )
        return done

    def install(
        self, packages: Sequence[str], debs: Mapping[str, Path], lists: Path, architectures: Sequence[str] = ()
    ) -> None:
        """`apt-get install` by the chroot's own apt, offline: order, marks and dpkg calls are all its own.

        `debs` are archives by `name_version_arch`, `lists` the package lists they were resolved with.
        """
        for architecture in architectures:
            self.run("dpkg", "--add-architecture", architecture)
        archives = self.root / "var/cache/apt/archives"
        archives.mkdir(parents=True, exist_ok=True)
        for nevra, deb in debs.items():
            shutil.copyfile(deb, archives / f"{nevra.replace(':', '%3a')}.deb")
        shutil.copytree(lists, self.root / "var/lib/apt/lists", dirs_exist_ok=True)
        (self.root / "var/cache/apt/plain.conf").write_text(_NO_PRECONFIGURE)
        self.run(
            "apt-get", "-y", "-c", "/var/cache/apt/plain.conf", "-o", "DPkg::Options::=--force-confnew",
            "-o", "DPkg::Options::=--force-unsafe-io", "-o", "APT::Install-Recommends=false",
            "install", "--no-download", *packages,
        )  # fmt: skip
        self.settle()

    def settle(self) -> None:
        """After the last change: package state is compared where images have it.

        Some is new in /var, some stands there because a program wrote by rename where the link into the image was.
        """
        (self.root / "usr/sbin/policy-rc.d").unlink()
        for name, place in STATE.items():
            source, target = self.root / "var" / place, self.root / SYSIMAGE / name
            if source.exists() and not source.is_symlink():
                target.unlink(missing_ok=True)
                shutil.move(source, target)
