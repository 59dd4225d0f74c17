"""Root directories that somebody else made: what may become an image, how it becomes one, and what is one already."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from apt_ostree.compose.finish import make_image
from apt_ostree.compose.tree import policy
from apt_ostree.errors import AptOstreeError, UsageError
from apt_ostree.report import OutputLine, Reporter, phase
from apt_ostree.tree import (
    accounts,
    customise,
    dpkgdb,
    fsops,
    kernel,
    layout,
    lint,
    opt,
    pkglist,
    rules,
    skeleton,
    tmpfiles,
    users,
)
from apt_ostree.treefile import Treefile

_MOUNTS = Path("/proc/self/mountinfo")
_OCTAL = re.compile(r"\\([0-7]{3})")
_DRACUT_CONF = "etc/dracut.conf.d/apt-ostree.conf"
_MADE = (users.CONF, f"{tmpfiles.DIRECTORY}/{dpkgdb.CONF}.conf", f"{tmpfiles.DIRECTORY}/apt-ostree-layout.conf")


def require_directory(path: Path) -> Path:
    """Where a root directory really is. Raises UsageError for what is none, and for the machine's own."""
    found = path.resolve()
    if found.exists() and not found.is_dir():
        raise UsageError(
            f"'{path}' is not a directory: a tree is wanted that is unpacked",
            hint="apt-ostree compose postprocess ROOTFS",
        )
    if not found.is_dir():
        raise UsageError(f"there is no directory '{path}'", hint="how one is made: man apt-ostree-compose-postprocess")
    if found == Path("/") or found.samefile("/"):
        raise UsageError(f"'{path}' is the machine's own root", hint="make a tree of its own, with mmdebstrap(1)")
    return found


def check_raw(root: Path, wanted: rules.Policy) -> None:
    """Refuse what cannot become an image, as far as it can be seen before anything is changed.

    Raises AptOstreeError: `mounted`, `postprocessed`, `refused-tree`, `no-dpkg-database`, `half-installed`,
    `unsafe-tree`, `refused-path`, `lint`, `kernel`, `initramfs`.
    """
    if found := mounts(root):
        raise AptOstreeError(
            f"{found[0]} is a mount: what is in it would be taken for the tree's own, and removed",
            details=found,
            hint=f"umount --recursive {found[0]}",
            code="mounted",
        )
    if any(fsops.exists(root / name) for name in ("usr/etc", dpkgdb.DATABASE)) or (root / "ostree").is_symlink():
        raise AptOstreeError(
            f"'{root}' is an image tree already, or one that was left half done",
            hint=f"apt-ostree compose commit {root} --repo REPO --branch NAME, or make the tree again",
            code="postprocessed",
        )
    if (owner := root.stat().st_uid) != 0:
        raise AptOstreeError(
            f"'{root}' belongs to the user {owner}, not to root: its files have the ids of a user namespace",
            hint="make it as root (mmdebstrap --mode=root), or unpack it as root from a tar archive",
            code="refused-tree",
        )
    _check_packages(root)
    skeleton.check(root, root / "var")
    lint.check_raw(root)
    kernel.check_raw(root)
    if not wanted.local_is_state:
        opt.check_local(root / "usr", dpkgdb.owners(root, dpkgdb.ORDINARY), top="local")


def _check_packages(root: Path) -> None:
    if not fsops.is_dir(root / "etc"):
        raise AptOstreeError(f"'{root}' has no /etc: it is no root directory", code="refused-tree")
    pkglist.read(root / dpkgdb.ORDINARY)
    unfinished = pkglist.unfinished(fsops.read(root / dpkgdb.ORDINARY / "status"))
    if unfinished:
        raise AptOstreeError(
            f"{len(unfinished)} packages of the tree are not configured: {unfinished[0]}",
            details=unfinished,
            hint=f"chroot {root} dpkg --configure --pending",
            code="half-installed",
        )


def mounts(root: Path) -> tuple[str, ...]:
    """Mount points below a directory (proc_pid_mountinfo(5)), deepest last."""
    places = (_OCTAL.sub(lambda match: chr(int(match[1], 8)), line.split()[4]) for line in _MOUNTS.open())
    return tuple(sorted({place for place in places if place.startswith(f"{root}/")}))


def postprocess(job: rules.FinishJob, treefile: Treefile | None, work: Path, reporter: Reporter) -> rules.FinishReport:
    """Make an image of an ordinary tree, in place; with what a treefile asks for beyond packages.

    `work` is a directory outside the tree. Raises AptOstreeError: once something was changed, the tree is half done.
    """
    warnings: tuple[str, ...] = ()
    if treefile is not None:
        with phase(reporter, "customise", "Doing what the treefile asks for"):
            warnings = customise.apply(job.root, treefile, work, lambda line: reporter.event(OutputLine(line=line)))
    if fsops.is_file(job.root / "usr/bin/dracut") and not fsops.exists(job.root / _DRACUT_CONF):
        fsops.write(job.root, _DRACUT_CONF, 'hostonly="no"\n')  # an initramfs for any machine (dracut.conf(5))
    report = make_image(job, treefile.initramfs_args if treefile else (), _environment(), reporter)
    return rules.FinishReport(
        users=report.users,
        groups=report.groups,
        kernel=report.kernel,
        dropped=report.dropped,
        warnings=(*warnings, *report.warnings),
    )


def _environment() -> Mapping[str, str]:
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    return {"SOURCE_DATE_EPOCH": epoch} if epoch else {}


def finish_job(root: Path, treefile: Treefile | None, known: users.Identities) -> rules.FinishJob:
    """What `postprocess` is to do; `known` are ids that accounts are to keep."""
    wanted = policy(treefile) if treefile else rules.Policy()
    return rules.FinishJob(root=root, var=root / "var", compose=True, known=known, policy=wanted)


def check_image(root: Path) -> str:
    """Refuse what `postprocess` has not made, or what was changed since so that it could not be deployed.

    Returns the kernel's version, empty when the tree has none. Raises AptOstreeError: `not-postprocessed`, `mounted`,
    `unsafe-tree`, `lint`, `kernel`, `initramfs`.
    """
    if found := mounts(root):
        raise AptOstreeError(f"{found[0]} is a mount", hint=f"umount --recursive {found[0]}", code="mounted")
    missing = [name for name in ("usr/etc", dpkgdb.DATABASE, *_MADE) if not fsops.exists(root / name)]
    links = [name for name, place in layout.LINKS.items() if _target(root / name) != place]
    if missing or links or fsops.exists(root / "etc"):
        wrong = [f"/{name} is missing" for name in missing]
        wrong += [f"/{name} is not the link to {layout.LINKS[name]}" for name in links]
        wrong += ["/etc is there, whose place is /usr/etc"] if fsops.exists(root / "etc") else []
        raise AptOstreeError(
            f"'{root}' is not an image tree: {wrong[0]}",
            details=wrong,
            hint=f"apt-ostree compose postprocess {root}",
            code="not-postprocessed",
        )
    skeleton.check_base(root)
    lint.check(root)
    return _check_kernel(root)


def _target(path: Path) -> str:
    return str(path.readlink()) if path.is_symlink() else ""


def _check_kernel(root: Path) -> str:
    versions = kernel.installed(root)
    if len(versions) > 1:
        raise AptOstreeError(f"the tree has {len(versions)} kernels: {', '.join(versions)}", code="kernel")
    if versions and not fsops.is_file(root / kernel.MODULES / versions[0] / "initramfs.img"):
        raise AptOstreeError(
            f"the kernel {versions[0]} has no initramfs.img beside it",
            hint=f"make the tree again, then: apt-ostree compose postprocess {root}",
            code="initramfs",
        )
    return versions[0] if versions else ""


def identities(root: Path) -> users.Identities:
    """The accounts of an image tree."""
    etc = root / "usr/etc"
    return users.Identities(
        users={name: user.uid for name, user in accounts.users(fsops.read(etc / "passwd")).items()},
        groups={name: group.gid for name, group in accounts.groups(fsops.read(etc / "group")).items()},
    )


def kargs(root: Path) -> tuple[str, ...]:
    """Kernel arguments the tree itself asks for. Raises AptOstreeError when the file is not what we wrote."""
    try:
        found = tomllib.loads(fsops.read(root / customise.KARGS)).get("kargs", [])
    except tomllib.TOMLDecodeError as error:
        raise AptOstreeError(f"/{customise.KARGS} is not TOML: {error}", code="kargs") from error
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise AptOstreeError(f"'kargs' in /{customise.KARGS} is not a list of strings", code="kargs")
    return tuple(found)
