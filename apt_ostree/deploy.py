"""Make a commit the next boot: staged on the running system, at once on an offline sysroot. All of it ostree's work."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from apt_ostree import bootguard, composefs
from apt_ostree import origin as origins
from apt_ostree.errors import AptOstreeError, ToolError
from apt_ostree.model import Deployment, Origin
from apt_ostree.paths import Paths
from apt_ostree.sysroot import BASE_REFS, Sysroot, load
from apt_ostree.tools import coreutils, ostree


def stages(paths: Paths, system: Sysroot) -> bool:
    """True when a deployment is staged and finalised at shutdown (ostree-admin-deploy(1) --stage)."""
    return paths.is_running_root and system.booted is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A deployment to be made. `kargs` None: those of the stateroot's deployment that would boot next."""

    checksum: str
    origin: Origin
    stateroot: str
    kargs: tuple[str, ...] | None = None
    overlays: tuple[Path, ...] = ()  # small initrds beside the initramfs; ostree carries none by itself
    locked: bool = False  # staged, and held back at shutdown until it is unlocked


def deploy_commit(paths: Paths, system: Sysroot, wanted: Wanted) -> None:
    """Make a deployment the next boot. Raises AptOstreeError; ostree's switch is atomic, so the former then stand."""
    composefs.require_deployable(paths.repo, wanted.checksum)
    first = system.first(wanted.stateroot)
    kargs = first.kargs if wanted.kargs is None and first else wanted.kargs
    stage = stages(paths, system)
    with tempfile.TemporaryDirectory(prefix="origin-", dir=paths.store.work) as folder:
        file = Path(folder) / "origin"
        file.write_text(origins.render(wanted.origin))
        try:
            with _finalization_lock(paths, wanted.locked) if stage else nullcontext():
                ostree.admin_deploy(
                    paths.sysroot,
                    wanted.checksum,
                    stateroot=wanted.stateroot,
                    origin_file=file,
                    kargs=kargs,
                    stage=stage,
                    # what is not staged keeps all others until its boot entries were looked at (bootguard.py)
                    options=(*overlay_options(wanted.overlays), *(() if stage else ("--retain",))),
                )
        except ToolError as error:
            raise AptOstreeError(
                f"ostree could not deploy {wanted.checksum[:12]}",
                details=error.details,
                hint="the deployments are as they were; look at the space in /boot and at: apt-ostree doctor",
                code="deploy-failed",
            ) from error


@contextmanager
def _finalization_lock(paths: Paths, locked: bool) -> Iterator[None]:
    """Around the staging: every version of libostree finalises nothing while this file is there.

    It is made before the staging and removed after it, so that a shutdown finds no deployment without its lock; when
    the staging fails, it is as it was.
    """
    lock = paths.staged_lock
    was_there = lock.exists()
    if locked:
        lock.parent.mkdir(mode=0o755, exist_ok=True)
        lock.touch()
    try:
        yield
    except BaseException:
        if not was_there:
            lock.unlink(missing_ok=True)
        raise
    if locked:
        lock.touch()  # libostree removes it together with a staged deployment that this one took the place of
    else:
        lock.unlink(missing_ok=True)


def again(paths: Paths, deployment: Deployment) -> Wanted:
    """A deployment like one there is: same tree, origin (without its pin), kernel arguments and initrds."""
    return Wanted(
        checksum=deployment.checksum,
        origin=origins.carried(deployment.origin),
        stateroot=deployment.osname,
        kargs=deployment.kargs,
        overlays=overlay_files(paths, deployment),
    )


def overlay_files(paths: Paths, deployment: Deployment) -> tuple[Path, ...]:
    """Where libostree keeps the small initrds of a deployment: named by their content, in /boot."""
    return tuple(paths.boot / "ostree/initramfs-overlays" / f"{checksum}.img" for checksum in deployment.overlays)


def overlay_options(files: Iterable[Path]) -> tuple[str, ...]:
    """Options of `ostree admin deploy` (since 2020.7)."""
    return tuple(f"--overlay-initrd={file}" for file in files)


def hold_base(repo: Path, checksum: str) -> None:
    """Keep a base commit alive: a layered commit refers to it, but ostree's prune only follows refs."""
    ostree.ref_create(repo, f"{BASE_REFS}/{checksum[:16]}", checksum)


def release_bases(repo: Path, deployments: Iterable[Deployment]) -> None:
    """Drop the refs of base commits that no deployment is made from any more."""
    needed = {f"{BASE_REFS}/{deployment.base_checksum[:16]}" for deployment in deployments}
    for ref in ostree.refs(repo):
        if ref.startswith(f"{BASE_REFS}/") and ref not in needed:
            ostree.ref_delete(repo, ref)


def switch_default(paths: Paths, system: Sysroot, target: Deployment) -> None:
    """Make an existing deployment the default, with the /etc it has. Raises AptOstreeError.

    A staged deployment in front of the target is dropped, which leaves the target first. Otherwise
    `ostree admin set-default` where it exists (from 2023 on). Older ostree cannot reorder: offline, the present
    default is deployed once more behind all others, with a copy of its /etc, and its old place is undeployed; on
    a running system the target's commit is staged anew, with /etc merged from the running one.
    """
    first = system.deployments[0]
    if first.staged:
        ostree.admin_undeploy(paths.sysroot, 0)
        target = replace(target, index=target.index - 1)
    if target.index == 0:
        return
    if ostree.has_set_default():
        ostree.admin_set_default(paths.sysroot, target.index)
    elif redeploys(paths, system):
        deploy_commit(paths, system, again(paths, target))
    else:
        _reorder(paths, first)


def redeploys(paths: Paths, system: Sysroot) -> bool:
    """True when `switch_default` makes a new deployment, with /etc merged anew."""
    return stages(paths, system) and not ostree.has_set_default()


def _reorder(paths: Paths, first: Deployment) -> None:
    """Only the last step changes what boots; killed before it, there is one deployment more and no other harm.

    Without a merge deployment libostree puts the new one last (ostree_sysroot_simple_write_deployment).
    """
    with tempfile.TemporaryDirectory(prefix="origin-", dir=paths.store.work) as folder:
        file = Path(folder) / "origin"
        file.write_text(origins.render(first.origin))
        with bootguard.guarded(paths):  # here already: a loader that cannot be written then has cost nothing
            ostree.admin_deploy(
                paths.sysroot,
                first.checksum,
                stateroot=first.osname,
                origin_file=file,
                kargs=first.kargs,
                stage=False,
                options=("--not-as-default", "--retain", "--no-merge", *overlay_options(overlay_files(paths, first))),
            )
    last = load(paths).deployments[-1]
    if last.checksum != first.checksum:
        raise AptOstreeError("ostree did not put the copy of the present deployment last", code="deploy-failed")
    for entry in (last.path / "etc").iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    coreutils.copy_contents(first.path / "etc", last.path / "etc")
    with bootguard.guarded(paths):
        ostree.admin_undeploy(paths.sysroot, 0)
