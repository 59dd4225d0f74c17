"""Is this an ostree system, and is what it boots from whole? Each question is answered by a Probe."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from apt_ostree import bls, bootfiles, lock, sysroot
from apt_ostree.errors import AptOstreeError, NotOstreeError, NotRootError
from apt_ostree.paths import Paths
from apt_ostree.states import Probe, ProbeState
from apt_ostree.tools import ostree

_BOOTPREFIX = "sudo ostree config --repo=/ostree/repo set sysroot.bootprefix true"


def ok(name: str, detail: str) -> Probe:
    """A probe that found things well."""
    return Probe(name=name, state=ProbeState.OK, detail=detail)


def failed(name: str, detail: str, hint: str = "") -> Probe:
    """A probe that found something broken."""
    return Probe(name=name, state=ProbeState.FAILED, detail=detail, hint=hint)


def warning(name: str, detail: str, hint: str = "") -> Probe:
    """A probe that found something to know about."""
    return Probe(name=name, state=ProbeState.WARNING, detail=detail, hint=hint)


def detect(paths: Paths) -> tuple[Probe, ...]:
    """The five ways to tell an ostree system, each with its result."""
    return (_directory(paths), _marker(paths), _karg(paths), _loads(paths), _transactions(paths))


def require_ostree(paths: Paths) -> None:
    """Raise NotOstreeError, naming what is missing, unless it is a sysroot; NotRootError when only root can tell."""
    sysroot.require_inside(paths)
    try:
        if (paths.repo / "config").is_file() and paths.deploy.is_dir():
            return
        needed = (paths.sysroot, paths.ostree, paths.repo, paths.repo / "config", paths.deploy)
        absent = next((path for path in needed if not path.exists()), paths.deploy)
    except PermissionError as error:
        raise NotRootError(f"{error.filename} may be read by root only", hint="sudo apt-ostree ...") from error
    what = "this machine" if paths.is_running_root else f"'{paths.sysroot}'"
    raise NotOstreeError(
        f"{what} is not an ostree system: there is no {absent}",
        hint="name the place of one with --sysroot DIR; all that was looked for: apt-ostree doctor",
    )


def _directory(paths: Paths) -> Probe:
    name = "ostree directory"
    try:
        sysroot.require_inside(paths)
        missing = [path for path in (paths.ostree, paths.repo, paths.deploy) if not path.is_dir()]
    except NotOstreeError as error:
        return failed(name, error.message, error.hint)
    except PermissionError:
        return warning(name, f"{paths.ostree} may be read by root only", "sudo apt-ostree doctor")
    return failed(name, f"there is no {missing[0]}") if missing else ok(name, str(paths.ostree))


def _marker(paths: Paths) -> Probe:
    name = "booted marker"
    if not paths.is_running_root:
        return ok(name, "not asked: an offline sysroot is not booted")
    marker = paths.booted_marker
    return ok(name, str(marker)) if marker.exists() else failed(name, f"there is no {marker}")


def _karg(paths: Paths) -> Probe:
    name = "kernel argument"
    if not paths.is_running_root:
        return ok(name, "not asked: an offline sysroot is not booted")
    try:
        link = bls.ostree_link(paths.cmdline.read_text(errors="replace"))
    except OSError as error:
        return failed(name, f"cannot read {paths.cmdline}: {error.strerror}")
    return ok(name, f"ostree={link}") if link else failed(name, f"there is no ostree= in {paths.cmdline}")


def _loads(paths: Paths) -> Probe:
    name = "sysroot loads"
    try:
        ostree.admin_status(paths.sysroot)
        found = sysroot.load(paths)
    except AptOstreeError as error:
        return failed(name, " ".join((error.message, *error.details[-1:])), error.hint)
    broken = [f"{d.id}: {d.origin_error}" for d in found.deployments if d.origin_error]
    if problems := (*found.problems, *broken):
        return warning(name, "; ".join(problems))
    return ok(name, f"{_count(len(found.deployments), 'deployment')} in {_count(len(found.stateroots), 'stateroot')}")


def _transactions(paths: Paths) -> Probe:
    name = "transactions"
    if not paths.repo.is_dir():
        return failed(name, f"there is no repo to work in at {paths.repo}")
    if owner := lock.owner(paths.store):
        return warning(name, f"'{owner.command}' runs (pid {owner.pid}, {owner.phase})")
    if os.geteuid() != 0:
        return warning(name, "only root can change this system", "sudo apt-ostree doctor")
    booted = paths.is_running_root and paths.booted_marker.exists()
    if not booted and not os.access(paths.repo, os.W_OK):
        return failed(name, f"{paths.repo} cannot be written")
    return ok(name, f"idle; the lock is {paths.store.lock}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def check_boot(paths: Paths) -> tuple[Probe, ...]:
    """One probe for each boot entry, and those of what libostree's grub2 back end needs where it is the one in use."""
    seen = bootfiles.look(paths)
    if not seen:
        return (warning("boot entries", f"there are none in {paths.loader_entries}"),)
    return (*(_entry(one) for one in seen), *_grub2(paths))


def _entry(seen: bootfiles.Seen) -> Probe:
    label = f"boot entry {seen.name}"
    if seen.wrong:
        return failed(label, seen.wrong, seen.hint)
    if seen.changed:
        return warning(label, seen.changed, seen.hint)
    if not seen.entry.initrd:
        return warning(label, f"{seen.entry.linux} has no initramfs")
    return ok(label, seen.entry.title or seen.entry.linux)


def _grub2(paths: Paths) -> Iterator[Probe]:
    """The traps of grub-mkconfig: each of them ends in a menu without entries, or one with wrong ones."""
    try:
        if bootfiles.backend(ostree.config_get(paths.repo, "sysroot.bootloader"), paths) != "grub2":
            return
        first = next((d for d in sysroot.load(paths).deployments if not d.staged), None)
    except AptOstreeError:
        return
    if first is None:
        return
    name = "grub2 back end"
    wrong = list(_traps(first.path))
    if ostree.config_get(paths.repo, "sysroot.bootprefix") != "true" and not os.path.ismount(paths.boot):
        wrong.append(("/boot is no file system of its own and sysroot.bootprefix is not set", _BOOTPREFIX))
    for what, hint in wrong:
        yield failed(name, what, hint)
    if not wrong:
        yield ok(name, "the tree has what grub-mkconfig needs")


def _traps(deployment: Path) -> Iterator[tuple[str, str]]:
    """What of a tree keeps 15_ostree from writing entries, each with what to do."""
    etc = deployment / "etc"
    if not (etc / "default/grub").is_file():  # 15_ostree then ends well and writes nothing
        yield "there is no /etc/default/grub: the menu would be empty", "sudo touch /etc/default/grub"
    if not os.access(etc / "grub.d/15_ostree", os.X_OK):
        yield "there is no /etc/grub.d/15_ostree: nothing writes the entries", "the base needs the package ostree-boot"
    if not any((deployment / f"usr/{place}").is_file() for place in ("sbin/grub-mkconfig", "bin/grub-mkconfig")):
        yield "there is no grub-mkconfig", "the base needs the package grub2-common"
    if os.access(etc / "grub.d/10_linux", os.X_OK):
        yield "/etc/grub.d/10_linux would list kernels without a deployment", "sudo chmod -x /etc/grub.d/10_linux"
