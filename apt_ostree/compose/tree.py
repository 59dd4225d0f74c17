"""compose tree: treefile -> base commit. mmdebstrap makes an ordinary tree, the tree rules make an image of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from apt_ostree import aptroot, commitmeta, commits, fetch, repos, requests
from apt_ostree.compose import bootstrap
from apt_ostree.compose.finish import make_image
from apt_ostree.errors import AptOstreeError, ToolError
from apt_ostree.faults import point
from apt_ostree.lint import registry
from apt_ostree.linting import Outcome
from apt_ostree.lockfile import Lock
from apt_ostree.model import Package, Resolution
from apt_ostree.paths import Store
from apt_ostree.report import OutputLine, Reporter, Warned, phase
from apt_ostree.signing import Signer
from apt_ostree.tools import coreutils, mmdebstrap, ostree
from apt_ostree.tree import accounts, customise, dpkgdb, pkglist, rules, users
from apt_ostree.treefile import Treefile, resolved_ref
from apt_ostree.view.directory import open_directory
from apt_ostree.view.model import View

LAYOUT = 3  # raise it when the tree rules change: equal inputs then no longer mean an equal tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a tree goes. `previous` is the commit of the ref now, `parent` what the new one will name; empty: none."""

    treefile: Treefile
    repo: Path
    architecture: str
    previous: str = ""
    parent: str = ""
    ref: str = ""  # the treefile's, with its placeholders filled in
    version: str = ""
    moves: bool = True  # the ref is to lead to the new commit
    signer: Signer = field(default_factory=Signer)  # whose signatures the commit is born with

    @property
    def store(self) -> Store:
        return Store(self.repo)

    @property
    def work(self) -> Path:
        return self.store.work / "compose"

    @property
    def tree(self) -> Path:
        return self.work / "tree"

    @property
    def archive(self) -> Path:
        return self.work / "archive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """What came of it."""

    checksum: str
    packages: tuple[Package, ...]
    kernel: str
    warnings: tuple[str, ...]


def target(
    treefile: Treefile, repo: Path, architecture: str, *, parent: str | None = None, moves: bool = True
) -> Target:
    """Look at the repo; nothing is changed. `parent`: a revision, "" for none, None for the ref's commit.

    Raises AptOstreeError when `repo` is no ostree repo or has no such revision, UsageError when it cannot have the ref.
    """
    repos.require(repo, mode="bare")
    architecture = treefile.architecture or architecture
    ref = requests.parse_branch(resolved_ref(treefile, treefile.ref, architecture))
    existing = ostree.refs(repo)
    if moves:
        repos.check_branch(ref, existing)
    previous = ostree.rev_parse(repo, ref) if ref in existing else ""
    wanted = previous if parent is None else repos.resolve(repo, parent) if parent else ""
    former = commits.load(repo, wanted).commit.version if wanted else ""
    return Target(
        treefile=treefile,
        repo=repo,
        architecture=architecture,
        previous=previous,
        parent=wanted,
        ref=ref,
        version=next_version(treefile.automatic_version_prefix, former) or treefile.version,
        moves=moves,
    )


def next_version(prefix: str, former: str) -> str:
    """The version after `former` by rpm-ostree's rule: the prefix alone, then PREFIX.1, PREFIX.2 and so on."""
    if not prefix or (former != prefix and not former.startswith(f"{prefix}.")):
        return prefix
    number = former.removeprefix(prefix).removeprefix(".")
    return f"{prefix}.{int(number) + 1 if number.isdecimal() else 1}"


def input_digest(target: Target, lock: Lock) -> str:
    """sha256 of all that decides what the tree will be; equal digests mean that nothing need be composed again.

    When it is made is no part of it: an archive is published anew every few hours with the same packages.
    """
    treefile = asdict(target.treefile)
    for file in treefile["files"]:
        file["source"] = ""  # what it holds counts, not where it was
    del treefile["layers"]  # they are made of this tree, not it of them
    inputs = {
        "layout": LAYOUT,
        "treefile": treefile,
        "architecture": target.architecture,
        "packages": sorted((str(package), package.sha256) for package in lock.packages),
    }
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, default=str).encode()).hexdigest()


def unchanged(target: Target, digest: str) -> bool:
    """True when the ref's commit was made of just these inputs, and has the parent where another was asked for."""
    if not target.previous:
        return False
    found = commits.load(target.repo, target.previous)
    if target.parent not in (target.previous, found.commit.parent):
        return False
    return found.metadata.get(commitmeta.INPUT_DIGEST) == digest


def command_line(target: Target) -> tuple[str, ...]:
    """mmdebstrap's."""
    job = bootstrap.job(target.treefile, target.architecture, target.tree, target.archive)
    return mmdebstrap.argv(job)


def download(target: Target, root: aptroot.AptRoot, lock: Lock, reporter: Reporter) -> int:
    """Fetch what is not in the store yet; returns the bytes fetched. Raises VerificationError, AptOstreeError."""
    planned = Resolution(packages=tuple(package.planned for package in lock.everything))
    return fetch.download(root, target.store, planned, reporter)


def compose_tree(target: Target, lock: Lock, reporter: Reporter) -> Composed:
    """Bootstrap, apply the rules, commit; the caller holds the lock. Raises AptOstreeError, then nothing stays."""
    treefile, environment = target.treefile, {"SOURCE_DATE_EPOCH": str(lock.epoch)}
    with _workdir(target):
        with phase(reporter, "bootstrap", f"Bootstrapping {treefile.suite}"):
            bootstrap.write_archive(target.archive, target.store, lock, treefile.suite)
            bootstrap.run(command_line(target), lock, treefile.suite, reporter)
            bootstrap.write_sources(target.tree, treefile, target.architecture)
        with phase(reporter, "customise", "Doing what the treefile asks for"):
            warnings = customise.apply(
                target.tree, treefile, target.work, lambda line: reporter.event(OutputLine(line=line))
            )
        job = rules.FinishJob(
            root=target.tree,
            var=target.tree / "var",
            compose=True,
            known=identities(target.repo, target.previous),
            policy=policy(treefile),
        )
        report = make_image(job, treefile.initramfs_args, environment, reporter)
        with phase(reporter, "commit", "Writing the commit"):
            lints = lint(treefile, open_directory(target.tree))
            packages = pkglist.read(target.tree / dpkgdb.DATABASE)
            _check_installed(packages, lock)
            strings = {
                **dict(treefile.metadata),
                **commitmeta.encode(pkglist=packages, users=report.users, sources=lock.sources),
                **commitmeta.encode_compose(
                    digest=input_digest(target, lock), snapshot=treefile.snapshot, kargs=treefile.kargs
                ),
            }
            checksum = _commit(target, report, strings, lock.epoch)
            point("commit")
    warnings = (*warnings, *report.warnings, *lints)
    for warning in warnings:
        reporter.event(Warned(message=warning))
    return Composed(checksum=checksum, packages=packages, kernel=report.kernel, warnings=warnings)


def lint(treefile: Treefile, view: View) -> tuple[str, ...]:
    """Hold a finished tree to the lints of images; returns what is only a warning.

    Raises AptOstreeError (code `lint`) with all that is fatal. Whether there is composefs is the treefile's to say,
    and where it says nothing, it is off on purpose: most trees have an ostree that cannot do it.
    """
    skip = ("baseimage-composefs",) if treefile.composefs == "no" else ()
    report = registry.run(view, skip=skip)
    wrong = [f"{one.name}: {item.message}" for one in report.fatal for item in one.findings]
    if wrong:
        raise AptOstreeError(
            f"the tree would be no good image, {wrong[0]}",
            details=wrong,
            hint=report.fatal[0].hint,
            code="lint",
        )
    return tuple(_summed(one) for one in report.warnings)


def _summed(outcome: Outcome) -> str:
    more = len(outcome.findings) - 1
    return f"lint {outcome.name}: {outcome.findings[0].message}{f', and {more} more' if more else ''}"


def _check_installed(packages: tuple[Package, ...], lock: Lock) -> None:
    """What was chosen is what is there, or a lockfile would promise what it does not hold."""
    have = {(package.name, package.version, package.arch) for package in packages}
    wanted = {(package.name, package.version, package.arch) for package in lock.packages}
    wrong = sorted("_".join(key) for key in have ^ wanted)
    if wrong:
        raise AptOstreeError(
            f"the tree does not have just the packages that were chosen: {', '.join(wrong)}",
            hint="name what is meant in 'packages' of the treefile",
            code="bootstrap-failed",
        )


@contextmanager
def _workdir(target: Target) -> Iterator[None]:
    coreutils.remove(target.work)
    target.work.mkdir(mode=0o700, parents=True)
    try:
        yield
    finally:
        coreutils.remove(target.work)


def identities(repo: Path, commit: str) -> users.Identities:
    """The ids of a ref's former commit: a file must not change hands because packages came in another order.

    None without a commit, or for one that was not made by us.
    """
    if not commit:
        return users.Identities()
    try:
        passwd, group = (ostree.cat(repo, commit, f"/usr/etc/{name}") for name in ("passwd", "group"))
    except ToolError:
        return users.Identities()
    return users.Identities(
        users={name: user.uid for name, user in accounts.users(passwd).items()},
        groups={name: entry.gid for name, entry in accounts.groups(group).items()},
    )


def policy(treefile: Treefile) -> rules.Policy:
    """Where a treefile decides what the tree rules leave open."""
    return rules.Policy(
        opt_is_state=treefile.opt == "state",
        local_is_state=treefile.usr_local == "state",
        hostname=treefile.hostname,
        machine_id="" if treefile.machineid == "empty" else treefile.machineid,
        removable=users.Removable(
            users=frozenset(treefile.ignore_removed_users), groups=frozenset(treefile.ignore_removed_groups)
        ),
        files=frozenset(file.path for file in treefile.files),
    )


def _commit(target: Target, report: rules.FinishReport, strings: dict[str, str], epoch: int) -> str:
    version = target.version
    bound = [] if target.moves else [f"--bind-ref={target.ref}"]
    return ostree.commit(
        target.repo,
        target.tree,
        branch=target.ref if target.moves else "",
        parent=target.parent,
        subject=f"{target.ref} {version}".strip(),
        strings={**strings, **({"version": version} if version else {})},
        # bound to the ref whether it leads there or not: the checksum must not depend on that (ostree-commit(1))
        options=(
            "--consume",
            f"--timestamp=@{epoch}",
            *bound,
            *(["--bootable"] if report.kernel else []),
            *target.signer.gpg_options,
        ),
    )
