"""What is said of an image beside it: artifacts, each a manifest whose `subject` is the image's (image-spec 1.1).

A layout lists them in its index, without a tag. A registry that has no API for them has them in an index of their own
under a tag made of the image's digest (distribution-spec 1.1, "Referrers Tag Schema").
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apt_ostree.oci import names
from apt_ostree.oci.layout import BadImageError, Descriptor, ImageError, Layout, descriptor, is_artifact, loads

TYPES = {"spdx": "application/spdx+json", "cyclonedx": "application/vnd.cyclonedx+json"}  # iana.org media types
EMPTY = "application/vnd.oci.empty.v1+json"
_TITLE = "org.opencontainers.image.title"
MAX_SIZE = 64 << 20  # bytes of an artifact
# a descriptor's fields as Go writes them: Debian 12's skopeo (1.9) passes on no list that it would write otherwise
_FIELDS = ("mediaType", "digest", "size", "urls", "annotations", "data", "platform", "artifactType")


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """An artifact's manifest, and how a list of them has it."""

    kind: str
    manifest: Descriptor

    @property
    def entry(self) -> dict[str, Any]:
        return {**self.manifest.as_json(), "artifactType": TYPES[self.kind]}


def write(layout: Layout, subject: Descriptor, kind: str, data: bytes, created: str) -> Artifact:
    """Write an artifact that says `data` of an image into a layout; nothing lists it yet."""
    media_type = TYPES[kind]
    annotations = {names.SBOM: kind, names.CREATED: created}
    blob = {**layout.add(data, media_type).as_json(), "annotations": {_TITLE: f"sbom.{kind}.json"}}
    manifest = {
        "schemaVersion": 2,
        "mediaType": names.MANIFEST,
        "artifactType": media_type,
        "config": layout.add(b"{}", EMPTY).as_json(),
        "layers": [blob],
        "subject": {"mediaType": subject.media_type, "digest": subject.digest, "size": subject.size},
        "annotations": annotations,
    }
    made = layout.add(_plain(manifest), names.MANIFEST)
    listed = Descriptor(media_type=made.media_type, digest=made.digest, size=made.size, annotations=annotations)
    return Artifact(kind=kind, manifest=listed)


def tag(digest: str) -> str:
    """The tag under which a registry without an API for them lists what is said of an image."""
    return digest.replace(":", "-")


def merged(listed: bytes, artifacts: Sequence[Artifact], *, types: bool = True) -> bytes:
    """A list of artifacts with ours in it; what others have listed stays. Raises BadImageError.

    Without `types`, nothing has an artifactType: skopeo 1.9 brings no list to a registry that has.
    """
    index = loads(listed, "the list of what is said of the image") if listed else {}
    entries = index.get("manifests", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise BadImageError("the list of what is said of the image lists no manifests")
    if listed and index.get("mediaType", names.INDEX) != names.INDEX:
        raise BadImageError("what is in the place of the list of what is said of the image is something else")
    kinds = {artifact.kind for artifact in artifacts}
    others = [entry for entry in entries if _kind(entry) not in kinds]
    both = [_ordered(entry) for entry in (*others, *(artifact.entry for artifact in artifacts))]
    if not types:
        both = [{key: value for key, value in entry.items() if key != "artifactType"} for entry in both]
    return _plain({**index, "schemaVersion": 2, "mediaType": names.INDEX, "manifests": both})


def typed(listed: bytes) -> bool:
    """True when a list of others has what would be lost without types."""
    entries = loads(listed, "the list").get("manifests") if listed else []
    return isinstance(entries, list) and any(isinstance(one, dict) and "artifactType" in one for one in entries)


def _kind(entry: Mapping[str, Any]) -> str:
    annotations = entry.get("annotations")
    found = annotations.get(names.SBOM) if isinstance(annotations, dict) else None
    return found if isinstance(found, str) else ""


def _ordered(entry: Mapping[str, Any]) -> dict[str, Any]:
    known = {key: entry[key] for key in _FIELDS if key in entry}
    if isinstance(annotations := known.get("annotations"), dict):
        known["annotations"] = dict(sorted(annotations.items()))
    return known | {key: value for key, value in entry.items() if key not in known}


def _plain(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def candidates(entries: Sequence[Mapping[str, Any]], kind: str) -> Iterator[Descriptor]:
    """Entries of a list that may be artifacts of a kind: those that say so, and those that say nothing."""
    for entry in entries:
        told = entry.get("artifactType") or TYPES.get(_kind(entry), "")
        if told in ("", TYPES[kind]):
            with contextlib.suppress(BadImageError):
                yield descriptor(dict(entry))


def data_of(manifest: Mapping[str, Any], subject: str, kind: str) -> Descriptor | None:
    """The blob of an artifact of this kind about the image with this digest; None when the manifest is none."""
    about, layers = manifest.get("subject"), manifest.get("layers")
    if not isinstance(about, dict) or about.get("digest") != subject or manifest.get("artifactType") != TYPES[kind]:
        return None
    if not isinstance(layers, list) or len(layers) != 1:
        return None
    found = descriptor(layers[0])
    if found.size > MAX_SIZE:
        raise BadImageError(f"the artifact {found.digest} has {found.size} bytes")
    return found if found.media_type == TYPES[kind] else None


def in_layout(layout: Layout, subject: str, kind: str) -> bytes | None:
    """What a layout has of this kind about an image; None when it has nothing. Raises BadImageError."""
    for found in candidates([entry for entry in layout.manifests() if is_artifact(entry)], kind):
        manifest = loads(layout.read(found, "the manifest of an artifact"), "the manifest of an artifact")
        if blob := data_of(manifest, subject, kind):
            return layout.read(blob, "the artifact", MAX_SIZE)
    return None


def listing(layout: Layout, artifacts: Sequence[Artifact], subject: str) -> bool:
    """Let the index of a layout list artifacts, in the place of those of ours about the same image that it lists.

    False when it did so before.
    """
    kinds = {artifact.kind for artifact in artifacts}

    def gone(entry: Mapping[str, Any]) -> bool:
        return is_artifact(entry) and _kind(entry) in kinds and subject_of(layout, entry) == subject

    return layout.relist(gone, [artifact.entry for artifact in artifacts])


def tag_image(layout: Layout, manifest: Descriptor, name: str, platform: Mapping[str, str]) -> bool:
    """Let a tag of a layout lead to an image; what is said of the one before goes with it. False as of Layout.tag."""
    before = {entry.get("digest") for entry in layout.manifests() if not is_artifact(entry)}
    changed = layout.tag(manifest, name, platform)
    gone = before - {entry.get("digest") for entry in layout.manifests()}
    if gone:
        layout.relist(lambda entry: is_artifact(entry) and subject_of(layout, entry) in gone, [])
    return changed


def subject_of(layout: Layout, entry: Mapping[str, Any]) -> str:
    """The digest of the image that an artifact of a layout is about, empty when that cannot be told."""
    with contextlib.suppress(ImageError):
        about = loads(layout.read(descriptor(dict(entry)), "manifest"), "manifest").get("subject")
        return str(about.get("digest", "")) if isinstance(about, dict) else ""
    return ""
