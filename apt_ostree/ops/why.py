"""why: which request brought a package in, and by which chain of relations."""

from __future__ import annotations

from apt_ostree import pkgdb, relations
from apt_ostree.context import Context
from apt_ostree.errors import AptOstreeError
from apt_ostree.findings import Reason
from apt_ostree.ops import ask


def why(context: Context, name: str) -> Reason:
    """Why a package is in the deployment that boots next. Raises AptOstreeError when it is not there."""
    subject = ask.first(context)
    plain = name.partition(":")[0]
    graph = relations.read(pkgdb.status(subject.repo, subject.deployment.checksum))
    node = graph.nodes.get(plain)
    if node is None:
        others = ", ".join(found.name for found in graph.by_name.get(plain, ()))
        raise AptOstreeError(
            f"the package '{plain}' is not installed" + (f", but provided by: {others}" if others else ""),
            hint=f"apt-ostree why {others.split(', ')[0]}" if others else f"apt-ostree show {plain}",
            code="not-installed",
        )
    told = Reason(package=node.name, version=node.version, arch=node.arch, why="base")
    return _explained(subject, graph, told)


def _explained(subject: ask.Subject, graph: relations.Graph, told: Reason) -> Reason:
    name = told.package
    request = subject.requests.get(name, "")

    def reason(why: str, **more: object) -> Reason:
        return Reason(package=name, version=told.version, arch=told.arch, why=why, **more)  # type: ignore[arg-type]

    if name in subject.replaced:
        return reason("override", request=request)
    if name not in subject.layered:
        return reason("base", request=request)
    if request:
        return reason("requested", request=request)
    starts = [asked for asked in subject.requests if asked in subject.layered]
    steps = relations.chain(graph, starts, name, subject.layered)
    if steps:
        return reason("dependency", request=subject.requests[steps[0].package], chain=steps)
    return reason("layered")
