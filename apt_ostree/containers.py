"""The nouns of container images: what was exported, imported and looked at. Standard library only, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedLayer:
    """A layer of a new image. Sizes in bytes; `reused`: its blob was there before."""

    digest: str
    size: int
    uncompressed: int
    components: tuple[str, ...] = ()
    title: str = ""
    reused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedSbom:
    """A bill of materials beside a new image; `digest` is that of its manifest."""

    kind: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """The answer of `oci export`. `commit` is empty for a directory."""

    command: str
    image: str
    digest: str
    format: str
    architecture: str
    commit: str = ""
    layers: tuple[ExportedLayer, ...] = ()
    sboms: tuple[ExportedSbom, ...] = ()
    changed: bool = True
    warnings: tuple[str, ...] = ()
    duration: Mapping[str, float] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of all layers, compressed."""
        return sum(layer.size for layer in self.layers)

    @property
    def reused(self) -> int:
        """Bytes of the layers that were there before."""
        return sum(layer.size for layer in self.layers if layer.reused)


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """The answer of `oci import`. Sizes in bytes, of compressed layers; `base` is the commit that was derived from."""

    command: str
    image: str
    digest: str
    format: str  # `encapsulated`, `derived` or `plain`
    commit: str
    base: str = ""
    ref: str = ""
    changed: bool = True
    layers: int = 0
    fetched: int = 0
    fetched_bytes: int = 0
    reused_bytes: int = 0
    warnings: tuple[str, ...] = ()
    duration: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something an image is wrong about. `part` is `manifest`, `config`, `index` or the digest of a layer."""

    part: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The answer of `oci verify`."""

    command: str
    image: str
    digest: str = ""
    format: str = ""
    architecture: str = ""
    commit: str = ""
    layers: int = 0
    bytes: int = 0
    findings: tuple[Finding, ...] = ()
    duration: Mapping[str, float] = field(default_factory=dict)

    @property
    def sound(self) -> bool:
        return not self.findings
