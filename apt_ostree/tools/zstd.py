"""zstd(1): compression of layers. Debian keeps the program; Python has a module of its own from 3.14 on."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import IO

from apt_ostree import run

_MAX_WINDOW = 27  # 128 MiB: what is decompressed without being asked (zstd(1), --long)


def compress(output: IO[bytes]) -> AbstractContextManager[IO[bytes]]:
    """`zstd -T0` of what is written, into a file. Raises ToolError, ToolMissingError."""
    return run.writing(["zstd", "--quiet", "--threads=0", "-3", "--stdout", "--no-progress", "-"], output)


def decompress(source: IO[bytes]) -> AbstractContextManager[IO[bytes]]:
    """`zstd --decompress` of a file or a pipe, given by its descriptor. Raises ToolError, ToolMissingError."""
    return run.reading(["zstd", "--quiet", "--decompress", f"--long={_MAX_WINDOW}", "--stdout", "-"], stdin=source)
