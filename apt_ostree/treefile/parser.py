"""The one door between a treefile's text and its values: reading, including, putting together."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from apt_ostree import requests
from apt_ostree.errors import UsageError
from apt_ostree.treefile import examples, places
from apt_ostree.treefile.keys import KEYS
from apt_ostree.treefile.model import Account, File, Layer, Mirror, Treefile
from apt_ostree.treefile.reader import Reader, key_names, read, require

_DEPTH = 16  # treefiles including treefiles
_BY_KEY = {"/etc/hostname": "hostname", "/etc/machine-id": "machineid"}
# what a key writes, where it is given
_WRITTEN = {
    "/etc/localtime": "timezone",
    "/etc/timezone": "timezone",
    "/etc/default/locale": "locale",
    "/etc/locale.conf": "locale",
}
_BASEARCH = {"amd64": "x86_64", "arm64": "aarch64", "i386": "i686", "ppc64el": "ppc64le", "armhf": "armv7l"}
_MAKERS: Mapping[str, Callable[..., object]] = {
    "mirrors": Mirror, "users": Account, "groups": Account, "files": File, "layers": Layer,
}  # fmt: skip
_PACKAGES = "packages-"  # an architecture follows
_COMMAND_LINE = 4096  # bytes: no kernel takes a longer one, most cut it at 2048 (COMMAND_LINE_SIZE)


def load(path: Path) -> Treefile:
    """Read and parse a treefile with all it includes and refers to. Raises UsageError."""
    data = _collect(path, 0)
    reader = Reader(name=str(path), lines=tuple(_text(path).splitlines()), keys=KEYS)
    return _treefile(reader, data)


def parse(text: str, name: str = "treefile") -> Treefile:
    """A treefile from its text; nothing is included. Raises UsageError naming key, line and what is allowed."""
    reader, data = _read(text, name)
    if "include" in data:
        raise reader.wrong("include", "there is no file beside which another could be")
    return _treefile(reader, data)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        near = get_close_matches(path.name.removesuffix(".toml"), examples.names(), n=1, cutoff=0.8)
        meant = f"did you mean {near[0]}? These come along" if near else "name a file, or one that comes along"
        raise UsageError(
            f"cannot read the treefile '{path}': {error.strerror}", hint=f"{meant}: {', '.join(examples.names())}"
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"the treefile '{path}' is not UTF-8 text") from error
    except ValueError as error:  # a name no file can have
        raise UsageError(f"cannot read the treefile {str(path)!r}: {error}") from error


def _read(text: str, name: str) -> tuple[Reader, dict[str, Any]]:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{name} is not TOML: {error}", hint="strings need quotes; see https://toml.io") from error
    except (RecursionError, ValueError) as error:  # deeper lists and longer numbers than Python reads
        raise UsageError(f"{name} cannot be read: {error}", hint="see man apt-ostree-treefile") from error
    reader = Reader(name=name, lines=tuple(text.splitlines()), keys=KEYS)
    found = read(reader, data)
    for item in found.get("files", ()):
        with _told(reader, "files", item["path"]):
            places.check(item["path"], link="link" in item)
    return reader, found


@contextmanager
def _told(reader: Reader, key: str, value: str = "") -> Iterator[None]:
    """A complaint that knows no treefile is told with the line of the key, or of the value."""
    try:
        yield
    except UsageError as error:
        raise reader.wrong(key, error.message, hint=error.hint, value=value) from error


def _collect(path: Path, depth: int) -> dict[str, Any]:
    """The checked values of a treefile, with those of the included ones below them."""
    reader, own = _read(_text(path), str(path))
    if depth > _DEPTH:
        raise reader.wrong("include", f"more than {_DEPTH} treefiles include one another")
    own["files"] = tuple(_with_content(reader, path.parent, item) for item in own.get("files", ()))
    merged: dict[str, Any] = {}
    for name in own.pop("include", ()):
        merged = _merge(merged, _collect(examples.find(name, path.parent), depth + 1))
    return _merge(merged, own)


def _with_content(reader: Reader, folder: Path, item: dict[str, Any]) -> dict[str, Any]:
    """A file's `source` is read now: what is in it decides what the tree will be."""
    if item["path"] in _BY_KEY:
        raise reader.wrong("files", f"{item['path']} has a key of its own: {_BY_KEY[item['path']]}", value=item["path"])
    if sum(name in item for name in ("content", "source", "link")) != 1:
        raise reader.wrong("files", f"{item['path']}: one of content, source and link is needed", value=item["path"])
    if "source" not in item:
        return item
    try:
        content = (folder / item["source"]).read_bytes()
    except OSError as error:
        message = f"cannot read '{item['source']}': {error.strerror}"
        raise reader.wrong(
            "source", message, value=item["source"], hint="the path is relative to the treefile"
        ) from error
    return {**item, "source": str((folder / item["source"]).absolute()), "sha256": hashlib.sha256(content).hexdigest()}


# Of these the last word is the includer's as well.
_INSTEAD = {"version": "automatic-version-prefix", "automatic-version-prefix": "version"}


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = {name: value for name, value in below.items() if name not in _INSTEAD or _INSTEAD[name] not in above}
    for name, value in above.items():
        merged[name] = (*merged.get(name, ()), *value) if isinstance(value, tuple) else value
    return merged


def _treefile(reader: Reader, data: dict[str, Any]) -> Treefile:
    require(reader, data)
    values = _fields({name: _made(name, value) for name, value in data.items()})
    if not values.get("components"):
        values.pop("components", None)
    if "version" in data and "automatic-version-prefix" in data:
        raise reader.wrong("automatic-version-prefix", "'version' and 'automatic-version-prefix' exclude each other")
    made = Treefile(**values)
    _check_whole(reader, made)
    _check_layers(reader, made.layers)
    return replace(made, snapshot=_timestamp(made.snapshot))


def _check_whole(reader: Reader, made: Treefile) -> None:
    """What only shows when every included treefile has been read."""
    for metadata in (made.metadata, *(layer.metadata for layer in made.layers)):
        with _told(reader, "metadata"):
            requests.check_metadata_size(metadata)
    if len(" ".join(made.kargs).encode()) > _COMMAND_LINE:
        raise reader.wrong("kargs", f"'kargs' are longer than {_COMMAND_LINE} bytes", hint="no kernel takes so many")
    for file in made.files:
        if (key := _WRITTEN.get(file.path, "")) and getattr(made, key):
            raise reader.wrong("files", f"{file.path} is written by another key: {key}", value=file.path)
        with _told(reader, "files", file.path):
            places.check_local(file.path, made.usr_local, link=bool(file.link))


def _check_layers(reader: Reader, layers: Sequence[Layer]) -> None:
    for number, layer in enumerate(layers):
        if any(layer.name == other.name for other in layers[:number]):
            raise reader.wrong("layers", f"there are two layers named '{layer.name}'", "each has a name of its own")
        if not (layer.packages or layer.packages_of):
            raise reader.wrong("layers", f"the layer '{layer.name}' has no packages", value=layer.name)


def _fields(table: Mapping[str, Any]) -> dict[str, Any]:
    """A table by the names of a dataclass: packages of an architecture are put together."""
    plain = {name.replace("-", "_"): value for name, value in table.items() if not name.startswith(_PACKAGES)}
    of = tuple((name.removeprefix(_PACKAGES), value) for name, value in table.items() if name.startswith(_PACKAGES))
    return {**plain, **({"packages_of": of} if of else {})}


def _made(name: str, value: Any) -> Any:
    maker = _MAKERS.get(name)
    return value if maker is None else tuple(maker(**_fields(entry)) for entry in value)


def _timestamp(snapshot: str) -> str:
    """A day is its first second."""
    digits = snapshot.replace("-", "")
    return f"{digits}T000000Z" if digits and "T" not in digits else digits


def resolved_ref(treefile: Treefile, ref: str, architecture: str, *, layer: str = "") -> str:
    """A ref, of the tree or of a layer, with its placeholders filled in. Raises UsageError for one nobody knows."""
    values = {
        "suite": treefile.suite.replace("/", "-"),
        "architecture": architecture,
        "basearch": _BASEARCH.get(architecture, architecture),
        "variant": treefile.variant,
        **({"layer": layer} if layer else {}),
    }
    for name, value in values.items():
        ref = ref.replace(f"${{{name}}}", value)
    if "${" in ref:
        known = ", ".join(f"${{{name}}}" for name in values)
        raise UsageError(f"the ref '{ref}' has a placeholder that means nothing", hint=f"there are {known}")
    return ref


__all__ = ["KEYS", "key_names", "load", "parse", "resolved_ref"]
