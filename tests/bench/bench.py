"""`make bench`: where the time of layering goes, and ratios to the plain tools in the same run.

Machines differ and are noisy, so every figure that matters is a ratio of two things measured here, one after the
other. Nothing is asserted. `python -m tests.bench.bench host` is one section alone; `desktop` takes longest.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.bench import deltas, desktop, oci
from tests.support import basecache, sysroots
from tests.support.ground import Ground
from tests.support.plainchroot import PlainChroot
from tests.support.process import run
from tests.support.sysroots import Base, Sysroot

PACKAGES = ("htop", "chrony", "nginx-light")
ROUNDS = 5


def seconds(action: Callable[[], object], rounds: int = 1) -> float:
    """The median wall time of an action."""
    times = []
    for _ in range(rounds):
        start = time.monotonic()
        action()
        times.append(time.monotonic() - start)
    return statistics.median(times)


def show(name: str, value: float, to: float | None = None, what: str = "") -> None:
    """One line of the report: seconds, and how many times something else that is."""
    ratio = f"{value / to:6.2f} x {what}" if to else ""
    print(f"{name:44} {value:8.2f} s  {ratio}")


def layering(sysroot: Sysroot, base: Base, folder: Path) -> None:
    """A first install against plain apt-get of the same files in a mutable chroot, then what is reused."""
    sysroot.apt_ostree("refresh-md")
    sysroot.apt_ostree("install", "-y", "--download-only", "--no-recommends", *PACKAGES)
    done = sysroot.apt_ostree("install", "-y", "-C", "--no-recommends", "--json", *PACKAGES).json
    total = sum(done["duration"].values())
    ground = Ground(folder)
    layered = ground.layered_packages(sysroot.repo, sysroot.checksum())
    debs = {package.nevra: ground.stored_deb(sysroot.repo, package) for package in layered}
    plain = PlainChroot.of_commit(base.repo, base.checksum, folder / "plain")
    lists = sysroot.store / "apt/state/lists"
    reference = seconds(lambda: plain.install(PACKAGES, debs, lists))
    show("apt-get install in a plain chroot", reference)
    show("apt-ostree install, packages at hand", total, reference, "apt-get in a chroot")
    for phase, spent in done["duration"].items():
        show(f"  {phase}", spent)
    show("uninstall to the base", seconds(lambda: sysroot.apt_ostree("uninstall", "-y", *PACKAGES)), total, "install")


def questions(sysroot: Sysroot) -> None:
    """What people wait for most often."""
    ostree = seconds(lambda: run(["ostree", "admin", "status", f"--sysroot={sysroot.path}"]), ROUNDS)
    show("ostree admin status", ostree)
    for words in (("status",), ("status", "--json"), ("--help",), ("db", "list")):
        spent = seconds(lambda words=words: sysroot.apt_ostree(*words), ROUNDS)  # type: ignore[misc]
        show(f"apt-ostree {' '.join(words)}", spent, ostree, "ostree admin status")


def _host(base: Base, folder: Path) -> None:
    sysroot = sysroots.build(folder / "sysroot", base)
    try:
        basecache.seed(sysroot)
        questions(sysroot)
        layering(sysroot, base, folder)
    finally:
        sysroot.close()
        shutil.rmtree(folder / "plain", ignore_errors=True)


SECTIONS: dict[str, Callable[[Base, Path], None]] = {
    "host": _host,
    "deltas": lambda base, folder: deltas.report(base, folder, show),
    "oci": lambda _base, folder: oci.report(basecache.base(extra=oci.GIGABYTE), folder, show, seconds),
    "desktop": lambda _base, folder: desktop.report(folder, show),
}


def main(names: Sequence[str]) -> None:
    """Print the report, or these sections of it."""
    with basecache.workspace() as folder:
        base = basecache.base()
        for name in names or SECTIONS:
            SECTIONS[name](base, folder)


if __name__ == "__main__":
    main(sys.argv[1:])
