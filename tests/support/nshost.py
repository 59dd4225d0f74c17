"""The namespace host: a deployment that believes it is booted, a second after it was asked for.

A process in a mount and a pid namespace of its own holds the mounts that ostree-prepare-root(1) and systemd
would make; programs enter with nsenter(1) and chroot(1). The namespaces end with the process, and the process
ends with us (it reads from a pipe that we hold), so nothing can be left behind.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.support import leaks
from tests.support.process import CHECKOUT, Done, environment, run
from tests.support.sysroots import Sysroot

GROUND = "/run/testhost"  # our corner inside the host

# $1 root, $2 deployment, $3 physical sysroot, $4 the stateroot's var, $5 code, $6 kernel command line.
# The pid namespace is part of the picture: libostree compares /proc/1/ns/mnt with its own.
_SETUP = r"""
set -eu
read -r pid rest < /proc/self/stat
mount --bind "$2" "$1"
mount --bind "$3" "$1/sysroot"
mount --bind "$3/boot" "$1/boot"
mount --bind "$4" "$1/var"
mount --bind "$1/usr" "$1/usr"
mount -o remount,bind,ro "$1/usr"
mount -t proc proc "$1/proc"
mount -t sysfs -o ro sysfs "$1/sys"
mount --rbind /dev "$1/dev"
mount -t tmpfs -o mode=0755 tmpfs "$1/run"
mount -t tmpfs -o mode=1777 tmpfs "$1/tmp"
mkdir -p "$1/run/testhost/checkout" "$1/run/testhost/exposed" "$1/run/lock" "$1/run/systemd/resolve"
cp /etc/resolv.conf "$1/run/systemd/resolve/stub-resolv.conf" || :
cp /etc/resolv.conf "$1/run/systemd/resolve/resolv.conf" || :
printf '%s\n' "$6" > "$1/run/testhost/cmdline"
mount --bind "$1/run/testhost/cmdline" "$1/proc/cmdline"
cat /proc/sys/kernel/random/uuid > "$1/run/testhost/boot_id"
mount --bind "$1/run/testhost/boot_id" "$1/proc/sys/kernel/random/boot_id"
mount --bind "$5" "$1/run/testhost/checkout"
touch "$1/run/ostree-booted"
mount -o remount,bind,ro "$1/sysroot"
echo "ready $pid"
exec cat > /dev/null
"""


@functools.cache
def _code() -> tempfile.TemporaryDirectory[str]:
    """The code of the checkout, for every host of this process: what a host's Python compiles is kept beside it."""
    made = tempfile.TemporaryDirectory(prefix="aot-code-")
    target = Path(made.name)
    target.chmod(0o755)  # plain users of a host run it as well
    shutil.copytree(CHECKOUT / "apt_ostree", target / "apt_ostree", ignore=shutil.ignore_patterns("__pycache__"))
    return made


class NamespaceHost:
    """A running machine made of the first deployment of a sysroot. Use as a context manager or call `close`.

    The tree must have python3, bubblewrap and the Python packages apt-ostree depends on; the code under test is
    the checkout. /usr and /sysroot are read-only as on a real machine.
    """

    def __init__(self, sysroot: Sysroot) -> None:
        self.sysroot = sysroot
        self.root = sysroot.path.with_name(f"{sysroot.path.name}-host")
        self.root.mkdir()
        self.boots = 0
        self._exposed = 0
        self._holder: subprocess.Popen[str] | None = None
        self._pid = 0
        self.boot()

    def __enter__(self) -> NamespaceHost:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- power

    def boot(self) -> None:
        """Enter the deployment that boots next."""
        entry = self.sysroot.entries()[0]
        self.deployment = (self.sysroot.path / entry["ostree"].lstrip("/")).resolve()
        argv = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", _SETUP, "sh"]
        argv += [
            str(word) for word in (self.root, self.deployment, self.sysroot.path, self.deployment.parents[1] / "var")
        ]
        argv += [_code().name, f"BOOT_IMAGE={entry['linux']} {entry['options']}"]
        self._holder = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
        )
        assert self._holder.stdout and self._holder.stderr
        word, _, pid = self._holder.stdout.readline().strip().partition(" ")
        if word != "ready":
            message = self._holder.stderr.read()
            self.power_cut()
            raise AssertionError(f"the namespace host did not start: {message}")
        self._pid = int(pid)
        self.boots += 1
        # what systemd starts before any service; both complain about what a namespace cannot have
        self.run("systemd-sysusers", check=False)
        self.run("systemd-tmpfiles", "--create", "--prefix=/var", check=False)

    def power_cut(self) -> None:
        """Everything in the host dies at once, nothing is finalised."""
        if self._holder is None:
            return
        assert self._holder.stdin
        with contextlib.suppress(BrokenPipeError):
            self._holder.stdin.close()
        self._await_end(self._holder)
        for pipe in (self._holder.stdout, self._holder.stderr):
            if pipe:
                pipe.close()
        self._holder = None

    @staticmethod
    def _await_end(holder: subprocess.Popen[str]) -> None:
        until = time.monotonic() + 10
        while holder.poll() is None:
            leaks.reap_foreign()  # what nsenter left to us; the namespace waits for it
            if time.monotonic() > until:
                holder.kill()  # --kill-child takes the namespaces along
            time.sleep(0.01)

    def shutdown(self) -> None:
        """What a clean shutdown does: finalise the staged deployment, then everything ends."""
        if self.is_staged():
            self.run("ostree", "admin", "finalize-staged")
        self.power_cut()

    def reboot(self) -> None:
        """A clean shutdown, then the deployment that is first by then."""
        self.shutdown()
        self.boot()

    def close(self) -> None:
        """End the host for good."""
        self.power_cut()
        with contextlib.suppress(FileNotFoundError):
            self.root.rmdir()

    # --- programs

    def argv(self, *words: str | Path, env: Mapping[str, str] | None = None) -> list[str]:
        """The command line that runs `words` inside the host."""
        settings = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL": "C.UTF-8",
            "HOME": "/root",
            "TERM": "dumb",
            "PYTHONPATH": f"{GROUND}/checkout",
            **(env or {}),
        }
        # --root: setns(2) alone would leave the chroot that the tests themselves may run in
        enter = ["nsenter", f"--target={self._pid}", "--mount", "--pid", "--root", "--", "chroot", str(self.root)]
        return [
            *enter,
            "/usr/bin/env",
            "-i",
            *(f"{k}={v}" for k, v in settings.items()),
            *(str(word) for word in words),
        ]

    def run(
        self, *words: str | Path, check: bool = True, env: Mapping[str, str] | None = None, stdin: str | None = None
    ) -> Done:
        """Run a program inside, to its end."""
        return run(self.argv(*words, env=env), check=check, stdin=stdin)

    def apt_ostree(
        self,
        *words: str | Path,
        check: bool | int = True,
        env: Mapping[str, str] | None = None,
        stdin: str | None = None,
    ) -> Done:
        """Run apt-ostree inside. `check` True: must succeed; an exit code: must end with just that; False: anything."""
        done = self.run("python3", "-m", "apt_ostree", *words, check=False, env=env, stdin=stdin)
        if check is False:
            return done
        return done.must(0 if check is True else check)

    @contextlib.contextmanager
    def running(self, *words: str | Path, env: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
        """A program inside that goes on while the block runs; what is left of it then is killed."""
        process = subprocess.Popen(
            self.argv(*words, env=env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # nsenter and what it forked into the pid namespace
            process.communicate()

    def expose(self, path: Path) -> str:
        """Make a file or directory of the machine outside readable inside; returns its path there."""
        self._exposed += 1
        inside = f"{GROUND}/exposed/{self._exposed}/{path.name}"
        outside = f"{self.root}{inside}"
        make = 'mkdir -p "$2"' if path.is_dir() else 'mkdir -p "${2%/*}"; : > "$2"'
        script = f'set -e; {make}; mount --bind "$1" "$2"; mount -o remount,bind,ro "$2"'
        run(["nsenter", f"--target={self._pid}", "--mount", "--root", "--", "sh", "-c", script, "sh", path, outside])
        return inside

    # --- questions

    def read(self, path: str) -> str:
        """Content of a file inside."""
        return self.run("cat", path).stdout

    def exists(self, path: str) -> bool:
        """True when there is such a path inside."""
        return self.run("test", "-e", path, check=False).returncode == 0

    def is_staged(self) -> bool:
        """True when a staged deployment waits for the shutdown."""
        return self.exists("/run/ostree/staged-deployment")

    def booted_checksum(self) -> str:
        """The commit that is booted."""
        return self.deployment.name.partition(".")[0]

    def ostree_status(self) -> str:
        """`ostree admin status` as the host says it."""
        return self.run("ostree", "admin", "status").stdout
