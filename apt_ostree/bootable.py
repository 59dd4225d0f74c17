"""May a commit boot from a disk: which machines it is for, and whether its initramfs mounts a deployment.

Both are read out of the repo, before anything is written. The initramfs is not listed by the tree's own lsinitrd, as
where one is made: a commit from elsewhere need not have it, and its programs are not to be run for a question.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from apt_ostree import commitmeta, commits, cpio, grubdisk, pkgdb
from apt_ostree.errors import AptOstreeError, ToolError
from apt_ostree.tools import ostree, zstd
from apt_ostree.tree import kernel

KERNEL, INITRAMFS = "vmlinuz", "initramfs.img"
_HARDWARE = {"x86_64": "amd64", "aarch64": "arm64", "i686": "i386"}  # uname(2) -> Debian's name
# IMAGE_FILE_HEADER.Machine of an EFI program, which a kernel of today is (Microsoft's PE Format)
_MACHINES = {0x14C: "i386", 0x1C2: "armhf", 0x5064: "riscv64", 0x6264: "loong64", 0x8664: "amd64", 0xAA64: "arm64"}
_PE_OFFSET = 0x3C  # where the place of the PE header is
_PE = b"PE\0\0"
_HEAD = 64 * 1024  # the PE header is in the first page
_GZIP, _BZIP2, _XZ, _LZMA, _ZSTD = b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x5d\0\0", b"\x28\xb5\x2f\xfd"
_BROKEN = (ToolError, EOFError, OSError, zlib.error, lzma.LZMAError)


def require_architecture(repo: Path, checksum: str) -> None:
    """Raise AptOstreeError (`architecture`) for a commit of other machines than GRUB is put on a disk for.

    A commit that says nothing passes: not every tree was made by dpkg.
    """
    loaded = commits.load(repo, checksum)
    _accept(checksum, _of_packages(repo, loaded), "its packages are")
    hardware = loaded.metadata.get("ostree.architecture", "")
    _accept(checksum, _HARDWARE.get(str(hardware), str(hardware)), "its metadata says")


def require_kernel(repo: Path, checksum: str, folder: str) -> None:
    """Look at the kernel and the initramfs in a directory of a commit.

    Raises AptOstreeError: `architecture` for a kernel of other machines, `initramfs` for one that mounts no deployment;
    ToolMissingError for zstd.
    """
    with _file(repo, checksum, f"/{folder}/{KERNEL}") as file:
        _accept(checksum, _machine(file.read(_HEAD)), "its kernel is")
    with _file(repo, checksum, f"/{folder}/{INITRAMFS}") as file:
        kernel.check_listing("\n".join(names(file)))


def names(file: IO[bytes]) -> list[str]:
    """The paths in an initramfs: archives one after the other, of which the last may be compressed.

    `file` is one on a disk. Raises AptOstreeError (`initramfs`) for what the kernel would not unpack either, and for
    compressions nobody uses with dracut here; ToolMissingError for zstd.
    """
    found: list[str] = []
    try:
        while magic := cpio.following(file):
            if cpio.begins(magic):
                found += cpio.names(file, magic)
                continue
            file.seek(-len(magic), os.SEEK_CUR)
            with _unpacked(file, magic) as archives:
                while inner := cpio.following(archives):
                    found += cpio.names(archives, inner)
            break
    except _BROKEN as error:
        details = error.details if isinstance(error, ToolError) else [str(error)]
        raise AptOstreeError("the initramfs cannot be unpacked", details=details, code="initramfs") from error
    return found


@contextlib.contextmanager
def _unpacked(file: IO[bytes], magic: bytes) -> Iterator[cpio.Stream]:
    if magic.startswith(_ZSTD):
        os.lseek(file.fileno(), file.tell(), os.SEEK_SET)  # it reads from the descriptor, behind Python's buffer
        with zstd.decompress(file) as stream:
            yield stream
    elif magic.startswith(_GZIP):
        with gzip.open(file) as stream:
            yield stream
    elif magic.startswith((_XZ, _LZMA)):
        with lzma.open(file) as stream:
            yield stream
    elif magic.startswith(_BZIP2):
        with bz2.open(file) as stream:
            yield stream
    else:
        raise AptOstreeError(
            f"the initramfs is no archive, or compressed in a way that is not known here: it begins with {magic!r}",
            hint="make it with gzip, bzip2, lzma, xz or zstd; in a treefile: initramfs-args = ['--zstd']",
            code="initramfs",
        )


@contextlib.contextmanager
def _file(repo: Path, checksum: str, path: str) -> Iterator[IO[bytes]]:
    """A copy of a file of a commit that nobody else sees, from its beginning. Raises ToolError."""
    with tempfile.TemporaryFile() as copy:
        with ostree.content(repo, checksum, path) as stream:
            shutil.copyfileobj(stream, copy)
        copy.seek(0)
        yield copy


def _of_packages(repo: Path, loaded: commits.Loaded) -> str:
    """The native architecture, which is that of dpkg itself; where dpkg is not installed, of some package."""
    try:
        packages = pkgdb.parse_status(pkgdb.status(repo, loaded.commit.checksum))
    except AptOstreeError:
        packages = commitmeta.decode_pkglist(loaded.metadata) or ()
    native = next((package.arch for package in packages if package.name == "dpkg"), "")
    others = sorted({package.arch for package in packages} - {"", "all"})
    return native or (grubdisk.ARCHITECTURE if grubdisk.ARCHITECTURE in others else "".join(others[:1]))


def _machine(head: bytes) -> str:
    """The architecture of a kernel, empty when it does not tell."""
    at = int.from_bytes(head[_PE_OFFSET : _PE_OFFSET + 4], "little")
    if not head.startswith(b"MZ") or head[at : at + 4] != _PE:
        return ""
    machine = int.from_bytes(head[at + 4 : at + 6], "little")
    return _MACHINES.get(machine, f"the machine {machine:#x}")


def _accept(checksum: str, told: str, why: str) -> None:
    if told not in ("", grubdisk.ARCHITECTURE):
        raise AptOstreeError(
            f"the commit {checksum[:10]} is not for {grubdisk.ARCHITECTURE}, and a disk can be made for no other: "
            f"{why} {told}",
            hint=f"compose it with: architecture = '{grubdisk.ARCHITECTURE}'",
            code="architecture",
        )
