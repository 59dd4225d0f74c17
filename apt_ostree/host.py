"""Is this an ostree system, and is what it boots from whole? Each question is answered by a Probe."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from apt_ostree import bls, lock, sysroot
from apt_ostree.errors import AptOstreeError, NotOstreeError, NotRootError
from apt_ostree.model import Probe, ProbeState
from apt_ostree.paths import Paths
from apt_ostree.tools import ostree

MENUS = ("syslinux.cfg", "grub.cfg")  # libostree's back ends write these into boot/loader, with every entry in them


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
    """Raise NotOstreeError, naming what failed, unless `paths` is a sysroot; NotRootError when only root can tell."""
    try:
        if (paths.repo / "config").is_file() and paths.deploy.is_dir():
            return
    except PermissionError as error:
        raise NotRootError(f"{error.filename} may be read by root only", hint="sudo apt-ostree ...") from error
    bad = [probe for probe in detect(paths) if probe.state is ProbeState.FAILED]
    what = "this system" if paths.is_running_root else f"'{paths.sysroot}'"
    raise NotOstreeError(
        f"{what} is not an ostree system: {len(bad)} of 5 checks failed",
        details=[f"{probe.name}: {probe.detail}" for probe in bad],
        hint="name a sysroot with --sysroot PATH, or look at: apt-ostree doctor",
    )


def _directory(paths: Paths) -> Probe:
    name = "ostree directory"
    try:
        missing = [path for path in (paths.ostree, paths.repo, paths.deploy) if not path.is_dir()]
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
    """One probe for each boot entry: its files are there, and the boot loader's own menu has it.

    libostree reports success when the menu generator wrote a menu without entries, and that machine does not boot
    again: so this is asked after every write.
    """
    entries = sysroot.entries(paths)
    if not entries:
        return (warning("boot entries", f"there are none in {paths.loader_entries}"),)
    menus = {path: path.read_text(errors="replace") for path in _menus(paths)}
    return tuple(_entry(paths, name, entry, menus) for name, entry in entries)


def _menus(paths: Paths) -> Iterator[Path]:
    for name in MENUS:
        path = paths.boot / "loader" / name
        if path.is_file():
            yield path


def _entry(paths: Paths, name: str, entry: bls.Entry, menus: dict[Path, str]) -> Probe:
    label = f"boot entry {name}"
    if not entry.linux:
        return failed(label, "it names no kernel")
    lost = [path for path in (entry.linux, *entry.initrd) if not _on_boot(paths, path)]
    if lost:
        return failed(label, f"the file {lost[0]} is not there", "redeploy: sudo apt-ostree deploy CHECKSUM")
    if not entry.initrd:
        return warning(label, f"{entry.linux} has no initramfs")
    for menu, text in menus.items():
        if entry.linux not in text or entry.link not in text:
            return failed(label, f"it does not stand in {menu}", "do not reboot before it does")
    return ok(label, entry.title or entry.linux)


def _on_boot(paths: Paths, name: str) -> bool:
    """Entries name files from the root of the boot file system, or from / where sysroot.bootprefix is set."""
    relative = name.lstrip("/")
    return any((base / relative).is_file() for base in (paths.boot, paths.sysroot))
