"""What is in an initramfs, however it is packed."""

from __future__ import annotations

import bz2
import gzip
import lzma
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from apt_ostree import bootable
from apt_ostree.errors import AptOstreeError
from tests.support.image import OSTREE, initramfs

Pack = Callable[[bytes], bytes]


def zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-q", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout


def same(data: bytes) -> bytes:
    return data


PACKS: dict[str, Pack] = {
    "stored": same,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE),
    "zstd": zstd,
}


def read(folder: Path, data: bytes) -> list[str]:
    (folder / "initramfs").write_bytes(data)
    with (folder / "initramfs").open("rb") as file:
        return bootable.names(file)


@pytest.mark.parametrize("pack", PACKS.values(), ids=PACKS)
def test_archives_one_after_the_other(tmp_path: Path, pack: Pack) -> None:
    """An early one for microcode, padding, then what the compressor made of two more."""
    early = initramfs("kernel/x86/microcode/GenuineIntel.bin")
    later = pack(initramfs(*OSTREE) + bytes(512) + initramfs("etc/crypttab"))
    assert read(tmp_path, early + bytes(1024) + later) == [
        "kernel/x86/microcode/GenuineIntel.bin", *OSTREE, "etc/crypttab",
    ]  # fmt: skip
    assert read(tmp_path, later) == [*OSTREE, "etc/crypttab"]


def test_names_that_are_padded_and_data_of_any_length(tmp_path: Path) -> None:
    """dracut-cpio aligns data to blocks by zeros at the end of the name before it."""
    data = initramfs("a/bc")
    padded = data.replace(b"%08X" % 5 + b"0" * 8 + b"a/bc\0", b"%08X" % 9 + b"0" * 8 + b"a/bc\0" + bytes(4), 1)
    assert padded != data and read(tmp_path, padded) == ["a/bc"]


BAD: dict[str, tuple[bytes, str]] = {
    "text": (b"a toy initramfs", "no archive"),
    "lz4": (b"\x02\x21\x4c\x18" + bytes(8), "in a way that is not known"),
    "cut": (initramfs(*OSTREE)[:-200], "damaged"),
    "a header that is none": (b"070701" + b"x" * 200, "damaged"),
    "a name without end": (initramfs("a").replace(b"%08X" % 2, b"FFFFFFFF", 1), "damaged"),
    "cut gzip": (gzip.compress(initramfs(*OSTREE))[:-20], "cannot be unpacked"),
    "no zstd": (b"\x28\xb5\x2f\xfd" + b"x" * 20, "cannot be unpacked"),
    "text in gzip": (gzip.compress(b"a toy"), "damaged"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_the_kernel_would_not_unpack(tmp_path: Path, name: str) -> None:
    data, told = BAD[name]
    with pytest.raises(AptOstreeError, match=told) as caught:
        read(tmp_path, data)
    assert caught.value.code == "initramfs"
