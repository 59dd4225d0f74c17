"""A layer's tar on its way into a blob: hashed, compressed on all processors, hashed again.

gzip is made of independently deflated blocks, each with the end of the one before as its dictionary (as pigz(1) does):
zlib lets go of Python's lock, so threads compress them at the same time, and the bytes do not depend on how many there
are. zstd(1) has threads of its own; what it writes with `-T` does not depend on their number either.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import zlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO, Any

from apt_ostree.oci import names
from apt_ostree.tools import zstd

_BLOCK = 512 * 1024  # bytes that are deflated at once
_WINDOW = 32 * 1024  # of deflate (RFC 1951)
_LEVEL = 4  # twice as fast as 6, and its output 2 % bigger (measured on Debian 13)
_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # no name, no time, no system (RFC 1952)
READ = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A finished layer: digests as `sha256:...`, sizes in bytes."""

    diff_id: str
    digest: str
    size: int
    uncompressed: int


class Workers:
    """Threads that compress, shared by all layers of an image."""

    def __init__(self) -> None:
        self.count = os.cpu_count() or 1
        self.pool = ThreadPoolExecutor(max_workers=self.count)


@contextlib.contextmanager
def workers() -> Iterator[Workers]:
    """Threads for a block."""
    made = Workers()
    try:
        yield made
    finally:
        made.pool.shutdown(cancel_futures=True)


class Layer:
    """Takes a tar and writes a blob; `result` once it is closed."""

    def __init__(self, output: Any) -> None:
        self._buffer = bytearray()
        self._diff = hashlib.sha256()
        self._total = 0
        self._output = output

    def write(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) >= _BLOCK:
            self._pass(_BLOCK)

    def _pass(self, step: int) -> None:
        view = bytes(self._buffer)
        whole = len(view) // step * step if step else len(view)
        for start in range(0, whole, _BLOCK):
            block = view[start : min(start + _BLOCK, whole)]
            self._diff.update(block)
            self._total += len(block)
            self._output.block(block)
        self._buffer = bytearray(view[whole:])

    def finish(self) -> tuple[str, int]:
        """diff_id and size of the tar."""
        self._pass(0)
        return f"sha256:{self._diff.hexdigest()}", self._total


class _Nothing:
    """Only the tar's own digest is wanted."""

    def block(self, data: bytes) -> None:
        return None


class _Gzip:
    """Blocks in, gzip out, in order."""

    def __init__(self, file: IO[bytes], workers: Workers) -> None:
        self._file, self._workers = file, workers
        self._hash = hashlib.sha256()
        self._pending: deque[Future[bytes]] = deque()
        self._crc, self._total, self._size = 0, 0, 0
        self._former = b""
        self._out(_HEADER)

    def _out(self, data: bytes) -> None:
        self._hash.update(data)
        self._size += len(data)
        self._file.write(data)

    def block(self, data: bytes) -> None:
        self._crc = zlib.crc32(data, self._crc)
        self._total += len(data)
        self._pending.append(self._workers.pool.submit(_deflate, data, self._former))
        self._former = data[-_WINDOW:]
        while len(self._pending) > self._workers.count + 2:
            self._out(self._pending.popleft().result())

    def finish(self) -> tuple[str, int]:
        while self._pending:
            self._out(self._pending.popleft().result())
        self._out(b"\x03\x00")  # an empty last block
        self._out(self._crc.to_bytes(4, "little") + (self._total % (1 << 32)).to_bytes(4, "little"))
        return f"sha256:{self._hash.hexdigest()}", self._size


def _deflate(data: bytes, former: bytes) -> bytes:
    made = zlib.compressobj(_LEVEL, zlib.DEFLATED, -15, 8, zlib.Z_DEFAULT_STRATEGY, former)
    return made.compress(data) + made.flush(zlib.Z_SYNC_FLUSH)


class _Pipe:
    """Blocks for a program that compresses."""

    def __init__(self, stdin: IO[bytes]) -> None:
        self._stdin = stdin

    def block(self, data: bytes) -> None:
        self._stdin.write(data)


@contextlib.contextmanager
def hashing() -> Iterator[Layer]:
    """A layer that is written nowhere: for its diff_id."""
    yield Layer(_Nothing())


class Blob:
    """A layer that is being written to a file. `result` is there after the block."""

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.result = Written(diff_id="", digest="", size=0, uncompressed=0)


@contextlib.contextmanager
def writing(file: IO[bytes], compression: str, workers: Workers) -> Iterator[Blob]:
    """Compress what is written to the blob's layer into a file. Raises ToolError, ToolMissingError for zstd."""
    if compression == names.GZIP:
        output = _Gzip(file, workers)
        blob = Blob(Layer(output))
        yield blob
        diff_id, total = blob.layer.finish()
        digest, size = output.finish()
    else:
        with zstd.compress(file) as stdin:
            blob = Blob(Layer(_Pipe(stdin)))
            yield blob
            diff_id, total = blob.layer.finish()
        digest, size = _digest_of(file)
    blob.result = Written(diff_id=diff_id, digest=digest, size=size, uncompressed=total)


def _digest_of(file: IO[bytes]) -> tuple[str, int]:
    file.seek(0)
    found = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    return f"sha256:{found}", file.seek(0, os.SEEK_END)
