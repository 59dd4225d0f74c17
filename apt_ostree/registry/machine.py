"""How a machine speaks to registries: with the policy, registries and passwords in its own tree, and nobody else's.

On the running system that is /etc/containers and the like. Of an offline sysroot it is the tree of the deployment
whose /etc is merged: skopeo then sees that /etc/containers in the place of this machine's, and key files of the
policy are taken from that tree.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from apt_ostree import run
from apt_ostree.errors import AptOstreeError, ToolError, VerificationError
from apt_ostree.oci import fetch
from apt_ostree.oci.fetch import Image
from apt_ostree.oci.importing import MAX_SIZE, created_of
from apt_ostree.oci.layout import BadImageError, ImageError, Layout
from apt_ostree.oci.names import Reference
from apt_ostree.registry import UNREACHED, policy
from apt_ostree.registry.reference import ImageReference, Trust
from apt_ostree.tools import bwrap, skopeo
from apt_ostree.tools.skopeo import Access

_RUNNING = Path("/")
_AUTH = "ostree/auth.json"  # bootc's secrets documentation: below /etc, /run or /usr/lib
_SEEN = ("etc/containers", "usr/share/containers")
_TAG = "judged"


@contextmanager
def access(root: Path) -> Iterator[Access]:
    """How skopeo is started for the tree at `root`. Raises VerificationError for a policy that cannot be read."""
    if shutil.which("skopeo") is None:  # a sandbox would not say so
        raise run.missing("skopeo")
    places = ("etc", "run", "usr/lib") if root == _RUNNING else ("etc", "usr/lib")
    authfile = next((path for place in places if _is_file(path := root / place / _AUTH, root)), None)
    found = policy.find(root)
    with tempfile.TemporaryDirectory(prefix="apt-ostree-registry-") as folder:
        made = Access(
            authfile=authfile,
            anonymous=authfile is None,
            policy=found,
            no_policy=found is None,
            env={**run.proxies(), "HOME": folder},  # nothing of a person's home counts
        )
        if root != _RUNNING:
            made = replace(made, prefix=_view(root, Path(folder)))
            if found is not None:
                moved = Path(folder) / "policy.json"
                moved.write_text(json.dumps(policy.moved(policy.read(found), root)))
                made = replace(made, policy=moved)
        yield made


def _is_file(path: Path, root: Path) -> bool:
    """True for a file of the tree: a link that leads out of it would hand over passwords of this machine."""
    return path.is_file() and Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))


def _view(root: Path, folder: Path) -> tuple[str, ...]:
    """A sandbox with the configuration of the tree in the place of this machine's."""
    nothing = folder / "nothing"
    nothing.mkdir()
    pairs = []
    for place in _SEEN:
        target = _RUNNING / place
        if target.is_dir():
            own = root / place
            pairs.append((own if own.is_dir() and not own.is_symlink() else nothing, target))
    return bwrap.overlaid(pairs)


@contextmanager
def opened(reference: ImageReference, root: Path, *, digest: str = "") -> Iterator[Image]:
    """Open an image once the policy of the tree at `root` allows it.

    `digest`: of a manifest that was allowed before; then just that one is opened. Raises VerificationError,
    AptOstreeError (code `pull-failed` when it cannot be reached).
    """
    if reference.trust is Trust.SIGNED:
        policy.require_strict(root)
    image = reference.image
    if digest and image.transport == "docker":
        image = replace(image, path=f"{image.repository}@{digest}")
    with access(root) as how:
        try:
            with fetch.opened(image, how) as found:
                if digest and found.digest != digest:
                    raise AptOstreeError(f"{reference} has changed in this moment", hint="repeat the command")
                if not digest:
                    _judge(reference, found, how)
                yield replace(found, reference=reference.image)
        except ImageError as error:
            raise explained(reference, error) from error
        except ToolError as error:
            if "skopeo" not in error.argv:
                raise
            raise explained(reference, error) from error


def _judge(reference: ImageReference, image: Image, how: Access) -> None:
    """Let skopeo hold the image to the policy, without its layers: only `skopeo copy` does that in every version.

    It copies into a layout where each layer is there already, as a file of holes. What it has judged is the manifest
    that we have open, by its digest.
    """
    if how.policy is None or policy.asks_nothing(policy.read(how.policy)):
        return
    if image.unpacked:
        if reference.trust is Trust.SIGNED:
            raise VerificationError(f"{reference}: a container storage keeps no signatures", hint="name the registry")
        return
    with tempfile.TemporaryDirectory(prefix="apt-ostree-judged-") as folder:
        layout = Layout(Path(folder))
        layout.create()
        for layer in image.layers():
            if layer.size > MAX_SIZE:
                raise BadImageError(f"the layer {layer.digest} is said to have {layer.size} bytes")
            with layout.blob(layer.digest).open("wb") as file:
                file.truncate(layer.size)
        skopeo.copy_judged(str(reference.image), layout.path, _TAG, how, docker=image.is_docker)
        if not _is_judged(image, layout):
            raise AptOstreeError(f"{reference} has changed in this moment", hint="repeat the command", code=UNREACHED)


def _is_judged(image: Image, layout: Layout) -> bool:
    """True when what skopeo has judged is the image that is open.

    Of a manifest of Docker's format a layout has another, with another config: layers and what is used of the config
    must be the same.
    """
    with fetch.opened(Reference(transport="oci", path=str(layout.path), tag=_TAG), Access()) as judged:
        if not image.is_docker:
            return judged.digest == image.digest
        layers = [[layer.digest for layer in one.layers()] for one in (judged, image)]
        return layers[0] == layers[1] and _used(judged) == _used(image)


def _used(image: Image) -> tuple[object, ...]:
    """What a commit is made of, beside the layers."""
    return image.diff_ids(), image.labels(), image.architecture, created_of(image)


def explained(reference: ImageReference, error: AptOstreeError) -> AptOstreeError:
    """The error for an image that cannot be had, by what skopeo says."""
    told = [line.partition("msg=")[2].strip('"') or line for line in error.details]
    text = " ".join(told)
    if "image rejected" in text or "rejected by policy" in text or "ignature" in text:
        return VerificationError(
            f"{reference} does not verify by the policy of this system; nothing was changed",
            details=told,
            hint="see containers-policy.json(5), and containers-registries.d(5) for where signatures are",
        )
    if "HTTP response to HTTPS client" in text:
        hint = "if it is to be trusted without https: insecure=true in /etc/containers/registries.conf.d"
        return AptOstreeError(f"the registry of {reference} speaks no https", details=told, hint=hint, code=UNREACHED)
    if any(sign in text for sign in ("manifest unknown", "name unknown", "NAME_UNKNOWN", "not found")):
        return AptOstreeError(f"there is no image {reference.image}", details=told, code="no-image")
    if any(sign in text for sign in ("unauthorized", "authentication required", "denied")):
        return AptOstreeError(
            f"the registry gives {reference.image} to those who log in only",
            details=told,
            hint=f"skopeo login --authfile /etc/{_AUTH} {reference.image.path.partition('/')[0]}",
            code=UNREACHED,
        )
    return AptOstreeError(
        f"{reference} could not be fetched",
        details=told or [str(error)],
        hint="check the network, then repeat the command; layers that are here already are kept",
        code=UNREACHED,
    )
