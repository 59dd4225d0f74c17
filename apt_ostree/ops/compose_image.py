"""compose image: plan a disk for a commit of a repo, and make it."""

from __future__ import annotations

import os
import shutil
import stat
import struct
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from apt_ostree import (
    bootable,
    commitmeta,
    commits,
    composefs,
    disk,
    grubdisk,
    grubwords,
    guarding,
    image,
    kargs,
    login,
    preflight,
    repos,
    requests,
    run,
)
from apt_ostree.context import Context
from apt_ostree.disk import DiskImage
from apt_ostree.errors import AptOstreeError, ToolError, ToolMissingError, UsageError
from apt_ostree.report import Durations, TeeReporter, Warned
from apt_ostree.signals import Interrupts
from apt_ostree.tools import mount, ostree
from apt_ostree.trees import Trees, object_path

FORMATS = ("raw", "qcow2")
_PROGRAMS = ("sfdisk", "mke2fs", "mkfs.fat", "mmd", "mcopy", "grub-mkimage", "mount", "umount", "ostree")
_MODULES = "usr/lib/modules"
_KERNEL = (bootable.KERNEL, bootable.INITRAMFS)
_SSH_SERVERS = ("usr/sbin/sshd", "usr/sbin/dropbear", "usr/sbin/tinysshd")
_ARCHIVE_SIZE = struct.Struct(">8xQ")  # head of a .filez: its length, padding, then the file's size (ostree-core.h)
_LONGEST = 240  # bytes of a name; that of the work directory beside it is a little longer, and may have 255
_OTHER_FILES = 3  # a directory has two objects in the repo and is one in the deployment: a block each


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Make a disk image of `ref` of `repo`. `size` in bytes, None: as the content needs."""

    repo: Path
    ref: str
    target: Path
    format: str = "raw"
    size: int | None = None
    kargs: tuple[str, ...] = ()
    stateroot: str = "debian"
    root_password_file: Path | None = None
    ssh_key_file: Path | None = None
    menu_timeout: int = 3  # seconds
    force: bool = False


def execute(context: Context, request: Request) -> DiskImage:
    """Make the image, or with dry_run say how. Raises UsageError, ToolMissingError, NotRootError, AptOstreeError."""
    plan, found = _plan(request)
    answer = _answer(context, plan, found)
    for warning in answer.warnings:
        context.reporter.event(Warned(message=warning))
    if context.options.dry_run:
        return answer
    durations = Durations()
    with _guarded(context):
        image.sweep(request.target)
        _check_space(request, found.content)
        taken = image.make(plan, TeeReporter(context.reporter, durations))
    return replace(answer, changed=True, taken=taken, duration=durations.seconds)


@contextmanager
def _guarded(context: Context) -> Iterator[None]:
    """Root, signals, and a mount namespace that dies with us. The repo is only read: there is no lock to hold."""
    guarding.require_root(context.options.command)
    os.umask(0o022)  # what is written to the disk must not depend on who makes it
    with Interrupts().installed():
        mount.enter_private_namespace()
        yield


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What a commit takes on the root, the directory with its kernel, and whether it has an ssh server."""

    content: disk.Content
    folder: str
    ssh_server: bool


def _plan(request: Request) -> tuple[image.ImagePlan, _Found]:
    _check_request(request)
    _require_tools(request.format)
    commit = _commit(request)
    bootable.require_architecture(request.repo, commit)
    composefs.require_deployable(request.repo, commit)
    found = _measure(request.repo, commit)
    bootable.require_kernel(request.repo, commit, found.folder)
    typed = _read_by_grub("--karg", request.kargs)
    layout = disk.lay_out(found.content, request.size, _identity())
    plan = image.ImagePlan(
        repo=request.repo,
        ref=request.ref,
        commit=commit,
        target=request.target,
        replaces=request.force,
        format=request.format,
        stateroot=request.stateroot,
        kargs=image.kargs(layout, _wanted(request.repo, commit), typed),
        layout=layout,
        login=login.read(request.root_password_file, request.ssh_key_file),
        menu_timeout=request.menu_timeout,
    )
    return plan, found


def _check_request(request: Request) -> None:
    if request.format not in FORMATS:
        raise UsageError(f"--format is one of {', '.join(FORMATS)}, not '{request.format}'", hint="--format=raw")
    if not requests.STATEROOT.fullmatch(request.stateroot):
        raise UsageError(f"--stateroot: '{request.stateroot}' cannot be a stateroot", hint="--stateroot=debian")
    target = request.target
    if not target.parent.is_dir():
        raise UsageError(f"there is no directory '{target.parent}' for the image", hint=f"mkdir -p {target.parent}")
    if len(os.fsencode(target.name)) > _LONGEST:
        raise UsageError(
            f"the name '{target.name[:30]}...' is longer than {_LONGEST} bytes",
            hint="choose a shorter one for the image",
        )
    if not os.path.lexists(target):
        return
    if not stat.S_ISREG(target.lstat().st_mode):
        raise UsageError(
            f"'{target}' is no file: an image is made as a file",
            hint="make it elsewhere; a raw image is written to a disk with: dd if=IMAGE of=/dev/DISK bs=4M",
        )
    if not request.force:
        raise UsageError(f"'{target}' exists", hint="choose another name, or replace it with --force")


def _require_tools(wanted: str) -> None:
    programs = (*_PROGRAMS, *(["qemu-img"] if wanted == "qcow2" else []))
    missing = [program for program in programs if shutil.which(program, path=run.environment()["PATH"]) is None]
    if missing:
        packages = sorted({run.DEBIAN_PACKAGE.get(program, program) for program in missing})
        raise ToolMissingError(
            f"programs that are needed were not found: {', '.join(missing)}",
            hint=f"sudo apt-get install {' '.join(packages)}",
        )
    grubdisk.require()


def _commit(request: Request) -> str:
    if not (request.repo / "objects").is_dir():
        raise AptOstreeError(
            f"there is no ostree repo at '{request.repo}'", hint=f"ls {request.repo.parent}", code="no-repo"
        )
    branch = requests.parse_branch(request.ref)
    try:
        if branch not in ostree.refs(request.repo):
            raise AptOstreeError(
                f"there is no branch '{branch}' in '{request.repo}'",
                hint=repos.near(request.repo, branch),
                code="no-revision",
            )
        return ostree.rev_parse(request.repo, branch)
    except ToolError as error:
        raise AptOstreeError(f"the repo '{request.repo}' cannot be read", details=error.details) from error


def _wanted(repo: Path, checksum: str) -> tuple[str, ...]:
    """Kernel arguments of the treefile. Raises UsageError, CommitMetaError."""
    return _read_by_grub("kargs of the commit", commitmeta.decode_kargs(commits.load(repo, checksum).metadata))


def _read_by_grub(place: str, typed: Sequence[str]) -> tuple[str, ...]:
    found = kargs.words(place, typed)
    grubwords.require(found, place=f"{place}: ")
    return found


def _identity() -> disk.Identity:
    names = [str(uuid.uuid4()) for _ in range(5)]
    return disk.Identity(
        disk=names[0], bios=names[1], efi=names[2], system=names[3], root=names[4], esp=uuid.uuid4().hex[:8]
    )


def _measure(repo: Path, checksum: str) -> _Found:
    """Walk through a commit. Raises AptOstreeError when it has no kernel, or not all of its objects."""
    trees, directories, kernels = Trees(repo), 0, dict[str, dict[str, int]]()
    files: dict[str, int] = {}
    ssh_server = False
    for path, tree in trees.walk(commits.load(repo, checksum).root):
        directories += 1
        for name, found in tree.files.items():
            if found not in files:
                files[found] = disk.blocks(_size(repo, found))
            if name in _KERNEL and path.rpartition("/")[0] == _MODULES:
                kernels.setdefault(path, {})[name] = files[found]
            ssh_server |= f"{path}/{name}" in _SSH_SERVERS
    folder, kernel = max(kernels.items(), key=lambda found: len(found[1]), default=("", dict[str, int]()))
    missing = [name for name in _KERNEL if name not in kernel]
    if missing:
        raise AptOstreeError(
            f"the commit {checksum[:10]} cannot boot: there is no {' and no '.join(missing)} in /{_MODULES}/VERSION",
            hint="add a kernel, dracut and ostree-boot to the treefile",
            code="no-kernel",
        )
    content = disk.Content(tree=_total(files.values(), directories), kernel=sum(kernel.values()))
    return _Found(content=content, folder=folder, ssh_server=ssh_server)


def _total(sizes: Iterable[int], directories: int) -> int:
    return sum(sizes) + directories * _OTHER_FILES * disk.blocks(1)


def _size(repo: Path, checksum: str) -> int:
    """Bytes of a file of a commit; in an archive repo its object is compressed and says it in its head."""
    plain, packed = object_path(repo, checksum, "file"), object_path(repo, checksum, "filez")
    try:
        return plain.lstat().st_size
    except FileNotFoundError:
        pass
    try:
        with packed.open("rb") as stream:
            return int(_ARCHIVE_SIZE.unpack(stream.read(_ARCHIVE_SIZE.size))[0])
    except (OSError, struct.error) as error:
        raise AptOstreeError(
            f"the object {checksum} is missing in the repo '{repo}'",
            hint=f"sudo ostree fsck --repo={repo}",
            code="bad-tree",
        ) from error


def _check_space(request: Request, content: disk.Content) -> None:
    copies = 1 if request.format == "raw" else 2
    needed, free = copies * disk.written(content), preflight.free_bytes(request.target.parent)
    if free < needed:
        raise AptOstreeError(
            f"not enough space in '{request.target.parent}': {preflight.megabytes(needed)} are needed, "
            f"{preflight.megabytes(free)} are free",
            hint=f"df -h {request.target.parent}",
            code="no-space",
        )


def _answer(context: Context, plan: image.ImagePlan, found: _Found) -> DiskImage:
    silent = bool(plan.login.keys) and not found.ssh_server
    return DiskImage(
        command=context.options.command,
        changed=False,
        path=str(plan.target),
        format=plan.format,
        ref=plan.ref,
        commit=plan.commit,
        stateroot=plan.stateroot,
        kargs=plan.kargs,
        login=plan.login.ways,
        layout=plan.layout,
        duration={},
        warnings=("the tree has no ssh server: an ssh key lets nobody in before one is installed",) if silent else (),
    )
