"""What a tree itself says about its layers: files with the attribute user.component have one of their own.

The attribute is that of ostree-ext and chunkah: its value names a component. On a directory it is for all below it
that has none of its own. It stays in the image as any other attribute does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from apt_ostree.errors import AptOstreeError
from apt_ostree.oci.objects import unpack_xattrs
from apt_ostree.oci.source import Source

ATTRIBUTE = b"user.component"
_MAX_NAME = 255  # bytes, as of a package's name in a path


@dataclass(frozen=True, slots=True)
class Marks:
    """The components a tree names: directories that have the attribute."""

    folders: dict[str, str] = field(default_factory=dict)

    def of(self, paths: Sequence[str], xattrs: bytes) -> str:
        """The component of a file, empty for none; of hard links, the first that is in a marked directory decides."""
        if own := _named(xattrs, paths[0]):
            return own
        if not self.folders:
            return ""
        return next((found for path in paths if (found := self._above(path))), "")

    def _above(self, path: str) -> str:
        while path:
            path = path.rpartition("/")[0]
            if found := self.folders.get(path):
                return found
        return ""


def load(source: Source) -> Marks:
    """Look at the directories of a tree. Raises AptOstreeError for a component that cannot be one."""
    folders = {one.path: found for one in source.directories if (found := _named(one.xattrs, one.path))}
    return Marks(folders)


def _named(xattrs: bytes, path: str) -> str:
    if ATTRIBUTE not in xattrs:
        return ""
    value = dict(unpack_xattrs(xattrs)).get(ATTRIBUTE, b"").rstrip(b"\0")
    try:
        name = value.decode("utf-8")
    except UnicodeDecodeError:
        name = "\n"
    if not name.isprintable() or "," in name or len(value) > _MAX_NAME:  # an annotation lists them, comma-separated
        raise AptOstreeError(
            f"the attribute {ATTRIBUTE.decode()} of /{path} names no component: {value[:100]!r}",
            hint="a component is named by printable characters without a comma",
            code="bad-component",
        )
    return name
