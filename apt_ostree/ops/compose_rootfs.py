"""compose postprocess and compose commit: the steps of a compose for a root directory that somebody else made."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from apt_ostree import commitmeta, guarding, pkgdb, repos, requests, signing, treefile
from apt_ostree.compose import rootfs, tree
from apt_ostree.context import Context
from apt_ostree.errors import AptOstreeError, UsageError
from apt_ostree.model import Package, PackageChange, Result
from apt_ostree.ops import compose_choice
from apt_ostree.paths import Store
from apt_ostree.report import Durations, Reporter, TeeReporter, Warned, phase
from apt_ostree.signals import Interrupts
from apt_ostree.signing import Signing
from apt_ostree.tools import ostree
from apt_ostree.tree import dpkgdb, pkglist, users
from apt_ostree.treefile import Treefile

_HALF_DONE = "the directory may be half done: make it again"


@dataclass(frozen=True, slots=True, kw_only=True)
class PostprocessRequest:
    """Make an image of `root`, in place. With `repo` accounts keep the ids they have in the commit of `branch`."""

    root: Path
    treefile: Path | None = None
    repo: Path | None = None
    branch: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitRequest:
    """Commit the image tree `root` to `branch` of `repo`.

    `parent`: a revision, "" for none, None for the branch's commit. With `commit_file` the checksum is written there
    and the branch is left.
    """

    root: Path
    repo: Path
    branch: str
    parent: str | None = None
    version: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    commit_file: Path | None = None
    signing: Signing = field(default_factory=Signing)


def postprocess(context: Context, request: PostprocessRequest) -> Result:
    """Check everything first, then do it. Raises UsageError, AptOstreeError, NotRootError."""
    guarding.require_root(context.options.command)
    root = rootfs.require_directory(request.root)
    parsed = _treefile(request)
    job = rootfs.finish_job(root, parsed, _known(request))
    rootfs.check_raw(root, job.policy)
    if context.options.dry_run:
        message = f"Dry run: {root} can become an image"
        return Result(command=context.options.command, changed=False, would_change=True, message=message)
    durations = Durations()
    reporter = TeeReporter(context.reporter, durations)
    os.umask(0o022)
    with _alone(reporter) as work:
        report = rootfs.postprocess(job, parsed, work, reporter)
    for warning in report.warnings:
        reporter.event(Warned(message=warning))
    told = f"{root} is an image tree" + (f" with the kernel {report.kernel}" if report.kernel else "")
    where = f"--repo {shlex.quote(str(request.repo or 'REPO'))} --branch {request.branch or 'NAME'}"
    return Result(
        command=context.options.command,
        changed=True,
        duration=durations.seconds,
        warnings=report.warnings,
        message=f"{told}. Commit it: apt-ostree compose commit {shlex.quote(str(root))} {where}",
    )


@contextmanager
def _alone(reporter: Reporter) -> Iterator[Path]:
    """A directory for scripts; whatever ends the block early is told with what it means for the tree."""
    with (
        Interrupts(_HALF_DONE).installed(),
        tempfile.TemporaryDirectory(prefix="apt-ostree-", ignore_cleanup_errors=True) as folder,
    ):
        try:
            yield Path(folder)
        except BaseException:  # a full disk and a bug leave it as half done as an error of ours
            reporter.event(Warned(message=_HALF_DONE))
            raise


def _treefile(request: PostprocessRequest) -> Treefile | None:
    if request.treefile is None:
        return None
    # which packages there are, and how, is decided already
    return replace(treefile.load(request.treefile), documentation=True)


def _known(request: PostprocessRequest) -> users.Identities:
    if request.repo is None:
        return users.Identities()
    repos.require(request.repo)
    branch = requests.parse_branch(request.branch)
    return tree.identities(request.repo, _head(request.repo, branch))


def _head(repo: Path, branch: str) -> str:
    """The commit of a branch, empty when there is none."""
    return ostree.rev_parse(repo, branch) if branch in ostree.refs(repo) else ""


def commit(context: Context, request: CommitRequest) -> Result:
    """Check the tree, commit it. Raises UsageError, AptOstreeError, BusyError, NotRootError."""
    branch = requests.parse_branch(request.branch)
    if request.commit_file:
        compose_choice.check_writable(request.commit_file)
    guarding.require_root(context.options.command)
    repos.require(request.repo)
    if not request.commit_file:
        repos.check_branch(branch, ostree.refs(request.repo))
    signer = signing.prepare(request.signing)
    root = rootfs.require_directory(request.root)
    kernel = rootfs.check_image(root)
    packages = pkglist.read(root / dpkgdb.DATABASE)
    if context.options.dry_run:
        previous = _head(request.repo, branch)
        _check_ids(request.repo, branch, previous, root)
        base = _result(context, request, previous, packages)
        return replace(base, would_change=True, message=f"Dry run: {root} would be committed to {branch}")
    with guarding.guarded(context, Store(request.repo), None) as guard:
        previous = _head(request.repo, branch)
        _check_ids(request.repo, branch, previous, root)
        with phase(guard.context.reporter, "commit", "Writing the commit"):
            checksum = ostree.commit(
                request.repo,
                root,
                branch="" if request.commit_file else branch,
                parent=_parent(request, previous),
                subject=f"{branch} {request.version}".strip(),
                strings=_strings(request, root, packages),
                options=(*_options(request, branch, kernel), *signer.gpg_options),
            )
        if request.commit_file:
            compose_choice.write(request.commit_file, f"{checksum}\n")
        base = _result(guard.context, request, previous, packages)
    where = f"{branch} is {checksum}" if not request.commit_file else f"{checksum} is in {request.commit_file}"
    message = f"{where} ({len(packages)} packages)"
    return replace(base, changed=True, duration=guard.durations.seconds, commit=checksum, message=message)


def _parent(request: CommitRequest, previous: str) -> str:
    if request.parent is None:
        return previous
    return repos.resolve(request.repo, request.parent) if request.parent else ""


def _options(request: CommitRequest, branch: str, kernel: str) -> tuple[str, ...]:
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if epoch and not epoch.isdecimal():
        raise UsageError(f"SOURCE_DATE_EPOCH is not a number of seconds: '{epoch}'")
    return (
        *((f"--bind-ref={branch}",) if request.commit_file else ()),
        *(("--bootable",) if kernel else ()),
        *((f"--timestamp=@{epoch}",) if epoch else ()),
    )


def _strings(request: CommitRequest, root: Path, packages: tuple[Package, ...]) -> dict[str, str]:
    wanted = rootfs.kargs(root)
    return {
        **request.metadata,
        **commitmeta.encode(pkglist=packages, users=rootfs.identities(root).users),
        **({commitmeta.KARGS: commitmeta.encode_kargs(wanted)} if wanted else {}),
        **({"version": request.version} if request.version else {}),
    }


def _check_ids(repo: Path, branch: str, previous: str, root: Path) -> None:
    """A file must not change hands on the machines that follow the branch."""
    former, now = tree.identities(repo, previous), rootfs.identities(root)
    pairs = (("user", former.users, now.users), ("group", former.groups, now.groups))
    wrong = [
        f"the {word} {name} has the id {new[name]} and had {number}"
        for word, old, new in pairs
        for name, number in sorted(old.items())
        if new.get(name, number) != number
    ]
    if wrong:
        again = ("apt-ostree", "compose", "postprocess", str(root), "--repo", str(repo), "--branch", branch)
        raise AptOstreeError(
            f"accounts are not what they were in the branch's last commit: {wrong[0]}",
            details=wrong,
            hint=f"make the tree again, and: {shlex.join(again)}",
            code="id-drift",
        )


def _result(context: Context, request: CommitRequest, previous: str, packages: tuple[Package, ...]) -> Result:
    return Result(command=context.options.command, changed=False, changes=_changes(request.repo, previous, packages))


def _changes(repo: Path, previous: str, packages: tuple[Package, ...]) -> tuple[PackageChange, ...]:
    """Against the branch's commit; nothing when it has no list of its packages."""
    try:
        return pkgdb.diff(pkgdb.packages(repo, previous), packages) if previous else ()
    except AptOstreeError:
        return ()
