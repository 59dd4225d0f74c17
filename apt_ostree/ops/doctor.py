"""doctor: everything that must be right before a transaction can go well, looked at without changing it."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from apt_ostree import (
    bootguard,
    composefs,
    config,
    guarding,
    health,
    host,
    lock,
    pkgdb,
    preflight,
    run,
    staged,
    sysroot,
)
from apt_ostree.context import Context
from apt_ostree.errors import AptOstreeError, ToolMissingError
from apt_ostree.host import failed, ok, warning
from apt_ostree.model import Unlocked
from apt_ostree.paths import Paths
from apt_ostree.report import Warned
from apt_ostree.states import HealthState, Probe
from apt_ostree.tools import mount

_VERSION = re.compile(r"\d+(?:\.\d+)+")
_ROOM = 512 * 1024 * 1024  # bytes; less than this and a bigger package will not go in
_BOOT_ROOM = 128 * 1024 * 1024  # bytes; a kernel and its initramfs

_FIX_USR = (
    "mount -o remount,bind,ro /usr; then see why ostree-prepare-root did not: journalctl -b -t ostree-prepare-root"
)
_FIX_SYSROOT = (
    "ostree config --repo=/ostree/repo set sysroot.readonly true, and [sysroot] readonly=true in"
    " /usr/lib/ostree/prepare-root.conf of the image before its initramfs is made; then reboot"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A program we run: the oldest version that will do, and what needs it when not everything does."""

    program: str
    minimum: str
    only_for: str = ""


TOOLS = (
    Tool(program="ostree", minimum="2022.7"),
    Tool(program="apt-get", minimum="2.6"),
    Tool(program="dpkg", minimum="1.21"),
    Tool(program="bwrap", minimum="0.8"),
    Tool(program="mount", minimum="2.38"),
    Tool(program="mmdebstrap", minimum="1.3", only_for="compose tree"),
)


def probes(paths: Paths) -> tuple[Probe, ...]:
    """Detection, tools, space, boot entries and leftovers, in the order people should read them."""
    image = paths.is_running_root and paths.booted_marker.exists()  # composing is done elsewhere
    found = [*host.detect(paths), *(tool_probe(tool) for tool in TOOLS if not (image and tool.only_for))]
    if paths.repo.is_dir():
        found += [
            *_space(paths),
            _filesystem(paths),
            _composefs(paths),
            _finalised(paths),
            *_health(paths),
            *_read_only(paths),
            _leftovers(paths),
            *_retention(paths),
        ]
        found += host.check_boot(paths)
    return tuple(found)


def restore_boot(context: Context) -> None:
    """Put the former boot entries back when those a shutdown wrote would not boot. Raises NotRootError, AptOstreeError.

    No lock: it follows ostree's own finalisation, which has none of ours, while everything else is ended.
    """
    _begin(context)
    if why := bootguard.put_back(context.paths):
        context.reporter.event(Warned(message=why))


def keep_failure(context: Context) -> None:
    """Keep why a staged deployment was not finalised, before ostree forgets it. Raises NotRootError, AptOstreeError.

    No lock: whoever has it may be waiting for the unit of ostree that this runs in.
    """
    _begin(context)
    if why := staged.keep_failure(context.paths):
        context.reporter.event(Warned(message=f"the last staged deployment was not finalised: {why}"))


def _begin(context: Context) -> None:
    guarding.require_root(context.options.command)
    host.require_ostree(context.paths)
    mount.enter_private_namespace()
    guarding.make_writable(context.paths)


def tool_probe(tool: Tool) -> Probe:
    """Whether a program is there and new enough."""
    name = f"tool {tool.program}"
    try:
        done = run.capture([tool.program, "--version"], check=False)
    except ToolMissingError as error:
        if tool.only_for:
            return warning(name, f"not installed; only '{tool.only_for}' needs it", error.hint)
        return failed(name, error.message, error.hint)
    match = _VERSION.search(done.stdout)
    if match is None:
        return warning(name, "it does not say its version")
    if pkgdb.compare(match[0], tool.minimum) < 0:
        return failed(name, f"{match[0]} is too old, {tool.minimum} is needed", run.missing(tool.program).hint)
    return ok(name, match[0])


def _space(paths: Paths) -> list[Probe]:
    found = []
    for name, path, wanted in (("repo space", paths.repo, _ROOM), ("boot space", paths.boot, _BOOT_ROOM)):
        if not path.is_dir():
            continue
        free = preflight.free_bytes(path)
        text = f"{preflight.megabytes(free)} free at {path}"
        low = warning(name, f"{text}; {preflight.megabytes(wanted)} are wise", "sudo apt-ostree cleanup --rollback")
        found.append(ok(name, text) if free >= wanted else low)
    return found


def _filesystem(paths: Paths) -> Probe:
    """Layering needs an overlay on the repo's file system: that needs xattrs and d_type (overlayfs.rst)."""
    kind = filesystem(paths.repo, Path("/proc/self/mountinfo").read_text(errors="replace"))
    if kind in ("vfat", "exfat", "msdos", "nfs", "nfs4", "overlay", "fuseblk"):
        return warning("repo file system", f"{kind} cannot hold the upper layer of an overlay")
    return ok("repo file system", kind)


def filesystem(path: Path, mountinfo: str) -> str:
    """Type of the file system `path` is on, by proc_pid_mountinfo(5): the longest mount point, the last mount on it."""
    best, kind = -1, "unknown"
    real = os.path.realpath(path)
    for line in mountinfo.splitlines():
        fields, _, tail = line.partition(" - ")
        mount_point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields.split()[4])
        inside = real == mount_point or real.startswith(mount_point.rstrip("/") + "/")
        if inside and len(mount_point) >= best:
            best, kind = len(mount_point), tail.split()[0]
    return kind


def _composefs(paths: Paths) -> Probe:
    """Whether what asks for an image has one; what asks for none is mounted file by file."""
    able = f"ostree of this machine was built {'with' if composefs.supported() else 'without'} it"
    found = {}
    with contextlib.suppress(AptOstreeError):
        found = {each.id: composefs.of_deployment(each.path) for each in sysroot.load(paths).deployments}
    if dead := [name for name, mounting in found.items() if mounting.dead]:
        hint = "boot another deployment, and deploy it anew where 'ostree --version' lists composefs"
        return failed("composefs", f"{', '.join(dead)} cannot boot: asks for an image and has none; {able}", hint)
    images = sum(mounting.image for mounting in found.values())
    return ok("composefs", f"{images} of {len(found)} deployments have an image; {able}")


def _finalised(paths: Paths) -> Probe:
    if why := staged.failure(paths):
        return failed("last staged deployment", f"it was not finalised: {why}", "stage it again: apt-ostree deploy")
    return ok("last staged deployment", "no failure is on record")


def _health(paths: Paths) -> Iterator[Probe]:
    """What the checks after this boot said; nothing on a system that does not run."""
    with contextlib.suppress(AptOstreeError):
        booted = sysroot.load(paths).booted
        if booted is None:
            return
        known = health.read(paths, booted.osname).of(booted)
        if known.state is HealthState.BAD:
            yield warning("health", f"bad: {', '.join(known.failed)} failed", "sudo apt-ostree boot-check")
        elif known.state is HealthState.GOOD:
            yield ok("health", "the booted deployment passed its checks")
        else:
            yield ok("health", "the booted deployment was not checked")


def _read_only(paths: Paths) -> Iterator[Probe]:
    """A booted system has /usr and /sysroot read-only (ostree-prepare-root(1)), so that nothing but us changes them."""
    if not (paths.is_running_root and paths.booted_marker.exists()):
        return
    with contextlib.suppress(AptOstreeError):
        booted = sysroot.load(paths).booted
        unlocked = booted.unlocked if booted else Unlocked.NONE
        for place, fix in (("/usr", _FIX_USR), ("/sysroot", _FIX_SYSROOT)):
            name = f"read-only {place}"
            if not Path(place).is_dir():
                continue
            if os.statvfs(place).f_flag & os.ST_RDONLY:
                yield ok(name, "mounted read-only")
            elif place == "/usr" and unlocked is not Unlocked.NONE:
                yield warning(name, f"writable: unlocked ({unlocked})", "a reboot locks it: systemctl reboot")
            else:
                yield failed(name, "it can be written, and what is written there is lost or does harm", fix)


def _retention(paths: Paths) -> Iterator[Probe]:
    with contextlib.suppress(AptOstreeError):
        system = sysroot.load(paths)
        merge = system.booted or next(iter(system.deployments), None)
        if merge is not None:
            settings = config.load_leniently(merge.path)
            pins = sum(deployment.origin.pinned for deployment in system.deployments)
            yield ok("rollback deployments", f"{settings.rollback_deployments} kept; {pins} pinned beside them")


def _leftovers(paths: Paths) -> Probe:
    name = "work directories"
    try:
        left = sorted(entry.name for entry in paths.store.work.iterdir()) if paths.store.work.is_dir() else []
    except PermissionError:
        return warning(name, "only root can look", "sudo apt-ostree doctor")
    if left and lock.owner(paths.store) is None:
        return warning(name, f"{len(left)} left over of runs that died", "sudo apt-ostree cleanup")
    return ok(name, "in use" if left else "none left over")
