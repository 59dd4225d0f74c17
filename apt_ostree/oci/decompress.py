"""A layer's blob as a stream of the tar in it: decompressed, counted, and held to its digest and its diff_id."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Protocol

from apt_ostree.errors import ToolError
from apt_ostree.oci import names
from apt_ostree.oci.layout import BadImageError, Descriptor
from apt_ostree.tools import zstd

_READ = 256 * 1024
_ZSTD = re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18")  # a frame, or one to skip (RFC 8878, 3.1)
_OUT = 1024 * 1024  # bytes that are decompressed at once, however small they were


@dataclass(slots=True)
class Budget:
    """Bytes that all layers of an image may still decompress to."""

    left: int

    def take(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise BadImageError(
                "the image decompresses to more than is allowed", hint="--max-size=SIZE allows more", code="too-big"
            )


class _Raw:
    """The compressed bytes, hashed and counted while they pass."""

    def __init__(self, stream: IO[bytes], blob: Descriptor) -> None:
        self._stream, self._blob = stream, blob
        self._hash, self._total = hashlib.sha256(), 0
        self._peeked = b""

    def peek(self) -> bytes:
        """The first bytes, which will be read once more."""
        self._peeked = self.read()
        return self._peeked

    def read(self) -> bytes:
        if data := self._peeked:
            self._peeked = b""
            return data
        data = self._stream.read(_READ)
        self._hash.update(data)
        self._total += len(data)
        if self._total > self._blob.size >= 0:
            raise BadImageError(f"the layer {self._blob.digest} is longer than its {self._blob.size} bytes")
        return data

    def check(self) -> None:
        """Read what is left and hold it to the descriptor."""
        while self.read():
            pass
        if self._total != self._blob.size and self._blob.size >= 0:
            raise BadImageError(f"the layer {self._blob.digest} has {self._total} bytes, not {self._blob.size}")
        if f"sha256:{self._hash.hexdigest()}" != self._blob.digest:
            raise BadImageError(f"the layer {self._blob.digest} is not what its digest says")


class _Blocks(Protocol):
    def block(self) -> bytes: ...


class _Stored:
    def __init__(self, raw: _Raw) -> None:
        self._raw = raw

    def block(self) -> bytes:
        return self._raw.read()


class _Gzip:
    """gzip of one or of several members (RFC 1952, 2.2)."""

    def __init__(self, raw: _Raw) -> None:
        self._raw, self._data = raw, b""
        self._inflate = zlib.decompressobj(31)
        self._begun = False

    def block(self) -> bytes:
        while True:
            if not self._data:
                self._data = self._raw.read()
            if not self._data:
                if self._begun:
                    raise BadImageError("the layer's gzip ends too early")
                return b""
            out = self._next()
            if out:
                return out

    def _next(self) -> bytes:
        try:
            out = self._inflate.decompress(self._data, _OUT)
        except zlib.error as error:
            raise BadImageError(f"the layer is not the gzip its media type says: {error}") from error
        self._begun = not self._inflate.eof
        self._data = self._inflate.unconsumed_tail
        if self._inflate.eof:
            self._data = self._inflate.unused_data
            self._inflate = zlib.decompressobj(31)
        elif not self._data and not out and self._begun:
            self._data = b""
        return out


class _Zstd:
    """What zstd(1) writes."""

    def __init__(self, stdout: IO[bytes]) -> None:
        self._stdout = stdout

    def block(self) -> bytes:
        return self._stdout.read(_READ)


class Tar:
    """The tar of a layer. `check` must be called at the end: only then its digests are known to be right."""

    def __init__(self, blocks: _Blocks, budget: Budget) -> None:
        self._blocks, self._budget = blocks, budget
        self._hash = hashlib.sha256()
        self._data, self._at = b"", 0

    def _more(self) -> bool:
        data = self._blocks.block()
        self._budget.take(len(data))
        self._hash.update(data)
        self._data, self._at = data, 0
        return bool(data)

    def chunks(self, size: int) -> Iterator[bytes]:
        """The next `size` bytes, in pieces. Raises BadImageError when there are fewer."""
        while size:
            if self._at >= len(self._data) and not self._more():
                raise BadImageError("the layer's tar ends too early")
            piece = self._data[self._at : self._at + size]
            self._at += len(piece)
            size -= len(piece)
            yield piece

    def read(self, size: int) -> bytes:
        """Just `size` bytes. Raises BadImageError when there are fewer."""
        data = self._data[self._at : self._at + size]
        if len(data) == size:
            self._at += size
            return data
        return b"".join(self.chunks(size))

    def rest(self) -> None:
        """What follows the end of the tar is padding. Raises BadImageError for anything else."""
        while self._at < len(self._data) or self._more():
            if self._data[self._at :].strip(b"\0"):
                raise BadImageError("there are bytes behind the end of the layer's tar")
            self._at = len(self._data)

    @property
    def diff_id(self) -> str:
        """Of all that was read."""
        return f"sha256:{self._hash.hexdigest()}"


@contextlib.contextmanager
def reading(stream: IO[bytes], blob: Descriptor, diff_id: str, budget: Budget) -> Iterator[Tar]:
    """The tar in a blob. A block that ends well has read it all, and digest, size and diff_id are right.

    Raises BadImageError, ToolMissingError for zstd.
    """
    raw = _Raw(stream, blob)
    with _blocks(raw, blob.compression, blob.media_type) as blocks:
        tar = Tar(blocks, budget)
        yield tar
        tar.rest()
    raw.check()
    if diff_id and tar.diff_id != diff_id:
        raise BadImageError(f"the tar of the layer {blob.digest} is {tar.diff_id}, its diff_id is {diff_id}")


@contextlib.contextmanager
def _blocks(raw: _Raw, compression: str, media_type: str) -> Iterator[_Blocks]:
    if compression == names.GZIP:
        yield _Gzip(raw)
    elif compression == names.NONE:
        yield _Stored(raw)
    elif compression == names.ZSTD:
        if not _ZSTD.match(raw.peek()):  # zstd(1) would unpack gzip as well
            raise BadImageError("the layer is not the zstd its media type says")
        with _pumped(raw) as pipe:
            try:
                with zstd.decompress(pipe) as stdout:
                    pipe.close()
                    yield _Zstd(stdout)
            except ToolError as error:
                raise BadImageError("the layer is not the zstd its media type says", details=error.details) from error
    else:
        raise BadImageError(f"the media type of a layer is '{media_type}'", code="media-type")


@contextlib.contextmanager
def _pumped(raw: _Raw) -> Iterator[IO[bytes]]:
    """A pipe with the compressed bytes in it, for a program: they are hashed on their way."""
    reader, writer = os.pipe()
    trouble: list[BaseException] = []

    def pump() -> None:
        try:
            with os.fdopen(writer, "wb", buffering=0) as sink:
                while data := raw.read():
                    view = memoryview(data)
                    while view:
                        view = view[sink.write(view) :]
        except BrokenPipeError:  # the program has told why
            pass
        except BaseException as error:
            trouble.append(error)

    thread = threading.Thread(target=pump, daemon=True)
    with os.fdopen(reader, "rb") as pipe:
        thread.start()
        try:
            yield pipe
        finally:
            pipe.close()
            thread.join()
            if trouble:
                raise trouble[0]
