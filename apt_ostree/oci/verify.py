"""Is an image what it says? Every digest, every number and every rule that some tool of others insists on.

skopeo copies images with any of these mistakes in them; umoci, podman and bootc stumble over some of them each, later.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from apt_ostree.containers import Finding
from apt_ostree.errors import AptOstreeError, VerificationError
from apt_ostree.oci import decapsulate, decompress, names, staging
from apt_ostree.oci.decompress import Budget, Tar
from apt_ostree.oci.fetch import Image
from apt_ostree.oci.layers import plan_of
from apt_ostree.oci.layout import BadImageError, Descriptor
from apt_ostree.oci.tarreader import Reader
from apt_ostree.oci.tarwriter import DIRECTORY
from apt_ostree.report import Advanced, Reporter, phase

_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")  # RFC 3339, 5.6
_MANIFESTS = (names.MANIFEST, names.DOCKER_MANIFEST)
_CONFIGS = (names.CONFIG, names.DOCKER_CONFIG)


@dataclass(slots=True)
class _Findings:
    found: list[Finding] = field(default_factory=list)

    def add(self, part: str, message: str) -> None:
        self.found.append(Finding(part=part, message=message))

    def hold(self, good: bool, part: str, message: str) -> None:
        """Note what is not good."""
        if not good:
            self.add(part, message)


def check(image: Image, reporter: Reporter, *, max_size: int) -> tuple[Finding, ...]:
    """Everything that is wrong with an image; nothing when it is sound. Raises ToolError when it cannot be read."""
    findings = _Findings()
    with phase(reporter, "documents", "Reading the manifest and the config"):
        _manifest(image, findings)
        _config(image, findings)
        _together(image, findings)
    with phase(reporter, "layers", "Reading the layers"):
        _layers(image, findings, reporter, Budget(max_size))
    return tuple(findings.found)


def _is_date(value: object) -> bool:
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _strings(value: object) -> bool:
    return value is None or (isinstance(value, dict) and all(isinstance(one, str) for one in value.values()))


def _manifest(image: Image, findings: _Findings) -> None:
    manifest, part = image.manifest, "manifest"
    kind = manifest.get("mediaType", names.MANIFEST)
    findings.hold(manifest.get("schemaVersion") == 2, part, "schemaVersion is not 2")
    findings.hold(kind in _MANIFESTS, part, f"mediaType is {kind!r}")
    config = manifest.get("config")
    findings.hold(
        isinstance(config, dict) and config.get("mediaType") in _CONFIGS, part, "config has a strange mediaType"
    )
    findings.hold(
        isinstance(config, dict) and config.get("size") == len(image.raw_config), part, "config has another size"
    )
    annotations = manifest.get("annotations")
    findings.hold(_strings(annotations), part, "an annotation is no string")
    if isinstance(annotations, dict) and names.CREATED in annotations:
        findings.hold(_is_date(annotations[names.CREATED]), part, f"{names.CREATED} is no date of RFC 3339")
    if isinstance(annotations, dict):
        findings.hold(names.REF_NAME not in annotations, part, f"{names.REF_NAME} belongs in the index")
    layers = manifest.get("layers")
    for layer in layers if isinstance(layers, list) else ():
        given = layer.get("annotations") if isinstance(layer, dict) else None
        findings.hold(_strings(given), part, "an annotation of a layer is no string")


def _config(image: Image, findings: _Findings) -> None:
    config, part = image.config, "config"
    architecture = config.get("architecture")
    known = isinstance(architecture, str) and architecture in names.GO_ARCHITECTURES
    findings.hold(known, part, f"architecture is {architecture!r}, not one of Go's")
    findings.hold(config.get("os") == "linux", part, f"os is {config.get('os')!r}")
    if "created" in config:
        findings.hold(_is_date(config["created"]), part, "created is no date of RFC 3339")
    rootfs = config.get("rootfs")
    findings.hold(isinstance(rootfs, dict) and rootfs.get("type") == "layers", part, "rootfs.type is not 'layers'")
    inner = config.get("config")
    findings.hold(inner is None or isinstance(inner, dict), part, "config.config is no object")
    if not isinstance(inner, dict):
        return
    findings.hold(_strings(inner.get("Labels")), part, "a value of Labels is no string")
    for name in ("Cmd", "Entrypoint", "Env"):
        words = inner.get(name)
        good = words is None or (isinstance(words, list) and all(isinstance(word, str) for word in words))
        findings.hold(good, part, f"{name} is no list of strings")


def _together(image: Image, findings: _Findings) -> None:
    """What must agree between manifest, config and index."""
    layers, diff_ids = image.manifest.get("layers"), (image.config.get("rootfs") or {})
    ids = diff_ids.get("diff_ids") if isinstance(diff_ids, dict) else None
    count = len(layers) if isinstance(layers, list) else 0
    same = isinstance(ids, list) and len(ids) == count
    findings.hold(count > 0, "manifest", "there are no layers")
    findings.hold(
        same, "config", f"there are {count} layers and {len(ids) if isinstance(ids, list) else 'no'} diff_ids"
    )
    _history(image.config.get("history"), count, findings)
    _platform(image, findings)
    labels = image.labels()
    try:
        plan = plan_of(image)
    except VerificationError as error:
        findings.add("config", str(error))
        return
    if not plan.owned:
        findings.hold(names.COMMIT not in labels, "config", f"{names.COMMIT} without {names.FINAL_DIFFID}")
    if labels.get(names.BOOTABLE) == "true":
        findings.hold(labels.get(names.BOOTC) == "1", "config", f"a bootable image without {names.BOOTC}=1")


def _history(history: object, layers: int, findings: _Findings) -> None:
    """bootc wants an entry for every layer, and takes empty ones for layers."""
    if not isinstance(history, list) or not all(isinstance(entry, dict) for entry in history):
        findings.add("config", "there is no history")
        return
    real = sum(1 for entry in history if not entry.get("empty_layer"))
    findings.hold(real == layers, "config", f"history has {real} entries for {layers} layers")
    for entry in history:
        if "created" in entry and not _is_date(entry["created"]):
            findings.add("config", "a date in history is not one of RFC 3339")
            return


def _platform(image: Image, findings: _Findings) -> None:
    platform = image.entry.get("platform")
    if isinstance(platform, dict):
        for key in ("architecture", "os"):
            told, own = platform.get(key), image.config.get(key)
            findings.hold(told == own, "index", f"{key} is {told!r}, in the config {own!r}")
    size = image.entry.get("size")
    if image.entry and image.entry.get("digest") == image.digest:
        findings.hold(size == len(image.raw_manifest), "index", "the manifest has another size")


def _layers(image: Image, findings: _Findings, reporter: Reporter, budget: Budget) -> None:
    try:
        layers = image.layers()
    except VerificationError as error:
        findings.add("manifest", str(error))
        return
    rootfs = image.config.get("rootfs")
    ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    diff_ids = ids if isinstance(ids, list) and len(ids) == len(layers) else [None] * len(layers)
    owned = len(_owned(image))
    store, total, done = staging.Checking(), sum(max(0, layer.size) for layer in layers), 0
    commit = ""
    for index, (layer, diff_id) in enumerate(zip(layers, diff_ids, strict=True)):
        try:
            found = _layer(image, layer, diff_id, budget, lambda tar, i=index: _walk(tar, store, i, owned))  # type: ignore[misc]
            commit = commit or found
        except VerificationError as error:
            findings.add(layer.digest, str(error))
        done += max(0, layer.size)
        reporter.event(Advanced(done=done, total=total, unit="bytes"))
    if owned and commit:
        told = image.labels().get(names.COMMIT, commit)
        findings.hold(told == commit, "config", f"{names.COMMIT} is {told}, the layers have {commit}")
        _complete(store, commit, findings)


def _owned(image: Image) -> tuple[Any, ...]:
    try:
        return plan_of(image).owned
    except VerificationError:
        return ()


def _layer(image: Image, layer: Descriptor, diff_id: object, budget: Budget, walk: Callable[[Tar], str]) -> str:
    wanted = diff_id if isinstance(diff_id, str) else ""
    with image.blobs.stream(layer) as stream, decompress.reading(stream, layer, wanted, budget) as tar:
        return walk(tar)


def _walk(tar: Tar, store: staging.Checking, index: int, owned: int) -> str:
    """The entries of a layer; those of a commit's layer are objects, each held to its checksum. Returns the commit."""
    if index < owned:
        return decapsulate.read(tar, store, first=index == 0).commit
    seen: set[str] = set()
    for member in Reader(tar):
        if member.path in seen and member.kind != DIRECTORY:
            raise BadImageError(f"'{member.path}' is twice in the layer")
        seen.add(member.path)
    return ""


def _complete(store: staging.Checking, commit: str, findings: _Findings) -> None:
    """Every object of the commit is in some layer."""
    try:
        gone = staging.missing(store, commit)
        staging.check_paths(store, commit)
    except AptOstreeError as error:
        findings.add("layers", str(error))
        return
    findings.hold(not gone, "layers", f"{len(gone)} objects of the commit are missing: {', '.join(gone[:3])}")
