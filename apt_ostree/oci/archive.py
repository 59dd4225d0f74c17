"""An OCI archive: a layout as a tar, which skopeo writes as a whole, whatever was there."""

from __future__ import annotations

import tarfile
from pathlib import Path

from apt_ostree.errors import AptOstreeError
from apt_ostree.oci import names
from apt_ostree.oci.layout import MAX_JSON, loads


def check(path: Path) -> None:
    """Raise AptOstreeError where something else is that would be lost."""
    if not path.exists() or (path.is_file() and not path.stat().st_size):
        return
    if not path.is_file() or _member(path, "oci-layout") is None:
        raise AptOstreeError(f"'{path}' exists and is no OCI archive", hint="choose another name", code="exists")


def digests(path: Path) -> dict[str, str]:
    """The tags of an archive and what they lead to; a tag is empty when there is none. Empty for what is no archive."""
    data = _member(path, "index.json") if path.is_file() else None
    try:
        found = loads(data or b"{}", "index.json").get("manifests") or []
        return {(one.get("annotations") or {}).get(names.REF_NAME, ""): one["digest"] for one in found}
    except (AptOstreeError, AttributeError, KeyError, TypeError):
        return {}


def _member(path: Path, name: str) -> bytes | None:
    """A small file of the archive, None when it has no such."""
    try:
        with tarfile.open(path, "r:") as tar:
            for info in tar:
                if info.isreg() and info.name.removeprefix("./") == name:
                    file = tar.extractfile(info)
                    return file.read(MAX_JSON) if file else None
    except (tarfile.TarError, OSError, EOFError):
        return None
    return None
