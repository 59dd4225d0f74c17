"""Disk images, looked at from outside."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apt_ostree import cpio
from tests.support.process import run

# what dracut's module of ostree leaves in an initramfs, as far as it matters
OSTREE = (
    "usr/lib/ostree/ostree-prepare-root",
    "usr/lib/systemd/system/ostree-prepare-root.service",
    "usr/lib/systemd/system/initrd-root-fs.target.wants/ostree-prepare-root.service",
)


def initramfs(*names: str) -> bytes:
    """An archive of some small files."""
    return cpio.archive(cpio.Member(name=name, mode=0o100755, data=b"#!x\n") for name in names)


@dataclass(frozen=True, slots=True)
class Disk:
    """A raw image at `path`."""

    path: Path

    def table(self) -> dict[str, Any]:
        """The partition table as `sfdisk --json` has it."""
        found: dict[str, Any] = run(["sfdisk", "--json", self.path]).json["partitiontable"]
        return found

    def part(self, number: int) -> tuple[int, int]:
        """Where a partition begins and how long it is, in bytes."""
        entry = self.table()["partitions"][number - 1]
        return entry["start"] * 512, entry["size"] * 512

    def filesystem(self, number: int) -> dict[str, str]:
        """What blkid(8) finds in a partition: TYPE, UUID, LABEL."""
        start, size = self.part(number)
        place = ["--probe", f"--offset={start}", f"--size={size}", "--output=export"]
        lines = run(["blkid", *place, self.path]).stdout.splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def esp(self, path: str, target: Path) -> bytes:
        """Content of a file of the ESP, by way of a file of ours."""
        run(["mcopy", "-n", "-i", f"{self.path}@@{self.part(2)[0]}", f"::/{path}", target])
        return target.read_bytes()

    @contextlib.contextmanager
    def mounted(self, folder: Path) -> Iterator[Path]:
        """The root, read-only, as long as the block."""
        start, size = self.part(3)
        folder.mkdir(exist_ok=True)
        run(["mount", "-o", f"loop,ro,noload,offset={start},sizelimit={size}", self.path, folder])
        try:
            yield folder
        finally:
            run(["umount", folder])


def virtual_size(image: Path) -> int:
    """Bytes of the disk in an image of any format."""
    return int(json.loads(run(["qemu-img", "info", "--output=json", image]).stdout)["virtual-size"])
