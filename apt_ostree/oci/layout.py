"""An OCI image layout on disk: blobs by digest, and an index of tags (image-spec, image-layout.md)."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from apt_ostree.errors import AptOstreeError, VerificationError
from apt_ostree.oci import names

MAX_JSON = 8 * 1024 * 1024  # bytes of a manifest, an index or a config; registries take 4 MiB
_NEW = ".new-"  # begins the name of what is being written
_STALE = 60  # seconds; a file is locked long before it is so old


class ImageError(AptOstreeError):
    """There is no such image, or it cannot be read."""

    code = "no-image"


class BadImageError(VerificationError):
    """An image is not what its digests, its config or the formats say."""

    code = "bad-image"


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """What a manifest says of a blob."""

    media_type: str
    digest: str
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        plain = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        return {**plain, **({"annotations": dict(self.annotations)} if self.annotations else {})}

    @property
    def compression(self) -> str:
        """How a layer is compressed, empty for a media type that is none of a layer's."""
        return names.COMPRESSIONS.get(self.media_type, "")


def descriptor(value: Any) -> Descriptor:
    """A descriptor of a manifest. Raises BadImageError."""
    match value:
        case {"mediaType": str(kind), "digest": str(digest), "size": int(size)} if names.DIGEST.fullmatch(digest):
            annotations = value.get("annotations") or {}
            if size >= 0 and isinstance(annotations, dict):
                return Descriptor(media_type=kind, digest=digest, size=size, annotations=annotations)
    raise BadImageError(f"not a descriptor of a blob: {str(value)[:200]}")


def canonical(value: object) -> bytes:
    """JSON that is always written the same way."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def loads(data: bytes, what: str) -> dict[str, Any]:
    """An object of JSON. Raises BadImageError."""
    try:
        value = json.loads(data)
        canonical(value)  # half a character (a lone surrogate) can be read, and not be written
    except (ValueError, RecursionError) as error:
        raise BadImageError(f"{what} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadImageError(f"{what} is not a JSON object")
    return value


@dataclass(frozen=True, slots=True)
class Layout:
    """An image layout in the directory `path`."""

    path: Path

    @property
    def blobs(self) -> Path:
        return self.path / "blobs/sha256"

    def exists(self) -> bool:
        return (self.path / "index.json").is_file()

    def check(self) -> None:
        """Raise ImageError where something else is than a layout, or part of one that somebody began to make."""
        if not self.path.exists() or (self.path / "oci-layout").exists():
            return
        if not all(map(self._is_begun, self.path.rglob("*"))):
            raise ImageError(f"'{self.path}' has other things in it", hint="choose an empty directory", code="exists")

    def _is_begun(self, path: Path) -> bool:
        """True for what `create` leaves that was killed: two directories, and files it was writing."""
        if path in (self.blobs.parent, self.blobs):
            return path.is_dir() and not path.is_symlink()
        return path.parent == self.path and path.name.startswith(_NEW)

    def create(self) -> None:
        """Make the directory a layout where it is none. Raises ImageError where something else is."""
        self.check()
        self.blobs.mkdir(parents=True, exist_ok=True)
        if not (self.path / "oci-layout").exists():
            self._write("oci-layout", {"imageLayoutVersion": "1.0.0"})
        if not self.exists():
            self._write("index.json", {"schemaVersion": 2, "mediaType": names.INDEX, "manifests": []})
        self._sweep()

    def _sweep(self) -> None:
        """Remove what exports left that were killed. A living one has a lock on its file, or made it just now."""
        with self._locked():
            for path in (*self.path.glob(f"{_NEW}*"), *self.blobs.glob(f"{_NEW}*")):
                with contextlib.suppress(OSError), _unfollowed(path) as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if time.time() - os.fstat(file.fileno()).st_mtime > _STALE:
                        path.unlink()

    def _write(self, name: str, value: object) -> None:
        with tempfile.NamedTemporaryFile(dir=self.path, prefix=_NEW, delete=False) as file:
            file.write(canonical(value))
        Path(file.name).chmod(0o644)
        Path(file.name).replace(self.path / name)

    def blob(self, digest: str) -> Path:
        return self.blobs / digest.removeprefix("sha256:")

    def has(self, descriptor: Descriptor) -> bool:
        """True when the blob is here, of the size that is told of it."""
        with contextlib.suppress(OSError):
            return self.blob(descriptor.digest).stat().st_size == descriptor.size
        return False

    def holds(self, descriptor: Descriptor) -> bool:
        """True when the blob is here and is what its digest says."""
        if not self.has(descriptor):
            return False
        with contextlib.suppress(OSError), self.blob(descriptor.digest).open("rb") as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}" == descriptor.digest
        return False

    def add(self, data: bytes, media_type: str) -> Descriptor:
        """Write a small blob, unless it is here."""
        made = Descriptor(media_type=media_type, digest=digest_of(data), size=len(data))
        if not self.holds(made):
            with self.new_blob() as file:
                file.write(data)
                self.keep(file, made)
        return made

    @contextlib.contextmanager
    def new_blob(self) -> Iterator[IO[bytes]]:
        """A file for a blob whose digest is not known yet; it is gone after the block unless it was kept."""
        with tempfile.NamedTemporaryFile(dir=self.blobs, prefix=_NEW, delete=False) as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            try:
                yield file
            finally:
                Path(file.name).unlink(missing_ok=True)

    def keep(self, file: IO[bytes], descriptor: Descriptor) -> bool:
        """Give a blob its name; one that is here already stays, if it is what its name says. True when it is new."""
        file.flush()
        if self.holds(descriptor):
            return False
        Path(file.name).chmod(0o644)
        Path(file.name).rename(self.blob(descriptor.digest))
        return True

    def read(self, descriptor: Descriptor, what: str, limit: int = MAX_JSON) -> bytes:
        """A small blob, held to its descriptor. Raises ImageError, BadImageError."""
        try:
            with self.blob(descriptor.digest).open("rb") as file:
                data = file.read(limit + 1)
        except OSError as error:
            raise BadImageError(f"{what} {descriptor.digest} is not in '{self.path}'") from error
        if len(data) != descriptor.size or digest_of(data) != descriptor.digest:
            raise BadImageError(f"{what} is not what its descriptor says: {descriptor.digest}")
        return data

    def manifests(self) -> list[dict[str, Any]]:
        """The entries of the index. Raises ImageError."""
        try:
            with (self.path / "index.json").open("rb") as file:
                found = loads(file.read(MAX_JSON), f"{self.path}/index.json").get("manifests")
        except OSError as error:
            raise ImageError(f"there is no image layout at '{self.path}'") from error
        if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
            raise BadImageError(f"the index of '{self.path}' lists no manifests")
        return found

    def tags(self) -> list[str]:
        """What its images are called. Raises ImageError."""
        return sorted({_tag(one) for one in self.manifests() if _tag(one) and not is_artifact(one)})

    def find(self, tag: str) -> dict[str, Any] | None:
        """The entry of a tag; without a tag the only image there is. Raises BadImageError when it is ambiguous."""
        found = [one for one in self.manifests() if (_tag(one) == tag if tag else not is_artifact(one))]
        if len(found) > 1:
            what = f"the tag '{tag}' is there {len(found)} times" if tag else "there are several images"
            raise BadImageError(f"{what} in '{self.path}'", hint=f"oci:{self.path}:TAG")
        return found[0] if found else None

    def tag(self, manifest: Descriptor, tag: str, platform: Mapping[str, str]) -> bool:
        """Let a tag lead to a manifest; other tags stay. False when it did so before."""
        entry = {**manifest.as_json(), "platform": dict(platform), "annotations": {names.REF_NAME: tag}}
        with self._locked():
            index = loads((self.path / "index.json").read_bytes(), "index.json")
            others = [other for other in self.manifests() if _tag(other) != tag]
            if entry in self.manifests() and len(others) + 1 == len(self.manifests()):
                return False
            self._write("index.json", {**index, "mediaType": names.INDEX, "manifests": [*others, entry]})
        return True

    def relist(self, gone: Callable[[Mapping[str, Any]], bool], new: Sequence[Mapping[str, Any]]) -> bool:
        """Take entries out of the index and put others in. False when it was so before."""
        with self._locked():
            index, before = loads((self.path / "index.json").read_bytes(), "index.json"), self.manifests()
            after = [entry for entry in before if not gone(entry) or entry in new]
            after += [dict(entry) for entry in new if entry not in after]
            if after == before:
                return False
            self._write("index.json", {**index, "mediaType": names.INDEX, "manifests": after})
        return True

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.path / "oci-layout").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _unfollowed(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")


def is_artifact(entry: Mapping[str, Any]) -> bool:
    """True for an entry of an index that is no image, but says something of one."""
    annotations = entry.get("annotations")  # these stay where a tool drops the type
    return "artifactType" in entry or (isinstance(annotations, dict) and names.SBOM in annotations)


def _tag(entry: Mapping[str, Any]) -> str:
    annotations = entry.get("annotations")
    return str(annotations.get(names.REF_NAME, "")) if isinstance(annotations, dict) else ""
