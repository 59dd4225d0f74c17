"""From an image to a commit in a repo. Layers that the repo has are not fetched again.

Each layer is kept under a ref of its own, `ostree/container/blob/...`, and the image under `ostree/container/image/...`
as a commit that has the manifest in its metadata, as ostree-ext keeps them. The caller holds the repo's lock.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from apt_ostree import __version__, commitmeta, commits, repos
from apt_ostree.composefs import CONFIG as PREPARE_ROOT
from apt_ostree.composefs import setting
from apt_ostree.errors import AptOstreeError, NotRootError, VerificationError
from apt_ostree.oci import decapsulate, decompress, derived, kept, names, owners, staging
from apt_ostree.oci.decompress import Budget
from apt_ostree.oci.derived import LayerTree, Merge, Rules
from apt_ostree.oci.fetch import Image
from apt_ostree.oci.layout import BadImageError, Descriptor, canonical
from apt_ostree.oci.objects import Content, Objects, read_whole
from apt_ostree.oci.staging import Stage
from apt_ostree.paths import Store
from apt_ostree.report import Advanced, Reporter, Warned, phase
from apt_ostree.tools import ostree

ENCAPSULATED, DERIVED, PLAIN = "encapsulated", "derived", "plain"
MAX_SIZE = 64 * 1024**3  # bytes all layers may decompress to
_IMPORTER_KEY = "ostree.importer.version"
_LAYER_KEY = "apt-ostree.container-layer"  # of a layer's commit; what it is in JSON, or that it has only objects
_DIFF_ID_KEY = "apt-ostree.container-diffid"  # of a layer's commit: what its tar was held to
_OBJECTS = "objects"
_VAR_SINCE = (2024, 3)  # the libostree that brings a commit's /var to a new machine
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
class _Plan:
    """An image, sorted: the layers of the commit (the first has it) and those on top of it, with their diff_ids."""

    format: str
    owned: tuple[tuple[Descriptor, str], ...]
    ordinary: tuple[tuple[Descriptor, str], ...]

    @property
    def every(self) -> tuple[tuple[Descriptor, str], ...]:
        return self.owned + self.ordinary


@dataclass(slots=True)
class _Pull:
    """A running import."""

    image: Image
    repo: Path
    stage: Stage
    budget: Budget
    reporter: Reporter
    plan: _Plan
    made: dict[str, str] = field(default_factory=dict)  # ref -> commit, in the stage
    fetched: list[Descriptor] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    first: str = ""  # the commit, when its layer was read already
    keep: bool = True  # when the rest does not come, what has come is kept in the repo

    def has(self, blob: Descriptor, diff_id: str) -> bool:
        """True when a layer need not be read."""
        return names.blob_ref(blob.digest) in self.made or bool(_kept(self, blob, diff_id, _OBJECTS))

    def load(self, commit: str) -> commits.Loaded:
        """A commit that has just come, or was there before."""
        return commits.load(self.stage.path if self.stage.holds(commit, "commit") else self.repo, commit)

    def objects(self, checksum: str) -> Objects:
        """Where a file is."""
        return Objects(self.stage.path if self.stage.holds(checksum, "file") else self.repo)


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
    run = _Pull(image, repo, stage, Budget(MAX_SIZE), reporter, plan_of(image), keep=way.keep)
    with phase(reporter, "look", "Looking at the image"):
        try:
            if run.plan.owned:
                run.first = _first(run)
                way.judge(run.first)
            commit = _all(run) if run.plan.ordinary else _until(run, way.wanted)
        except AptOstreeError as error:
            _salvage(run, error)
            raise
    if run.plan.owned:
        stage.ref(names.blob_ref(run.plan.owned[0][0].digest), run.first)
    for ref, checksum in run.made.items():
        stage.ref(ref, checksum)
    return commit


def _all(run: _Pull) -> str:
    base = _owned(run) if run.plan.owned else ""
    return _merge(run, base, _ordinary(run, base))


def _until(run: _Pull, wanted: Sequence[str]) -> str:
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
            _chunk(run, blob, diff_id)
    return run.first


def _recall(run: _Pull) -> None:
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
    plan = plan_of(image)
    _check_mode(repo)
    kept.check_ref(repo, names.image_ref(image.reference))
    known = None if place is None else contextlib.nullcontext(Stage(place, repos.mode(place), Objects(repo)))
    with known or _staged(repo) as stage:
        run = _Pull(image, repo, stage, Budget(max_size), reporter, plan)
        _recall(run)
        former = kept.resolved(repo, names.image_ref(image.reference))
        with phase(reporter, "layers", "Fetching the layers"):
            try:
                base = _owned(run) if plan.owned else ""
                trees = _ordinary(run, base)
            except AptOstreeError as error:
                _salvage(run, error)
                raise
        with phase(reporter, "commit", "Writing the commit"):
            merged = _merge(run, base, trees)
            if merged == former:
                del run.made[names.image_ref(image.reference)]
            _publish(run)
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


def plan_of(image: Image) -> _Plan:
    """Tell the layers of a commit from those on top of it. Raises BadImageError."""
    layers, diff_ids = image.layers(), image.diff_ids()
    if len(layers) != len(diff_ids) or not layers:
        raise BadImageError(f"the image has {len(layers)} layers and {len(diff_ids)} diff_ids")
    both = tuple(zip((replace(layer, annotations={}) for layer in layers), diff_ids, strict=True))
    final = image.labels().get(names.FINAL_DIFFID, "")
    if not final:
        return _Plan(format=PLAIN, owned=(), ordinary=both)
    if final not in diff_ids:
        raise BadImageError(f"the label {names.FINAL_DIFFID} names {final}, which is none of the layers")
    end = diff_ids.index(final) + 1
    if len({layer.digest for layer, _ in both[:end]}) != end:
        raise BadImageError("the image has the same layer of a commit twice")
    return _Plan(format=DERIVED if both[end:] else ENCAPSULATED, owned=both[:end], ordinary=both[end:])


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


def _owned(run: _Pull) -> str:
    """The layers of the commit: those with files first, for the commit is whole only with them; returns the commit."""
    first, *others = run.plan.owned
    for blob, diff_id in others:
        if not run.has(blob, diff_id):
            _chunk(run, blob, diff_id)
    ref = names.blob_ref(first[0].digest)
    if base := _kept(run, *first, ""):
        return base
    base = _first(run)
    if gone := staging.missing(run.stage, base):
        raise BadImageError(f"the image lacks {len(gone)} objects of its commit", details=gone[:5])
    staging.check_paths(run.stage, base)
    run.made[ref] = base
    return base


def _first(run: _Pull) -> str:
    """The layer with the commit, whose files may not be there yet."""
    blob, diff_id = run.plan.owned[0]
    if found := run.first or _kept(run, blob, diff_id, ""):
        return found
    with _opened(run, blob, diff_id) as tar:
        return decapsulate.read(tar, run.stage, first=True).commit


def _salvage(run: _Pull, error: AptOstreeError) -> None:
    """What has come before a signal or a failure of the network need not be fetched again.

    Of an image that is bad nothing is taken.
    """
    if run.keep and not isinstance(error, VerificationError):
        _publish(run)


@contextlib.contextmanager
def _opened(run: _Pull, blob: Descriptor, diff_id: str) -> Iterator[decompress.Tar]:
    with run.image.blobs.stream(blob) as stream, decompress.reading(stream, blob, diff_id, run.budget) as tar:
        yield tar
    run.fetched.append(blob)
    lacking = (layer for layer, _ in run.plan.every if not kept.resolved(run.repo, names.blob_ref(layer.digest)))
    total = sum(max(0, layer.size) for layer in lacking)
    run.reporter.event(Advanced(done=sum(max(0, layer.size) for layer in run.fetched), total=total, unit="bytes"))


def _kept(run: _Pull, blob: Descriptor, diff_id: str, kind: str) -> str:
    """The commit of a layer that the repo has, if it was read as this kind and held to this diff_id; empty for none.

    The same blob may be an ordinary layer of another image: then the commit of its ref is a tree of what is in it.
    A commit from an image cannot say which diff_id its layer had; the images do that have it.
    """
    checksum = kept.resolved(run.repo, names.blob_ref(blob.digest))
    metadata = commits.load(run.repo, checksum).metadata if checksum else {}
    if not checksum or metadata.get(_LAYER_KEY, "") != kind:
        return ""
    if not (metadata.get(_DIFF_ID_KEY) == diff_id if kind else kept.vouched(run.repo, blob.digest, diff_id)):
        return ""
    told = run.image.labels().get(names.COMMIT, "")
    return "" if not kind and told and told != checksum else checksum


def _chunk(run: _Pull, blob: Descriptor, diff_id: str) -> None:
    with _opened(run, blob, diff_id) as tar:
        found = decapsulate.read(tar, run.stage, first=False)
    root = run.stage.add("dirtree", staging.dirtree({one: one for one in found.files}, {}))
    meta = run.stage.add("dirmeta", staging.dirmeta(0, 0, 0o755))
    run.made[names.blob_ref(blob.digest)] = run.stage.add(
        "commit", staging.commit(root, meta, metadata={_LAYER_KEY: _OBJECTS, _DIFF_ID_KEY: diff_id})
    )


def _publish(run: _Pull) -> None:
    """Move what is finished into the repo; libostree looks that each commit has all of its objects."""
    for ref, checksum in run.made.items():
        run.stage.ref(ref, checksum)
    if run.made:
        ostree.pull_local_refs(run.repo, run.stage.path, tuple(run.made))
    run.made.clear()


def _ordinary(run: _Pull, base: str) -> list[LayerTree]:
    if not run.plan.ordinary:
        return []
    rules = Rules(whole=not base or _takes_all(run, base), factory=_version() < _VAR_SINCE)
    trees = []
    for blob, diff_id in run.plan.ordinary:
        tree = _stored_layer(run, blob, diff_id, rules)
        if tree is None:
            with _opened(run, blob, diff_id) as tar:
                tree = derived.read(tar, run.stage, rules)
            checksum = run.stage.add("commit", _layer_commit(tree, diff_id, rules))
            run.made[names.blob_ref(blob.digest)] = checksum
        trees.append(tree)
        if tree.left_out and base:
            _warn(run, f"left out of layer {blob.digest[7:19]}: {', '.join(tree.left_out)}")
    return trees


def _warn(run: _Pull, message: str) -> None:
    run.warnings.append(message)
    run.reporter.event(Warned(message=message))


def _version() -> tuple[int, ...]:
    return tuple(int(part) for part in ostree.version().split(".") if part.isdigit())


def _takes_all(run: _Pull, base: str) -> bool:
    """True when a machine of this commit shows top directories of a derived layer: its root is one image."""
    root = run.load(base)
    found = Merge(run.stage).file((root.root, root.root_meta), PREPARE_ROOT)
    text = read_whole(run.objects(found), found).decode(errors="replace") if found else ""
    return setting(text) != "no" or "transient=true" in text.replace(" ", "").lower()


def _layer_commit(tree: LayerTree, diff_id: str, rules: Rules) -> bytes:
    told = {"implied": tree.implied, "left-out": tree.left_out, "rules": [rules.whole, rules.factory]}
    return staging.commit(tree.root, tree.meta, metadata={_LAYER_KEY: json.dumps(told), _DIFF_ID_KEY: diff_id})


def _stored_layer(run: _Pull, blob: Descriptor, diff_id: str, rules: Rules) -> LayerTree | None:
    """A layer that is here already, held to the same diff_id and read by the same rules."""
    ref = names.blob_ref(blob.digest)
    checksum = run.made.get(ref) or kept.resolved(run.repo, ref)
    if not checksum:
        return None
    loaded = run.load(checksum)
    if loaded.metadata.get(_DIFF_ID_KEY) != diff_id:
        return None
    try:
        told = json.loads(str(loaded.metadata.get(_LAYER_KEY, "")))
        same = told["rules"] == [rules.whole, rules.factory]
        implied, left_out = tuple(told["implied"]), tuple(told["left-out"])
    except (ValueError, KeyError, TypeError):
        return None
    return LayerTree(root=loaded.root, meta=loaded.root_meta, implied=implied, left_out=left_out) if same else None


def _merge(run: _Pull, base: str, trees: list[LayerTree]) -> str:
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
    layers = [layer.as_json() for layer in image.layers()]
    return {
        kept.DIGEST_KEY: image.digest,
        kept.MANIFEST_KEY: canonical({**image.manifest, "layers": layers}).decode(),
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
