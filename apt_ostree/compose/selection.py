"""Which packages a tree is made of: apt chooses them out of the treefile's archives, or a lockfile has chosen."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from debian.deb822 import Deb822

from apt_ostree import aptroot, archives, refusals, requests, unfetched
from apt_ostree.errors import ResolveError, UsageError
from apt_ostree.installed import is_kernel
from apt_ostree.lockfile import Lock, Locked
from apt_ostree.resolve import parse_actions, refuse_unavailable
from apt_ostree.tools import apt
from apt_ostree.treefile import Treefile

# Of the machine's own /etc/apt: how its network is reached, and passwords for it.
_HOST = ("apt.conf", "apt.conf.d", "auth.conf", "auth.conf.d")
_TRUSTED = ("trusted.gpg", "trusted.gpg.d")
_INITRAMFS_TOOLS = frozenset({"initramfs-tools", "initramfs-tools-core", "tiny-initramfs"})
# What each variant of mmdebstrap(1) has on top of what is asked for, as apt-patterns(7).
_PRIORITIES = {
    "required": ("required",),
    "minbase": ("required",),
    "buildd": ("required",),
    "important": ("required", "important"),
    "-": ("required", "important"),
    "standard": ("required", "important", "standard"),
}


def sources(treefile: Treefile, architecture: str, *, keyrings: bool = True) -> tuple[str, ...]:
    """sources.list(5) lines of a treefile's archives; `keyrings`: with the vendor's keyring where none is named."""
    if treefile.mirrors:
        found = [line for mirror in treefile.mirrors for line in mirror.line(treefile)]
    else:
        components = " ".join(treefile.components)
        option = "[check-valid-until=no] " if treefile.snapshot else ""
        known = archives.known(treefile.suite, architecture, treefile.snapshot)
        found = [f"deb {option}{uri} {suite} {components}" for uri, suite in known]
    key = archives.keyring(treefile.suite) if keyrings else ""
    return tuple(_with_key(line, key) for line in found)


def _with_key(line: str, key: str) -> str:
    if not key or "signed-by=" in line:
        return line
    if line.startswith("deb ["):
        return line.replace("deb [", f"deb [signed-by={key} ", 1)
    return line.replace("deb ", f"deb [signed-by={key}] ", 1)


def foreign(treefile: Treefile, native: str, *more: Sequence[str]) -> tuple[str, ...]:
    """Architectures that the tree's packages, and `more`, name beside the tree's own."""
    named = {requests.parse(package).arch for names in (treefile.chosen(native), *more) for package in names}
    return tuple(sorted(named - {"", "all", "any", "native", native}))


def apt_root(
    directory: Path, treefile: Treefile, native: str, status: str = "", *, cache_only: bool = False
) -> aptroot.AptRoot:
    """A private apt in `directory` that knows the treefile's archives and a system with the packages of `status`."""
    lines = sources(treefile, native)
    with tempfile.TemporaryDirectory(prefix="apt-ostree-sources-") as folder:
        etc = Path(folder).resolve()
        (etc / "sources.list").write_text("".join(f"{line}\n" for line in lines))
        for name in (*_HOST, *(_TRUSTED if any("signed-by=" not in line for line in lines) else ())):
            (etc / name).symlink_to(f"/etc/apt/{name}")
        named = foreign(treefile, native, *(layer.chosen(native) for layer in treefile.layers))
        state = aptroot.BaseState(status=status, extended_states="", architectures=(native, *named))
        # which release is preferred here is no matter of the machine
        settings = {"APT::Default-Release": ""}
        advice = unfetched.of_a_treefile(cache_only=cache_only)
        source = aptroot.SourceTree(etc_apt=etc, root=Path("/"), advice=advice)
        return aptroot.build(directory, state, source, settings=settings)


def digest(treefile: Treefile, native: str) -> str:
    """sha256 of all that decides which packages are chosen; a lockfile is one of just this choice."""
    layers = [[layer.name, sorted(layer.chosen(native))] for layer in treefile.layers]
    chosen = {
        "suite": treefile.suite,
        "architecture": native,
        "variant": treefile.variant,
        "packages": sorted(treefile.chosen(native)),
        "exclude": sorted(treefile.exclude),
        "recommends": treefile.recommends,
        **({"layers": layers} if layers else {}),
    }
    return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()


def resolve(root: aptroot.AptRoot, treefile: Treefile) -> Lock:
    """Let apt choose. Raises ResolveError naming what is not there or does not go together."""
    _known(root, treefile)
    done = apt.simulate_install(root.config, _items(treefile, root.native), _options(treefile))
    if done.returncode != 0:
        refuse_unavailable(root, done)
        told = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise ResolveError(
            "the packages of the treefile cannot be installed together",
            details=told[-25:],
            hint="look at packages, exclude, suite and mirrors of the treefile",
        )
    actions = [action for action in parse_actions(done.stdout) if action.verb == "Inst"]
    items = [f"{action.name}:{action.arch}={action.new}" for action in actions]
    records = {(r["Package"], r["Version"], r["Architecture"]): r for r in reversed([*apt.show(root.config, items)])}
    packages = [_locked(records.get((a.name, a.new, a.arch)), f"{a.name} {a.new}") for a in actions]
    _check_initramfs(frozenset(package.name for package in packages))
    return Lock(
        selection=digest(treefile, root.native),
        epoch=epoch(root.lists),
        sources=root.releases(),
        packages=tuple(sorted(packages, key=lambda package: (package.name, package.arch))),
    )


def _check_initramfs(names: frozenset[str]) -> None:
    """A kernel needs an initramfs that finds its deployment, and that is known before anything is downloaded."""
    other = sorted(names & _INITRAMFS_TOOLS)
    if other and "dracut" not in names and any(map(is_kernel, names)):
        raise ResolveError(
            f"the tree would have a kernel and {other[0]}, which has no hook for ostree: it would not boot",
            hint="add 'dracut' and 'ostree-boot' to the packages of the treefile",
            code="initramfs",
        )


def _items(treefile: Treefile, native: str) -> list[str]:
    items = [f"?narrow(?architecture({native}),?essential)"]
    for priority in _PRIORITIES.get(treefile.variant, ()):
        items.append(f"?narrow(?architecture({native}),?priority({priority}))")
    items += ["apt"] if treefile.variant == "apt" else []
    items += ["build-essential"] if treefile.variant == "buildd" else []
    return [*items, *treefile.chosen(native), *(f"{name}-" for name in treefile.exclude)]


def _options(treefile: Treefile) -> list[str]:
    recommends = f"APT::Install-Recommends={str(treefile.recommends).lower()}"
    # libapt takes apt for essential (pkgCacheGen::ForceEssential), and its cache remembers what it took for it
    own = ("pkgCacheGen::ForceEssential=,", "Dir::Cache::pkgcache=", "Dir::Cache::srcpkgcache=")
    return [word for setting in (recommends, *own) for word in ("-o", setting)]


def _known(root: aptroot.AptRoot, treefile: Treefile) -> None:
    names = apt.package_names(root.config)
    asked = [requests.parse(package).name for package in treefile.chosen(root.native)]
    unknown = [name for name in asked if name not in names]
    if unknown:
        raise refusals.not_found(unknown, names, root.advice)


def _locked(record: Deb822 | None, label: str) -> Locked:
    if record is None or "SHA256" not in record:
        raise ResolveError(f"the package lists have no SHA256 for {label}")
    return Locked(
        name=record["Package"],
        version=record["Version"],
        arch=record["Architecture"],
        sha256=record["SHA256"],
        size=int(record["Size"]),
        priority=record.get("Priority", ""),
    )


def check_selection(lock: Lock, treefile: Treefile, native: str) -> None:
    """Raise ResolveError when a lockfile was made for another choice of packages than the treefile's."""
    layers = tuple(layer.name for layer in lock.layers) == tuple(layer.name for layer in treefile.layers)
    if lock.selection != digest(treefile, native) or not layers:
        raise ResolveError(
            "the lockfile does not fit the treefile: suite, architecture, variant, packages, exclude, recommends or "
            "layers are others now",
            hint="make it again with --write-lockfile",
            code="lockfile",
        )


def check_archive(root: aptroot.AptRoot, wanted: Sequence[Locked]) -> None:
    """Raise ResolveError unless the archives have each of these packages, in this version and with this content."""
    if not wanted:
        return
    shown = apt.show_versions(root.config, sorted({package.name for package in wanted}))
    have: dict[tuple[str, str, str], set[str]] = {}
    for record in shown:
        key = (record["Package"], record["Version"], record["Architecture"])
        have.setdefault(key, set()).add(record.get("SHA256", ""))
    wrong = []
    for package in wanted:
        found = have.get((package.name, package.version, package.arch))
        if found is None:
            wrong.append(f"{package}: the archives do not have it")
        elif package.sha256 not in found:
            wrong.append(f"{package}: its content is another (sha256 {', '.join(sorted(found))}, not {package.sha256})")
    if wrong:
        raise ResolveError(
            f"the archives do not have what the lockfile asks for: {wrong[0]}",
            details=wrong[1:],
            hint="use a snapshot of the archive, or make the lockfile again with --write-lockfile",
            code="lockfile",
        )


def epoch(lists: Path) -> int:
    """The time a tree is made at: SOURCE_DATE_EPOCH of the environment, else the newest date of the Release files."""
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    if given:
        if not given.isdecimal():
            raise UsageError(f"SOURCE_DATE_EPOCH is not a number of seconds: '{given}'")
        return int(given)
    dates = [_date(path.read_text(errors="replace")) for path in lists.glob("*Release") if path.is_file()]
    return max((int(date.timestamp()) for date in dates if date), default=0)


def _date(release: str) -> datetime | None:
    for line in release.splitlines():
        if line.startswith("Date:"):
            try:
                return parsedate_to_datetime(line.partition(":")[2].strip())
            except ValueError:
                return None
    return None
