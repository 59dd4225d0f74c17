"""Who signed a commit or a summary: the issuers that stand in its signatures; and what ostree has to say of them.

libostree keeps signatures in a file of type `a{sv}` (OSTREE_DETACHED_METADATA, `.commitmeta` and `summary.sig`): binary
OpenPGP signatures under `ostree.gpgsigs`, raw ones under `ostree.sign.ed25519`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from apt_ostree import gvariant
from apt_ostree.trees import object_path

GPG = "ostree.gpgsigs"
_SIGNATURE_PACKET = 2  # RFC 4880, 4.3
_ISSUER, _FINGERPRINT = 16, 33  # subpackets: RFC 4880, 5.2.3.5, and RFC 9580, 5.2.3.35
_KEY_ID = 16  # hex digits


def of_commit(repo: Path, checksum: str) -> tuple[str, ...]:
    """Key ids of those who signed a commit, each once."""
    return of_file(object_path(repo, checksum, "commitmeta"))


def of_file(path: Path) -> tuple[str, ...]:
    """The same for any file of detached metadata; what is not there or cannot be read has no signatures."""
    try:
        entries = gvariant.decode(path.read_bytes(), "a{sv}")
    except (OSError, gvariant.GVariantError):
        return ()
    found = entries.get(GPG, [])
    if not isinstance(found, list):
        return ()
    ids = (issuer(data) for data in found if isinstance(data, bytes))
    return tuple(dict.fromkeys(filter(None, ids)))


def unverified(text: str) -> Iterator[str]:
    """Why no signature in the words of `ostree show` will do; nothing when one does, as libostree has it."""
    signatures = text.split("\n  Signature made ")[1:]
    if any("Good signature" in each and not re.search(r"\b(expired|revoked)\b", each) for each in signatures):
        return
    for each in signatures:
        yield " ".join(f"made {each}".split())
    if not signatures:
        yield "there is no signature"


def issuer(data: bytes) -> str:
    """Key id that a binary OpenPGP signature (version 4) names as its maker; empty when it names none."""
    try:
        tag, body = _packet(data)
        if tag != _SIGNATURE_PACKET or body[0] != 4:
            return ""
        hashed = int.from_bytes(body[4:6], "big")
        rest = body[6 + hashed :]
        areas = (body[6 : 6 + hashed], rest[2 : 2 + int.from_bytes(rest[:2], "big")])
        named = dict(subpacket for area in areas for subpacket in _subpackets(area))
    except IndexError:
        return ""
    name = named[_FINGERPRINT][1:] if _FINGERPRINT in named else named.get(_ISSUER, b"")
    return name.hex().upper()[-_KEY_ID:]


def _packet(data: bytes) -> tuple[int, bytes]:
    """Tag and body of the first packet (RFC 4880, 4.2)."""
    head = data[0]
    if head & 0x40:
        length, start = _length(data, 1)
        return head & 0x3F, data[start : start + length]
    width = (1, 2, 4, 0)[head & 3]
    start = 1 + width
    length = int.from_bytes(data[1:start], "big") if width else len(data) - 1
    return (head >> 2) & 0xF, data[start : start + length]


def _subpackets(area: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(area):
        length, start = _length(area, at)
        yield area[start] & 0x7F, area[start + 1 : start + length]
        at = start + max(length, 1)


def _length(data: bytes, at: int) -> tuple[int, int]:
    """A length of one, two or five octets, and where what it counts begins (RFC 4880, 4.2.2)."""
    first = data[at]
    if first < 192:
        return first, at + 1
    if first < 255:
        return ((first - 192) << 8) + data[at + 1] + 192, at + 2
    return int.from_bytes(data[at + 1 : at + 5], "big"), at + 5
