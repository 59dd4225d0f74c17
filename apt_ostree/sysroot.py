"""Deployments as they are on disk -> model. Reads only, needs no root, and a broken origin file does not stop it.

The order and the addresses come from the boot loader entries, which is what libostree itself reads
(sysroot_load_from_bootloader_configs); the staged deployment and unlock flags from /run/ostree. On a running system
`ostree admin status` has the last word on which deployment is booted; offline, nothing is.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from apt_ostree import bls, commits, gvariant, origin, records, remotes
from apt_ostree.errors import AptOstreeError, NotOstreeError, NotRootError, ToolError
from apt_ostree.model import Commit, Deployment, Origin, Unlocked
from apt_ostree.paths import Paths
from apt_ostree.tools import ostree

BASE_REFS = "apt-ostree/base"  # refs that hold the commits deployments are made from
MAX_ORIGIN = 1 << 20  # bytes; anything longer is no origin file
_NAME = re.compile(r"(?P<checksum>[0-9a-f]{64})\.(?P<serial>[0-9]+)")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_OVERLAY = re.compile(r"(?:/[^/]+)*/initramfs-overlays/(?P<checksum>[0-9a-f]{64})\.img")
_STATUS = re.compile(r"(?P<booted>[* ]) (?P<osname>\S+) (?P<checksum>[0-9a-f]{64})\.(?P<serial>\d+)(?P<flags>.*)")
_HOTFIX = re.compile(r"^\s*unlocked\s*=\s*hotfix\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sysroot:
    """What a sysroot holds. `problems` are things that could not be read, each a sentence."""

    paths: Paths
    deployments: tuple[Deployment, ...] = ()  # in boot order: [0] boots next
    stateroots: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def booted(self) -> Deployment | None:
        return next((deployment for deployment in self.deployments if deployment.booted), None)

    @property
    def default_stateroot(self) -> str:
        """The booted deployment's stateroot, else the one that boots next, else the only one; may be empty."""
        if chosen := self.booted or next(iter(self.deployments), None):
            return chosen.osname
        return self.stateroots[0] if len(self.stateroots) == 1 else ""

    def first(self, stateroot: str) -> Deployment | None:
        """The deployment of a stateroot that is first in boot order: where an operation takes its origin from."""
        return next((deployment for deployment in self.deployments if deployment.osname == stateroot), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Address:
    """A deployment before its files are read."""

    osname: str
    checksum: str
    serial: int
    kargs: tuple[str, ...] = ()
    overlays: tuple[str, ...] = ()
    staged: bool = False
    locked: bool = False

    @property
    def name(self) -> str:
        return f"{self.checksum}.{self.serial}"


@dataclass(slots=True)
class _Reading:
    """A reading under way, with what went wrong on it."""

    paths: Paths
    retained: frozenset[str] = frozenset()
    problems: list[str] = field(default_factory=list)
    commits: dict[str, Commit] = field(default_factory=dict)


def load(paths: Paths) -> Sysroot:
    """Read a sysroot. Raises NotOstreeError when it is none, NotRootError when it may be read by root only."""
    reading = _Reading(paths, retained(paths))
    try:
        stateroots = _stateroots(paths)
        addresses = _addresses(reading)
        deployments = tuple(_deployment(reading, index, address) for index, address in enumerate(addresses))
    except PermissionError as error:
        raise NotRootError(f"{error.filename} may be read by root only", hint="sudo apt-ostree ...") from error
    return Sysroot(
        paths=paths,
        deployments=_placed(_marked(reading, deployments)),
        stateroots=stateroots,
        problems=tuple(reading.problems),
    )


def retained(paths: Paths) -> frozenset[str]:
    """Ids of deployments that are pinned by us, so that the next finalisation keeps them (retention.py)."""
    return frozenset(records.texts(records.read(paths.store.retained), "pinned"))


def load_commit(repo: Path, checksum: str) -> Commit:
    """Facts of one commit. Raises AptOstreeError when the repo has none of that checksum."""
    return commits.load(repo, checksum).commit


def history(repo: Path, checksum: str, refspec: str) -> Iterator[Commit]:
    """Commits of the branch `refspec` (when it is here), then `checksum` and its parents, newest first, each once."""
    starts = [checksum]
    with contextlib.suppress(ToolError):  # a deployment may outlive its branch
        starts.insert(0, ostree.rev_parse(repo, refspec))
    seen: set[str] = set()
    for start in starts:
        for commit in commits.ancestry(repo, start):
            if commit.checksum not in seen:
                seen.add(commit.checksum)
                yield commit


def require_inside(paths: Paths) -> None:
    """Raise NotOstreeError when a link leads out of an offline sysroot: what root writes there would hit this host."""
    if paths.is_running_root:
        return
    root = os.path.realpath(paths.sysroot)
    for path in (paths.ostree, paths.repo, paths.deploy, paths.boot):
        real = os.path.realpath(path)
        if os.path.commonpath((root, real)) != root:
            raise NotOstreeError(f"{path} is a link that leads out of the sysroot, to {real}", hint=f"ls -l {path}")


def _stateroots(paths: Paths) -> tuple[str, ...]:
    require_inside(paths)
    try:
        return tuple(sorted(entry.name for entry in os.scandir(paths.deploy) if entry.is_dir(follow_symlinks=False)))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotOstreeError(
            f"'{paths.sysroot}' is not an ostree sysroot: there is no {paths.deploy}",
            hint="apt-ostree doctor",
        ) from error


def entries(paths: Paths) -> tuple[tuple[str, bls.Entry], ...]:
    """libostree's boot loader entries with their file names, the one that boots first in front."""
    try:
        names = [name for name in os.listdir(paths.loader_entries) if re.fullmatch(r"ostree-.*\.conf", name)]
    except (FileNotFoundError, NotADirectoryError):
        return ()
    found = []
    for name in names:
        with contextlib.suppress(FileNotFoundError, IsADirectoryError):  # replaced while we look
            found.append((name, bls.parse((paths.loader_entries / name).read_text(errors="replace"))))
    return tuple(sorted(found, key=lambda item: item[1].order, reverse=True))


def _addresses(reading: _Reading) -> list[_Address]:
    staged = _staged(reading)
    found = [] if staged is None else [staged]
    for name, entry in entries(reading.paths):
        address = _linked(reading.paths, entry)
        if address is None:
            reading.problems.append(f"the boot entry {name} leads to no deployment (ostree={entry.link})")
        else:
            found.append(replace(address, kargs=entry.kargs, overlays=_overlays(entry)))
    return found


def _linked(paths: Paths, entry: bls.Entry) -> _Address | None:
    """The deployment an entry boots: its link is read, not followed, so that it cannot lead out of the sysroot."""
    if not bls.valid_link(entry.link):
        return None
    try:
        target = (paths.sysroot / entry.link.lstrip("/")).readlink()
    except FileNotFoundError:
        return None
    except OSError as error:
        if isinstance(error, PermissionError):
            raise
        return None
    match = _NAME.fullmatch(target.name)
    if match is None:
        return None
    osname = entry.link.split("/")[3]
    return _Address(osname=osname, checksum=match["checksum"], serial=int(match["serial"]))


def _overlays(entry: bls.Entry) -> tuple[str, ...]:
    """Checksums of an entry's small initrds: libostree names them by content."""
    return tuple(match["checksum"] for path in entry.initrd if (match := _OVERLAY.fullmatch(path)))


def _staged(reading: _Reading) -> _Address | None:
    """The deployment that /run/ostree/staged-deployment announces; that file is an `a{sv}` of libostree."""
    try:
        data = reading.paths.staged.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        reading.problems.append(f"cannot read {reading.paths.staged}: {error.strerror}")
        return None
    try:
        state = gvariant.decode(data, "a{sv}")
        target = state["target"]
        match = _NAME.fullmatch(target["name"])
        kargs = tuple(karg for karg in state.get("kargs", ()) if not karg.startswith("ostree="))
        osname = str(target["osname"])
    except (gvariant.GVariantError, KeyError, TypeError, AttributeError) as error:
        reading.problems.append(f"cannot read the staged deployment in {reading.paths.staged}: {error!r}")
        return None
    if match is None or "/" in osname:
        reading.problems.append(f"{reading.paths.staged} names no deployment")
        return None
    locked = bool(state.get("locked")) or reading.paths.staged_lock.exists()
    address = _Address(osname=osname, checksum=match["checksum"], serial=int(match["serial"]), staged=True)
    overlays = tuple(str(item) for item in state.get("overlay-initrds", ()) if _DIGEST.fullmatch(str(item)))
    return replace(address, kargs=kargs, overlays=overlays, locked=locked)


def _deployment(reading: _Reading, index: int, address: _Address) -> Deployment:
    text, error = _origin_text(reading.paths, address)
    parsed = Origin()
    if not error:
        try:
            parsed = origin.parse(text)
        except AptOstreeError as problem:
            error = problem.message
    if f"{address.osname}-{address.name}" in reading.retained:
        parsed = replace(parsed, pinned=False)
    commit = _commit(reading, address.checksum)
    if not error and commit.layer is not None and _is_base(reading.paths, commit, parsed):
        commit = replace(commit, layer=None)
    return Deployment(
        index=index,
        osname=address.osname,
        checksum=address.checksum,
        serial=address.serial,
        path=reading.paths.deploy / address.osname / "deploy" / address.name,
        origin=parsed,
        origin_error=error,
        commit=commit,
        base_commit=_commit(reading, commit.layer.base) if commit.layer else None,
        staged=address.staged,
        finalization_locked=address.locked,
        unlocked=_unlocked(reading.paths, address, text),
        kargs=address.kargs,
        overlays=address.overlays,
    )


def _is_base(paths: Paths, commit: Commit, parsed: Origin) -> bool:
    """True for a commit that `compose install` has made and that is deployed as it is.

    It says what it was layered on, as ours do; but nothing is layered here, or nothing more than it has already.
    """
    held = f"{BASE_REFS}/{commit.checksum[:16]}"
    return not parsed.layered or remotes.read_ref(paths.repo, held) == commit.checksum


def _origin_text(paths: Paths, address: _Address) -> tuple[str, str]:
    """Text of an origin file and why it could not be read; a link is not followed."""
    path = paths.deploy / address.osname / "deploy" / f"{address.name}.origin"
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            return file.read(MAX_ORIGIN).decode("utf-8"), ""
    except FileNotFoundError:
        return "", "there is no origin file"
    except UnicodeDecodeError:
        return "", "the origin file is not UTF-8 text"
    except OSError as error:
        return "", f"the origin file cannot be read: {error.strerror}"


def _commit(reading: _Reading, checksum: str) -> Commit:
    """Facts of a commit; what cannot be read is a problem, and the checksum alone remains."""
    if checksum not in reading.commits:
        try:
            reading.commits[checksum] = load_commit(reading.paths.repo, checksum)
        except NotRootError:
            raise
        except AptOstreeError as error:
            reading.problems.append(error.message)
            reading.commits[checksum] = Commit(checksum=checksum)
    return reading.commits[checksum]


def _unlocked(paths: Paths, address: _Address, text: str) -> Unlocked:
    """As libostree has it: a flag in /run for the states that end with the boot, the origin for a hotfix."""
    state = paths.sysroot / "run/ostree/deployment-state" / address.name
    if os.path.lexists(state / "unlocked-development"):
        return Unlocked.DEVELOPMENT
    if os.path.lexists(state / "unlocked-transient"):
        return Unlocked.TRANSIENT
    return Unlocked.HOTFIX if _HOTFIX.search(text) else Unlocked.NONE


def _marked(reading: _Reading, deployments: tuple[Deployment, ...]) -> tuple[Deployment, ...]:
    """Set `booted` (and what else ostree knows of a running system) on the deployments."""
    if not reading.paths.booted_marker.exists():
        return deployments
    told = _told(reading.paths) if reading.paths.is_running_root else {}
    if told:
        known = {deployment.id for deployment in deployments}
        reading.problems.extend(f"ostree admin status does not agree on {name}" for name in sorted(known ^ set(told)))
        return tuple(_as_told(deployment, told.get(deployment.id, {})) for deployment in deployments)
    mine = next((d for d in deployments if _same(reading.paths.sysroot, d.path)), None) or _by_cmdline(
        reading.paths, deployments
    )
    return tuple(replace(deployment, booted=deployment is mine) for deployment in deployments)


def _as_told(deployment: Deployment, flags: dict[str, bool]) -> Deployment:
    return replace(
        deployment,
        booted=flags.get("booted", False),
        finalization_locked=deployment.finalization_locked or flags.get("finalization-locked", False),
    )


def _told(paths: Paths) -> dict[str, dict[str, bool]]:
    """What `ostree admin status` says, by deployment id; empty when ostree cannot load the sysroot."""
    try:
        text = ostree.admin_status_json(paths.sysroot)
        return from_json(text) if text else from_text(ostree.admin_status(paths.sysroot))
    except (ToolError, ValueError, KeyError, TypeError):
        return {}


def from_json(text: str) -> dict[str, dict[str, bool]]:
    """`ostree admin status --json` (since 2025.4) -> flags by deployment id. Raises ValueError, KeyError, TypeError."""
    return {
        f"{item['stateroot']}-{item['checksum']}.{item['serial']}": {
            key: bool(value) for key, value in item.items() if isinstance(value, bool)
        }
        for item in json.loads(text)["deployments"]
    }


def from_text(text: str) -> dict[str, dict[str, bool]]:
    """`ostree admin status` -> flags by deployment id."""
    found: dict[str, dict[str, bool]] = {}
    for line in text.splitlines():
        if match := _STATUS.fullmatch(line):
            locked = "(finalization locked)" in match["flags"]
            found[f"{match['osname']}-{match['checksum']}.{match['serial']}"] = {
                "booted": match["booted"] == "*",
                "staged": "(staged)" in match["flags"] or locked,
                "finalization-locked": locked,
            }
    return found


def _same(sysroot: Path, deployment: Path) -> bool:
    """True when / is the deployment's directory: the test libostree makes."""
    try:
        return os.path.samestat(sysroot.stat(), deployment.stat())
    except OSError:
        return False


def _by_cmdline(paths: Paths, deployments: tuple[Deployment, ...]) -> Deployment | None:
    """The deployment the kernel was told to boot; only a last resort, for the link may have moved on since."""
    try:
        entry = bls.Entry(options=paths.cmdline.read_text(errors="replace"))
    except OSError:
        return None
    address = _linked(paths, entry)
    wanted = (address.osname, address.checksum, address.serial) if address else None
    return next((d for d in deployments if (d.osname, d.checksum, d.serial) == wanted), None)


def _placed(deployments: tuple[Deployment, ...]) -> tuple[Deployment, ...]:
    """Set `pending` and `rollback` as ostree_sysroot_query_deployments_for does: seen from the booted one."""
    booted = next((deployment for deployment in deployments if deployment.booted), None)
    if booted is None:
        return deployments
    siblings = [deployment for deployment in deployments if deployment.osname == booted.osname]
    at = siblings.index(booted)
    pending = siblings[0] if at else None
    rollback = siblings[at + 1] if at + 1 < len(siblings) else None
    return tuple(
        replace(deployment, pending=deployment is pending, rollback=deployment is rollback)
        for deployment in deployments
    )
