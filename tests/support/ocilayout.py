"""Image layouts as tests change them: every digest on the way up is made anew, unless it is to be wrong."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass
class Layout:
    """A layout with one image."""

    path: Path

    @property
    def index(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.path / "index.json").read_text())
        return found

    @property
    def manifest(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.blob(self.index["manifests"][0]["digest"]))
        return found

    @property
    def config(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.blob(self.manifest["config"]["digest"]))
        return found

    def place(self, digest: str) -> Path:
        return self.path / "blobs/sha256" / digest.removeprefix("sha256:")

    def blob(self, digest: str) -> bytes:
        return self.place(digest).read_bytes()

    def layer(self, number: int) -> bytes:
        """The tar of a layer."""
        return gzip.decompress(self.blob(self.manifest["layers"][number]["digest"]))

    def add(self, data: bytes) -> dict[str, Any]:
        """Write a blob; digest and size."""
        self.place(digest_of(data)).write_bytes(data)
        return {"digest": digest_of(data), "size": len(data)}

    def write(self, manifest: dict[str, Any], config: dict[str, Any] | None = None) -> None:
        """Let the image be this manifest, with this config."""
        if config is not None:
            manifest["config"] |= self.add(json.dumps(config).encode())
        index = self.index
        index["manifests"][0] |= self.add(json.dumps(manifest).encode())
        (self.path / "index.json").write_text(json.dumps(index))

    def change(self, edit: Callable[[dict[str, Any], dict[str, Any]], None]) -> None:
        """Edit manifest and config; digests of both are right afterwards."""
        manifest, config = self.manifest, self.config
        edit(manifest, config)
        self.write(manifest, config)

    def replace(self, number: int, tar: bytes, **wrong: Any) -> None:
        """Another tar for a layer: its digest, size and diff_id are right, but for what is said to be `wrong`."""
        manifest, config = self.manifest, self.config
        old = config["rootfs"]["diff_ids"][number]
        manifest["layers"][number] |= {**self.add(gzip.compress(tar, 1, mtime=0)), **wrong}
        config["rootfs"]["diff_ids"][number] = digest_of(tar)
        labels = config["config"]["Labels"]
        if labels.get("ostree.final-diffid") == old:
            labels["ostree.final-diffid"] = digest_of(tar)
        self.write(manifest, config)

    def edit(self, number: int, change: Callable[[list[Entry]], list[Entry]]) -> None:
        """Change the entries of a layer."""
        self.replace(number, packed(change(entries(self.layer(number)))))

    def append(self, tar: bytes) -> None:
        """One more layer, as a container build adds it."""
        manifest, config = self.manifest, self.config
        manifest["layers"].append({"mediaType": GZIP, **self.add(gzip.compress(tar, 1, mtime=0))})
        config["rootfs"]["diff_ids"].append(digest_of(tar))
        config["history"].append({"created": "2026-01-01T00:00:00Z", "created_by": "a build"})
        self.write(manifest, config)


Entry = tuple[tarfile.TarInfo, bytes]


def entries(tar: bytes) -> list[Entry]:
    """The entries of a tar and their data."""
    with tarfile.open(fileobj=io.BytesIO(tar)) as opened:
        found = []
        for info in opened.getmembers():
            stream = opened.extractfile(info) if info.isreg() else None
            found.append((info, stream.read() if stream else b""))
        return found


def packed(found: list[Entry]) -> bytes:
    """A tar of them."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for info, data in found:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data) if info.isreg() else None)
    return out.getvalue()


def file(name: str, data: bytes = b"", **fields: Any) -> Entry:
    """An entry of one's own."""
    info = tarfile.TarInfo(name)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


def of(files: Mapping[str, bytes]) -> bytes:
    """A tar of files."""
    return packed([file(name, data) for name, data in files.items()])
