"""Bills of materials beside images: attached by `oci export --sbom`, read back by `db sbom IMAGE`."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from apt_ostree.errors import AptOstreeError, ToolError
from apt_ostree.oci import fetch, names, referrers
from apt_ostree.oci.layout import BadImageError, Descriptor, ImageError, Layout, canonical, digest_of, loads
from apt_ostree.oci.names import Reference
from apt_ostree.oci.referrers import Artifact
from apt_ostree.tools import skopeo
from apt_ostree.tools.skopeo import Access

_LIST = "list-of-artifacts"  # tag in a layout of ours that is gone afterwards
_MAX_TRIES = 20  # manifests of a list that are looked at: others may have listed any number
# words of their own: the tag, which the error names too, may have any of them in its digits
_ABSENT = re.compile(r"\b(manifest unknown|name unknown|not found|NAME_UNKNOWN|MANIFEST_UNKNOWN|404)\b")


def documents(repo: Path, checksum: str, name: str, kinds: Sequence[str]) -> dict[str, bytes]:
    """The bills of materials of a commit, by kind; `name` is what the user calls it. Raises AptOstreeError."""
    from apt_ostree import sbom  # a tenth of a second, which other exports need not wait for

    if not kinds:
        return {}
    inventory = sbom.collect(repo, checksum, name=name)
    make = {"spdx": sbom.spdx, "cyclonedx": sbom.cyclonedx}
    return {kind: canonical(make[kind](inventory)) for kind in sorted(set(kinds))}


def push(layout: Layout, subject: Descriptor, artifacts: Sequence[Artifact], image: Reference, access: Access) -> None:
    """Bring artifacts to where their image is in a registry, and list them there. Raises AptOstreeError."""
    try:
        for artifact in artifacts:
            layout.tag(artifact.manifest, artifact.kind, {})
            there = replace(image, path=f"{image.repository}@{artifact.manifest.digest}")
            skopeo.copy(f"oci:{layout.path}:{artifact.kind}", str(there), access)
        _push_list(
            layout, artifacts, replace(image, path=f"{image.repository}:{referrers.tag(subject.digest)}"), access
        )
    except (ToolError, BadImageError) as error:
        raise AptOstreeError(
            f"the image is at {image}, its bill of materials is not attached",
            details=error.details or [str(error)],
            hint="repeat the command",
            code="no-sbom",
        ) from error


def _push_list(layout: Layout, artifacts: Sequence[Artifact], there: Reference, access: Access) -> None:
    """Add artifacts to the list of a registry without an API for them; one that has it takes no harm."""
    listed = _listed(there, access)
    try:
        _copy_list(layout, referrers.merged(listed, artifacts), there, access)
    except ToolError as error:
        refused = any("cannot modify it" in line for line in error.details)
        if not refused or referrers.typed(listed):
            raise
        _copy_list(layout, referrers.merged(listed, artifacts, types=False), there, access)


def _copy_list(layout: Layout, data: bytes, there: Reference, access: Access) -> None:
    layout.tag(layout.add(data, names.INDEX), _LIST, {})
    skopeo.copy_list(f"oci:{layout.path}:{_LIST}", str(there), access)


def _listed(there: Reference, access: Access) -> bytes:
    """The list that a registry has, empty for none. Raises ToolError."""
    try:
        return skopeo.inspect_raw(str(there), access)
    except ToolError as error:
        if any(_ABSENT.search(line) for line in error.details):
            return b""
        raise


def read(image: Reference, kind: str, access: Access) -> dict[str, Any]:
    """The bill of materials that is attached to an image: whoever may write there may have put it there.

    Raises AptOstreeError (code `no-sbom`) when there is none, BadImageError.
    """
    with fetch.opened(image, access) as found:
        digest = found.digest
    data = None
    if image.transport == "oci":
        data = referrers.in_layout(Layout(Path(image.path)), digest, kind)
    elif image.transport == "docker":
        data = _in_registry(image, digest, kind, access)
    if data is None:
        raise AptOstreeError(
            f"no bill of materials of the kind {kind} is attached to {image}",
            hint=f"apt-ostree oci export --sbom {kind} attaches one",
            code="no-sbom",
        )
    return loads(data, "the bill of materials")


def _in_registry(image: Reference, digest: str, kind: str, access: Access) -> bytes | None:
    listed = _listed(replace(image, path=f"{image.repository}:{referrers.tag(digest)}"), access)
    entries = loads(listed, "the list of artifacts").get("manifests") if listed else []
    if not isinstance(entries, list):
        raise BadImageError("the list of artifacts lists no manifests")
    known = [entry for entry in entries if isinstance(entry, dict)]
    for entry in list(referrers.candidates(known, kind))[:_MAX_TRIES]:
        place = replace(image, path=f"{image.repository}@{entry.digest}")
        with contextlib.suppress(ImageError), fetch.opened(place, access) as artifact:
            blob = referrers.data_of(artifact.manifest, digest, kind) if artifact.digest == entry.digest else None
            if blob is not None:
                with artifact.blobs.stream(blob) as stream:
                    return _held(stream, blob)
    return None


def _held(stream: IO[bytes], blob: Descriptor) -> bytes:
    data = bytearray()
    while len(data) <= blob.size and (more := stream.read(1 << 20)):
        data += more
    if len(data) != blob.size or digest_of(bytes(data)) != blob.digest:
        raise BadImageError(f"the artifact is not what its descriptor says: {blob.digest}")
    return bytes(data)
