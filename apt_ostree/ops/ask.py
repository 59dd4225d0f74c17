"""What questions about packages start from: the deployment that boots next and, where asked, a private apt root."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from apt_ostree import aptroot, host, pkgdb, sysroot
from apt_ostree.context import Context
from apt_ostree.errors import AptOstreeError, NotOstreeError
from apt_ostree.findings import Presence
from apt_ostree.model import Deployment
from apt_ostree.planning import situate
from apt_ostree.report import OutputLine, phase
from apt_ostree.resolving import apt_directory_for_dry_run, base_state


@dataclass(frozen=True)
class Subject:
    """One deployment, and what it has."""

    repo: Path
    deployment: Deployment

    @cached_property
    def installed(self) -> dict[str, str]:
        """Version by package name; of several architectures the first."""
        found: dict[str, str] = {}
        for package in pkgdb.packages(self.repo, self.deployment.checksum):
            found.setdefault(package.name, package.version)
        return found

    @cached_property
    def layered(self) -> frozenset[str]:
        """Names of what was layered, requested or pulled in."""
        layer = self.deployment.commit.layer
        return frozenset(package.name for package in layer.packages) if layer else frozenset()

    @cached_property
    def replaced(self) -> frozenset[str]:
        """Names of base packages that an override exchanged."""
        layer = self.deployment.commit.layer
        return frozenset(new.name for _, new in layer.replacements) if layer else frozenset()

    @cached_property
    def requests(self) -> dict[str, str]:
        """Package name -> what the origin asks for."""
        origin = self.deployment.origin
        asked = {request.name: str(request) for request in origin.requested}
        return asked | {local.package.name: local.nevra for local in origin.requested_local}

    def presence(self, name: str) -> Presence:
        """How a package is there."""
        version = self.installed.get(name, "")
        where = "override" if name in self.replaced else "layered" if name in self.layered else "base"
        return Presence(where=where if version else "", version=version, requested=name in self.requests)


def first(context: Context) -> Subject:
    """The deployment that boots next: what a request would be added to. Raises NotOstreeError, NotRootError."""
    host.require_ostree(context.paths)
    return Subject(context.paths.repo, situate(context).first)


def running(context: Context) -> Subject:
    """The booted deployment, else the one that boots next. Raises NotOstreeError, NotRootError."""
    host.require_ostree(context.paths)
    system = sysroot.load(context.paths)
    found = system.booted or next(iter(system.deployments), None)
    if found is None:
        raise NotOstreeError("there is no deployment to look into", hint="apt-ostree status")
    return Subject(context.paths.repo, found)


@contextmanager
def archive(context: Context) -> Iterator[tuple[Subject, aptroot.AptRoot]]:
    """The deployment that boots next and apt as it would be asked to install something into it.

    The lists are those that were fetched last, whatever their age; nothing in the sysroot is changed. When there are
    none, or plain users may not read them, they are fetched for this one answer. Raises AptOstreeError.
    """
    host.require_ostree(context.paths)
    situation = situate(context)
    state = base_state(context.paths.repo, situation.base.checksum)
    source = aptroot.SourceTree(etc_apt=situation.merge.path / "etc/apt", root=situation.merge.path)
    with apt_directory_for_dry_run(context) as directory:
        root = aptroot.build(directory, state, source, disabled=context.options.disable_repos)
        if root.age() is None:
            _fetch(context, root)
        yield Subject(context.paths.repo, situation.first), root


def _fetch(context: Context, root: aptroot.AptRoot) -> None:
    if context.options.cache_only:
        raise AptOstreeError(
            "no lists of available packages are here", hint="sudo apt-ostree refresh-md", code="no-lists"
        )
    with phase(context.reporter, "refresh", "Fetching package lists for this answer (refresh-md keeps them)"):
        root.refresh(lambda line: context.reporter.event(OutputLine(line=line)))
