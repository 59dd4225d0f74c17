"""Where tests work: in memory, where there is enough. They make files by the million: a disk is slow at that.

Machines in QEMU have their ext4; what is tested here asks the file system for hard links, attributes and overlays.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.process import run

NEEDED = 14 << 30  # bytes of memory that must be free; a run takes about half of it
OFF = "APT_OSTREE_TEST_ON_DISK"


def available() -> int:
    """Bytes of memory a new program could have (proc_meminfo(5))."""
    fields = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return int(fields["MemAvailable"].split()[0]) << 10


def furnish(area: Path) -> bool:
    """Mount a tmpfs on a directory, when it may be and can hold what ostree writes; True when there is one."""
    if os.path.ismount(area):
        return True
    if os.geteuid() != 0 or os.environ.get(OFF) or available() < NEEDED:
        return False
    words = ("-t", "tmpfs", "-o", f"mode=0755,size={NEEDED},nr_inodes=0", "tmpfs")
    if run(["mount", *words, area], check=False).returncode != 0:
        return False
    try:
        os.setxattr(area, "user.ostreemeta", b"1")  # since Linux 6.6
        os.removexattr(area, "user.ostreemeta")
    except OSError:
        clear(area)
        return False
    return True


def clear(area: Path) -> None:
    """Unmount it; what somebody is in stays until the next run."""
    run(["umount", area], check=False)
