"""Tars that are written are what tarfile reads; tars that are read and would do harm are refused."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from apt_ostree.oci import compress, decompress, names, tarreader
from apt_ostree.oci.decompress import Budget
from apt_ostree.oci.layout import BadImageError, Descriptor
from apt_ostree.oci.tarreader import Reader
from apt_ostree.oci.tarwriter import DIRECTORY, END, LINK, SYMLINK, Entry, header, padding

LONG = b"d" * 120 + b"/" + b"n" * 255
ENTRIES = (
    (Entry(name=b"./", kind=DIRECTORY, mode=0o755), b""),
    (Entry(name=b"etc/a", mode=0o4755, uid=1234, gid=0x7FFFFFF, size=3), b"abc"),
    (Entry(name=LONG, size=513), b"x" * 513),
    (Entry(name="uml\u00e4ut".encode(), kind=SYMLINK, mode=0o777, link=b"..//lib//x"), b""),
    (Entry(name=b"long-link", kind=SYMLINK, mode=0o777, link=b"t" * 300), b""),
    (Entry(name=b"hard", kind=LINK, link=b"etc/a"), b""),
    (Entry(name=b"attributes", xattrs=((b"user.b", bytes(range(256)) + b"\n=\0"), (b"user.a", b"")), mtime=7), b""),
)


def packed() -> bytes:
    return b"".join(header(entry) + data + padding(len(data)) for entry, data in ENTRIES) + END


def tar_of(data: bytes, media_type: str = names.LAYER, limit: int = 1 << 30) -> Any:
    blob = Descriptor(media_type=media_type, digest=f"sha256:{hashlib.sha256(data).hexdigest()}", size=len(data))
    return decompress.reading(io.BytesIO(data), blob, "", Budget(limit))


def read(data: bytes) -> list[tuple[tarreader.Member, bytes]]:
    with tar_of(data) as tar:
        reader = Reader(tar)
        return [(member, b"".join(reader.data())) for member in reader]


def test_tarfile_reads_what_is_written() -> None:
    with tarfile.open(fileobj=io.BytesIO(packed())) as tar:
        found = tar.getmembers()
        assert [one.name.encode() for one in found] == [entry.name.rstrip(b"/") for entry, _ in ENTRIES]
        for one, (entry, data) in zip(found, ENTRIES, strict=True):
            assert (one.type, one.mode, one.uid, one.gid) == (entry.kind, entry.mode, entry.uid, entry.gid)
            assert one.linkname.encode() == entry.link and one.mtime == entry.mtime and one.uname == one.gname == ""
            stream = tar.extractfile(one) if one.isreg() else None
            assert stream is None or stream.read() == data
        value = found[-1].pax_headers["SCHILY.xattr.user.b"]
        assert value.encode("utf-8", "surrogateescape") == bytes(range(256)) + b"\n=\0"


def test_what_is_written_is_read_back() -> None:
    for (member, data), (entry, wanted) in zip(read(packed()), ENTRIES, strict=True):
        assert member.path.encode() == entry.name.strip(b"./") and data == wanted
        assert (member.kind, member.mode, member.uid, member.gid) == (entry.kind, entry.mode, entry.uid, entry.gid)
        assert member.link.encode() == entry.link
        assert member.xattrs == tuple(sorted(entry.xattrs))


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_tars_of_others_are_read(form: int) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for name in ("./a/" + "b" * 90, "./a/" + "c" * 60 + "/" + "d" * 80):
            info = tarfile.TarInfo(name)
            info.size, info.mtime = 5, 12
            tar.addfile(info, io.BytesIO(b"hello"))
    assert [(member.path, data) for member, data in read(out.getvalue())] == [
        ("a/" + "b" * 90, b"hello"),
        ("a/" + "c" * 60 + "/" + "d" * 80, b"hello"),
    ]


def one(entry: Entry, data: bytes = b"") -> bytes:
    return header(entry) + data + padding(len(data)) + END


def spoiled(offset: int, value: bytes) -> bytes:
    block = bytearray(one(Entry(name=b"a")))
    block[offset : offset + len(value)] = value
    return bytes(block)


def numbered(offset: int, value: bytes) -> bytes:
    """A header with other bytes in it whose checksum is right."""
    block = bytearray(spoiled(offset, value)[:512])
    block[148:156] = b" " * 8
    block[148:155] = b"%06o\0" % sum(block)
    return bytes(block) + END


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "leads out": (lambda: one(Entry(name=b"a/../../b")), "leads out"),
    "device": (lambda: one(Entry(name=b"null", kind=b"3")), "character device"),
    "block device": (lambda: one(Entry(name=b"sda", kind=b"4")), "block device"),
    "pipe": (lambda: one(Entry(name=b"p", kind=b"6")), "pipe"),
    "sparse": (lambda: one(Entry(name=b"p", kind=b"S")), "sparse"),
    "unknown type": (lambda: one(Entry(name=b"p", kind=b"Q")), "unknown type"),
    "bad checksum": (lambda: spoiled(0, b"b"), "damaged"),
    "not octal": (lambda: spoiled(148, b"zzzzzz"), "damaged"),
    "not UTF-8": (lambda: one(Entry(name=b"\xff")), "not UTF-8"),
    "too deep": (lambda: one(Entry(name=b"/".join([b"d"] * 201))), "too deep"),
    "name too long": (lambda: one(Entry(name=b"n" * 256)), "too long"),
    "path too long": (lambda: one(Entry(name=b"/".join([b"n" * 200] * 30))), "too long"),
    "link with a size": (lambda: one(Entry(name=b"l", kind=LINK, size=512, link=b"a"), b"x" * 512), "cannot be"),
    "negative size": (lambda: numbered(124, b"\xff" * 12), "cannot be"),
    "negative owner": (lambda: numbered(108, b"\xff" * 8), "owner that cannot be"),
    "link to nothing": (lambda: one(Entry(name=b"l", kind=SYMLINK)), "link to nothing"),
    "cut off": (lambda: one(Entry(name=b"a", size=900), b"x" * 900)[:1000], "ends too early"),
    "no end": (lambda: header(Entry(name=b"a")), "ends too early"),
    "bytes behind": (lambda: one(Entry(name=b"a")) + b"hidden", "behind the end"),
    "huge header": (lambda: one(Entry(name=b"x", kind=b"L", size=1 << 30)), "header"),
    "bad pax": (lambda: one(Entry(name=b"x", kind=b"x", size=8), b"99 a=b\n\0"), "pax header"),
    "pax number": (lambda: one(Entry(name=b"x", kind=b"x", size=11), b"11 size=-x\n"), "number"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_tars_are_refused(name: str) -> None:
    make, words = HOSTILE[name]
    with pytest.raises(BadImageError, match=words):
        read(make())


def test_devices_below_dev_are_left_to_the_caller() -> None:
    assert [member.path for member, _ in read(one(Entry(name=b"dev/null", kind=b"3")))] == ["dev/null"]


def squeezed(data: bytes, compression: str = names.GZIP, threads: int = 2) -> tuple[bytes, compress.Written]:
    out = io.BytesIO()
    with compress.workers() as workers:
        workers.count = threads
        with compress.writing(out, compression, workers) as blob:
            for start in range(0, len(data), 70_000):
                blob.layer.write(data[start : start + 70_000])
    return out.getvalue(), blob.result


def test_gzip_is_gzip_and_always_the_same() -> None:
    data = bytes(range(256)) * 12_000
    made, told = squeezed(data)
    assert gzip.decompress(made) == data and zlib.decompress(made, 31) == data
    assert squeezed(data, threads=7)[0] == made, "the number of threads does not matter"
    assert told.digest == f"sha256:{hashlib.sha256(made).hexdigest()}" and told.size == len(made)
    assert told.diff_id == f"sha256:{hashlib.sha256(data).hexdigest()}" and told.uncompressed == len(data)
    assert len(made) < 1.1 * len(gzip.compress(data, 4)) + 100, "blocks know the ones before them"
    assert gzip.decompress(squeezed(b"")[0]) == b""


def test_several_gzip_members_are_one_stream() -> None:
    data = gzip.compress(packed()[:1000]) + gzip.compress(packed()[1000:])
    with tar_of(data, f"{names.LAYER}+gzip") as tar:
        assert len(list(Reader(tar))) == len(ENTRIES)


def blobs() -> Iterator[tuple[str, bytes, Descriptor, str, str]]:
    """What is wrong, the bytes, what is told of them, the diff_id, words of the error."""
    raw = packed()
    good = gzip.compress(raw)
    kind, right = f"{names.LAYER}+gzip", f"sha256:{hashlib.sha256(good).hexdigest()}"
    diff = f"sha256:{hashlib.sha256(raw).hexdigest()}"

    def told(digest: str = right, size: int = len(good), media_type: str = kind) -> Descriptor:
        return Descriptor(media_type=media_type, digest=digest, size=size)

    yield "nothing", good, told(), diff, ""
    yield "digest", good, told(digest=f"sha256:{'0' * 64}"), diff, "digest"
    yield "too long", good, told(size=len(good) - 1), diff, "longer than"
    yield "too short", good, told(size=len(good) + 1), diff, "bytes, not"
    yield "diff_id", good, told(), f"sha256:{'0' * 64}", "diff_id is"
    yield "not gzip", good, told(media_type=names.LAYER), diff, "damaged"
    yield "not a tar", good, told(media_type=f"{names.LAYER}+zstd"), diff, "not the zstd"
    yield "unknown type", good, told(media_type="text/plain"), diff, "media type"
    cut = good[: len(good) // 2]
    yield "cut", cut, told(digest=f"sha256:{hashlib.sha256(cut).hexdigest()}", size=len(cut)), diff, "too early"


@pytest.mark.parametrize("row", list(blobs()), ids=lambda row: row[0])
def test_a_blob_is_held_to_its_descriptor(row: tuple[str, bytes, Descriptor, str, str]) -> None:
    _, data, blob, diff_id, words = row

    def look() -> int:
        with decompress.reading(io.BytesIO(data), blob, diff_id, Budget(1 << 20)) as tar:
            return len(list(Reader(tar)))

    if not words:
        assert look() == len(ENTRIES)
        return
    with pytest.raises(BadImageError, match=words):
        look()


def test_a_bomb_is_noticed_before_it_is_unpacked() -> None:
    bomb = gzip.compress(one(Entry(name=b"zeros", size=64 << 20), bytes(64 << 20)))
    assert len(bomb) < 100_000
    tight = tar_of(bomb, f"{names.LAYER}+gzip", limit=8 << 20)
    with pytest.raises(BadImageError, match="more than is allowed"), tight as tar:
        list(Reader(tar))
