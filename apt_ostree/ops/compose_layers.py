"""The layers of a treefile as commits: the same layer() as on a host, on the commit of what is below."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from apt_ostree import aptroot, commitmeta, commits, requests, resolving
from apt_ostree import layer as heart
from apt_ostree.compose import layers, tree
from apt_ostree.compose.layers import LayerTarget
from apt_ostree.context import Context
from apt_ostree.errors import AptOstreeError
from apt_ostree.lockfile import Lock
from apt_ostree.model import MadeCommit, Resolution
from apt_ostree.tree import rules
from apt_ostree.view.commit import open_commit


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A tree, its layers from the lowest up, and the packages of all."""

    target: tree.Target
    layers: tuple[LayerTarget, ...]
    lock: Lock

    def packages(self, number: int) -> int:
        """How many packages the tree of the `number`-th layer has; 0: the base."""
        return len(self.lock.packages) + sum(len(layer.packages) for layer in self.lock.layers[:number])


def input_digest(stack: Stack, number: int, below: str) -> str:
    """sha256 of all that decides what the commit of a layer will be; `below` is the commit it is made on.

    What of the treefile is not the layer's own has decided what that commit is.
    """
    item, locked = stack.layers[number], stack.lock.layers[number]
    inputs = {
        "layout": heart.LAYOUT,
        "below": below,
        "ref": item.ref,
        "version": item.layer.version,
        "metadata": item.layer.metadata,
        "requested": sorted(item.layer.chosen(stack.target.architecture)),
        "packages": sorted((str(package), package.sha256) for package in locked.packages),
    }
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def standing(stack: Stack, *, force: bool = False) -> tuple[MadeCommit, ...]:
    """The commits, from the base up, that were made of just these inputs and need not be made again."""
    target = stack.target
    if force or not tree.unchanged(target, tree.input_digest(target, stack.lock)):
        return ()
    below = commits.load(target.repo, target.previous).commit
    found = [MadeCommit(ref=target.ref, checksum=below.checksum, parent=below.parent, packages=stack.packages(0))]
    for number, item in enumerate(stack.layers):
        below_now, digest = found[-1].checksum, input_digest(stack, number, found[-1].checksum)
        if item.parent != below_now or _digest(target, item) != digest:
            break
        found.append(_made(stack, number, item.previous, below_now, fresh=False))
    return tuple(found)


def _digest(target: tree.Target, item: LayerTarget) -> object:
    return commits.load(target.repo, item.previous).metadata.get(commitmeta.INPUT_DIGEST)


def _made(stack: Stack, number: int, checksum: str, parent: str, *, fresh: bool) -> MadeCommit:
    item = stack.layers[number]
    return MadeCommit(
        ref=item.ref, layer=item.layer.name, checksum=checksum, parent=parent,
        packages=stack.packages(number + 1), fresh=fresh,
    )  # fmt: skip


def promised(stack: Stack, kept: Sequence[MadeCommit]) -> tuple[MadeCommit, ...]:
    """All commits of a stack as a dry run tells them: those that are there, and those that would be made."""
    base = MadeCommit(ref=stack.target.ref, packages=stack.packages(0), fresh=True)
    every = (base, *(_made(stack, number, "", "", fresh=True) for number in range(len(stack.layers))))
    return (*kept, *every[len(kept) :])


def build(context: Context, stack: Stack, made: Sequence[MadeCommit]) -> MadeCommit:
    """Make the commit of the next layer on top of the last of `made`; no ref moves.

    Raises AptOstreeError, ResolveError.
    """
    target, number, below = stack.target, len(made) - 1, made[-1].checksum
    item, state = stack.layers[number], resolving.base_state(target.repo, below)
    version = item.layer.version or commits.load(target.repo, made[0].checksum).commit.version
    job = heart.LayerJob(
        store=target.store,
        base=commits.load(target.repo, below).commit,
        resolution=_resolution(stack, number, state),
        digest="",
        identities=tree.identities(target.repo, item.previous),
        native=state.architectures[0],
        script_timeout=context.options.script_timeout or None,
        command=f"{item.ref} {version}".strip(),
        metadata=_metadata(stack, number, below),
        standalone=True,
        version=version,
        epoch=stack.lock.epoch,
        # bound to the ref before it leads here, as one is that `ostree commit` moves (ostree-commit(1))
        options=(f"--bind-ref={item.ref}", *target.signer.gpg_options),
        policy=_policy(target),
    )
    try:
        commit = heart.layer(job, context.reporter)
        tree.lint(target.treefile, open_commit(target.repo, commit.checksum))
    except AptOstreeError as error:
        error.message = f"layer {item.layer.name}: {error.message}"
        raise
    return _made(stack, number, commit.checksum, below, fresh=True)


def _resolution(stack: Stack, number: int, below: aptroot.BaseState) -> Resolution:
    """What dpkg is to do; whatever nobody asked for is there automatically."""
    target, locked = stack.target, stack.lock.layers[number]
    asked = {requests.parse(package).name for package in stack.layers[number].layer.chosen(target.architecture)}
    with heart.workdir(target.store) as work:
        found = layers.resolution(work, below, locked.packages, target.store)
    packages = tuple(replace(each, requested=each.package.name in asked) for each in found.packages)
    return replace(found, packages=packages, sources=stack.lock.sources)


def _metadata(stack: Stack, number: int, below: str) -> dict[str, str]:
    treefile = stack.target.treefile
    digest = input_digest(stack, number, below)
    return {
        **dict(treefile.metadata),
        **dict(stack.layers[number].layer.metadata),
        **commitmeta.encode_compose(digest=digest, snapshot=treefile.snapshot, kargs=treefile.kargs),
    }


def _policy(target: tree.Target) -> rules.Policy:
    """What of the treefile's policy is about packages; the rest is in the base."""
    opt, local = target.treefile.opt == "state", target.treefile.usr_local == "state"
    return rules.Policy(opt_is_state=opt, local_is_state=local)
