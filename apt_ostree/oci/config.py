"""The config and the manifest of an image: labels, history, what runs in it (image-spec, config.md and manifest.md)."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from apt_ostree.commits import Loaded
from apt_ostree.errors import UsageError
from apt_ostree.oci import names
from apt_ostree.oci.layout import Descriptor

COMMAND = ("/sbin/init",)
_DPKG = "var/lib/dpkg"
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_COMMAND_KEY = "ostree.container-cmd"  # of a commit's metadata
_STRINGS = ("User", "WorkingDir", "StopSignal")
_LISTS = ("Env", "Entrypoint", "Cmd")
_SETS = ("ExposedPorts", "Volumes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A finished layer: its blob, its tar's digest and what history says of it."""

    blob: Descriptor
    diff_id: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the caller says about the config. `command` None: the commit's own, or /sbin/init."""

    labels: Mapping[str, str] = field(default_factory=dict)
    command: tuple[str, ...] | None = None
    base: Mapping[str, Any] = field(default_factory=dict)  # a container config: Env, Labels, ...
    created: str = ""  # RFC 3339


def timestamp(seconds: int) -> str:
    """Seconds since the epoch as RFC 3339."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def container_config(value: Any) -> dict[str, Any]:
    """What --image-config gives: a whole image config, or its `config` alone. Raises UsageError."""
    if isinstance(value, dict) and isinstance(value.get("config"), dict):
        value = value["config"]
    if not isinstance(value, dict):
        raise UsageError("--image-config: not a JSON object", hint="skopeo inspect --config shows one")
    for key, one in value.items():
        good = (
            (key in _STRINGS and isinstance(one, str))
            or (key in _LISTS and isinstance(one, list) and all(isinstance(word, str) for word in one))
            or (key in _SETS and isinstance(one, dict))
            or (key == "Labels" and isinstance(one, dict) and all(isinstance(word, str) for word in one.values()))
        )
        if not good and one is not None:
            raise UsageError(f"--image-config: '{key}' is not known, or not of its type", hint="see image-spec")
    return {key: one for key, one in value.items() if one is not None}


def commit_labels(loaded: Loaded, kernel: str, wanted: Wanted, *, encapsulated: bool) -> dict[str, str]:
    """The labels of a commit's image, but the last layer's; the caller's win."""
    metadata = loaded.metadata
    found: dict[str, str] = {}
    if metadata.get(names.BOOTABLE) is True:
        found |= {names.BOOTABLE: "true", names.BOOTC: "1"}
    elif kernel and not encapsulated:
        found[names.BOOTC] = "1"
    linux = metadata.get(names.LINUX)
    if kernel or isinstance(linux, str):
        found[names.LINUX] = linux if isinstance(linux, str) else kernel
    if loaded.commit.version:
        found[names.VERSION] = loaded.commit.version
    if encapsulated:
        found[names.COMMIT] = loaded.commit.checksum
    return {**found, **wanted.labels}


def command_of(wanted: Wanted, metadata: Mapping[str, object]) -> tuple[str, ...]:
    """What runs in a container: as the caller says, as the commit says, else init."""
    if wanted.command is not None:
        return wanted.command
    if isinstance(own := metadata.get(_COMMAND_KEY), list) and own:
        return tuple(str(word) for word in own)
    return () if wanted.base.get("Cmd") or wanted.base.get("Entrypoint") else COMMAND


def environment_of(wanted: Wanted, admin: str) -> tuple[str, ...]:
    """What a container finds set: the caller's, and where dpkg's database is (dpkg(1), DPKG_ADMINDIR).

    A machine has a link to that from /var/lib/dpkg by its tmpfiles.d, which nobody runs in a container. With an
    environment in its config an image has to bring its PATH (containerd then adds none).
    """
    own = tuple(wanted.base.get("Env", ()))
    if not admin or admin == _DPKG:
        return own
    known = {word.partition("=")[0] for word in own}
    ours = (_PATH, f"DPKG_ADMINDIR=/{admin}")
    return (*own, *(word for word in ours if word.partition("=")[0] not in known))


def image(
    layers: Sequence[Layer],
    *,
    architecture: str,
    created: str,
    labels: Mapping[str, str],
    command: Sequence[str],
    environment: Sequence[str],
    base: Mapping[str, Any],
) -> dict[str, Any]:
    """The config of an image: one history entry for each layer, which bootc insists on."""
    config = dict(base)
    config["Labels"] = {**config.get("Labels", {}), **labels}
    if command:
        config["Cmd"] = list(command)
    if environment:
        config["Env"] = list(environment)
    return {
        "architecture": architecture,
        **({"variant": "v7"} if architecture == "arm" else {}),
        "os": "linux",
        "created": created,
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": [{"created": created, "created_by": layer.title} for layer in layers],
    }


def manifest(config: Descriptor, layers: Sequence[Layer], annotations: Mapping[str, str]) -> dict[str, Any]:
    """The manifest of an image."""
    return {
        "schemaVersion": 2,
        "mediaType": names.MANIFEST,
        "config": config.as_json(),
        "layers": [layer.blob.as_json() for layer in layers],
        **({"annotations": dict(annotations)} if annotations else {}),
    }
