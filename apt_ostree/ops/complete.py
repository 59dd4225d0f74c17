"""Words for TAB that only the system knows. These look and never wait, write or download."""

from __future__ import annotations

from pathlib import Path

from apt_ostree import overrides, sysroot
from apt_ostree.paths import Paths
from apt_ostree.tools import apt_cache, ostree


def available(prefix: str) -> tuple[str, ...]:
    """Packages of the archive that begin with `prefix`; none without one, there are tens of thousands."""
    return apt_cache.pkgnames(prefix) if prefix else ()


def requested(root: Path) -> tuple[str, ...]:
    """What the deployment that boots next was asked to have, by package name."""
    deployments = sysroot.load(Paths(root)).deployments
    if not deployments:
        return ()
    origin = deployments[0].origin
    return (*(request.name for request in origin.requested), *(local.package.name for local in origin.requested_local))


def overridden(root: Path) -> tuple[str, ...]:
    """Packages of the base that the deployment that boots next has otherwise or not at all."""
    deployments = sysroot.load(Paths(root)).deployments
    if not deployments:
        return ()
    origin = deployments[0].origin
    return (*origin.overrides_remove, *(overrides.spec(item) for item in overrides.replacements(origin)))


def revisions(root: Path) -> tuple[str, ...]:
    """Checksums and versions of the deployments, and the refs of the repository."""
    paths = Paths(root)
    words: dict[str, None] = {}
    for deployment in sysroot.load(paths).deployments:
        words |= dict.fromkeys(word for word in (deployment.checksum, deployment.commit.version) if word)
    return (*words, *ostree.refs(paths.repo))
