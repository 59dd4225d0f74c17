"""The layers of an image as they come: which there are, which the repo has already, and how each is kept there.

Each layer is kept under a ref of its own, `ostree/container/blob/...`, as ostree-ext keeps them.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from apt_ostree import commits
from apt_ostree.composefs import CONFIG as PREPARE_ROOT
from apt_ostree.composefs import setting
from apt_ostree.errors import AptOstreeError, VerificationError
from apt_ostree.oci import decapsulate, decompress, derived, kept, names, staging
from apt_ostree.oci.decompress import Budget
from apt_ostree.oci.derived import LayerTree, Merge, Rules
from apt_ostree.oci.fetch import Image
from apt_ostree.oci.layout import BadImageError, Descriptor
from apt_ostree.oci.objects import Objects, read_whole
from apt_ostree.oci.staging import Stage
from apt_ostree.report import Advanced, Reporter, Warned
from apt_ostree.tools import ostree

ENCAPSULATED, DERIVED, PLAIN = "encapsulated", "derived", "plain"
_LAYER_KEY = "apt-ostree.container-layer"  # of a layer's commit; what it is in JSON, or that it has only objects
_DIFF_ID_KEY = "apt-ostree.container-diffid"  # of a layer's commit: what its tar was held to
_OBJECTS = "objects"
_VAR_SINCE = (2024, 3)  # the libostree that brings a commit's /var to a new machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """An image, sorted: the layers of the commit (the first has it) and those on top of it, with their diff_ids."""

    format: str
    owned: tuple[tuple[Descriptor, str], ...]
    ordinary: tuple[tuple[Descriptor, str], ...]

    @property
    def every(self) -> tuple[tuple[Descriptor, str], ...]:
        return self.owned + self.ordinary


@dataclass(slots=True)
class Import:
    """A running import."""

    image: Image
    repo: Path
    stage: Stage
    budget: Budget
    reporter: Reporter
    plan: Plan
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


def plan_of(image: Image) -> Plan:
    """Tell the layers of a commit from those on top of it. Raises BadImageError."""
    layers, diff_ids = image.layers(), image.diff_ids()
    if len(layers) != len(diff_ids) or not layers:
        raise BadImageError(f"the image has {len(layers)} layers and {len(diff_ids)} diff_ids")
    both = tuple(zip((replace(layer, annotations={}) for layer in layers), diff_ids, strict=True))
    final = image.labels().get(names.FINAL_DIFFID, "")
    if not final:
        return Plan(format=PLAIN, owned=(), ordinary=both)
    if final not in diff_ids:
        raise BadImageError(f"the label {names.FINAL_DIFFID} names {final}, which is none of the layers")
    end = diff_ids.index(final) + 1
    if len({layer.digest for layer, _ in both[:end]}) != end:
        raise BadImageError("the image has the same layer of a commit twice")
    return Plan(format=DERIVED if both[end:] else ENCAPSULATED, owned=both[:end], ordinary=both[end:])


def whole_commit(run: Import) -> str:
    """The layers of the commit: those with files first, for the commit is whole only with them; returns the commit."""
    first, *others = run.plan.owned
    for blob, diff_id in others:
        if not run.has(blob, diff_id):
            chunk(run, blob, diff_id)
    ref = names.blob_ref(first[0].digest)
    if base := _kept(run, *first, ""):
        return base
    base = commit_alone(run)
    if gone := staging.missing(run.stage, base):
        raise BadImageError(f"the image lacks {len(gone)} objects of its commit", details=gone[:5])
    staging.check_paths(run.stage, base)
    run.made[ref] = base
    return base


def commit_alone(run: Import) -> str:
    """The layer with the commit, whose files may not be there yet."""
    blob, diff_id = run.plan.owned[0]
    if found := run.first or _kept(run, blob, diff_id, ""):
        return found
    with _opened(run, blob, diff_id) as tar:
        return decapsulate.read(tar, run.stage, first=True).commit


def salvage(run: Import, error: AptOstreeError) -> None:
    """What has come before a signal or a failure of the network need not be fetched again.

    Of an image that is bad nothing is taken.
    """
    if run.keep and not isinstance(error, VerificationError):
        publish(run)


@contextlib.contextmanager
def _opened(run: Import, blob: Descriptor, diff_id: str) -> Iterator[decompress.Tar]:
    with run.image.blobs.stream(blob) as stream, decompress.reading(stream, blob, diff_id, run.budget) as tar:
        yield tar
    run.fetched.append(blob)
    lacking = (layer for layer, _ in run.plan.every if not kept.resolved(run.repo, names.blob_ref(layer.digest)))
    total = sum(max(0, layer.size) for layer in lacking)
    run.reporter.event(Advanced(done=sum(max(0, layer.size) for layer in run.fetched), total=total, unit="bytes"))


def _kept(run: Import, blob: Descriptor, diff_id: str, kind: str) -> str:
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


def chunk(run: Import, blob: Descriptor, diff_id: str) -> None:
    with _opened(run, blob, diff_id) as tar:
        found = decapsulate.read(tar, run.stage, first=False)
    root = run.stage.add("dirtree", staging.dirtree({one: one for one in found.files}, {}))
    meta = run.stage.add("dirmeta", staging.dirmeta(0, 0, 0o755))
    run.made[names.blob_ref(blob.digest)] = run.stage.add(
        "commit", staging.commit(root, meta, metadata={_LAYER_KEY: _OBJECTS, _DIFF_ID_KEY: diff_id})
    )


def publish(run: Import) -> None:
    """Move what is finished into the repo; libostree looks that each commit has all of its objects."""
    for ref, checksum in run.made.items():
        run.stage.ref(ref, checksum)
    if run.made:
        ostree.pull_local_refs(run.repo, run.stage.path, tuple(run.made))
    run.made.clear()


def trees_on_top(run: Import, base: str) -> list[LayerTree]:
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


def _warn(run: Import, message: str) -> None:
    run.warnings.append(message)
    run.reporter.event(Warned(message=message))


def _version() -> tuple[int, ...]:
    return tuple(int(part) for part in ostree.version().split(".") if part.isdigit())


def _takes_all(run: Import, base: str) -> bool:
    """True when a machine of this commit shows top directories of a derived layer: its root is one image."""
    root = run.load(base)
    found = Merge(run.stage).file((root.root, root.root_meta), PREPARE_ROOT)
    text = read_whole(run.objects(found), found).decode(errors="replace") if found else ""
    return setting(text) != "no" or "transient=true" in text.replace(" ", "").lower()


def _layer_commit(tree: LayerTree, diff_id: str, rules: Rules) -> bytes:
    told = {"implied": tree.implied, "left-out": tree.left_out, "rules": [rules.whole, rules.factory]}
    return staging.commit(tree.root, tree.meta, metadata={_LAYER_KEY: json.dumps(told), _DIFF_ID_KEY: diff_id})


def _stored_layer(run: Import, blob: Descriptor, diff_id: str, rules: Rules) -> LayerTree | None:
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
