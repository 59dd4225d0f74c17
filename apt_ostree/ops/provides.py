"""provides: which package has a file, or gives a capability."""

from __future__ import annotations

import posixpath
import re

from apt_ostree import relations
from apt_ostree.context import Context
from apt_ostree.errors import AptOstreeError, UsageError
from apt_ostree.findings import Provided, Provider
from apt_ostree.ops import ask
from apt_ostree.pkgdb import status
from apt_ostree.requests import NAME
from apt_ostree.tools import apt, dpkg
from apt_ostree.tree.layout import LINKS

_MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libo32", "libx32")  # links into /usr (usrmerge)
_DIVERSION = re.compile(r"(?:diversion by (?P<by>\S+)|(?P<local>local diversion)) from")
# where an image has what packages put elsewhere -> where their file lists have it
_PLACES = {"/usr/etc": "/etc", "/usr/lib/opt": "/opt", "/usr/lib/sysimage/dpkg": "/var/lib/dpkg"} | {
    f"/{place.removeprefix('../')}": f"/{name}" for name, place in LINKS.items()
}


def provides(context: Context, query: str) -> Provided:
    """Packages that have a file (what has a slash in it) or give a capability. Raises UsageError, AptOstreeError."""
    if "/" in query:
        return _file(context, query)
    if not re.fullmatch(NAME, query):
        raise UsageError(
            f"'{query}' is neither a path nor the name of a capability",
            hint="a file is named with its whole path: apt-ostree provides /usr/bin/env",
        )
    found = _capability(context, query)
    if not found:
        raise AptOstreeError(
            f"no package provides '{query}'",
            hint=f"apt-ostree search {query}; a file is named with its whole path: /usr/bin/{query}",
            code="not-found",
        )
    return Provided(query=query, is_file=False, providers=found)


def _file(context: Context, query: str) -> Provided:
    subject = ask.running(context)
    admindir = subject.deployment.path / "usr/lib/sysimage/dpkg"
    providers = tuple(
        provider
        for path in names(posixpath.normpath(query))
        for owners, found in dpkg.search(admindir, path)
        for provider in _owners(subject, owners, found)
    )
    if not any(not provider.diverts for provider in providers):
        raise AptOstreeError(
            f"no installed package has the file {query}",
            hint="only installed packages can be asked for their files, package sources do not list them; "
            "try: apt-ostree search",
            code="not-found",
        )
    return Provided(query=query, is_file=True, providers=providers)


def names(path: str) -> tuple[str, ...]:
    """All names the file lists of packages may have for a path of an image: merged /usr, and what moved to /var.

    Packages of Debian 13 name the real place, older ones the link (Policy 10.1, DEP 17).
    """
    path = "/" + path.lstrip("/")
    found = [path]
    for place, original in _PLACES.items():
        if path == place or path.startswith(f"{place}/"):
            found.append(original + path[len(place) :])
    for top in _MERGED:
        found += [f"/usr{name}" for name in found if name.startswith(f"/{top}/")]
        found += [name[len("/usr") :] for name in found if name.startswith(f"/usr/{top}/")]
    return tuple(dict.fromkeys(found))


def _owners(subject: ask.Subject, owners: str, path: str) -> tuple[Provider, ...]:
    if diversion := _DIVERSION.fullmatch(owners):
        name = diversion["by"] or "local administrator"
        return (Provider(name=name, provides=path, installed=True, diverts=True),)
    if " diversion " in f" {owners} ":
        return ()  # "diversion by NAME to": the other half of what `from` says
    found = []
    for owner in owners.split(", "):
        name, _, arch = owner.partition(":")
        version = subject.installed.get(name, "")
        found.append(Provider(name=name, version=version, arch=arch, provides=path, installed=True))
    return tuple(found)


def _capability(context: Context, name: str) -> tuple[Provider, ...]:
    with ask.archive(context) as (subject, root):
        graph = relations.read(status(subject.repo, subject.deployment.checksum))
        found: dict[tuple[str, str], Provider] = {}
        for node in graph.by_name.get(name, ()):
            said = node.version if node.name == name else node.provides.get(name, "")
            found[node.name, node.version] = Provider(
                name=node.name, version=node.version, arch=node.arch, provides=_versioned(name, said), installed=True
            )
        rows = [*apt.reverse_provides(root.config, name)]
        rows += [(named, version, version) for named, version, _ in apt.madison(root.config, [name])]
        for package, version, said in rows:
            provider = Provider(name=package, version=version, provides=_versioned(name, said))
            found.setdefault((package, version), provider)
        return tuple(sorted(found.values(), key=lambda p: (not p.installed, p.name, p.version)))


def _versioned(name: str, version: str) -> str:
    return f"{name} (= {version})" if version else name
