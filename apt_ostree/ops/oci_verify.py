"""oci verify: is an image what its digests, its config and the formats say?"""

from __future__ import annotations

from dataclasses import dataclass, field

from apt_ostree.containers import Checked, Finding
from apt_ostree.context import Context
from apt_ostree.errors import VerificationError
from apt_ostree.oci import fetch, importing, layers, names, verify
from apt_ostree.oci.names import Reference
from apt_ostree.report import Durations, TeeReporter
from apt_ostree.tools.skopeo import Access


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Look at `image`; its layers may decompress to `max_size` bytes."""

    image: Reference
    access: Access = field(default_factory=Access)
    max_size: int = importing.MAX_SIZE


def run(context: Context, request: Request) -> Checked:
    """Look at an image. What is wrong is in the answer. Raises ImageError, ToolError, ToolMissingError."""
    durations = Durations()
    reporter = TeeReporter(context.reporter, durations)
    command, shown = context.options.command, str(request.image)
    try:
        with fetch.opened(request.image, request.access) as image:
            findings = verify.check(image, reporter, max_size=request.max_size)
            labels, listed = image.labels(), image.manifest.get("layers")
            return Checked(
                command=command,
                image=shown,
                digest=image.digest,
                format=_format(image),
                architecture=image.architecture,
                commit=labels.get(names.COMMIT, ""),
                layers=len(listed) if isinstance(listed, list) else 0,
                bytes=_size(image),
                findings=findings,
                duration=durations.seconds,
            )
    except VerificationError as error:  # not even the manifest or the config can be trusted
        finding = Finding(part="manifest", message=str(error))
        return Checked(command=command, image=shown, findings=(finding,), duration=durations.seconds)


def _format(image: fetch.Image) -> str:
    try:
        return layers.plan_of(image).format
    except VerificationError:
        return ""


def _size(image: fetch.Image) -> int:
    try:
        return sum(max(0, layer.size) for layer in image.layers())
    except VerificationError:
        return 0
