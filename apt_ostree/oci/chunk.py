"""Which files share a layer: those of one source package, which are updated together.

The biggest components have layers of their own, the others go by a hash of their name into a number of layers that
depends on nothing but the limit; so one package that changes changes one layer, whatever the other packages do. With
the manifest of the image before, its layers keep their components, and new ones go into a layer kept for them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apt_ostree.oci import names, owners
from apt_ostree.oci.layout import BadImageError

_SINGLE = 0.6  # of the layers are of one component each
_RESERVED = "Reserved for new packages"
_NAMED = 5  # components that a layer's name lists
MIN_LAYERS = 4  # below it, all is in the first


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """Files that change together. `size` in bytes; `keys` of the source's groups; `exclusive`: alone in a layer."""

    name: str
    size: int
    keys: tuple[str, ...]
    exclusive: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """One layer: the names of its components, sorted, and the files."""

    components: tuple[str, ...]
    keys: tuple[str, ...]

    @property
    def title(self) -> str:
        """What its history entry says."""
        if len(self.components) <= _NAMED:
            return " and ".join(self.components)
        return f"{len(self.components)} components"


def chunks(found: Iterable[Component], limit: int, previous: Sequence[Sequence[str]] = ()) -> tuple[Chunk, ...]:
    """Pack components into at most `limit` layers; `previous`: those of the image before. None is empty.

    Exclusive components come first, each alone; of more than there are layers the biggest, and one layer is left.
    """
    components = {component.name: component for component in sorted(found, key=lambda c: c.name) if component.keys}
    alone = sorted((one for one in components.values() if one.exclusive), key=lambda c: (-c.size, c.name))
    first = sorted(one.name for one in alone[: limit - 1])
    rest = {name: component for name, component in components.items() if name not in first}
    room = limit - len(first)
    bins = [*([name] for name in first), *(_kept(rest, room, previous) or _fresh(rest, room))]
    return tuple(
        Chunk(components=tuple(sorted(bin)), keys=tuple(key for name in sorted(bin) for key in components[name].keys))
        for bin in bins
        if bin
    )


def _fresh(components: Mapping[str, Component], limit: int) -> list[list[str]]:
    if len(components) <= limit:
        return [[name] for name in components]
    special = [name for name in components if name in owners.SPECIAL] if limit > 2 * len(owners.SPECIAL) else []
    rest = sorted((c for name, c in components.items() if name not in special), key=lambda c: (-c.size, c.name))
    room = limit - (len(owners.SPECIAL) if special else 0)
    single = int(_SINGLE * room)
    bins: list[list[str]] = [[] for _ in range(room - single)]
    for component in rest[single:]:
        bins[_number(component.name) % len(bins)].append(component.name)
    return [*([name] for name in special), *([c.name] for c in rest[:single]), *bins]


def _number(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


def _kept(components: Mapping[str, Component], limit: int, previous: Sequence[Sequence[str]]) -> list[list[str]]:
    """The layers there were, without what is gone; nothing when they do not fit."""
    bins = [kept for one in previous if (kept := [name for name in one if name in components])]
    named = {name for one in bins for name in one}
    if not bins or len(bins) > limit or len(named) != sum(len(one) for one in bins):
        return []
    fresh = [name for name in components if name not in named]
    if sum(components[name].size for name in fresh) > sum(components[name].size for name in named):
        return []  # another system
    if not fresh:
        return bins
    if len(bins) < limit:
        return [*bins, fresh]
    smallest = min(bins, key=lambda one: (sum(components[name].size for name in one), one))
    return [[*one, *fresh] if one is smallest else one for one in bins]


def previous_of(manifest: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
    """The components of each layer of a manifest but the first; nothing when it does not say. Raises BadImageError."""
    layers, found = manifest.get("layers") or [], []
    if not isinstance(layers, list) or not all(isinstance(layer, dict) for layer in layers):
        raise BadImageError("the layers of the image before are no list of descriptors")
    for layer in layers[1:]:
        annotations = layer.get("annotations") or {}
        if not isinstance(annotations, dict):
            raise BadImageError("the annotations of a layer of the image before are no object")
        text = annotations.get(names.COMPONENTS)
        if isinstance(text, str):
            found.append(tuple(name for name in text.split(",") if name))
    return tuple(found)
