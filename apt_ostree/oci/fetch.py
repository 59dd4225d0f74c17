"""Images as they are read: manifest, config, and layers as streams, from a layout or through skopeo."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Protocol

from apt_ostree.errors import ToolError
from apt_ostree.oci import names
from apt_ostree.oci.layout import (
    MAX_JSON,
    BadImageError,
    Descriptor,
    ImageError,
    Layout,
    descriptor,
    digest_of,
    loads,
)
from apt_ostree.oci.names import Reference
from apt_ostree.tools import skopeo
from apt_ostree.tools.skopeo import Access

UNKNOWN = -1  # the size of a layer that is not told
_INDEXES = (names.INDEX, names.DOCKER_INDEX)


class Blobs(Protocol):
    """Where the blobs of an image come from. What is read is not checked yet."""

    def stream(self, blob: Descriptor) -> contextlib.AbstractContextManager[IO[bytes]]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image whose manifest and config are what their digests say. Their JSON may be anything."""

    reference: Reference
    digest: str
    manifest: dict[str, Any]
    config: dict[str, Any]
    raw_config: bytes
    raw_manifest: bytes
    blobs: Blobs
    entry: dict[str, Any] = field(default_factory=dict)  # of a layout's index
    unpacked: bool = False  # layers are kept as tars, and are had by their diff_id

    def layers(self) -> tuple[Descriptor, ...]:
        """Raises BadImageError."""
        if self.unpacked:
            return tuple(Descriptor(media_type=names.LAYER, digest=one, size=UNKNOWN) for one in self.diff_ids())
        found = self.manifest.get("layers")
        if not isinstance(found, list):
            raise BadImageError("the manifest lists no layers")
        return tuple(descriptor(value) for value in found)

    def diff_ids(self) -> tuple[str, ...]:
        """Raises BadImageError."""
        rootfs = self.config.get("rootfs")
        found = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
        if not isinstance(found, list) or not all(
            isinstance(one, str) and names.DIGEST.fullmatch(one) for one in found
        ):
            raise BadImageError("the config lists no diff_ids")
        return tuple(found)

    def labels(self) -> dict[str, str]:
        """Labels of the config; what is no string is left out."""
        inner = self.config.get("config")
        found = inner.get("Labels") if isinstance(inner, dict) else None
        items = found.items() if isinstance(found, dict) else ()
        return {key: value for key, value in items if isinstance(value, str)}

    @property
    def is_docker(self) -> bool:
        """True for a manifest in the format of Docker (Image Manifest Version 2, Schema 2)."""
        return self.manifest.get("mediaType") == names.DOCKER_MANIFEST

    @property
    def architecture(self) -> str:
        return str(self.config.get("architecture", ""))


@contextlib.contextmanager
def opened(reference: Reference, access: Access) -> Iterator[Image]:
    """Open an image. Raises ImageError, BadImageError, ToolError, ToolMissingError."""
    if reference.transport == "oci":
        yield _of_layout(reference)
        return
    with skopeo.proxy(access) as proxy:
        yield _of_proxy(reference, proxy, access)


@dataclass(frozen=True, slots=True)
class _LayoutBlobs:
    layout: Layout

    @contextlib.contextmanager
    def stream(self, blob: Descriptor) -> Iterator[IO[bytes]]:
        try:
            file = self.layout.blob(blob.digest).open("rb", buffering=0)
        except OSError as error:
            raise BadImageError(f"the layer {blob.digest} is not in '{self.layout.path}'") from error
        with file:
            yield file


def _of_layout(reference: Reference) -> Image:
    layout = Layout(Path(reference.path))
    entry = layout.find(reference.tag)
    if entry is None:
        tags = layout.tags()
        have = f"has {', '.join(tags[:10])}{' and more' if len(tags) > 10 else ''}" if tags else "has no tags"
        raise ImageError(f"there is no image '{reference}'", hint=f"{reference.path}/index.json {have}")
    found = descriptor(entry)
    if found.media_type in _INDEXES:
        found = _own(loads(layout.read(found, "the index"), "the index"))
    raw = layout.read(found, "the manifest")
    manifest = loads(raw, "the manifest")
    raw_config = layout.read(descriptor(manifest.get("config")), "the config")
    return Image(
        reference=reference,
        digest=found.digest,
        manifest=manifest,
        config=loads(raw_config, "the config"),
        raw_config=raw_config,
        raw_manifest=raw,
        blobs=_LayoutBlobs(layout),
        entry=entry,
    )


def _own(index: dict[str, Any]) -> Descriptor:
    """The manifest for this machine's architecture."""
    wanted = names.go_architecture("")
    manifests = index.get("manifests")
    if not isinstance(manifests, list):
        raise BadImageError("the index lists no manifests")
    for entry in manifests:
        platform = entry.get("platform") if isinstance(entry, dict) else None
        if isinstance(platform, dict) and platform.get("architecture") == wanted:
            return descriptor(entry)
    raise ImageError(f"there is no image for {wanted} in the index")


@dataclass(frozen=True, slots=True)
class _ProxyBlobs:
    proxy: skopeo.Proxy
    number: int

    @contextlib.contextmanager
    def stream(self, blob: Descriptor) -> Iterator[IO[bytes]]:
        known = blob.size != UNKNOWN
        words = (self.number, blob.digest, blob.size if known else 0)
        # of an unknown size skopeo complains at the end; whether all has come, the digest tells
        with self.proxy.reading("GetBlob", *words, strict=known) as (_, stream):
            yield stream


def _of_proxy(reference: Reference, proxy: skopeo.Proxy, access: Access) -> Image:
    try:
        number = proxy.call("OpenImage", str(reference))
    except ToolError as error:
        what = f"the image '{reference}' cannot be opened"
        raise ImageError(what, details=error.details, hint=hint(error)) from error
    with proxy.reading("GetManifest", number) as (digest, stream):
        raw = _whole(stream)
    if digest_of(raw) != digest:  # of Docker's format, what it hands over is one of OCI's with the digest of the other
        raw = _raw(reference, str(digest), access)
    manifest = loads(raw, "the manifest")
    config = descriptor(manifest.get("config"))
    # as a blob: what GetFullConfig gives was written anew (skopeo 1.9)
    with proxy.reading("GetBlob", number, config.digest, config.size) as (_, stream):
        raw_config = _whole(stream)
    if config.digest != digest_of(raw_config):
        raise BadImageError("the config is not what its descriptor says")
    return Image(
        reference=reference,
        digest=str(digest),
        manifest=manifest,
        config=loads(raw_config, "the config"),
        raw_config=raw_config,
        raw_manifest=raw,
        blobs=_ProxyBlobs(proxy, number),
        unpacked=reference.transport == "containers-storage",
    )


def _raw(reference: Reference, digest: str, access: Access) -> bytes:
    """The manifest with this digest, as it is. Raises BadImageError, ToolError."""
    place = reference
    if reference.transport == "docker":
        place = replace(reference, path=f"{reference.repository}@{digest}")
    raw = skopeo.inspect_raw(str(place), access)
    if digest_of(raw) != digest:
        raise BadImageError(f"the manifest is not what its digest says: {digest}")
    return raw


def hint(error: ToolError) -> str:
    """What helps against an error of skopeo's, empty where that is not known."""
    plain = any("HTTP response to HTTPS client" in line for line in error.details)
    return "--tls-verify=false, if this registry is to be trusted without https" if plain else ""


def _whole(stream: IO[bytes]) -> bytes:
    parts, total = [], 0
    while data := stream.read(1 << 16):
        total += len(data)
        if total > MAX_JSON:
            raise BadImageError("a manifest or a config is too big")
        parts.append(data)
    return b"".join(parts)
