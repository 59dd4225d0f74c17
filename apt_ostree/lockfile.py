"""A lockfile: exactly which packages a tree is made of, by version and content. JSON <-> Lock."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from apt_ostree.errors import ResolveError, UsageError
from apt_ostree.model import Package, PlannedPackage
from apt_ostree.requests import NAME, VERSION

FORMAT = 1
SUFFIX = ".lock.json"
_AGAIN = "make the lockfile again with --write-lockfile"
_NAME, _VERSION = re.compile(NAME), re.compile(VERSION)
_ARCH, _SHA256, _WORD = re.compile(r"[a-z0-9][a-z0-9-]*"), re.compile(r"[0-9a-f]{64}"), re.compile(r"[a-z-]*")
_LAYER = re.compile(r"[a-z0-9][a-z0-9.-]*")
_LATEST = 253402300799  # the last second datetime(3) can tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """One package. `size` is that of the .deb, in bytes; `priority` that of the archive (Policy 2.5)."""

    name: str
    version: str
    arch: str
    sha256: str
    size: int
    priority: str = ""

    @property
    def planned(self) -> PlannedPackage:
        """The package as what downloads takes it."""
        package = Package(name=self.name, version=self.version, arch=self.arch)
        return PlannedPackage(package=package, sha256=self.sha256, download_size=self.size)

    def __str__(self) -> str:
        return f"{self.name}_{self.version}_{self.arch}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedLayer:
    """What one layer of a treefile adds."""

    name: str
    packages: tuple[Locked, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """Which packages, and when.

    `selection` is the digest of what chose them (treefile keys), `epoch` the time everything in the tree and the
    commit has (seconds), `sources` the sha256 of the Release files they come from.
    """

    selection: str
    epoch: int
    sources: tuple[str, ...]
    packages: tuple[Locked, ...]  # of the base
    layers: tuple[LockedLayer, ...] = ()

    @property
    def everything(self) -> tuple[Locked, ...]:
        """The packages of the base and of every layer."""
        return (*self.packages, *(package for layer in self.layers for package in layer.packages))

    @property
    def counts(self) -> str:
        """How many packages there are, for people."""
        layers = (f", {len(layer.packages)} of the layer {layer.name}" for layer in self.layers)
        return f"{len(self.packages)} packages{''.join(layers)}"


def require(package: Locked, found: str) -> None:
    """Raise ResolveError when the archive with a package's content is another: `found` is its NAME_VERSION_ARCH."""
    if found != str(package):
        raise ResolveError(
            f"the lockfile says {package}, and what has that content is {found}",
            hint=_AGAIN,
            code="lockfile",
        )


def beside(treefile: Path) -> Path:
    """Where the lockfile of a treefile is when nobody says otherwise: `tree.toml` has `tree.lock.json`."""
    return treefile.with_name(treefile.name.removesuffix(".toml") + SUFFIX)


def dump(lock: Lock) -> str:
    """The text of a lockfile, the same for the same lock; one package a line, so that a diff reads well."""
    head = {"format": FORMAT, "selection": lock.selection, "epoch": lock.epoch, "sources": list(lock.sources)}
    text = f'{json.dumps(head, indent=1)[:-2]},\n "packages": {_listed(lock.packages)}'
    if lock.layers:
        layers = [f'  {{"name": "{layer.name}", "packages": {_listed(layer.packages)}}}' for layer in lock.layers]
        text += ',\n "layers": [\n' + ",\n".join(layers) + "\n ]"
    return f"{text}\n}}\n"


def _listed(packages: Sequence[Locked]) -> str:
    lines = ",\n".join(f"  {json.dumps(asdict(package))}" for package in packages)
    return f"[\n{lines}\n ]"


def load(path: Path) -> Lock:
    """Read a lockfile. Raises UsageError for one that cannot be read, ResolveError when there is none."""
    try:
        return parse(path.read_text(), str(path))
    except FileNotFoundError as error:
        raise ResolveError(
            f"there is no lockfile '{path}'", hint="make one with --write-lockfile", code="no-lockfile"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the lockfile '{path}': {error}") from error


def parse(text: str, name: str = "lockfile") -> Lock:
    """A lock from its text. Raises UsageError for what is no lockfile: it may come from anywhere."""
    try:
        data = json.loads(text)
        if data["format"] != FORMAT:
            raise ValueError(f"format {data['format']!r} is not one this version knows")
        return Lock(
            selection=_text(data["selection"], _SHA256),
            epoch=_number(data["epoch"], _LATEST),
            sources=tuple(_text(item, _SHA256) for item in data["sources"]),
            packages=tuple(_package(item) for item in data["packages"]),
            layers=tuple(_layer(item) for item in data.get("layers", ())),
        )
    except KeyError as error:
        raise UsageError(f"{name} is not a lockfile: it has no {error}", hint=_AGAIN) from error
    except (ValueError, TypeError, RecursionError) as error:
        raise UsageError(f"{name} is not a lockfile: {error}", hint=_AGAIN) from error


def _layer(item: Mapping[str, Any]) -> LockedLayer:
    return LockedLayer(name=_text(item["name"], _LAYER), packages=tuple(_package(each) for each in item["packages"]))


def _package(item: Mapping[str, Any]) -> Locked:
    return Locked(
        name=_text(item["name"], _NAME),
        version=_text(item["version"], _VERSION),
        arch=_text(item["arch"], _ARCH),
        sha256=_text(item["sha256"], _SHA256),
        size=_number(item["size"], 1 << 50),
        priority=_text(item["priority"], _WORD),
    )


def _text(value: Any, pattern: re.Pattern[str]) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"{value!r} is not allowed")
    return value


def _number(value: Any, limit: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= limit:
        raise ValueError(f"{value!r} is not a number that can be")
    return value
