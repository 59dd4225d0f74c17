"""What images cost: a real tree of 1 GB exported and imported, against tar and gzip on the same bytes in one run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from tests.support.process import CHECKOUT, run
from tests.support.sysroots import Base

# with the minimal base a tree of about 1 GB
GIGABYTE = ("firefox-esr", "gcc", "libreoffice-writer", "llvm-19")

# runs apt-ostree and says how much memory it took at most
MEASURED = """
import resource, sys
from apt_ostree.cli import app
code = app.run(sys.argv[1:])
print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""


def report(base: Base, folder: Path, show: Callable[..., None], seconds: Callable[..., float]) -> None:
    """Print seconds, MB/s, and ratios to the plain tools."""
    tree, packed = folder / "oci-tree", folder / "oci.tar.gz"
    run(["ostree", "checkout", f"--repo={base.repo}", base.checksum, tree])
    plain = seconds(lambda: run(["sh", "-c", f"tar -C {tree} -c . | gzip > {packed}"]))
    megabytes = int(run(["sh", "-c", f"tar -C {tree} -c . | wc -c"]).stdout) / 1e6
    show(f"tar | gzip of a tree of {megabytes:.0f} MB", plain)
    for compression in ("gzip", "zstd"):
        image = f"oci:{folder}/oci-{compression}:t"
        words = ("oci", "export", "--repo", base.repo, base.ref, image, "--compression", compression)
        spent, peak = _measure(seconds, *words)
        show(f"oci export, {compression}", spent, plain, "tar | gzip")
        print(f"  {megabytes / spent:.0f} MB/s, at most {peak} MB of memory")
    spent, _ = _measure(seconds, *words)
    show("oci export where the layers are", spent, plain, "tar | gzip")
    out = folder / "oci-unpacked"
    out.mkdir()
    unpack = seconds(lambda: run(["tar", "-C", out, "-xzf", packed]))
    show("tar -xz of the tree", unpack)
    for mode in ("bare", "archive"):
        repo = folder / f"oci-{mode}"
        run(["ostree", "init", f"--mode={mode}", f"--repo={repo}"])
        spent, peak = _measure(seconds, "oci", "import", "--repo", repo, f"oci:{folder}/oci-gzip:t")
        show(f"oci import into a repo of mode {mode}", spent, unpack, "tar -xz")
        print(f"  {megabytes / spent:.0f} MB/s, at most {peak} MB of memory")


def _measure(seconds: Callable[..., float], *words: str | Path) -> tuple[float, int]:
    """Seconds, and the peak of memory in MB."""
    told = []
    argv = [sys.executable, "-c", MEASURED, *words]
    spent = seconds(lambda: told.append(run(argv, env={"PYTHONPATH": str(CHECKOUT)}).stderr))
    return spent, int(told[-1].rpartition("peak ")[2]) // 1024
