"""compose tree: treefile -> base commit. mmdebstrap makes an ordinary tree, the tree rules make an image of it."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from apt_ostree import commitmeta
from apt_ostree.errors import AptOstreeError, ToolError
from apt_ostree.faults import point
from apt_ostree.model import Package
from apt_ostree.paths import Store
from apt_ostree.report import OutputLine, Reporter, Warned, phase
from apt_ostree.tools import bwrap, coreutils, mmdebstrap, ostree
from apt_ostree.tree import accounts, dpkgdb, fsops, kernel, pkglist, rules, sandbox, users
from apt_ostree.treefile import Treefile

_ARCHIVES = "/var/cache/apt/archives"
_KEPT = 30 * 24 * 3600.0  # seconds a package stays in the cache without being used
# Before any package: an initramfs for any machine, not for the one that composes (dracut.conf(5)).
_DRACUT_CONF = "/etc/dracut.conf.d/apt-ostree.conf"
_SETUP = (
    f'mkdir -p "$1{_ARCHIVES}" "$1/etc/dracut.conf.d"',
    f"""printf '%s\\n' 'hostonly="no"' > "$1{_DRACUT_CONF}" """.strip(),
)
# INITRD=No: the kernel's hooks make no initramfs (/etc/kernel/postinst.d), it is made once at the end.
_ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "SYSTEMD_OFFLINE": "1", "INITRD": "No"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ComposePlan:
    """Everything a compose will do. `argv` is mmdebstrap's; `parent` the ref's commit, empty for a new ref."""

    treefile: Treefile
    repo: Path
    work: Path
    cache: Path
    argv: tuple[str, ...]
    parent: str = ""

    @property
    def tree(self) -> Path:
        return self.work / "tree"


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """What came of it."""

    checksum: str
    packages: tuple[Package, ...]
    kernel: str
    warnings: tuple[str, ...]


def plan(treefile: Treefile, repo: Path, architecture: str) -> ComposePlan:
    """Work out a compose; nothing is changed. `architecture` counts when the treefile names none.

    Raises AptOstreeError when `repo` is no ostree repo.
    """
    if not (repo / "objects").is_dir():
        raise AptOstreeError(
            f"there is no ostree repo at '{repo}'", hint=f"ostree init --repo={repo} --mode=bare", code="no-repo"
        )
    store = Store(repo)
    work, cache = store.work / "compose", store.root / "compose-cache"
    job = _bootstrap(treefile, work / "tree", cache, treefile.architecture or architecture)
    parent = ostree.rev_parse(repo, treefile.ref) if treefile.ref in ostree.refs(repo) else ""
    return ComposePlan(treefile=treefile, repo=repo, work=work, cache=cache, argv=mmdebstrap.argv(job), parent=parent)


def _bootstrap(treefile: Treefile, target: Path, cache: Path, architecture: str) -> mmdebstrap.Bootstrap:
    return mmdebstrap.Bootstrap(
        suite=treefile.suite,
        target=target,
        variant=treefile.variant,
        architecture=architecture,
        components=treefile.components,
        packages=treefile.packages,
        sources=[line for mirror in treefile.mirrors for line in mirror.line(treefile)],
        apt_options=(
            f'Apt::Install-Recommends "{str(treefile.recommends).lower()}"',
            'Acquire::Languages "none"',
        ),
        dpkg_options=("force-unsafe-io",),
        # essential/unlink: keep the packages for the cache; cleanup/apt/lists: the Release files are recorded
        skip=("essential/unlink", "cleanup/apt/lists"),
        setup_hooks=(*_SETUP, mmdebstrap.sync_in(cache, _ARCHIVES)),
        customize_hooks=(mmdebstrap.sync_out(_ARCHIVES, cache),),
    )


def compose_tree(plan: ComposePlan, reporter: Reporter) -> Composed:
    """Bootstrap, apply the rules, commit; the caller holds the lock. Raises AptOstreeError, then nothing stays."""
    with _workdir(plan):
        with phase(reporter, "bootstrap", f"Bootstrapping {plan.treefile.suite}"):
            _bootstrap_tree(plan, reporter)
            sources = release_digests(plan.tree / "var/lib/apt/lists")
        job = rules.FinishJob(root=plan.tree, var=plan.tree / "var", compose=True, known=_known(plan))
        with phase(reporter, "rules", "Making an image of it"):
            arranged = rules.arrange(job)
        if arranged.kernel:
            with phase(reporter, "initramfs", "Building the initramfs"):
                _initramfs(plan.tree, arranged.kernel, reporter)
        with phase(reporter, "commit", "Writing the commit"):
            report = rules.seal(job, arranged)
            packages = pkglist.read(plan.tree / dpkgdb.DATABASE)
            strings = commitmeta.encode(pkglist=packages, users=report.users, sources=sources)
            checksum = _commit(plan, report, strings)
            point("commit")
    for warning in report.warnings:
        reporter.event(Warned(message=warning))
    return Composed(checksum=checksum, packages=packages, kernel=report.kernel, warnings=report.warnings)


@contextmanager
def _workdir(plan: ComposePlan) -> Iterator[None]:
    coreutils.remove(plan.work)
    plan.work.mkdir(mode=0o700, parents=True)
    plan.cache.mkdir(mode=0o755, parents=True, exist_ok=True)
    try:
        yield
    finally:
        coreutils.remove(plan.work)


def _bootstrap_tree(plan: ComposePlan, reporter: Reporter) -> None:
    _prune(plan.cache)
    try:
        mmdebstrap.bootstrap(plan.argv, lambda line: reporter.event(OutputLine(line=line)), env=_ENVIRONMENT)
    except ToolError as error:
        wrong = [line[3:] for line in error.details if line.startswith("E: ") and "failed" not in line]
        raise AptOstreeError(
            f"bootstrapping {plan.treefile.suite} failed{': ' if wrong else ''}{'; '.join(wrong)}",
            details=error.details,
            hint="check suite, mirrors and packages of the treefile, and the network",
            code="bootstrap-failed",
        ) from error


def _prune(cache: Path) -> None:
    """Packages that no compose has used for a month go; mmdebstrap writes what it uses anew, with a new time."""
    for path in cache.glob("*.deb"):
        if time.time() - path.lstat().st_mtime > _KEPT:
            path.unlink()


def release_digests(lists: Path) -> tuple[str, ...]:
    """sha256 of the Release files apt fetched (`apt-ostree.sources`): they say which archive a tree was made from."""
    names = sorted(os.listdir(lists)) if fsops.is_dir(lists) else []
    wanted = [name for name in names if name.endswith(("_InRelease", "_Release"))]
    return tuple(sorted(hashlib.sha256(fsops.read_bytes(lists / name)).hexdigest() for name in wanted))


def _known(plan: ComposePlan) -> users.Identities:
    """The ids of the ref's former commit: a file must not change hands because packages came in another order."""
    if not plan.parent:
        return users.Identities()
    try:
        passwd, group = (ostree.cat(plan.repo, plan.parent, f"/usr/etc/{name}") for name in ("passwd", "group"))
    except ToolError:
        return users.Identities()  # the former commit was not made by us
    return users.Identities(
        users={name: user.uid for name, user in accounts.users(passwd).items()},
        groups={name: entry.gid for name, entry in accounts.groups(group).items()},
    )


def _initramfs(tree: Path, version: str, reporter: Reporter) -> None:
    prefix = bwrap.prefix(tree, env=sandbox.ENVIRONMENT)
    kernel.make_initramfs(tree, version, prefix, lambda line: reporter.event(OutputLine(line=line)))


def _commit(plan: ComposePlan, report: rules.FinishReport, strings: dict[str, str]) -> str:
    version = plan.treefile.version
    return ostree.commit(
        plan.repo,
        plan.tree,
        branch=plan.treefile.ref,
        parent=plan.parent,
        subject=f"{plan.treefile.ref} {version}".strip(),
        strings={**strings, **({"version": version} if version else {})},
        options=("--consume", *(["--bootable"] if report.kernel else [])),
    )
