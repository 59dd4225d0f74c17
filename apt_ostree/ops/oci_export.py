"""oci export: a commit or a directory as a container image, in a layout or wherever skopeo brings it."""

from __future__ import annotations

import contextlib
import json
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from apt_ostree import repos
from apt_ostree.containers import Exported, ExportedSbom
from apt_ostree.context import Context
from apt_ostree.errors import AptOstreeError, ToolError, ToolMissingError, UsageError
from apt_ostree.oci import archive, chunk, config, exporting, fetch, names, referrers
from apt_ostree.oci.exporting import Image, Recipe
from apt_ostree.oci.layout import MAX_JSON, Layout, canonical, descriptor, loads
from apt_ostree.oci.names import Reference
from apt_ostree.ops import oci_sbom
from apt_ostree.report import Durations, Reporter, TeeReporter, Warned, phase
from apt_ostree.signals import Interrupts
from apt_ostree.tools import skopeo
from apt_ostree.tools.skopeo import Access, Signer

AUTO = "auto"
# what skopeo says before it has asked for an image (c/image's docker_client.go), or when nobody answers later on
_UNREACHED = ("pinging container registry", "dial tcp")
_NONE_YET = ("manifest unknown", "name unknown")  # the registry's own words (distribution-spec, error codes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Export `ref` of `repo`, or the directory `rootfs`, to `destination`.

    `previous`: `auto`, a file with a manifest, or empty; `image_config`: a file with a config to start from.
    """

    destination: Reference
    repo: Path | None = None
    ref: str = ""
    rootfs: Path | None = None
    recipe: Recipe = field(default_factory=Recipe)
    previous: str = ""
    image_config: Path | None = None
    access: Access = field(default_factory=Access)
    signer: Signer = skopeo.NOBODY
    sboms: tuple[str, ...] = ()  # kinds of bills of materials to attach


def export(context: Context, request: Request) -> Exported:
    """Write the image. Raises UsageError, AptOstreeError, ToolError, ToolMissingError."""
    _check_signer(request)
    _check_sboms(request)
    if request.destination.transport == "oci-archive":
        archive.check(Path(request.destination.path))
    _check_registry(request)
    checksum = ""
    if request.repo is not None:
        repos.require(request.repo)
        checksum = repos.resolve(request.repo, request.ref)
    durations = Durations()
    reporter = TeeReporter(context.reporter, durations)
    recipe = _recipe(request, reporter)
    with Interrupts().installed(), _layout(request.destination) as layout:
        documents = _documents(request, checksum, reporter)
        image = _build(layout, request, recipe, checksum, reporter)
        artifacts = [
            referrers.write(layout, image.manifest, kind, data, image.created) for kind, data in documents.items()
        ]
        tag = request.destination.tag or names.DEFAULT_TAG
        changed = referrers.tag_image(layout, image.manifest, tag, image.platform)
        if request.destination.transport == "oci-archive":
            changed = archive.digests(Path(request.destination.path)) != {
                request.destination.tag: image.manifest.digest
            }
        if request.destination.transport == "oci":
            changed = (bool(artifacts) and referrers.listing(layout, artifacts, image.manifest.digest)) or changed
        elif changed:
            with phase(reporter, "copy", f"Copying to {request.destination}"):
                _copy(f"oci:{layout.path}:{tag}", request)
                if artifacts:
                    oci_sbom.push(layout, image.manifest, artifacts, request.destination, request.access)
    return Exported(
        command=context.options.command,
        image=str(request.destination),
        digest=image.manifest.digest,
        format=exporting.PLAIN if request.rootfs else recipe.format,
        architecture=image.platform["architecture"],
        commit=checksum,
        layers=image.layers,
        sboms=tuple(ExportedSbom(kind=one.kind, digest=one.manifest.digest) for one in artifacts),
        changed=changed,
        duration=durations.seconds,
    )


def _check_signer(request: Request) -> None:
    """Raise UsageError for a signature that has no place, and for secrets that others can read."""
    signer = request.signer
    if signer == skopeo.NOBODY:
        return
    if request.destination.transport != "docker":
        raise UsageError("only an image in a registry is signed", hint="docker://HOST/NAME:TAG")
    if bool(signer.sigstore_key) == bool(signer.gpg_key):
        raise UsageError("one key signs", hint="--sign-by-sigstore-private-key FILE, or --sign-by FINGERPRINT")
    for path in filter(None, (signer.sigstore_key, signer.passphrase_file)):
        try:
            mode = path.stat().st_mode
        except OSError as error:
            raise UsageError(f"'{path}' cannot be read: {error.strerror}", hint=f"ls -l {path}") from error
        if stat.S_ISREG(mode) and mode & 0o077:
            raise UsageError(f"others than its owner may read '{path}'", hint=f"chmod 0600 {path}")


def _check_registry(request: Request) -> None:
    """Raise AptOstreeError for a registry that does not answer: packing takes minutes, and would be for nothing.

    Whatever else it says of the image is fine: there may be none yet, or those who push may not pull.
    """
    if request.destination.transport != "docker":
        return
    try:
        skopeo.inspect_raw(str(request.destination), request.access)
    except ToolError as error:
        # its mirrors, which may be down, are named first; nothing is pushed to them
        said = " ".join(error.details).rpartition("]): ")[2]
        if not any(sign in said for sign in _UNREACHED):
            return
        raise AptOstreeError(
            f"the registry of {request.destination} cannot be reached; nothing was packed",
            details=error.details,
            hint=fetch.hint(error) or "check the name, and the network",
            code="unreached",
        ) from error


def _check_sboms(request: Request) -> None:
    """Raise UsageError for a bill of materials that cannot be made, or has no place."""
    if request.sboms and request.repo is None:
        raise UsageError("--sbom: it is made of a commit", hint="commit the directory and export the commit")
    if request.sboms and request.destination.transport not in ("oci", "docker"):
        raise UsageError(
            f"--sbom: nothing can be attached to an image in {request.destination.transport}:",
            hint="oci:DIR:TAG or docker://HOST/NAME:TAG",
        )


def _documents(request: Request, checksum: str, reporter: Reporter) -> dict[str, bytes]:
    if not request.sboms or request.repo is None:
        return {}
    with phase(reporter, "sbom", "Writing the bill of materials"):
        return oci_sbom.documents(request.repo, checksum, request.ref, request.sboms)


def _copy(source: str, request: Request) -> None:
    """Bring the image to where it goes; an archive is written beside its place, so that none is ever half of one."""
    if request.destination.transport != "oci-archive":
        _push(source, request.destination, request)
        return
    place = Path(request.destination.path).resolve()
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=".apt-ostree-") as folder:
        fresh = Path(folder) / "image.tar"
        _push(source, replace(request.destination, path=str(fresh)), request)
        fresh.replace(place)


def _push(source: str, destination: Reference, request: Request) -> None:
    try:
        skopeo.copy(source, str(destination), request.access, request.signer)
    except ToolError as error:
        if request.signer.sigstore_key and any("sigstore disabled" in line for line in error.details):
            raise ToolMissingError(
                "the skopeo of this machine was built without sigstore",
                details=error.details,
                hint="use the skopeo of Debian 13 or later, or sign with a GPG key: --sign-by FINGERPRINT",
            ) from error
        raise


def _build(layout: Layout, request: Request, recipe: Recipe, checksum: str, reporter: Reporter) -> Image:
    if request.rootfs is not None:
        epoch = exporting.epoch_of(request.rootfs)
        return exporting.export_rootfs(layout, request.rootfs, recipe, epoch, reporter)
    if request.repo is None:
        raise UsageError("nothing is given to export", hint="--repo DIR REF, or --rootfs DIR")
    return exporting.export_commit(layout, request.repo, checksum, recipe, reporter)


def _recipe(request: Request, reporter: Reporter) -> Recipe:
    """The recipe with what its files say."""
    recipe = request.recipe
    if request.image_config:
        base = config.container_config(_json(request.image_config, "--image-config"))
        recipe = replace(recipe, wanted=replace(recipe.wanted, base=base))
    if request.previous:
        recipe = replace(recipe, previous=chunk.previous_of(_previous(request, reporter)))
    return recipe


def _json(path: Path, option: str) -> object:
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(MAX_JSON))
        canonical(found)  # half a character (a lone surrogate) can be read, and not be written
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{option}: '{path}' cannot be read as JSON: {error}", hint=f"ls {path}") from error
    return found


def _previous(request: Request, reporter: Reporter) -> dict[str, object]:
    """The manifest of the image before; empty where there is none."""
    if request.previous != AUTO:
        found = _json(Path(request.previous), "--previous")
        if not isinstance(found, dict) or not isinstance(found.get("layers"), list):
            raise UsageError(f"--previous: '{request.previous}' is no manifest", hint="skopeo inspect --raw IMAGE")
        return found
    there, layout = request.destination, Layout(Path(request.destination.path))
    if there.transport == "oci":
        entry = layout.find(there.tag or names.DEFAULT_TAG) if layout.exists() else None
        return loads(layout.read(descriptor(entry), "the manifest"), "the manifest") if entry else {}
    if there.transport == "oci-archive" and not Path(there.path).exists():
        return {}
    try:
        return loads(skopeo.inspect_raw(str(there), request.access), "the manifest")
    except ToolError as error:
        said = error.details[-1] if error.details else str(error)
        first = any(sign in said for sign in _NONE_YET)
        told = f"there is none at {there} yet" if first else f"none was found at {there}: {said}"
        reporter.event(Warned(message=f"no image before this one: {told}"))
        return {}


@contextlib.contextmanager
def _layout(destination: Reference) -> Iterator[Layout]:
    """The layout at the destination, or a private one that is gone afterwards; made when there is something for it."""
    if destination.transport == "oci":
        layout = Layout(Path(destination.path))
        layout.check()
        yield layout
        return
    if destination.transport == "oci-archive" and not Path(destination.path).parent.is_dir():
        raise AptOstreeError(f"there is no directory '{Path(destination.path).parent}'", code="no-directory")
    with tempfile.TemporaryDirectory(dir=skopeo.big_files(), prefix="apt-ostree-oci-") as folder:
        yield Layout(Path(folder))
