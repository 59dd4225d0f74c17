"""What a repo keeps of images: refs of their layers, and refs of their own with the manifest they came with."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from apt_ostree import commits
from apt_ostree.errors import AptOstreeError
from apt_ostree.oci import names
from apt_ostree.oci.fetch import Image
from apt_ostree.oci.names import Reference
from apt_ostree.tools import ostree

MANIFEST_KEY, DIGEST_KEY = "ostree.manifest", "ostree.manifest-digest"
CONFIG_KEY = "ostree.container.image-config"


def resolved(repo: Path, ref: str) -> str:
    """The commit of a branch, empty for none; read from its file, as a status of seventy refs must be fast."""
    try:
        checksum = (repo / "refs/heads" / ref).read_text().strip()
    except OSError:
        return ""
    return checksum if commits.CHECKSUM.fullmatch(checksum) and commits.whole(repo, checksum) else ""


def check_ref(repo: Path, ref: str) -> None:
    """Raise AptOstreeError for a ref that cannot be made: refs are files, so none lies below another."""
    top = repo / "refs/heads"
    place = top / ref
    above = [path for path in place.parents if path.is_relative_to(top) and path.is_file()]
    below = [path for path in place.rglob("*") if path.is_file()] if place.is_dir() else []
    if found := (*above, *below):
        other = found[0].relative_to(top)
        raise AptOstreeError(
            f"the ref '{ref}' cannot be made: there is '{other}'",
            hint=f"ostree refs --repo={repo} --delete {other}",
            code="exists",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """An image a repo has: its digest, and the commit to deploy."""

    digest: str
    commit: str


def stored(repo: Path, reference: Reference) -> Stored | None:
    """The image of this name as it was imported last, when all of it is there."""
    made = resolved(repo, names.image_ref(reference))
    if not made:
        return None
    loaded = commits.load(repo, made)
    try:
        config = json.loads(str(loaded.metadata[CONFIG_KEY]))
        diff_ids, labels = config["rootfs"]["diff_ids"], (config.get("config") or {}).get("Labels") or {}
        whole = labels.get(names.FINAL_DIFFID) == diff_ids[-1]
    except (KeyError, ValueError, TypeError, IndexError, AttributeError):
        return None
    commit = loaded.commit.parent if whole else made
    return (
        Stored(digest=str(loaded.metadata.get(DIGEST_KEY, "")), commit=commit) if commits.whole(repo, commit) else None
    )


def missing_bytes(image: Image, repo: Path) -> int:
    """Bytes of the layers a repo does not have. Raises BadImageError."""
    return sum(max(0, one.size) for one in image.layers() if not resolved(repo, names.blob_ref(one.digest)))


def images(repo: Path) -> Mapping[str, dict[str, object]]:
    """Every image of a repo: its ref -> the manifest it was imported with."""
    top = repo / "refs/heads" / names.IMAGE_REFS
    found = {}
    for path in top.rglob("*") if top.is_dir() else ():
        ref = f"{names.IMAGE_REFS}/{path.relative_to(top)}"
        if path.is_file() and (checksum := resolved(repo, ref)):
            with contextlib.suppress(AptOstreeError, ValueError):
                manifest = json.loads(str(commits.load(repo, checksum).metadata.get(MANIFEST_KEY, "")))
                found[ref] = manifest if isinstance(manifest, dict) else {}
    return found


def vouched(repo: Path, digest: str, diff_id: str) -> bool:
    """True when an image of the repo has the layer with this diff_id: the layer was held to it then."""
    for ref, manifest in images(repo).items():
        with contextlib.suppress(AptOstreeError, KeyError, ValueError, TypeError, AttributeError):
            config = json.loads(str(commits.load(repo, resolved(repo, ref)).metadata[CONFIG_KEY]))
            digests = [layer["digest"] for layer in manifest["layers"]]  # type: ignore[attr-defined]
            if (digest, diff_id) in zip(digests, config["rootfs"]["diff_ids"], strict=True):
                return True
    return False


def prune_layers(repo: Path) -> tuple[str, ...]:
    """Delete the refs of layers that no image of the repo has any more; `ostree prune` then frees them."""
    kept = set()
    for manifest in images(repo).values():
        layers = manifest.get("layers")
        for layer in layers if isinstance(layers, list) else ():
            kept.add(names.blob_ref(str(layer.get("digest"))))
    top = repo / "refs/heads" / names.BLOB_REFS
    there = sorted(f"{names.BLOB_REFS}/{path.name}" for path in top.iterdir()) if top.is_dir() else []
    gone = tuple(ref for ref in there if ref not in kept)
    if gone:
        ostree.ref_delete(repo, *gone)
    return gone
