"""Is what the boot loader will find whole? Each boot entry against the files it names and the loader's own menu.

libostree reports success when the menu generator wrote a menu without entries, and nobody looks at it again until the
machine does not boot. Reads only.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from apt_ostree import bls, grubwords, sysroot
from apt_ostree.paths import Paths

# what libostree's back ends write into boot/loader, with every entry in them (ostree-bootloader-*.c)
MENUS = ("syslinux.cfg", "extlinux.conf", "grub.cfg", "uEnv.txt")
EFI_MENUS = "efi/EFI/*/grub.cfg"  # on EFI, the grub2 back end writes this one instead
# GRUB's own configuration, and the commands that make a menu of a syslinux.cfg (as grubdisk.py has it)
_GRUB_OWN = ("grub/grub.cfg", "grub2/grub.cfg", EFI_MENUS)
_TRANSLATES = re.compile(r"^[^#\n]*\bsyslinux_(?:source|configfile)\b", re.MULTILINE)
MAX_MENU = 4 << 20  # bytes
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A boot entry that was looked at; `wrong` is empty when it is well."""

    name: str  # of its file
    entry: bls.Entry
    wrong: str = ""
    hint: str = ""
    changed: str = ""  # what of its kernel arguments the boot loader changes; it boots all the same

    @property
    def key(self) -> tuple[str, str]:
        """What is wrong with what: the same before and after a write that renumbers entries."""
        return self.entry.linux, self.wrong.replace(self.entry.link, "")


def look(paths: Paths) -> tuple[Seen, ...]:
    """Every boot entry, the one that boots next in front."""
    texts = {path: _text(path) for path in menus(paths)}
    seen = tuple(_seen(paths, name, entry, texts) for name, entry in sysroot.entries(paths))
    return tuple(map(_read_by_grub, seen)) if scripted(paths) else seen


def scripted(paths: Paths) -> bool:
    """True when it is GRUB that reads the entries, in a language of its own (grubwords.py).

    Its menu is a grub.cfg with the entries in it, or syslinux.cfg, which other boot loaders read as it is.
    """
    names = {path.name for path in menus(paths)}
    own = (path for place in _GRUB_OWN for path in paths.boot.glob(place))
    return "grub.cfg" in names or ("syslinux.cfg" in names and any(_TRANSLATES.search(_text(path)) for path in own))


def _read_by_grub(seen: Seen) -> Seen:
    options = seen.entry.options
    karg = "" if seen.wrong else grubwords.worst(options)
    if not karg:
        return seen
    told, hint = grubwords.told(karg), grubwords.remedy(karg)
    if grubwords.bootable(options):
        return replace(seen, changed=told, hint=hint)
    return replace(
        seen, wrong=f"{told}: nothing in the menu may boot", hint=f"{hint}; sudo apt-ostree cleanup --rollback"
    )


def menus(paths: Paths) -> Iterator[Path]:
    """The menus of boot loaders that list libostree's entries; one of somebody else's is none."""
    for name in MENUS:
        if (path := paths.boot / "loader" / name).is_file():
            yield path
    for path in sorted(paths.boot.glob(EFI_MENUS)):
        if "/ostree/boot." in _text(path):
            yield path


def _text(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(MAX_MENU).decode(errors="replace")


def _seen(paths: Paths, name: str, entry: bls.Entry, texts: Mapping[Path, str]) -> Seen:
    deployment = _deployment(paths, entry)
    if not entry.linux:
        return Seen(name=name, entry=entry, wrong="it names no kernel")
    if deployment is None:
        return Seen(name=name, entry=entry, wrong=f"it leads to no deployment (ostree={entry.link})")
    for path in (entry.linux, *entry.initrd):
        if wrong := _broken(paths, path, deployment):
            return Seen(name=name, entry=entry, wrong=wrong, hint=_remedy(paths, path))
    for menu, text in texts.items():
        if not listed(entry, text):
            return Seen(
                name=name, entry=entry, wrong=f"it does not stand in {menu}", hint="do not reboot before it does"
            )
    return Seen(name=name, entry=entry)


def _remedy(paths: Paths, name: str) -> str:
    """libostree writes what is not there, and leaves alone what is (install_deployment_kernel)."""
    path = on_boot(paths, name)
    return f"{f'sudo rm {path}; ' if path else ''}whatever is deployed next writes it anew: sudo apt-ostree upgrade"


def listed(entry: bls.Entry, menu: str) -> bool:
    """True when a menu has an entry: its kernel, its initrds and the link of its deployment."""
    link = re.search(re.escape(entry.link) + r"(?![0-9])", menu)
    return link is not None and all(path in menu for path in (entry.linux, *entry.initrd))


def _deployment(paths: Paths, entry: bls.Entry) -> Path | None:
    """The deployment an entry boots. Its link is read, not followed."""
    if not bls.valid_link(entry.link):
        return None
    try:
        target = (paths.sysroot / entry.link.lstrip("/")).readlink()
    except OSError:
        return None
    path = paths.deploy / entry.link.split("/")[3] / "deploy" / target.name
    return path if path.is_dir() and not path.is_symlink() else None


def on_boot(paths: Paths, name: str) -> Path | None:
    """The file an entry names: from the root of the boot file system, or from / with sysroot.bootprefix."""
    relative = name.lstrip("/")
    return next((path for base in (paths.boot, paths.sysroot) if (path := base / relative).is_file()), None)


def _broken(paths: Paths, name: str, deployment: Path) -> str:
    """What is wrong with a kernel or initramfs; empty when it is as the deployment has it."""
    path = on_boot(paths, name)
    if path is None:
        return f"the file {name} is not there"
    size = path.stat().st_size
    if not size:
        return f"the file {name} is empty"
    source = _source(name, deployment)
    if source is None or source.samefile(path):
        return ""
    if size != (wanted := source.stat().st_size):
        return f"the file {name} has {size} bytes of {wanted}"
    return "" if _same(source, path) else f"the file {name} is not what its deployment has"


def _source(name: str, deployment: Path) -> Path | None:
    """What libostree copied to /boot, or None: it takes both from usr/lib/modules/VERSION, and names them so."""
    file = Path(name).name
    for path in (deployment / "usr/lib/modules").glob("*/vmlinuz"):
        places = {
            f"vmlinuz-{path.parent.name}": path,
            f"initramfs-{path.parent.name}.img": path.parent / "initramfs.img",
        }
        source = places.get(file)
        if source is not None and source.is_file() and not source.is_symlink():
            return source
    return None


def _same(one: Path, other: Path) -> bool:
    with one.open("rb") as a, other.open("rb") as b:
        while (piece := a.read(_CHUNK)) == b.read(_CHUNK):
            if not piece:
                return True
    return False


def backend(configured: str, paths: Paths) -> str:
    """The back end libostree uses, by `sysroot.bootloader` and by what is in /boot (ostree.repo-config(5))."""
    if configured not in ("", "auto"):
        return configured
    for name, link in (("syslinux", "syslinux/syslinux.cfg"), ("grub2", "grub2/grub.cfg"), ("grub2", "grub/grub.cfg")):
        path = paths.boot / link
        if path.is_symlink() and "loader" in os.fspath(path.readlink()):
            return name
    return "none"
