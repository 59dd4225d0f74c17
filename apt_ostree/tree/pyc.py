"""Byte-compiled Python made by scripts: ostree sets every mtime to 0, so their source stamp must be 0 as well."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from apt_ostree.tree import fsops

# PEP 552: magic, flags (0: by timestamp), mtime and size of the source, little endian
_HEADER = struct.Struct("<4sIII")
_TIMESTAMP = 0


def normalise(root: Path) -> int:
    """Give timestamp-based .pyc files below `root` the source time 0; returns how many were changed.

    Otherwise Python would find each of them stale in a deployment and compile at every start. The sources get that
    time here as well: what a commit moves into the repo (ostree-commit(1), --consume) keeps its own until it is pulled.
    No file below `root` may be one of a repo.
    """
    count = 0
    for entry in fsops.walk(root):
        if entry.is_file and entry.rel.endswith(".py"):
            os.utime(entry.path, ns=(0, 0), follow_symlinks=False)
        if entry.is_file and entry.rel.endswith(".pyc"):
            count += _normalise(entry)
    return count


def _normalise(entry: fsops.Entry) -> int:
    content = fsops.read_bytes(entry.path)
    if len(content) < _HEADER.size:
        return 0
    magic, flags, mtime, size = _HEADER.unpack_from(content)
    if flags != _TIMESTAMP or mtime == 0 or magic[2:] != b"\r\n":
        return 0
    fsops.rewrite(entry.path, _HEADER.pack(magic, flags, 0, size) + content[_HEADER.size :])
    return 1
