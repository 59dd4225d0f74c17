"""The heart, first half: layer(base commit, packages) -> layered commit.

Pure: the same base, packages and account ids give the same tree. It works in a private directory on the repo's file
system and makes one orphan commit, child of the base; until somebody deploys that, nothing has happened.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from apt_ostree import commitmeta
from apt_ostree.faults import point
from apt_ostree.fetch import stored
from apt_ostree.installed import is_kernel
from apt_ostree.model import Commit, LayerMeta, Origin, Resolution
from apt_ostree.paths import Store
from apt_ostree.report import OutputLine, Reporter, phase
from apt_ostree.tools import bwrap, coreutils, ostree
from apt_ostree.tree import (
    automatic,
    configure,
    dpkgdb,
    fsops,
    homes,
    kernel,
    overlay,
    pkglist,
    pyc,
    rules,
    sandbox,
    skeleton,
    users,
    vacate,
)

LAYOUT = 3  # raise it when the tree rules change: equal inputs then no longer mean an equal tree


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerJob:
    """Everything that decides what the layered commit will be.

    `standalone`: the commit is a base for others, and says of what it was made from nothing but its parent.
    `epoch`: the time it and its scripts have, in seconds; None: now. `options`: more of ostree-commit(1).
    """

    store: Store
    base: Commit
    resolution: Resolution
    digest: str
    identities: users.Identities
    native: str  # the base's native architecture
    branch: str = ""  # a ref to move to the commit; empty: held by its deployment
    script_timeout: float | None = 600.0  # seconds
    command: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    initramfs: tuple[str, ...] | None = None  # arguments of dracut; None: the base's initramfs stays
    standalone: bool = False
    version: str | None = None  # None: the base's
    epoch: int | None = None
    options: tuple[str, ...] = ()
    policy: rules.Policy = field(default_factory=rules.Policy)


def initramfs_of(origin: Origin) -> tuple[str, ...] | None:
    """What an origin asks of the initramfs: arguments of dracut, None to leave the base's."""
    return origin.initramfs_args if origin.regenerate_initramfs else None


def state_digest(base: str, resolution: Resolution, initramfs: tuple[str, ...] | None = None) -> str:
    """What `apt-ostree.state-digest` holds: equal digests mean equal trees, so nothing need be built again.

    `LayerJob.identities` is no part of it. It changes with every account somebody adds to the host, and a tree must not
    be built anew for that: accounts that the tree has keep their ids (`users.settle_ids` refuses a drift), so another
    set of known ids can only change what is built for the first time.
    """
    inputs = {
        "layout": LAYOUT,
        "base": base,
        "packages": sorted(planned.sha256 for planned in resolution.packages),
        "removals": sorted(package.nevra for package in resolution.removals),
        "foreign": list(resolution.foreign),
        "steps": [[step.kind.value, [list(key) for key in step.keys]] for step in resolution.steps],
        **({} if initramfs is None else {"initramfs": list(initramfs)}),
    }
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def layer(job: LayerJob, reporter: Reporter) -> Commit:
    """Build the tree stage by stage and commit it. Raises AptOstreeError; then nothing is left behind."""
    with workdir(job.store) as work:
        tree = work / "tree"
        with phase(reporter, "checkout", "Checking out the base"):
            _checkout(job, work, tree, reporter)
            point("checkout")
        with overlay.mounted(work, tree, sandbox.write_shims(work / "shim")) as over:
            prefix = sandbox.for_scripts(over.merged, work / "debs", epoch=job.epoch)
            with phase(reporter, "configure", "Unpacking and configuring packages"):
                with homes.in_place(over.merged, prefix):
                    configure.perform(prefix, _work(job), reporter)
                sandbox.check_alive(over.merged, work / "debs")
        with phase(reporter, "fold", "Folding changes into the tree"):
            report = _fold(job, over.upper, tree)
            point("fold")
        if job.initramfs is not None or other_kernel(job.resolution):
            with phase(reporter, "initramfs", "Making the initramfs"):
                _initramfs(job, tree, work / "initramfs", reporter)
        with phase(reporter, "commit", "Writing the commit"):
            commit = _commit(job, tree, report)
            point("commit")
    return commit


@contextmanager
def workdir(store: Store) -> Iterator[Path]:
    """A private 0700 directory on the repo's file system, gone afterwards whatever happens."""
    store.work.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = Path(tempfile.mkdtemp(prefix="layer-", dir=store.work))
    try:
        yield path
    finally:
        coreutils.remove(path)


def remove_stale(store: Store) -> None:
    """Remove work dirs of runs that died; only to be called by the holder of the lock."""
    if store.work.is_dir():
        coreutils.remove(*store.work.iterdir())


def _checkout(job: LayerJob, work: Path, tree: Path, reporter: Reporter) -> None:
    ostree.checkout(job.store.repo, job.base.checksum, tree)
    skeleton.check_base(tree)
    fsops.empty(tree / "var")  # of the repo's own files; the sandbox is to fill it, writable
    # dpkg must see a real /etc; these renames touch directories, which are ours, and no linked file
    (tree / "usr/etc").rename(tree / "etc")
    sandbox.populate_var(tree, lambda line: reporter.event(OutputLine(line=f"systemd-tmpfiles: {line}")))
    (work / "debs").mkdir()
    for planned in job.resolution.packages:
        source = stored(job.store, planned.sha256)
        os.link(source, work / "debs" / _deb_name(planned.package.nevra))


def _deb_name(nevra: str) -> str:
    return nevra.replace(":", "%3a") + ".deb"


def _work(job: LayerJob) -> configure.Work:
    packages = [planned.package for planned in job.resolution.packages]
    debs = {package.key: _deb_name(package.nevra) for package in packages}
    return configure.Work(
        steps=job.resolution.steps, debs=debs, timeout=job.script_timeout, foreign=job.resolution.foreign
    )


def _fold(job: LayerJob, upper: Path, tree: Path) -> rules.FinishReport:
    """Settle ids and caches on what is new, fold it, then apply the tree rules to the whole."""
    if job.resolution.removals:
        users.keep(upper, tree)
    users.settle_ids(upper, tree, job.identities)
    if (upper / "usr").is_dir():
        pyc.normalise(upper / "usr")
    overlay.fold(upper, tree, skip=frozenset({"var"}))
    shutil.rmtree(tree / "var")
    (tree / "var").mkdir(mode=0o755)
    pulled_in = (planned.package for planned in job.resolution.packages if not planned.requested)
    automatic.mark(tree, job.native, pulled_in)
    automatic.forget(tree, job.native, job.resolution.removals)
    var = upper / "var"
    var.mkdir(exist_ok=True)
    if job.resolution.removals or job.resolution.replacements:
        vacate.apply(tree, var, {package.name for package in job.resolution.removals})
    return rules.finish(rules.FinishJob(root=tree, var=var, compose=False, policy=job.policy))


def other_kernel(resolution: Resolution) -> bool:
    """True when the kernel is another than the base's, whose initramfs then has the wrong modules."""
    changed = (*(planned.package for planned in resolution.packages), *resolution.removals)
    return any(is_kernel(package.name) for package in changed)


def _initramfs(job: LayerJob, tree: Path, folder: Path, reporter: Reporter) -> None:
    """By the finished tree's own dracut. It sees the tree read-only, whose files are the repo's, with its /etc.

    dpkg writes its files anew and renames them, which leaves those of the repo as they are.
    """
    folder.mkdir(mode=0o755)
    (tree / "etc").mkdir()
    database = dpkgdb.DATABASE
    binds = [("ro", tree / "usr/etc", "/etc"), ("rw", folder, kernel.OUTPUT)]
    try:
        if other_kernel(job.resolution):
            known = bwrap.prefix(tree, read_only=True, binds=[*binds, ("rw", tree / database, f"/{database}")],
                                 env=sandbox.ENVIRONMENT)  # fmt: skip
            kernel.tell_dpkg(tree, kernel.the_one(tree), known)
        prefix = bwrap.prefix(tree, read_only=True, binds=binds, env=sandbox.ENVIRONMENT)
        arguments = job.initramfs or ()
        kernel.remake_initramfs(tree, folder, prefix, arguments, lambda line: reporter.event(OutputLine(line=line)))
    finally:
        (tree / "etc").rmdir()


def _commit(job: LayerJob, tree: Path, report: rules.FinishReport) -> Commit:
    meta = LayerMeta(
        base=job.base.checksum,
        packages=job.resolution.added,
        removals=job.resolution.removals,
        replacements=job.resolution.replacements,
        state_digest=job.digest,
    )
    shown, version = None if job.standalone else meta, job.base.version if job.version is None else job.version
    pkgs = pkglist.read(tree / "usr/lib/sysimage/dpkg")
    strings = {
        **job.metadata,
        **commitmeta.encode(shown, pkglist=pkgs, users=report.users, sources=job.resolution.sources),
        **({"version": version} if version else {}),
    }
    checksum = ostree.commit(
        job.store.repo,
        tree,
        branch=job.branch,
        parent=job.base.checksum,
        subject=job.command or "apt-ostree layer",
        strings=strings,
        options=_options(job),
    )
    return Commit(checksum=checksum, version=version, parent=job.base.checksum, subject=job.command, layer=shown)


def _options(job: LayerJob) -> tuple[str, ...]:
    """consume: new files move into the repo instead of being copied."""
    bootable = ("--bootable",) if job.base.metadata.get("ostree.bootable") or other_kernel(job.resolution) else ()
    time = () if job.epoch is None else (f"--timestamp=@{job.epoch}",)
    return ("--consume", *bootable, *time, *job.options)
