"""Make a commit the next boot: staged on the running system, at once on an offline sysroot. All of it ostree's work."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from apt_ostree import origin as origins
from apt_ostree.errors import AptOstreeError, ToolError
from apt_ostree.model import Deployment, Origin
from apt_ostree.paths import Paths
from apt_ostree.sysroot import Sysroot, load
from apt_ostree.tools import coreutils, ostree

BASE_REFS = "apt-ostree/base"


def stages(paths: Paths, system: Sysroot) -> bool:
    """True when a deployment is staged and finalised at shutdown (ostree-admin-deploy(1) --stage)."""
    return paths.is_running_root and system.booted is not None


def deploy_commit(paths: Paths, system: Sysroot, checksum: str, origin: Origin, stateroot: str) -> None:
    """Deploy `checksum` with this origin and the kernel arguments of the deployment that would boot next.

    Raises AptOstreeError; ostree's switch is atomic, so then the former deployments stand.
    """
    first = system.first(stateroot)
    kargs = tuple(karg for karg in first.kargs if not karg.startswith("ostree=")) if first else None
    with tempfile.TemporaryDirectory(prefix="origin-", dir=paths.store.work) as folder:
        file = Path(folder) / "origin"
        file.write_text(origins.render(origin))
        try:
            ostree.admin_deploy(
                paths.sysroot,
                checksum,
                stateroot=stateroot,
                origin_file=file,
                kargs=kargs,
                stage=stages(paths, system),
            )
        except ToolError as error:
            raise AptOstreeError(
                f"ostree could not deploy {checksum[:12]}",
                details=error.details,
                hint="the deployments are as they were; look at the space in /boot and at: apt-ostree doctor",
                code="deploy-failed",
            ) from error


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
    if first.staged and target.index == 1:
        ostree.admin_undeploy(paths.sysroot, 0)
    elif ostree.has_set_default():
        ostree.admin_set_default(paths.sysroot, target.index)
    elif stages(paths, system):
        deploy_commit(paths, system, target.checksum, origins.carried(target.origin), target.osname)
    else:
        _reorder(paths, first)


def _reorder(paths: Paths, first: Deployment) -> None:
    """Only the last step changes what boots; killed before it, there is one deployment more and no other harm.

    Without a merge deployment libostree puts the new one last (ostree_sysroot_simple_write_deployment).
    """
    with tempfile.TemporaryDirectory(prefix="origin-", dir=paths.store.work) as folder:
        file = Path(folder) / "origin"
        file.write_text(origins.render(first.origin))
        ostree.admin_deploy(
            paths.sysroot,
            first.checksum,
            stateroot=first.osname,
            origin_file=file,
            kargs=tuple(karg for karg in first.kargs if not karg.startswith("ostree=")),
            stage=False,
            options=("--not-as-default", "--retain", "--no-merge"),
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
    ostree.admin_undeploy(paths.sysroot, 0)
