"""GRUB on a disk image, for BIOS and EFI: two self-contained images and one grub.cfg that is written once.

The menu is libostree's own file: its syslinux backend writes /boot/loader/syslinux.cfg with every deployment and
switches to it with one link, and GRUB reads that. No program runs at deploy time that could leave a dead menu.
"""

from __future__ import annotations

import struct
from pathlib import Path

from apt_ostree.disk import SECTOR, Layout
from apt_ostree.errors import AptOstreeError, ToolMissingError
from apt_ostree.tools import grub, mtools

MODULES = Path("/usr/lib/grub")
BIOS, EFI = "i386-pc", "x86_64-efi"
ARCHITECTURE = "amd64"  # Debian's name for what both are of
PACKAGES = {BIOS: "grub-pc-bin", EFI: "grub-efi-amd64-bin"}
EFI_PATH = "EFI/BOOT/BOOTX64.EFI"  # what firmware starts from a disk it does not know (UEFI specification, 3.5.1.1)

_COMMON = (
    "part_gpt", "part_msdos", "ext2", "fat", "search", "search_fs_uuid", "search_label", "normal", "configfile",
    "syslinuxcfg", "linux", "test", "echo", "ls", "cat", "sleep", "halt", "reboot", "serial", "terminal",
    "minicmd", "gzio", "loadenv", "regexp", "true",
)  # fmt: skip
_OWN = {
    BIOS: ("biosdisk", "vbe", "vga", "video_bochs", "video_cirrus", "linux16", "chain"),
    EFI: ("all_video", "efi_gop", "efifwsetup", "chain"),
}

# As GRUB's include/grub/i386/pc/boot.h has them: where boot.img keeps the sector of core.img, the jump that trusts
# the BIOS's drive number, and where its code may go on (before the table of partitions).
_KERNEL_SECTOR = 0x5C
_DRIVE_CHECK = 0x66
_CODE_END = 0x1B8
_NOPS = b"\x90\x90"
# The last block list of core.img's first sector: where its other sectors are (struct grub_pc_bios_boot_blocklist).
_BLOCKLIST = SECTOR - 12

# syslinux_source, not syslinux_configfile: the entries come into this menu, and its timeout is ours
_CFG = """\
# Written once, when this disk was made. The menu is /boot/loader/syslinux.cfg, which libostree writes.
insmod part_gpt
insmod ext2
insmod syslinuxcfg
search --no-floppy --fs-uuid --set=root {root}
{console}syslinux_source -r ($root)/boot/ -s ($root)/boot/loader/syslinux.cfg
set timeout={timeout}
"""
# OVMF and its like show the console on serial ports by themselves
_SERIAL = """\
if [ "$grub_platform" = pc ]; then
  serial --unit=0 --speed=115200
  terminal_input console serial
  terminal_output console serial
fi
"""
_EARLY = "search.fs_uuid {root} root\nset prefix=($root)/boot/grub\n"


def require() -> None:
    """Raise ToolMissingError, naming the Debian packages, unless GRUB's modules for both firmwares are there."""
    missing = [package for platform, package in PACKAGES.items() if not (MODULES / platform / "moddep.lst").is_file()]
    if missing:
        raise ToolMissingError(
            f"GRUB's modules are needed and were not found: {', '.join(missing)}",
            hint=f"sudo apt-get install {' '.join(missing)}",
        )


def config(layout: Layout, *, serial: bool, timeout: int) -> str:
    """The text of grub.cfg; `serial`: the menu is on the first serial port too; `timeout` in seconds."""
    return _CFG.format(root=layout.identity.root, console=_SERIAL if serial else "", timeout=timeout)


def install_bios(image: Path, layout: Layout, work: Path) -> None:
    """Write boot.img and core.img to a disk image, as grub-bios-setup does on a GPT with a BIOS boot partition.

    grub-bios-setup itself wants block devices, and nodes for their partitions. Raises ToolError, AptOstreeError.
    """
    core = bytearray(_mkimage(BIOS, layout, work).read_bytes())
    boot = bytearray((MODULES / BIOS / "boot.img").read_bytes())
    if len(core) > layout.bios.size or len(boot) != SECTOR:
        raise AptOstreeError(f"GRUB's core.img of {len(core)} bytes does not fit its partition", code="grub")
    first = layout.bios.start // SECTOR
    struct.pack_into("<Q", boot, _KERNEL_SECTOR, first)
    boot[_DRIVE_CHECK : _DRIVE_CHECK + len(_NOPS)] = _NOPS
    struct.pack_into("<Q", core, _BLOCKLIST, first + 1)
    with image.open("r+b") as disk:
        disk.write(boot[:_CODE_END])
        disk.seek(SECTOR - 2)
        disk.write(boot[SECTOR - 2 :])
        disk.seek(layout.bios.start)
        disk.write(core)


def install_efi(image: Path, layout: Layout, work: Path) -> None:
    """Copy an EFI program to the ESP of a disk image. Raises ToolError."""
    made, offset = _mkimage(EFI, layout, work), layout.esp.start
    folders = EFI_PATH.split("/")[:-1]
    mtools.mmd(image, offset, *("/".join(folders[: at + 1]) for at in range(len(folders))))
    mtools.mcopy(image, offset, made, EFI_PATH)


def _mkimage(platform: str, layout: Layout, work: Path) -> Path:
    early, made = work / "early.cfg", work / f"{platform}.img"
    early.write_text(_EARLY.format(root=layout.identity.root))
    grub.mkimage(
        platform,
        made,
        prefix="/boot/grub",
        config=early,
        modules=[*_COMMON, *_OWN[platform]],
        directory=MODULES / platform,
    )
    return made
