"""The layers of a treefile: where each is committed, and which packages it has on top of what is below it.

They are chosen before anything is built, so that a lockfile and a dry run know them: apt is told that the packages
chosen for what is below are installed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from debian.deb822 import Deb822

from apt_ostree import aptroot, commits, repos, requests, resolve
from apt_ostree.compose import selection
from apt_ostree.compose.tree import Target
from apt_ostree.errors import AptOstreeError, ResolveError, UsageError
from apt_ostree.installed import installed, is_kernel
from apt_ostree.lockfile import Lock, Locked, LockedLayer, require
from apt_ostree.model import LocalPackage, Resolution
from apt_ostree.paths import Store
from apt_ostree.report import Reporter, Warned, phase
from apt_ostree.tools import apt, ostree
from apt_ostree.treefile import Layer, Treefile, resolved_ref

# Of a record of the archive what a package that is installed does not have (deb822 of dpkg's status file).
_ARCHIVE_FIELDS = ("Filename", "Size", "MD5sum", "SHA1", "SHA256", "SHA512", "Description-md5", "Tag")


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerTarget:
    """Where a layer goes. `previous` is the commit of the ref now, empty: none."""

    layer: Layer
    ref: str
    previous: str = ""
    parent: str = ""  # of that commit


def targets(target: Target) -> tuple[LayerTarget, ...]:
    """The layers of a tree, in order. Raises UsageError, AptOstreeError when they cannot be made in its repo."""
    found: list[LayerTarget] = []
    layers = target.treefile.layers
    if not layers:
        return ()
    if repos.mode(target.repo) != "bare":
        raise AptOstreeError(
            f"layers are made of hard links into the repo, and '{target.repo}' is no bare one",
            hint="apt-ostree repo init DIR --mode bare, and publish from an archive: ostree pull-local",
            code="repo-mode",
        )
    existing = ostree.refs(target.repo)
    for layer in layers:
        ref = requests.parse_branch(resolved_ref(target.treefile, layer.ref, target.architecture, layer=layer.name))
        _check_ref(layer, ref, (target.ref, *(item.ref for item in found)), existing)
        if not layer.chosen(target.architecture):
            raise UsageError(f"the layer '{layer.name}' of the treefile has no packages for {target.architecture}")
        previous = ostree.rev_parse(target.repo, ref) if ref in existing else ""
        parent = commits.load(target.repo, previous).commit.parent if previous else ""
        found.append(LayerTarget(layer=layer, ref=ref, previous=previous, parent=parent))
    return tuple(found)


def _check_ref(layer: Layer, ref: str, taken: Sequence[str], existing: Sequence[str]) -> None:
    if ref in taken:
        raise UsageError(
            f"the layer '{layer.name}' has the ref '{ref}', which is taken in the same treefile",
            hint="${layer} in a ref stands for the layer's name",
        )
    repos.check_branch(ref, (*taken, *existing), of=f" of the layer '{layer.name}'")


def choose(directory: Path, target: Target, lock: Lock, reporter: Reporter) -> Lock:
    """Let apt choose for every layer; `directory` has the lists of the treefile's archives. Raises ResolveError.

    What lies below a layer is the archive's own record of it, and locked as a base is on a machine.
    """
    treefile, native = target.treefile, target.architecture
    status = _status(selection.apt_root(directory, treefile, native), lock.packages)
    chosen: list[LockedLayer] = []
    for layer in treefile.layers:
        with phase(reporter, "resolve", f"Resolving the layer {layer.name}"):
            root = selection.apt_root(directory, treefile, native, status)
            found = _resolve(root, layer, treefile, target.store)
            packages = tuple(sorted(_locked(found), key=lambda package: (package.name, package.arch)))
            status += _status(root, packages)
        for request in found.inactive:
            reporter.event(Warned(message=f"layer {layer.name}: {request} is below it already"))
        chosen.append(LockedLayer(name=layer.name, packages=packages))
    selection.apt_root(directory, treefile, native)  # who downloads with it sees an empty system again
    return replace(lock, layers=tuple(chosen))


def _resolve(root: aptroot.AptRoot, layer: Layer, treefile: Treefile, store: Store) -> Resolution:
    wanted = resolve.Wanted(
        requested=tuple(map(requests.parse, layer.chosen(root.native))),
        recommends=treefile.recommends,
        exclude=treefile.exclude,
    )
    status = (root.directory / "status").read_text()
    try:
        found = resolve.resolve(root, installed(status), wanted, store)
    except ResolveError as error:
        raise ResolveError(
            f"layer {layer.name}: {error.message}",
            details=error.details,
            hint="look at the packages of the layer and of what is below it in the treefile",
            code=error.code,
        ) from error
    kernels = [planned.package.name for planned in found.packages if is_kernel(planned.package.name)]
    if kernels:
        raise ResolveError(
            f"layer {layer.name}: it would bring a kernel, {kernels[0]}, whose initramfs is made with the tree",
            hint="name the kernel in 'packages' of the treefile itself",
            code="kernel",
        )
    return found


def _locked(found: Resolution) -> list[Locked]:
    return [
        Locked(
            name=planned.package.name,
            version=planned.package.version,
            arch=planned.package.arch,
            sha256=planned.sha256,
            size=planned.download_size,
        )
        for planned in found.packages
    ]


def _status(root: aptroot.AptRoot, packages: Sequence[Locked]) -> str:
    """What dpkg's status file will say of packages, as far as apt reads it."""
    wanted = {(package.name, package.version, package.arch) for package in packages}
    items = [f"{package.name}:{package.arch}={package.version}" for package in packages]
    stanzas = []
    for record in apt.show(root.config, items) if items else ():
        key = (record["Package"], record["Version"], record["Architecture"])
        if key in wanted and "Status" not in record:
            wanted.remove(key)
            stanzas.append(_installed(record))
    if wanted:
        raise ResolveError(f"the package lists have no record of {'_'.join(min(wanted))}")
    return "".join(stanzas)


def _installed(record: Deb822) -> str:
    fields: Mapping[str, str] = record
    lines = [f"{name}: {fields[name]}\n" for name in fields if name not in _ARCHIVE_FIELDS]
    return f"{lines[0]}Status: install ok installed\n{''.join(lines[1:])}\n"


def resolution(directory: Path, below: aptroot.BaseState, packages: Sequence[Locked], store: Store) -> Resolution:
    """In which order dpkg is to take a layer's packages, out of the store and onto what is really below them.

    apt knows no archive here, only these files. Raises ResolveError when they do not go together.
    """
    (directory / "etc").mkdir(parents=True)
    foreign = tuple(sorted({package.arch for package in packages} - {"all", *below.architectures}))
    state = replace(below, architectures=(*below.architectures, *foreign))
    root = aptroot.build(directory / "apt", state, aptroot.SourceTree(etc_apt=directory / "etc", root=directory))
    local = tuple(LocalPackage(sha256=item.sha256, package=item.planned.package) for item in packages)
    wanted = resolve.Wanted(local=local, recommends=False)
    found = resolve.resolve(root, installed(below.status), wanted, store)
    versions = {planned.sha256: planned.package.nevra for planned in found.packages}
    if versions.keys() != {item.sha256 for item in packages}:
        raise ResolveError(
            "what is below the layer does not take just the packages of the lockfile",
            hint="make the lockfile again with --write-lockfile",
            code="lockfile",
        )
    for item in packages:
        require(item, versions[item.sha256])
    return replace(found, foreign=foreign)
