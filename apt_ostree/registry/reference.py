"""`container-image-reference` of an origin: an image, and how it is verified. The syntax is ostree-ext's.

ostree-unverified-registry:NAME             what the machine's policy lets pass
ostree-unverified-image:TRANSPORT:NAME      the same, from elsewhere than a registry
ostree-image-signed:TRANSPORT:NAME          only under a policy that asks for something
ostree-remote-registry:REMOTE:NAME          the commit in the image is signed with a key of this remote
ostree-remote-image:REMOTE:TRANSPORT:NAME
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from apt_ostree.errors import UsageError
from apt_ostree.oci import names

REFS = "apt-ostree/image"  # refs of ours: reference -> the commit that was brought last, verified as it asks for
_REMOTE = re.compile(r"\w[\w.-]*")
_NAME = re.compile(r"[a-z0-9.-]+(:[0-9]+)?/[a-z0-9._/-]+(:\w[\w.-]{0,127})?(@sha256:[0-9a-f]{64})?", re.ASCII)
_ESCAPED = re.compile(r"__|_([0-9A-F]{2})_")


class Trust(StrEnum):
    """How an image is verified; the values begin its references."""

    UNVERIFIED = "ostree-unverified"
    SIGNED = "ostree-image-signed"
    REMOTE = "ostree-remote"


_STARTS = (f"{Trust.UNVERIFIED}-", f"{Trust.SIGNED}:", f"{Trust.REMOTE}-")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageReference:
    """An image as a base. `remote` only with Trust.REMOTE."""

    trust: Trust
    image: names.Reference
    remote: str = ""

    def __str__(self) -> str:
        remote = f"{self.remote}:" if self.remote else ""
        if self.trust is Trust.SIGNED:
            return f"{self.trust}:{self.image}"
        if self.image.transport == "docker":
            return f"{self.trust}-registry:{remote}{self.image.path}"
        return f"{self.trust}-image:{remote}{self.image}"

    @property
    def ref(self) -> str:
        """The ref of ours that follows it."""
        return f"{REFS}/{names.escape(str(self))}"


def looks_like(text: str) -> bool:
    """True for what is meant as a reference to an image, and never as a refspec."""
    return text.startswith(_STARTS)


def parse(text: str) -> ImageReference:
    """Text -> reference. Raises UsageError."""
    kind, _, rest = text.partition(":")
    if kind == Trust.SIGNED:
        return ImageReference(trust=Trust.SIGNED, image=_image(text, rest))
    trust, _, what = kind.rpartition("-")
    remote = ""
    if trust == Trust.REMOTE:
        remote, _, rest = rest.partition(":")
        if not _REMOTE.fullmatch(remote):
            raise _malformed(text, "it names no remote")
    if trust not in (Trust.UNVERIFIED, Trust.REMOTE) or what not in ("registry", "image"):
        raise _malformed(text, f"'{kind}' is not a way to verify an image")
    rest = f"docker://{rest}" if what == "registry" else rest
    return ImageReference(trust=Trust(trust), remote=remote, image=_image(text, rest))


def _image(text: str, words: str) -> names.Reference:
    try:
        found = names.parse(words)
    except UsageError as error:
        raise _malformed(text, error.message) from error
    if found.transport == "docker" and not _NAME.fullmatch(found.path):
        raise _malformed(text, f"'{found.path}' is not HOST/NAME, HOST/NAME:TAG or HOST/NAME@sha256:DIGEST")
    if any(not char.isprintable() for char in words):
        raise _malformed(text, "there are strange characters in it")
    return found


def _malformed(text: str, why: str) -> UsageError:
    return UsageError(
        f"'{text}' is no reference to a container image: {why}",
        hint="ostree-unverified-registry:HOST/NAME:TAG, ostree-image-signed:docker://HOST/NAME:TAG or "
        "ostree-remote-registry:REMOTE:HOST/NAME:TAG",
    )


def of_ref(ref: str) -> ImageReference | None:
    """The reference that a ref of ours follows; None when it is no such ref."""
    if not ref.startswith(f"{REFS}/"):
        return None
    escaped = ref.removeprefix(f"{REFS}/")
    try:
        text = _ESCAPED.sub(lambda match: chr(int(match[1], 16)) if match[1] else "_", escaped)
        return parse(text.encode("latin-1").decode())
    except (UsageError, UnicodeError):
        return None
