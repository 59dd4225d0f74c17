"""db list, db diff, db version and db sbom: packages of commits, whether deployed or not."""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from apt_ostree import commits, host, pkgdb, repos, sysroot
from apt_ostree.errors import AptOstreeError, NotOstreeError, ToolError, UsageError
from apt_ostree.findings import PackageDiff, PackageList, PackageVersion
from apt_ostree.model import Deployment
from apt_ostree.paths import Paths
from apt_ostree.tools import ostree


def db_list(
    paths: Paths, revisions: Sequence[str] = (), patterns: Sequence[str] = (), *, repo: Path | None = None
) -> tuple[PackageList, ...]:
    """Packages of each revision whose names match one of the shell patterns (all, when there are none).

    Without a revision: of the booted deployment, else of the one that boots next. `repo`: a bare repo instead of the
    sysroot's. Raises AptOstreeError.
    """
    system = _system(paths, repo)
    place = repo or paths.repo
    found = []
    for revision in revisions or (_first(system, place),):
        checksum = resolve(place, system, revision)
        kept = tuple(p for p in pkgdb.packages(place, checksum) if _matches(p.name, patterns))
        found.append(PackageList(revision=revision, checksum=checksum, packages=kept))
    return tuple(found)


def db_version(paths: Paths, revisions: Sequence[str] = (), *, repo: Path | None = None) -> tuple[PackageVersion, ...]:
    """What tells the package sets of revisions apart: how many there are, and a digest. Raises AptOstreeError."""
    found = []
    for listed in db_list(paths, revisions, repo=repo):
        commit = commits.load(repo or paths.repo, listed.checksum).commit
        names = "".join(f"{package.nevra}\n" for package in listed.packages)
        found.append(
            PackageVersion(
                revision=listed.revision,
                commit=commit,
                count=len(listed.packages),
                digest=hashlib.sha256(names.encode()).hexdigest(),
            )
        )
    return tuple(found)


def db_sbom(paths: Paths, revision: str = "", *, kind: str, repo: Path | None = None) -> dict[str, Any]:
    """The bill of materials of a revision, as a document of the kind `spdx` or `cyclonedx`.

    Without a revision: of what `db list` takes. Raises AptOstreeError, NotRootError.
    """
    from apt_ostree import sbom  # a tenth of a second, which the other questions need not wait for

    system = _system(paths, repo)
    place = repo or paths.repo
    name = revision or _first(system, place)
    make = sbom.spdx if kind == "spdx" else sbom.cyclonedx
    return make(sbom.collect(place, resolve(place, system, name), name=name))


def db_diff(paths: Paths, from_name: str = "", to_name: str = "", *, repo: Path | None = None) -> PackageDiff:
    """What changed between two revisions.

    One name: booted against it. None: booted against what boots next, or the rollback against booted; offline, the
    second deployment against the first. Raises AptOstreeError.
    """
    system, place = _system(paths, repo), repo or paths.repo
    if from_name and not to_name:
        from_name, to_name = _first(system, place), from_name
    if not from_name:
        from_name, to_name = _sides(system, place)
    before, after = resolve(place, system, from_name), resolve(place, system, to_name)
    changes = pkgdb.diff(pkgdb.packages(place, before), pkgdb.packages(place, after))
    return PackageDiff(from_name=from_name, from_checksum=before, to_name=to_name, to_checksum=after, changes=changes)


def resolve(repo: Path, system: sysroot.Sysroot | None, revision: str) -> str:
    """Checksum of a revision: `booted`, `pending`, `rollback`, an index of `status`, a version, a ref or a checksum.

    Raises AptOstreeError (code `no-revision`) when there is none of that name.
    """
    deployments = system.deployments if system else ()
    if deployment := named(deployments, revision):
        return deployment.checksum
    try:
        return ostree.rev_parse(repo, revision)
    except ToolError as error:
        version = next((d for d in deployments if d.commit.version == revision), None)
        if version is not None:
            return version.checksum
        raise AptOstreeError(
            f"there is no revision '{revision}' in {repo}",
            details=error.details,
            hint=f"see what there is: {'apt-ostree status, or ' if system else ''}ostree refs --repo={repo}",
            code="no-revision",
        ) from error


def named(deployments: Sequence[Deployment], name: str) -> Deployment | None:
    """A deployment by what status calls it; refs and checksums are left to ostree."""
    if name in ("booted", "pending", "rollback"):
        found = next((d for d in deployments if getattr(d, name)), None)
        if found is None and not any(d.booted for d in deployments):
            found = _offline(deployments, name)
        if found is None:
            raise AptOstreeError(
                f"there is no {name} deployment", hint="see what there is: apt-ostree status", code="no-revision"
            )
        return found
    if name.isdecimal() and len(name) < 4:  # a longer number may be the beginning of a checksum
        return next((d for d in deployments if d.index == int(name)), None)
    return None


def _offline(deployments: Sequence[Deployment], name: str) -> Deployment | None:
    """Below another root: what boots next, and what the verb `rollback` goes to."""
    own = [d for d in deployments if d.osname == deployments[0].osname]
    places = {"pending": own[:1], "rollback": own[1:2]}
    return next(iter(places.get(name, ())), None)


def _system(paths: Paths, repo: Path | None) -> sysroot.Sysroot | None:
    if repo is not None:
        if not repos.is_repo(repo):
            raise AptOstreeError(
                f"there is no ostree repo at '{repo}'", hint="--repo names the directory of one", code="no-repo"
            )
        return None
    try:
        host.require_ostree(paths)
    except NotOstreeError as error:
        error.hint += "; a repository without a system is named with --repo DIR"
        raise
    return sysroot.load(paths)


def _first(system: sysroot.Sysroot | None, repo: Path) -> str:
    if system is None:
        raise UsageError("with a repo, every revision must be named", hint=f"ostree refs --repo={repo}")
    if system.booted is None and not system.deployments:
        raise AptOstreeError("there is no deployment", hint="name a revision", code="no-revision")
    return "booted" if system.booted else "0"


def _sides(system: sysroot.Sysroot | None, repo: Path) -> tuple[str, str]:
    deployments = system.deployments if system else ()
    if any(d.pending for d in deployments):
        return "booted", "pending"
    if any(d.rollback for d in deployments):
        return "rollback", "booted"
    if len(deployments) > 1 and not any(d.booted for d in deployments):
        return "1", "0"
    _first(system, repo)
    raise AptOstreeError(
        "there are no two deployments to compare",
        hint="name two revisions: apt-ostree db diff FROM TO",
        code="no-revision",
    )


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
