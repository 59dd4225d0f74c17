"""Layers of the encapsulated format, read: every object in them is held to its checksum."""

from __future__ import annotations

import hashlib
import re
import stat
from dataclasses import dataclass, field

from apt_ostree import gvariant
from apt_ostree.oci.decompress import Tar
from apt_ostree.oci.encapsulate import REPO
from apt_ostree.oci.layout import BadImageError
from apt_ostree.oci.objects import XATTRS, Content
from apt_ostree.oci.staging import MAX_METADATA, MAX_XATTRS, Store
from apt_ostree.oci.tarreader import Member, Reader
from apt_ostree.oci.tarwriter import DIRECTORY, FILE, LINK, SYMLINK

_OBJECT = re.compile(
    rf"{REPO}/objects/(?P<head>[0-9a-f]{{2}})/(?P<tail>[0-9a-f]{{62}})\."
    r"(?P<kind>commit|commitmeta|dirtree|dirmeta|file|file-xattrs|file-xattrs-link)"
)
_METADATA = ("commit", "commitmeta", "dirtree", "dirmeta")
_MAX_SHARED = 64 * 1024 * 1024  # bytes of attributes that several objects may share (before ostree-ext 0.15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a layer had: its commit (of the first layer only) and its files."""

    commit: str
    files: tuple[str, ...]


@dataclass(slots=True)
class _State:
    store: Store
    first: bool
    commit: str = ""
    files: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    objects: set[str] = field(default_factory=set)  # paths of files that something may be linked to
    shared: dict[str, bytes] = field(default_factory=dict)
    shared_size: int = 0
    pending: tuple[str, bytes] | None = None  # the attributes of the object that must come next


def read(tar: Tar, store: Store, *, first: bool) -> Found:
    """Read one layer into a store. Raises BadImageError for whatever is not as the format has it."""
    reader, state = Reader(tar), _State(store, first)
    for member in reader:
        if member.kind != DIRECTORY and member.path in state.seen:
            raise BadImageError(f"'{member.path}' is twice in a layer")
        if member.kind != DIRECTORY:
            state.seen.add(member.path)
        if match := _OBJECT.fullmatch(member.path):
            _take(state, reader, member, match["kind"], match["head"] + match["tail"])
        elif member.path.startswith(f"{REPO}/objects/") and member.kind != DIRECTORY:
            raise BadImageError(f"'{member.path}' is no object")
        elif member.kind == LINK and member.link not in state.objects:
            raise BadImageError(f"'{member.path}' is a link to '{member.link}', which is no object of the layer")
    if state.pending:
        raise BadImageError(f"the object {state.pending[0]} has attributes and no file")
    if first and not state.commit:
        raise BadImageError("the first layer has no commit")
    return Found(commit=state.commit, files=tuple(state.files))


def _take(state: _State, reader: Reader, member: Member, kind: str, checksum: str) -> None:
    if state.pending and kind != "file":
        raise BadImageError(f"the object {state.pending[0]} has attributes and no file behind them")
    if kind in _METADATA:
        _metadata(state, reader, member, kind, checksum)
    elif kind == "file-xattrs":
        _shared(state, reader, member, checksum)
    elif kind == "file-xattrs-link":
        state.pending = (checksum, _attributes(state, reader, member))
    else:
        _file(state, reader, member, checksum)


def _small(reader: Reader, member: Member, limit: int) -> bytes:
    if member.kind != FILE or member.size > limit:
        raise BadImageError(f"'{member.path}' is no file, or has {member.size} bytes")
    return b"".join(reader.data())


def _metadata(state: _State, reader: Reader, member: Member, kind: str, checksum: str) -> None:
    data = _small(reader, member, MAX_METADATA)
    if not state.first:
        raise BadImageError(f"a layer of files has the object {checksum}.{kind}")
    if kind == "commit":
        if state.commit:
            raise BadImageError("the first layer has two commits")
        state.commit = checksum
    if not state.commit or (kind == "commitmeta" and checksum != state.commit):
        raise BadImageError(f"the object {checksum}.{kind} is not of the commit, or is in front of it")
    state.store.metadata(checksum, kind, data)


def _shared(state: _State, reader: Reader, member: Member, checksum: str) -> None:
    data = _small(reader, member, MAX_XATTRS)
    state.shared_size += len(data)
    if hashlib.sha256(data).hexdigest() != checksum or state.shared_size > _MAX_SHARED:
        raise BadImageError(f"the attributes {checksum} are not what their name says")
    state.shared[member.path] = data


def _attributes(state: _State, reader: Reader, member: Member) -> bytes:
    if member.kind != LINK:
        data = _small(reader, member, MAX_XATTRS)
    elif member.link in state.shared:
        data = state.shared[member.link]
    else:
        raise BadImageError(f"'{member.path}' is a link to attributes that are not there")
    try:
        named = [name for name, _ in gvariant.decode(data, XATTRS)]
    except gvariant.GVariantError as error:
        raise BadImageError(f"'{member.path}' cannot be read: {error}") from error
    if not all(name.find(b"\0") == len(name) - 1 > 0 for name in named):
        raise BadImageError(f"'{member.path}' has an attribute with a name that cannot be")
    return data


def _file(state: _State, reader: Reader, member: Member, checksum: str) -> None:
    if state.pending is None or state.pending[0] != checksum:
        raise BadImageError(f"the object {checksum}.file comes without its attributes")
    if member.kind not in (FILE, SYMLINK):
        raise BadImageError(f"the object {checksum}.file is no file")
    content = Content(
        uid=member.uid,
        gid=member.gid,
        mode=member.mode | (stat.S_IFREG if member.kind == FILE else stat.S_IFLNK),
        size=member.size,
        target=member.link.encode() if member.kind == SYMLINK else b"",
        xattrs=state.pending[1],
    )
    state.store.content(content, reader.data(), checksum)
    state.pending = None
    state.files.append(checksum)
    state.objects.add(member.path)
