"""The kernel belongs to the image: /usr/lib/modules/V holds it with its initramfs, /boot is the boot loader's."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from apt_ostree.errors import AptOstreeError
from apt_ostree.tools import dpkg, dracut
from apt_ostree.tree import dpkgdb, fsops

MODULES = "usr/lib/modules"
OUTPUT = "/run/apt-ostree/initramfs"  # a path inside the sandbox
PREPARE_ROOT = "usr/lib/ostree/prepare-root.conf"
_PREPARE_ROOT_TEXT = "# ostree-prepare-root(1): /sysroot is read-only in a booted system\n[sysroot]\nreadonly=true\n"
_GRUB = "etc/default/grub"
# 15_ostree of ostree-boot exits 0 without this file, and grub-mkconfig then writes a menu without entries
_GRUB_TEXT = "GRUB_DEFAULT=0\nGRUB_TIMEOUT=5\n"
_NAMES = {"vmlinuz": "vmlinuz", "vmlinux": "vmlinuz", "config": "config", "System.map": "System.map"}
_BOOT = re.compile(r"(vmlinuz|vmlinux|config|System\.map|initrd\.img)-(.+)")
# ostree-prepare-root(1) reads it in the initramfs; the module of Debian 12 does not bring it there
_INCLUDED = ("--include", f"/{PREPARE_ROOT}", f"/{PREPARE_ROOT}")
_NEEDED = ("usr/lib/ostree/ostree-prepare-root", "ostree-prepare-root.service")


def apply(root: Path) -> tuple[str, list[str]]:
    """Move the kernel out of /boot and empty that; returns the kernel's version ("": none) and what was dropped.

    Raises AptOstreeError (code `kernel`) unless the tree then has at most one kernel.
    """
    boot = root / "boot"
    dropped = []
    for name in sorted(os.listdir(boot)) if fsops.is_dir(boot) else []:
        match = _BOOT.fullmatch(name)
        if match and match[1] in _NAMES and fsops.is_file(boot / name):
            fsops.move(boot / name, root, f"{MODULES}/{match[2]}/{_NAMES[match[1]]}")
        else:
            fsops.remove(boot / name)
            if not match:
                dropped.append(f"/boot/{name}")
    fsops.make_dir(root, "boot")
    _sweep(root)
    return the_one(root), dropped


def _sweep(root: Path) -> None:
    """What dpkg does not know of a kernel that was removed: its initramfs, and what depmod(8) made."""
    modules = root / MODULES
    for name in os.listdir(modules) if fsops.is_dir(modules) else ():
        place = modules / name
        if not fsops.is_dir(place):  # a link leads who knows where
            continue
        if fsops.is_file(place / "initramfs.img") and not fsops.is_file(place / "vmlinuz"):
            fsops.remove(place / "initramfs.img")
            if all(left.startswith("modules.") for left in os.listdir(place)):
                fsops.remove(place)


def tell_dpkg(root: Path, version: str, sandbox: Sequence[str]) -> None:
    """Let the tree's dpkg know where the kernel's files are, by diversions; `dpkg --verify` then finds them whole.

    Diversions of a kernel that was there before go.
    """
    for diversion in dpkgdb.diversions(root):
        match = _BOOT.fullmatch(diversion.path.removeprefix("/boot/"))
        if match and match[2] != version:
            dpkg.undivert(sandbox, diversion.path, admindir=f"/{dpkgdb.DATABASE}")
    for name, place in _NAMES.items():
        path = f"/boot/{name}-{version}"
        if dpkg.search(root / dpkgdb.DATABASE, path):
            dpkg.divert(sandbox, path, f"/{MODULES}/{version}/{place}", admindir=f"/{dpkgdb.DATABASE}")


def check_raw(root: Path) -> None:
    """Refuse an ordinary tree whose kernel could not boot as an image, before anything is done to it.

    Raises AptOstreeError (codes `kernel`, `initramfs`).
    """
    boot = root / "boot"
    matches = [_BOOT.fullmatch(name) for name in (os.listdir(boot) if fsops.is_dir(boot) else ())]
    moved = {match[2] for match in matches if match and _NAMES.get(match[1]) == "vmlinuz"}
    if _single(sorted({*installed(root), *moved})):
        _check_dracut(root)


def the_one(root: Path) -> str:
    """The version of the tree's kernel, empty when it has none. Raises AptOstreeError (`kernel`) for several."""
    return _single(installed(root))


def _single(versions: Sequence[str]) -> str:
    if len(versions) > 1:
        raise AptOstreeError(
            f"the tree has {len(versions)} kernels, an image has exactly one: {', '.join(versions)}",
            hint="name one kernel package only",
            code="kernel",
        )
    return versions[0] if versions else ""


def installed(root: Path) -> list[str]:
    """Versions that have a kernel in /usr/lib/modules."""
    modules = root / MODULES
    names = sorted(os.listdir(modules)) if fsops.is_dir(modules) else []
    return [name for name in names if fsops.is_dir(modules / name) and fsops.is_file(modules / name / "vmlinuz")]


def make_initramfs(
    root: Path, version: str, sandbox: Sequence[str], on_line: Callable[[str], None], *, arguments: Sequence[str] = ()
) -> None:
    """Write prepare-root.conf, then let the tree's own dracut build its initramfs, and look into it.

    Raises AptOstreeError when it cannot be built or lacks what mounts the deployment (code `initramfs`).
    """
    _check_dracut(root)
    if not fsops.exists(root / PREPARE_ROOT):
        fsops.write(root, PREPARE_ROOT, _PREPARE_ROOT_TEXT)
    if not fsops.exists(root / _GRUB):
        fsops.write(root, _GRUB, _GRUB_TEXT)
    rel = f"{MODULES}/{version}/initramfs.img"
    words = (*_INCLUDED, *arguments)
    said = dracut.build(sandbox, version, f"/{rel}", on_line, compress=_compressor(root, version), arguments=words)
    if not fsops.is_file(root / rel):
        raise AptOstreeError("dracut made no initramfs", details=said, code="initramfs")
    (root / rel).chmod(0o644)
    check_listing(dracut.contents(sandbox, f"/{rel}"), (*_NEEDED, PREPARE_ROOT))


def _check_dracut(root: Path) -> None:
    if fsops.is_file(root / "usr/bin/dracut"):
        return
    other = fsops.is_file(root / "usr/sbin/mkinitramfs")
    why = "initramfs-tools, which has no hook for ostree" if other else "no dracut to make an initramfs with"
    raise AptOstreeError(
        f"the tree has a kernel and {why}",
        hint="add 'dracut' and 'ostree-boot' to the packages of the treefile",
        code="initramfs",
    )


def remake_initramfs(
    root: Path, folder: Path, sandbox: Sequence[str], arguments: Sequence[str], on_line: Callable[[str], None]
) -> None:
    """Let the tree's own dracut build another initramfs in `folder`, which the sandbox has as OUTPUT, and put it in.

    `arguments` are the administrator's, for dracut(8). Raises AptOstreeError (codes `kernel`, `initramfs`), ToolError.
    """
    version = the_one(root)
    if not version:
        raise AptOstreeError("the tree has no kernel to make an initramfs for", code="initramfs")
    if not fsops.is_file(root / "usr/bin/dracut"):
        raise AptOstreeError(
            "the tree has no dracut to make an initramfs with",
            hint="layer dracut and ostree-boot as well; where it was asked for: apt-ostree initramfs --disable",
            code="initramfs",
        )
    made, rel = folder / "initramfs.img", f"{MODULES}/{version}/initramfs.img"
    compress = _compressor(root, version)
    words = (*(_INCLUDED if fsops.is_file(root / PREPARE_ROOT) else ()), *arguments)
    said = dracut.build(sandbox, version, f"{OUTPUT}/{made.name}", on_line, compress=compress, arguments=words)
    if not fsops.is_file(made):
        raise AptOstreeError("dracut made no initramfs", details=said, code="initramfs")
    made.chmod(0o644)
    check_listing(dracut.contents(sandbox, f"{OUTPUT}/{made.name}"))
    fsops.move(made, root, rel)


def _compressor(root: Path, version: str) -> str:
    """zstd at a low level where tree and kernel have it: a third of gzip's time, and smaller; else dracut's choice."""
    config = fsops.read(root / MODULES / version / "config")
    able = "CONFIG_RD_ZSTD=y" in config and fsops.is_file(root / "usr/bin/zstd")
    return "zstd -q -5 -T0" if able else ""


def check_listing(listing: str, needed: Sequence[str] = _NEEDED) -> None:
    """Raise AptOstreeError (`initramfs`) unless the paths of an initramfs have what mounts the deployment."""
    missing = [name for name in needed if name not in listing]
    if missing or not re.search(r"\.wants/ostree-prepare-root\.service", listing):
        raise AptOstreeError(
            f"the initramfs cannot boot a deployment, it lacks: {', '.join(missing) or 'the link that starts it'}",
            hint="add 'ostree-boot' to the packages of the treefile",
            code="initramfs",
        )
