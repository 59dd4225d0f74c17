"""compose image: a commit becomes a disk that boots. Everything is built beside DEST and appears there by one rename.

The root is mounted in a mount namespace of ours over a loop device that the kernel lets go with the mount; the ESP
and GRUB's places are written into the file. So no mount or loop device can be left behind, not even
by SIGKILL; the work directory beside the target can, until the next run for that target.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from apt_ostree import bootfiles, disk, grubdisk, login, origin
from apt_ostree.errors import AptOstreeError
from apt_ostree.faults import point
from apt_ostree.model import Origin
from apt_ostree.paths import Paths
from apt_ostree.report import OutputLine, Reporter, phase
from apt_ostree.tools import coreutils, mke2fs, mkfs_fat, mount, ostree, qemu_img, sfdisk
from apt_ostree.tree import fsops

_LABEL = "root"
_LOCK = "apt-ostree.lock"
_FRESH = f"{_LOCK}.new"
_RANDOM = 8  # characters mkdtemp puts at the end of a name
# what every deployment boots with: no automount of the ESP on /boot (systemd-gpt-auto-generator(8))
_KARGS = ("rw", "systemd.gpt_auto=0")
_SETTINGS = {
    "sysroot.bootloader": "syslinux",
    "sysroot.readonly": "true",  # newer ostree reads the tree's prepare-root.conf as well
}
_MENU = "TIMEOUT 30\n"  # without it GRUB takes the default entry for the whole menu


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePlan:
    """Everything that will be done."""

    repo: Path
    ref: str
    commit: str
    target: Path
    replaces: bool  # what has that name by then; else it is an error
    format: str
    stateroot: str
    kargs: tuple[str, ...]
    layout: disk.Layout
    login: login.Login
    menu_timeout: int  # seconds


def kargs(layout: disk.Layout, wanted: tuple[str, ...], typed: tuple[str, ...]) -> tuple[str, ...]:
    """The kernel arguments of the first deployment: ours, those the commit wants, the user's.

    A root= of the commit's or the user's stands for ours.
    """
    own = (*wanted, *typed)
    root = () if any(karg.startswith("root=") for karg in own) else (f"root=UUID={layout.identity.root}",)
    return (*root, *(karg for karg in _KARGS if karg not in own), *own)


def make(plan: ImagePlan, reporter: Reporter) -> int:
    """Build the image; returns the bytes it takes. The caller is root in a mount namespace of its own.

    Raises ToolError, AptOstreeError; then nothing is left, and what was at the target is as it was.
    """
    with _work(plan.target) as work:
        image = work / "disk.raw"
        with phase(reporter, "partition", "Partitioning the disk"):
            _partition(plan.layout, image)
            point("image-partition")
        with phase(reporter, "deploy", f"Deploying {plan.ref}"), _mounted(image, plan.layout, work) as root:
            _fill(plan, root, reporter)
            point("image-fill")
        with phase(reporter, "bootloader", "Installing GRUB"):
            grubdisk.install_bios(image, plan.layout, work)
            grubdisk.install_efi(image, plan.layout, work)
            point("image-bootloader")
        made = _converted(plan, image, work, reporter)
        taken = made.stat().st_blocks * disk.SECTOR
        # a password's hash is not for everybody to read
        made.chmod(0o600 if plan.login.shadow else 0o644)
        point("image-rename")
        _name(made, plan)
    return taken


def _name(made: Path, plan: ImagePlan) -> None:
    """Give the image its name. Raises AptOstreeError when somebody else has taken it meanwhile."""
    if plan.replaces:
        made.replace(plan.target)
        return
    try:
        _claim(made, plan.target)
    except FileExistsError as error:
        raise AptOstreeError(
            f"'{plan.target}' has come to be while the image was made",
            hint="choose another name, or replace it with --force",
        ) from error


def _claim(made: Path, target: Path) -> None:
    """A rename(2) that replaces nothing. Raises FileExistsError."""
    try:
        os.link(made, target)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        # FAT and others have no hard links (link(2)): the name is taken first
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        made.replace(target)


@contextmanager
def _work(target: Path) -> Iterator[Path]:
    """A private directory beside the target, with a lock that is held from when it has its name on (`sweep`)."""
    folder, fd = _claimed(target)
    try:
        yield folder
    finally:
        try:
            _empty(folder)
            shutil.rmtree(folder)
        finally:
            os.close(fd)


def _claimed(target: Path) -> tuple[Path, int]:
    """A directory and its lock. Until it has that, somebody else's sweep may take it away: then another is made."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        try:
            point("image-work")
            return folder, _lock(folder)
        except FileNotFoundError:
            continue
        except BaseException:
            shutil.rmtree(folder)
            raise


def _lock(folder: Path) -> int:
    fresh = folder / _FRESH
    fd = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        point("image-lock")
        fresh.rename(folder / _LOCK)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _empty(folder: Path) -> None:
    """Remove all but the lock, which must go last: what is left of a removal that is killed is swept up as well."""
    coreutils.remove(*(path for path in folder.iterdir() if path.name != _LOCK))


def sweep(target: Path) -> None:
    """Remove the directories that runs for this target left that were killed: nobody holds their lock."""
    for folder in target.parent.glob(f".{glob.escape(target.name)}-{'[a-z0-9_]' * _RANDOM}"):
        if folder.is_symlink() or not folder.is_dir():
            continue
        with _held(folder / _LOCK) as ours:
            if ours:
                _empty(folder)
                coreutils.remove(folder)
        _sweep_begun(folder)


def _sweep_begun(folder: Path) -> None:
    """Remove a directory that has no lock yet, and nothing else in it either.

    A run that is alive and just this far makes another (`_claimed`), or has locked what gets the lock's name.
    """
    with contextlib.suppress(OSError):  # it is not empty, or gone, or not ours
        if folder.stat().st_uid == os.geteuid():
            with _held(folder / _FRESH) as ours:
                if ours:
                    (folder / _FRESH).unlink()
            folder.rmdir()


@contextmanager
def _held(lock: Path) -> Iterator[bool]:
    """A flock(2) that goes with its holder; False when somebody else has it, or what is there is none of ours."""
    try:
        fd = os.open(lock, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        yield False
        return
    try:
        yield os.fstat(fd).st_uid == os.geteuid() and _locked(fd)
    finally:
        os.close(fd)


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _partition(layout: disk.Layout, image: Path) -> None:
    with image.open("xb") as stream:
        stream.truncate(layout.size)
    sfdisk.write_table(image, disk.table(layout))
    identity, esp, root = layout.identity, layout.esp, layout.root
    mkfs_fat.fat32(image, offset=esp.start, size=esp.size, volume_id=identity.esp, label="ESP")
    mke2fs.ext4(image, offset=root.start, size=root.size, uuid=identity.root, label=_LABEL)


@contextmanager
def _mounted(image: Path, layout: disk.Layout, work: Path) -> Iterator[Path]:
    """The root file system; after the block everything is in the file."""
    point_of_mount = work / "root"
    point_of_mount.mkdir(mode=0o700)
    try:
        mount.loop(image, point_of_mount, offset=layout.root.start, size=layout.root.size)
        point("image-mount")
        yield point_of_mount
    finally:
        if point_of_mount.is_mount():
            mount.unmount_strictly(point_of_mount)


def _fill(plan: ImagePlan, root: Path, reporter: Reporter) -> None:
    repo = root / "ostree/repo"
    ostree.admin_init_fs(root)
    for key, value in _SETTINGS.items():
        ostree.config_set(repo, key, value)
    _boot(plan, root)
    ostree.admin_os_init(root, plan.stateroot)
    ostree.pull_local(
        repo, plan.repo, plan.ref, lambda line: reporter.event(OutputLine(line=line)), options=("--disable-fsync",)
    )
    if ostree.rev_parse(repo, plan.ref) != plan.commit:
        raise AptOstreeError(f"{plan.ref} was moved while its image was made", hint="run the command again")
    point("image-pull")
    with tempfile.NamedTemporaryFile("w", dir=root, prefix=".origin-") as file:
        file.write(origin.render(Origin(refspec=plan.ref)))
        file.flush()
        ostree.admin_deploy(
            root, plan.commit, stateroot=plan.stateroot, origin_file=Path(file.name), kargs=plan.kargs, stage=False
        )
    _check(root)
    stateroot = root / "ostree/deploy" / plan.stateroot
    login.apply(plan.login, stateroot / f"deploy/{plan.commit}.0", stateroot / "var")


def _check(root: Path) -> None:
    """The one boot entry stands in the menu, and its kernel and initramfs are whole. Raises AptOstreeError."""
    seen = bootfiles.look(Paths(root))
    wrong = [one.wrong for one in seen if one.wrong] or ([] if seen else ["there is no boot entry"])
    if wrong:
        raise AptOstreeError(
            f"the disk would not boot: {wrong[0]}",
            details=wrong,
            hint="see what libostree wrote: run the command again with -vv",
            code="boot-entries",
        )


def _boot(plan: ImagePlan, root: Path) -> None:
    """What libostree's syslinux backend wants to find, and the grub.cfg that reads what it writes."""
    serial = any(karg.startswith("console=ttyS0") for karg in plan.kargs)
    fsops.link(root, "boot/loader", "loader.0")
    fsops.write(root, "boot/loader.0/syslinux.cfg", _MENU)
    fsops.link(root, "boot/syslinux/syslinux.cfg", "../loader/syslinux.cfg")
    # an entry may name its kernel with /boot (sysroot.bootprefix, ostree.repo-config(5)) or without
    fsops.link(root, "boot/boot", ".")
    fsops.write(root, "boot/grub/grub.cfg", grubdisk.config(plan.layout, serial=serial, timeout=plan.menu_timeout))


def _converted(plan: ImagePlan, image: Path, work: Path, reporter: Reporter) -> Path:
    if plan.format == "raw":
        return image
    made = work / f"disk.{plan.format}"
    with phase(reporter, "convert", f"Writing {plan.format}"):
        qemu_img.convert(image, made, plan.format, lambda line: reporter.event(OutputLine(line=line)))
        point("image-convert")
    return made
