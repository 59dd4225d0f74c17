"""Our keys in a commit's metadata <-> model. Every value is one string of compact JSON (`--add-metadata-string`).

The kernel takes at most 128 KiB in one argument of a program (MAX_ARG_STRLEN, execve(2)), and the package list of a
desktop is longer than that: such a list is cut into several keys, `apt-ostree.pkglist`, `apt-ostree.pkglist.1`, ...,
each a JSON array of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from apt_ostree.errors import AptOstreeError
from apt_ostree.model import LayerMeta, Package

PREFIX = "apt-ostree."
BASE = PREFIX + "base"
PACKAGES = PREFIX + "packages"
PKGLIST = PREFIX + "pkglist"
REMOVALS = PREFIX + "removals"
REPLACEMENTS = PREFIX + "replacements"
STATE_DIGEST = PREFIX + "state-digest"
INPUT_DIGEST = PREFIX + "input-digest"
KARGS = PREFIX + "kargs"
SNAPSHOT = PREFIX + "snapshot"
SOURCES = PREFIX + "sources"
USERS = PREFIX + "users"

CHUNK = 96 * 1024  # bytes of one value; leaves room for the option's and the key's name


class CommitMetaError(AptOstreeError):
    """The metadata of a commit says something we cannot read."""

    code = "commit-metadata"


def encode(
    layer: LayerMeta | None = None,
    *,
    pkglist: Sequence[Package] = (),
    users: Mapping[str, object] | None = None,
    sources: Sequence[str] = (),
) -> dict[str, str]:
    """Metadata of a commit: `layer` None for a base commit, `pkglist` all packages of its tree.

    `users` is name -> id, `sources` the sha256 of the Release files it was made from.
    """
    strings = _lists(PKGLIST, [_fields(package) for package in pkglist]) if pkglist else {}
    if users:
        strings[USERS] = _json(dict(sorted(users.items())))
    if sources:
        strings[SOURCES] = _json(list(sources))
    return {**strings, **(_layer(layer) if layer else {})}


def encode_compose(*, digest: str, snapshot: str = "", kargs: Sequence[str] = ()) -> dict[str, str]:
    """What only a composed commit has: digest of its inputs, the archive's snapshot, kernel arguments it wants."""
    return {
        INPUT_DIGEST: digest,
        **({SNAPSHOT: snapshot} if snapshot else {}),
        **({KARGS: encode_kargs(kargs)} if kargs else {}),
    }


def encode_kargs(kargs: Sequence[str]) -> str:
    """Kernel arguments a commit wants, as the value of their key."""
    return _json(list(kargs))


def decode_kargs(metadata: Mapping[str, object]) -> tuple[str, ...]:
    """Kernel arguments a commit wants. Raises CommitMetaError."""
    return tuple(str(item) for item in _array(KARGS, _string(metadata, KARGS) or "[]"))


def decode_layer(metadata: Mapping[str, object]) -> LayerMeta | None:
    """What a commit says of its layering, None for a base commit. Raises CommitMetaError."""
    base = _string(metadata, BASE)
    if not base:
        return None
    return LayerMeta(
        base=base,
        packages=_packages(metadata, PACKAGES),
        removals=_packages(metadata, REMOVALS),
        replacements=tuple((_package(old), _package(new)) for old, new in _pairs(metadata)),
        state_digest=_string(metadata, STATE_DIGEST),
    )


def decode_pkglist(metadata: Mapping[str, object]) -> tuple[Package, ...] | None:
    """All packages of a commit's tree, None when it does not say. Raises CommitMetaError."""
    return _packages(metadata, PKGLIST) if PKGLIST in metadata else None


def decode_users(metadata: Mapping[str, object]) -> dict[str, object]:
    """Names and ids of the accounts of a commit's tree. Raises CommitMetaError."""
    value = _loads(USERS, _string(metadata, USERS) or "{}")
    if not isinstance(value, dict):
        raise CommitMetaError(f"{USERS} is not an object")
    return value


def decode_sources(metadata: Mapping[str, object]) -> tuple[str, ...]:
    """Digests of the Release files a commit was made from. Raises CommitMetaError."""
    return tuple(str(item) for item in _array(SOURCES, _string(metadata, SOURCES) or "[]"))


def is_bulk(key: str) -> bool:
    """True for keys whose values are long lists, which nobody wants to see in a status."""
    return key.startswith((PKGLIST, PACKAGES, USERS)) or key == "ostree.sizes"


def _layer(layer: LayerMeta) -> dict[str, str]:
    return {
        BASE: layer.base,
        **_lists(PACKAGES, [_fields(package) for package in layer.packages]),
        **_lists(REMOVALS, [_fields(package) for package in layer.removals]),
        **_lists(REPLACEMENTS, [[_fields(old), _fields(new)] for old, new in layer.replacements]),
        STATE_DIGEST: layer.state_digest,
    }


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _fields(package: Package) -> list[str | int]:
    return [package.name, package.version, package.arch, package.source, package.size]


def _lists(key: str, items: Iterable[object]) -> dict[str, str]:
    """A list under `key`, and under `key.1`, `key.2`, ... what does not fit into one argument."""
    chunks: list[list[str]] = [[]]
    size = 0
    for item in map(_json, items):
        length = len(item.encode()) + 1
        if size + length > CHUNK:
            chunks.append([])
            size = 0
        chunks[-1].append(item)
        size += length
    return {f"{key}.{index}" if index else key: f"[{','.join(chunk)}]" for index, chunk in enumerate(chunks)}


def _string(metadata: Mapping[str, object], key: str) -> str:
    value = metadata.get(key, "")
    if not isinstance(value, str):
        raise CommitMetaError(f"the metadata key {key} is not a string")
    return value


def _loads(key: str, text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CommitMetaError(f"the metadata key {key} is not JSON: {error}") from error


def _array(key: str, text: str) -> list[object]:
    value = _loads(key, text)
    if not isinstance(value, list):
        raise CommitMetaError(f"the metadata key {key} is not a list")
    return value


def _items(metadata: Mapping[str, object], key: str) -> list[object]:
    items = _array(key, _string(metadata, key) or "[]")
    index = 1
    while (chunk := f"{key}.{index}") in metadata:
        items += _array(chunk, _string(metadata, chunk))
        index += 1
    return items


def _packages(metadata: Mapping[str, object], key: str) -> tuple[Package, ...]:
    return tuple(_package(item) for item in _items(metadata, key))


def _pairs(metadata: Mapping[str, object]) -> list[tuple[object, object]]:
    pairs = []
    for item in _items(metadata, REPLACEMENTS):
        if not isinstance(item, list) or len(item) != 2:
            raise CommitMetaError(f"an item of {REPLACEMENTS} is not a pair")
        pairs.append((item[0], item[1]))
    return pairs


def _package(item: object) -> Package:
    match item:
        case [str(name), str(version), str(arch), str(source), int(size), *_]:
            return Package(name=name, version=version, arch=arch, source=source, size=size)
    raise CommitMetaError("a package in a commit's metadata is not [name, version, arch, source, size]")
