"""How a disk is laid out: a GPT with room for GRUB of both firmwares and one ext4 for all else. Numbers only, no I/O.

The root is last, so a disk that is made larger later can give it the room. Sizes and places are in bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from apt_ostree.errors import AptOstreeError, UsageError

SECTOR = 512
MIB = 1024 * 1024
_UNITS = {"": 1, "K": 1024, "M": MIB, "G": 1024 * MIB, "T": 1024 * 1024 * MIB}
_SIZE = re.compile(r"([0-9]{1,15})([KMGT]?)(?:i?B)?", re.IGNORECASE)

BIOS_SIZE = MIB  # GRUB's core.img has a tenth of it
ESP_SIZE = 64 * MIB  # a FAT32 has 65,525 clusters at least
_FRONT = MIB  # the table itself, and alignment
_BACK = MIB  # the table's copy
_BLOCK = 4096  # of ext4
_SLACK = 1.1  # inodes, bitmaps and the reserve of ext4
_JOURNAL = 64 * MIB
_GROWTH = 512 * MIB  # /var, logs, packages and what is downloaded

# Discoverable Partitions Specification (uapi-group.org), and GRUB's manual, "BIOS installation"
TYPE_BIOS = "21686148-6449-6E6F-744E-656564454649"
TYPE_ESP = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
TYPE_ROOT = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"  # root of x86-64


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """One partition. `uuid` is the partition's own, not its file system's."""

    number: int
    name: str
    type: str
    start: int
    size: int
    uuid: str
    filesystem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The names by which the disk and its parts are found: UUIDs as text, `esp` eight hex digits."""

    disk: str
    bios: str
    efi: str
    system: str
    root: str  # of the root file system
    esp: str  # volume id of the ESP's FAT


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A disk of `size` bytes."""

    size: int
    identity: Identity
    bios: Partition
    esp: Partition
    root: Partition

    @property
    def partitions(self) -> tuple[Partition, ...]:
        return (self.bios, self.esp, self.root)


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What goes onto the root: bytes in whole blocks of all files, and bytes of the kernel and its initramfs."""

    tree: int
    kernel: int

    @property
    def total(self) -> int:
        return self.tree + self.kernel


def blocks(size: int) -> int:
    """Bytes a file of `size` bytes takes on the disk."""
    return -(-size // _BLOCK) * _BLOCK


def parse_size(text: str) -> int:
    """`8G`, `900M`, `4294967296`: powers of 1024, as truncate(1) and qemu-img(1) have them. Raises UsageError."""
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise UsageError(f"--size: '{text}' is not a size", hint="--size=8G")
    return int(match[1]) * _UNITS[match[2].upper()]


def smallest(content: Content) -> int:
    """The disk that just holds the content."""
    return _with_root(int(content.total * _SLACK) + _JOURNAL + 64 * MIB)


def comfortable(content: Content) -> int:
    """The disk that also holds an update: a second tree that shares nothing with the first, and something to grow."""
    return _with_root(int(content.total * 2 * _SLACK) + _JOURNAL + _GROWTH)


def written(content: Content) -> int:
    """Bytes a sparse image takes where it is made, about."""
    return int(content.total * _SLACK) + _JOURNAL


def _with_root(root: int) -> int:
    return _FRONT + BIOS_SIZE + ESP_SIZE + -(-root // MIB) * MIB + _BACK


def lay_out(content: Content, size: int | None, identity: Identity) -> Layout:
    """The layout of a disk of `size` bytes, None: as the content needs. Raises AptOstreeError when it is too small."""
    least = smallest(content)
    total = comfortable(content) if size is None else size // MIB * MIB
    if total < least:
        raise AptOstreeError(
            f"a disk of {total // MIB} MiB is too small: the content alone needs {least // MIB} MiB",
            hint=f"--size={least // MIB}M or more; without --size there is room for an update too",
            code="no-space",
        )
    start = _FRONT + BIOS_SIZE + ESP_SIZE
    return Layout(
        size=total,
        identity=identity,
        bios=Partition(number=1, name="bios", type=TYPE_BIOS, start=_FRONT, size=BIOS_SIZE, uuid=identity.bios),
        esp=Partition(
            number=2,
            name="esp",
            type=TYPE_ESP,
            start=_FRONT + BIOS_SIZE,
            size=ESP_SIZE,
            uuid=identity.efi,
            filesystem="vfat",
        ),
        root=Partition(
            number=3,
            name="root",
            type=TYPE_ROOT,
            start=start,
            size=total - start - _BACK,
            uuid=identity.system,
            filesystem="ext4",
        ),
    )


def table(layout: Layout) -> str:
    """The layout as sfdisk(8) reads it."""
    lines = ["label: gpt", f"label-id: {layout.identity.disk}", "unit: sectors", ""]
    for part in layout.partitions:
        place = f"start={part.start // SECTOR}, size={part.size // SECTOR}"
        lines.append(f'{part.number}: {place}, type={part.type}, uuid={part.uuid}, name="{part.name}"')
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskImage:
    """The answer of `compose image`. `taken`: bytes the file takes, 0 after a dry run; `duration`: phase -> seconds."""

    command: str
    changed: bool
    path: str
    format: str
    ref: str
    commit: str
    stateroot: str
    kargs: tuple[str, ...]
    login: tuple[str, ...]  # `root-password`, `ssh-key`
    layout: Layout
    taken: int = 0
    duration: Mapping[str, float]
    warnings: tuple[str, ...] = ()
