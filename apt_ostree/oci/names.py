"""What things are called: image references, media types, architectures, and the refs an image leaves in a repo."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from apt_ostree.errors import UsageError
from apt_ostree.publishing import CONTAINER_REFS

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
SBOM = "apt-ostree.sbom"  # annotation of ours; it stays where a tool drops artifactType from a list
GZIP, ZSTD, NONE = "gzip", "zstd", "none"
COMPRESSIONS = {
    LAYER: NONE,
    f"{LAYER}+gzip": GZIP,
    f"{LAYER}+zstd": ZSTD,
    "application/vnd.docker.image.rootfs.diff.tar": NONE,
    "application/vnd.docker.image.rootfs.diff.tar.gzip": GZIP,
}
FINAL_DIFFID = "ostree.final-diffid"
COMMIT = "ostree.commit"
BOOTABLE = "ostree.bootable"
LINUX = "ostree.linux"
BOOTC = "containers.bootc"
VERSION = "org.opencontainers.image.version"
CREATED = "org.opencontainers.image.created"
COMPONENTS = "ostree.components"
REF_NAME = "org.opencontainers.image.ref.name"

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
BLOB_REFS = f"{CONTAINER_REFS}blob"
IMAGE_REFS = f"{CONTAINER_REFS}image"
TRANSPORTS = ("docker", "oci", "oci-archive", "containers-storage")
DEFAULT_TAG = "latest"

# Debian's names -> GOARCH (go.dev/doc/install/source#environment), which is what an image must say
_GO = {
    "amd64": "amd64", "arm64": "arm64", "armel": "arm", "armhf": "arm", "i386": "386", "loong64": "loong64",
    "mips64el": "mips64le", "mipsel": "mipsle", "ppc64el": "ppc64le", "riscv64": "riscv64", "s390x": "s390x",
}  # fmt: skip
_MACHINES = {
    "x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386", "loongarch64": "loong64",
    "ppc64le": "ppc64le", "riscv64": "riscv64", "s390x": "s390x",
}  # fmt: skip
GO_ARCHITECTURES = frozenset({*_GO.values(), *_MACHINES.values(), "ppc64", "mips", "mips64", "wasm"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Where an image is: `path` is a directory, a file or a name; `tag` only of `oci` and `oci-archive`."""

    transport: str
    path: str
    tag: str = ""

    def __str__(self) -> str:
        slashes = "//" if self.transport == "docker" else ""
        return f"{self.transport}:{slashes}{self.path}{f':{self.tag}' if self.tag else ''}"

    @property
    def repository(self) -> str:
        """The name of an image in a registry, without tag and digest."""
        name = self.path.partition("@")[0]
        head, slash, tail = name.rpartition("/")
        return f"{head}{slash}{tail.partition(':')[0]}"


def is_reference(text: str) -> bool:
    """True for what begins as a reference does."""
    transport, colon, _ = text.partition(":")
    return bool(colon) and transport in (*TRANSPORTS, "registry")


def parse(text: str) -> Reference:
    """A reference as skopeo(1) writes it; paths become absolute. Raises UsageError."""
    transport, colon, rest = text.partition(":")
    transport = "docker" if transport == "registry" else transport
    if not colon or transport not in TRANSPORTS:
        raise UsageError(
            f"'{text}' is no image reference", hint="docker://HOST/NAME:TAG, oci:DIR:TAG, oci-archive:FILE or "
            "containers-storage:NAME"
        )  # fmt: skip
    if transport == "docker":
        rest = rest.removeprefix("//")
    if not rest or "\n" in rest or rest.startswith("-"):
        raise UsageError(f"'{text}' names no image", hint=f"{transport}:{'//' if transport == 'docker' else ''}NAME")
    if transport in ("docker", "containers-storage"):
        return Reference(transport=transport, path=rest)
    path, _, tag = rest.partition(":")
    return Reference(transport=transport, path=str(Path(path).absolute()), tag=tag)


def blob_ref(digest: str) -> str:
    """The ref of a layer in a repo, as ostree-ext names it."""
    return f"{BLOB_REFS}/{escape(digest)}"


def image_ref(reference: Reference) -> str:
    """The ref of an image in a repo."""
    return f"{IMAGE_REFS}/{escape(str(reference))}"


def escape(text: str) -> str:
    """A string as part of a ref: ostree-ext's own way (its `refescape`)."""
    words, former = [], ""
    for at, char in enumerate(text):
        alphanumeric = char.isascii() and char.isalnum()
        if alphanumeric or char == "-" or (char == "/" and former.isalnum() and at < len(text) - 1):
            words.append(char)
        elif char == "_":
            words.append("__")
        else:
            words += [f"_{byte:02X}_" for byte in char.encode()]
        former = char if alphanumeric else ""
    return "".join(words)


def go_architecture(debian: str) -> str:
    """Debian's name of an architecture -> Go's; that of this machine where the tree does not say its own."""
    return _GO.get(debian) or _MACHINES.get(os.uname().machine, os.uname().machine)
