"""From an image to a commit in a repo. Layers that the repo has are not fetched again.

Each layer is kept under a ref of its own, `ostree/container/blob/...`, and the image under `ostree/container/image/...`
as a commit that has the manifest in its metadata, as ostree-ext keeps them. The caller holds the repo's lock.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from apt_ostree import __version__, commitmeta, repos
from apt_ostree.errors import AptOstreeError, NotRootError
from apt_ostree.oci import kept, layers, names, owners, staging
from apt_ostree.oci.decompress import Budget
from apt_ostree.oci.derived import LayerTree, Merge
from apt_ostree.oci.fetch import Image
from apt_ostree.oci.layout import BadImageError, canonical
from apt_ostree.oci.objects import Content, Objects
from apt_ostree.oci.staging import Stage
from apt_ostree.paths import Store
from apt_ostree.report import Reporter, phase
from apt_ostree.tools import ostree

MAX_SIZE = 64 * 1024**3  # bytes all layers may decompress to
_IMPORTER_KEY = "ostree.importer.version"
_MODES = ("bare", "bare-user", "archive")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """What came of it. `commit` is the one to deploy; `base` the one an encapsulated image was made of."""

    commit: str
    base: str
    image_commit: str
    format: str
    digest: str
    layers: int
    fetched: int = 0
    fetched_bytes: int = 0
    reused_bytes: int = 0
    changed: bool = True
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How to look at an image: into a repo at `place`, until the files `wanted` are there.

    `judge` gets the commit as soon as it has come, and raises when it is not to be taken. With `keep`, layers that
    have come when the next does not are kept in the repo.
    """

    place: Path
    wanted: tuple[str, ...]
    judge: Callable[[str], None]
    keep: bool


def look(image: Image, repo: Path, way: Look, reporter: Reporter) -> str:
    """Read of an image what tells its commit, and return the commit that will be deployed. The repo is not changed.

    Of an encapsulated image that is the commit's own layer and those with the wanted files; of others it is all.
    `pull` goes on from there. Raises BadImageError for what does not verify, AptOstreeError.
    """
    kept.check_ref(repo, names.image_ref(image.reference))
    stage = Stage(way.place, repos.mode(way.place), Objects(repo))
    run = layers.Import(image, repo, stage, Budget(MAX_SIZE), reporter, layers.plan_of(image), keep=way.keep)
    with phase(reporter, "look", "Looking at the image"):
        try:
            if run.plan.owned:
                run.first = layers.commit_alone(run)
                way.judge(run.first)
            commit = _all(run) if run.plan.ordinary else _until(run, way.wanted)
        except AptOstreeError as error:
            layers.salvage(run, error)
            raise
    if run.plan.owned:
        stage.ref(names.blob_ref(run.plan.owned[0][0].digest), run.first)
    for ref, checksum in run.made.items():
        stage.ref(ref, checksum)
    return commit


def _all(run: layers.Import) -> str:
    base = layers.whole_commit(run) if run.plan.owned else ""
    return _merge(run, base, layers.trees_on_top(run, base))


def _until(run: layers.Import, wanted: Sequence[str]) -> str:
    """Read layers of the commit until these files are there: first those that are said to have them."""
    loaded = run.load(run.first)
    merge = Merge(run.stage)
    files = {found for path in wanted if (found := merge.file((loaded.root, loaded.root_meta), path))}
    told = {layer.digest: layer.annotations.get(names.COMPONENTS, "").split(",") for layer in run.image.layers()}
    likely = [one for one in run.plan.owned[1:] if owners.DATABASE in told[one[0].digest]]
    for blob, diff_id in (*likely, *(one for one in run.plan.owned[1:] if one not in likely)):
        if all(run.stage.has(checksum, "file") for checksum in files):
            break
        if not run.has(blob, diff_id):
            layers.chunk(run, blob, diff_id)
    return run.first


def _recall(run: layers.Import) -> None:
    """Take up what `look` has read."""
    for number, (blob, _) in enumerate(run.plan.every):
        ref = names.blob_ref(blob.digest)
        place = run.stage.path / "refs/heads" / ref
        if place.is_file() and run.plan.owned and number == 0:
            run.first = place.read_text().strip()
        elif place.is_file():
            run.made[ref] = place.read_text().strip()


def pull(
    image: Image, repo: Path, reporter: Reporter, *, max_size: int = MAX_SIZE, place: Path | None = None
) -> Pulled:
    """Bring an image into a repo. Raises BadImageError for what does not verify, AptOstreeError.

    `place` is where `look` has looked at it.
    """
    plan = layers.plan_of(image)
    _check_mode(repo)
    kept.check_ref(repo, names.image_ref(image.reference))
    known = None if place is None else contextlib.nullcontext(Stage(place, repos.mode(place), Objects(repo)))
    with known or _staged(repo) as stage:
        run = layers.Import(image, repo, stage, Budget(max_size), reporter, plan)
        _recall(run)
        former = kept.resolved(repo, names.image_ref(image.reference))
        with phase(reporter, "layers", "Fetching the layers"):
            try:
                base = layers.whole_commit(run) if plan.owned else ""
                trees = layers.trees_on_top(run, base)
            except AptOstreeError as error:
                layers.salvage(run, error)
                raise
        with phase(reporter, "commit", "Writing the commit"):
            merged = _merge(run, base, trees)
            if merged == former:
                del run.made[names.image_ref(image.reference)]
            layers.publish(run)
            kept.prune_layers(repo)
    fetched = sum(max(0, blob.size) for blob in run.fetched)
    return Pulled(
        commit=merged if trees else base,
        base=base,
        image_commit=merged,
        format=plan.format,
        digest=image.digest,
        layers=len(plan.every),
        fetched=len(run.fetched),
        fetched_bytes=fetched,
        reused_bytes=sum(max(0, blob.size) for blob, _ in plan.every) - fetched,
        changed=former != merged,
        warnings=tuple(run.warnings),
    )


def _check_mode(repo: Path) -> None:
    mode = repos.mode(repo)
    if mode not in _MODES:
        raise AptOstreeError(f"'{repo}' is a repo of mode {mode}", hint=f"use one of mode {', '.join(_MODES)}")
    if mode == "bare" and os.geteuid() != 0:
        raise NotRootError(
            f"'{repo}' is a repo of mode bare: files in it have their owners, so only root may write it",
            hint="sudo apt-ostree ..., or a repo of mode bare-user",
        )


@contextlib.contextmanager
def _staged(repo: Path) -> Iterator[Stage]:
    place = Store(repo).work / "oci"
    shutil.rmtree(place, ignore_errors=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    mode = repos.mode(repo)
    place.parent.chmod(0o700)  # in `bare`, files with the owners and set-id bits of a stranger come to be here
    place.mkdir(mode=0o700)
    try:
        ostree.init(place, mode=mode, settings={})
        yield Stage(place, mode, Objects(repo))
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _merge(run: layers.Import, base: str, trees: list[LayerTree]) -> str:
    """The image's own commit: its tree, its manifest, its config. Returns the checksum."""
    merge, start, timestamp = Merge(run.stage), None, created_of(run.image)
    metadata: dict[str, object] = {}
    if base:
        loaded = run.load(base)
        start = (loaded.root, loaded.root_meta)
        metadata = {key: one for key, one in loaded.metadata.items() if isinstance(one, str | bool)}
        if trees:  # which packages there are may have changed: the tree's own database tells
            metadata = {key: one for key, one in metadata.items() if not key.startswith(commitmeta.PREFIX)}
    root = start
    for tree in trees:
        root = merge.lay(root, tree)
    if root is None:
        raise BadImageError("the image has no layers")
    if trees:
        root = merge.without_injected(root, lambda one: _is_empty(run.objects(one).content(one)))
    metadata |= _metadata(run.image, merge, root)
    reference = str(run.image.reference)
    data = staging.commit(*root, metadata=metadata, parent=base, subject=reference, timestamp=timestamp)
    checksum = run.stage.add("commit", data)
    run.made[names.image_ref(run.image.reference)] = checksum
    return checksum


def _is_empty(content: Content) -> bool:
    """A link has no size either, but says something."""
    return not content.is_link and content.size == 0


def _metadata(image: Image, merge: Merge, root: tuple[str, str]) -> dict[str, object]:
    version = image.labels().get(names.VERSION, "")
    if "\0" in version:
        raise BadImageError(f"the label {names.VERSION} has a zero in it")
    kernel = merge.kernel(root)
    told = [layer.as_json() for layer in image.layers()]
    return {
        kept.DIGEST_KEY: image.digest,
        kept.MANIFEST_KEY: canonical({**image.manifest, "layers": told}).decode(),
        kept.CONFIG_KEY: canonical(image.config).decode(),
        _IMPORTER_KEY: f"apt-ostree {__version__}",
        **({"version": version} if version else {}),
        **({names.BOOTABLE: True, names.LINUX: kernel} if kernel else {}),
    }


def created_of(image: Image) -> int:
    """When an image was made, in seconds since the epoch; 0 when it does not say.

    Docker's format has no annotations: nobody vouches for what is in their place.
    """
    annotations = None if image.is_docker else image.manifest.get("annotations")
    told = annotations.get(names.CREATED) if isinstance(annotations, dict) else None
    for text in (told, image.config.get("created")):
        with contextlib.suppress(ValueError, TypeError, OverflowError):
            return max(0, int(datetime.fromisoformat(str(text)).timestamp()))
    return 0
