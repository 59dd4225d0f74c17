"""From a commit or a directory to an image in a layout: inventory, chunks, layers, config, manifest, tag."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from apt_ostree.containers import ExportedLayer
from apt_ostree.errors import AptOstreeError
from apt_ostree.oci import chunk, components, compress, config, decompress, encapsulate, names, owners, plain
from apt_ostree.oci import source as sources
from apt_ostree.oci.config import Layer, Wanted
from apt_ostree.oci.decompress import Budget
from apt_ostree.oci.layout import BadImageError, Descriptor, Layout, canonical, descriptor, loads
from apt_ostree.oci.source import CommitSource, Source
from apt_ostree.report import Advanced, Reporter, phase

ENCAPSULATED, PLAIN = "encapsulated", "plain"
FORMATS = (ENCAPSULATED, PLAIN)
MAX_LAYERS = 64
_KERNEL = re.compile(r"usr/lib/modules/([^/]+)/vmlinuz")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How an image is made. `previous`: the components of each layer of the one before."""

    format: str = ENCAPSULATED
    max_layers: int = MAX_LAYERS
    compression: str = names.GZIP
    wanted: Wanted = field(default_factory=Wanted)
    previous: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What came of it."""

    manifest: Descriptor
    platform: dict[str, str]
    layers: tuple[ExportedLayer, ...]
    created: str = ""  # RFC 3339


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """A layer to be written. `components` None: it is the first, which is told apart by its place."""

    title: str
    keys: tuple[str, ...]
    components: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    source: Source
    recipe: Recipe
    pieces: tuple[_Piece, ...]
    labels: Mapping[str, str]
    command: tuple[str, ...]
    environment: tuple[str, ...]
    created: str
    architecture: str


def export_commit(layout: Layout, repo: Path, checksum: str, recipe: Recipe, reporter: Reporter) -> Image:
    """Write the image of a commit into a layout; no tag leads to it yet. Raises AptOstreeError."""
    with phase(reporter, "inventory", "Reading the commit"):
        source = sources.commit(repo, checksum)
        owned = owners.load(source)
    encapsulated = recipe.format == ENCAPSULATED
    if encapsulated:
        encapsulate.check(source)
    commit = source.loaded.commit
    title = commit.subject or f"ostree export of commit {checksum}"
    job = _Job(
        source=source,
        recipe=recipe,
        pieces=_pieces(source, owned, recipe, title),
        labels=config.commit_labels(source.loaded, _kernel(source), recipe.wanted, encapsulated=encapsulated),
        command=config.command_of(recipe.wanted, source.loaded.metadata),
        environment=config.environment_of(recipe.wanted, owned.admin),
        created=recipe.wanted.created or config.timestamp(commit.timestamp),
        architecture=names.go_architecture(owned.architecture),
    )
    return _write(layout, job, reporter)


def export_rootfs(layout: Layout, root: Path, recipe: Recipe, epoch: int, reporter: Reporter) -> Image:
    """Write the image of a directory into a layout; no file is newer than `epoch`. Raises AptOstreeError."""
    with phase(reporter, "inventory", "Reading the directory"):
        source = sources.rootfs(root, epoch)
        owned = owners.load(source)
    kernel = _kernel(source)
    automatic = {names.BOOTC: "1", names.LINUX: kernel} if kernel else {}
    version = _version(source)
    job = _Job(
        source=source,
        recipe=replace(recipe, format=PLAIN),
        pieces=_pieces(source, owned, recipe, "directories and what is in no other layer"),
        labels={**automatic, **({names.VERSION: version} if version else {}), **recipe.wanted.labels},
        command=config.command_of(recipe.wanted, {}),
        environment=config.environment_of(recipe.wanted, owned.admin),
        created=recipe.wanted.created or config.timestamp(epoch),
        architecture=names.go_architecture(owned.architecture),
    )
    return _write(layout, job, reporter)


def epoch_of(root: Path) -> int:
    """When a directory was made: SOURCE_DATE_EPOCH (reproducible-builds.org), else when dpkg last changed it."""
    with suppress(KeyError, ValueError):
        return int(os.environ["SOURCE_DATE_EPOCH"])
    for name in (*(f"{admin}/status" for admin in owners.ADMIN), "usr"):
        with suppress(OSError):
            return int((root / name).lstat().st_mtime)
    return 0


def _kernel(source: Source) -> str:
    """The version of the one kernel of a tree, empty for none or several."""
    found = {match[1] for paths in source.groups.values() for path in paths if (match := _KERNEL.fullmatch(path))}
    return found.pop() if len(found) == 1 else ""


def _version(source: Source) -> str:
    for key, paths in source.groups.items():
        if "usr/lib/os-release" in paths:
            text = sources.read(source, key).decode(errors="replace")
            match = re.search(r'^VERSION_ID="?([^"\n]*)"?$', text, re.MULTILINE)
            return match[1] if match else ""
    return ""


def _pieces(source: Source, owned: owners.Owners, recipe: Recipe, title: str) -> tuple[_Piece, ...]:
    if recipe.max_layers < chunk.MIN_LAYERS:
        return (_Piece(title=title, keys=tuple(source.groups)),)
    keys: dict[str, list[str]] = {}
    sizes: dict[str, int] = {}
    marks, exclusive = components.load(source), set[str]()
    for key, paths in source.groups.items():
        content = source.content(key)
        if name := marks.of(paths, content.xattrs):
            exclusive.add(name)
        name = name or owned.of(paths)
        keys.setdefault(name, []).append(key)
        sizes[name] = sizes.get(name, 0) + content.size
    found = [
        chunk.Component(name=name, size=sizes[name], keys=tuple(sorted(some)), exclusive=name in exclusive)
        for name, some in keys.items()
    ]
    made = chunk.chunks(found, recipe.max_layers - 1, recipe.previous)
    return (
        _Piece(title=title, keys=()),
        *(_Piece(title=one.title, keys=one.keys, components=one.components) for one in made),
    )


def _write(layout: Layout, job: _Job, reporter: Reporter) -> Image:
    layout.create()  # not before all was read: what is refused leaves nothing behind
    known = known_layers(layout, job.recipe.compression)
    total = sum(job.source.content(key).size for piece in job.pieces for key in piece.keys)
    with phase(reporter, "layers", "Writing the layers"), compress.workers() as workers:
        done: list[tuple[Layer, ExportedLayer]] = []
        for index in range(len(job.pieces)):
            done.append(_layer(layout, job, index, known, workers))
            so_far = sum(exported.uncompressed for _, exported in done)
            reporter.event(Advanced(done=min(so_far, total), total=total, unit="bytes"))
    return _finish(layout, job, done)


def _layer(
    layout: Layout, job: _Job, index: int, known: Mapping[str, Descriptor], workers: compress.Workers
) -> tuple[Layer, ExportedLayer]:
    piece = job.pieces[index]
    found = _known(layout, job, index, known)
    if found is None:
        with layout.new_blob() as file:
            with compress.writing(file, job.recipe.compression, workers) as blob:
                _tar(job, index, blob.layer)
            made = blob.result
            media_type = f"{names.LAYER}+{job.recipe.compression}"
            stored = Descriptor(media_type=media_type, digest=made.digest, size=made.size)
            fresh = layout.keep(file, stored)
        diff_id, uncompressed = made.diff_id, made.uncompressed
    else:
        (stored, diff_id, uncompressed), fresh = found, False
    named = {} if piece.components is None else {names.COMPONENTS: ",".join(piece.components)}
    layer = Layer(blob=replace(stored, annotations=named), diff_id=diff_id, title=piece.title)
    exported = ExportedLayer(
        digest=stored.digest,
        size=stored.size,
        uncompressed=uncompressed,
        components=piece.components or (),
        title=piece.title,
        reused=not fresh,
    )
    return layer, exported


def _known(
    layout: Layout, job: _Job, index: int, known: Mapping[str, Descriptor]
) -> tuple[Descriptor, str, int] | None:
    """A blob with just this tar in it, where the layout has one: reading it all is faster than compressing it."""
    if not known:
        return None
    with compress.hashing() as layer:
        _tar(job, index, layer)
    diff_id, total = layer.finish()
    blob = known.get(diff_id)
    return (blob, diff_id, total) if blob and _is(layout, blob, diff_id, total) else None


def _is(layout: Layout, blob: Descriptor, diff_id: str, total: int) -> bool:
    """True when a blob is what its digest says and has this tar in it: configs of others may say what they like."""
    try:
        with layout.blob(blob.digest).open("rb") as file, decompress.reading(file, blob, diff_id, Budget(total)) as tar:
            for _ in tar.chunks(total):
                pass
    except (OSError, AptOstreeError):
        return False
    return True


def _tar(job: _Job, index: int, sink: compress.Layer) -> None:
    writer: encapsulate.Writer | plain.Writer
    if isinstance(job.source, CommitSource) and job.recipe.format == ENCAPSULATED:
        writer = encapsulate.Writer(job.source, sink)
        (writer.skeleton if index else writer.first)()
    else:
        writer = plain.Writer(job.source, sink)
        if not index:
            writer.first()
    writer.objects(job.pieces[index].keys)
    writer.end()


def known_layers(layout: Layout, compression: str) -> dict[str, Descriptor]:
    """diff_id -> blob of every layer that images of the layout say they have, compressed that way."""
    found: dict[str, Descriptor] = {}
    for manifest, image in _images(layout):
        layers, rootfs = manifest.get("layers"), image.get("rootfs")
        diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
        if not isinstance(layers, list) or not isinstance(diff_ids, list):
            continue
        for value, diff_id in zip(layers, diff_ids, strict=False):
            with suppress(BadImageError):
                blob = descriptor(value)
                if blob.media_type == f"{names.LAYER}+{compression}" and layout.has(blob):
                    found[str(diff_id)] = replace(blob, annotations={})
    return found


def _images(layout: Layout) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for entry in layout.manifests():
        with suppress(AptOstreeError, AttributeError, TypeError):
            manifest = loads(layout.read(descriptor(entry), "manifest"), "manifest")
            yield manifest, loads(layout.read(descriptor(manifest.get("config")), "config"), "config")


def _finish(layout: Layout, job: _Job, done: Sequence[tuple[Layer, ExportedLayer]]) -> Image:
    layers = [layer for layer, _ in done]
    labels = dict(job.labels)
    if job.recipe.format == ENCAPSULATED:
        labels[names.FINAL_DIFFID] = layers[-1].diff_id
    image = config.image(
        layers,
        architecture=job.architecture,
        created=job.created,
        labels=labels,
        command=job.command,
        environment=job.environment,
        base=job.recipe.wanted.base,
    )
    stored = layout.add(canonical(image), names.CONFIG)
    annotations = {**labels, names.CREATED: job.created}
    manifest = layout.add(canonical(config.manifest(stored, layers, annotations)), names.MANIFEST)
    platform: dict[str, str] = {key: image[key] for key in ("architecture", "os", "variant") if key in image}
    exported = tuple(exported for _, exported in done)
    return Image(manifest=manifest, platform=platform, layers=exported, created=job.created)
