"""`apt-ostree compose`: trees in a repository, without a system around them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import typer

from apt_ostree.cli import compose_rootfs, dynamic
from apt_ostree.cli.common import absolute, change, context, group, treefile_path, verb
from apt_ostree.cli.options import (
    Archive,
    CacheOnly,
    Download,
    DryRun,
    GpgSigning,
    Json,
    Recommends,
    Repo,
    Requests,
    Scripts,
    Settings,
    Unchanged,
    Wait,
)
from apt_ostree.cli.repo import signing
from apt_ostree.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class InstallOptions(Requests, Recommends, Archive, Json, DryRun, Scripts, Wait, Repo):
    ref: Annotated[str, typer.Option("--ref", metavar="REF", help="The commit to layer on: a ref or a checksum.")]
    branch: Annotated[str, typer.Option("--branch", metavar="NAME", help="The branch that gets the new commit.")]
    packages: Annotated[
        list[str],
        typer.Argument(
            metavar="PACKAGE",
            autocompletion=dynamic.available,
            help="A package of the base's archive, a .deb file, or a directory of .deb files.",
        ),
    ]


def install(settings: Settings, options: InstallOptions) -> int:
    """Layer packages on a commit of a repository.

    Does to a commit what 'apt-ostree install' does to a deployment, and commits the tree to another branch; the
    commit it was made from is its parent. Sources and keys are those of the base itself.
    """
    from apt_ostree.ops import compose_install as op

    request = op.Request(
        repo=absolute(options.repo), ref=options.ref, branch=options.branch, packages=tuple(options.packages)
    )
    return change(settings, options, lambda context: op.run(context, request))


TreefileArgument = Annotated[
    str,
    typer.Argument(
        metavar="TREEFILE",
        help="What the tree is made of: a file, or the name of an example that comes with the program.",
    ),
]


@dataclass(frozen=True, kw_only=True)
class LockfileOptions(Json, DryRun, CacheOnly, Unchanged, Wait, Repo):
    treefile: TreefileArgument
    lockfile: Annotated[
        str,
        typer.Option(
            "--lockfile",
            metavar="FILE",
            help="The file to write; without it, the one beside the treefile: tree.lock.json for tree.toml. That of an "
            "example is in the current directory.",
        ),
    ] = ""


def lockfile(settings: Settings, options: LockfileOptions) -> int:
    """Write the lockfile of a treefile and compose nothing.

    Chooses the packages of the tree and of its layers as 'compose tree' does now, and writes down their versions and
    contents. It shows what is another version than in the lockfile that was there. One that has just these packages
    is left as it is, with its time; when SOURCE_DATE_EPOCH is set, that counts as well. No package is downloaded.

    Package lists are kept in the repository for the next time.
    """
    from apt_ostree.ops import compose_lockfile as op

    request = op.Request(
        treefile=treefile_path(options.treefile),
        repo=absolute(options.repo),
        lockfile=absolute(options.lockfile) if options.lockfile else None,
    )
    return change(settings, options, lambda context: op.run(context, request))


@dataclass(frozen=True, kw_only=True)
class TreeOptions(GpgSigning, Json, DryRun, Download, CacheOnly, Scripts, Unchanged, Wait, Repo):
    treefile: TreefileArgument
    lockfile: Annotated[
        str,
        typer.Option(
            "--lockfile",
            metavar="FILE",
            help="The lockfile. One named here is honoured, as with --locked, unless --write-lockfile is given. "
            "Otherwise those two look at the one beside the treefile: tree.lock.json for tree.toml; that of an example "
            "is in the current directory.",
        ),
    ] = ""
    locked: Annotated[
        bool,
        typer.Option("--locked", help="Install exactly the versions and contents the lockfile names, or fail with 3."),
    ] = False
    write_lockfile: Annotated[
        bool, typer.Option("--write-lockfile", help="Write what was installed into the lockfile.")
    ] = False
    parent: Annotated[
        str, typer.Option("--parent", metavar="REV", help="Make the commit a child of REV, not of the branch's commit.")
    ] = ""
    no_parent: Annotated[bool, typer.Option("--no-parent", help="Make a commit without a parent.")] = False
    write_commitid_to: Annotated[
        str,
        typer.Option(
            "--write-commitid-to",
            metavar="FILE",
            help="Write the commit's checksum to FILE and leave the branch. With layers it is that of the last one, "
            "and all branches are left.",
        ),
    ] = ""
    force: Annotated[
        bool, typer.Option("--force-nocache", help="Compose also when nothing that goes into the tree has changed.")
    ] = False


def tree(settings: Settings, options: TreeOptions) -> int:
    """Make a base commit from a treefile, and one of each of its layers.

    Chooses the packages with apt, lets mmdebstrap install just these, brings the tree into the form an image needs,
    and commits it to the branch the treefile names. Packages and package lists are kept in the repository for the
    next time. The keys of a treefile are described in apt-ostree-treefile(5).

    Layers of a treefile, such as a desktop on a minimal tree, are committed to branches of their own, each as a child
    of what is below it. The branches move when every commit was made, so that all are of one run; when something
    fails, none has moved. --parent and --no-parent are about the tree itself, --script-timeout about the scripts of the
    layers' packages.

    With --gpg-sign a commit is signed when it is made: no branch ever leads to one without a signature. One that need
    not be made again is signed as well, by those of the keys that have not signed it yet.

    What was made is held to the lints of 'apt-ostree oci lint' before it is committed: nothing is, when a fatal one
    finds something; the others are warnings. Whether there is composefs is for the treefile alone to say.

    Nothing is composed when the treefile, what it refers to and the packages are those of the branch's commit, unless
    --parent or --no-parent asks for another parent than that has. A layer is made again when its own part has changed,
    or anything below it. --write-commitid-to writes the checksum of what is there, then as well.

    Two runs with the same lockfile in new repositories make the same commits, byte for byte: everything has the time
    that stands in the lockfile. Without one that is SOURCE_DATE_EPOCH of the environment, else the newest date of the
    archive's Release files. Where the branch is there already, its commit is the parent, and accounts keep the ids they
    have in it.
    """
    from apt_ostree.ops import compose_tree as op

    if options.no_parent and options.parent:
        raise UsageError("--parent and --no-parent exclude each other", hint="leave one of them out")
    request = op.Request(
        treefile=treefile_path(options.treefile),
        repo=absolute(options.repo),
        lockfile=absolute(options.lockfile) if options.lockfile else None,
        locked=options.locked or bool(options.lockfile and not options.write_lockfile),
        write_lockfile=options.write_lockfile,
        parent="" if options.no_parent else options.parent or None,
        commit_file=absolute(options.write_commitid_to) if options.write_commitid_to else None,
        force=options.force,
        signing=signing(options),
    )
    return change(settings, options, lambda context: op.run(context, request))


@dataclass(frozen=True, kw_only=True)
class ImageOptions(Json, DryRun, Repo):
    ref: Annotated[str, typer.Argument(metavar="REF", help="The branch of the repository to make a disk of.")]
    target: Annotated[str, typer.Argument(metavar="DEST", help="The file to make.")]
    format: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="raw|qcow2",
            help="What kind of file; without it qcow2 where DEST ends with .qcow2, else raw.",
        ),
    ] = ""
    size: Annotated[
        str,
        typer.Option(
            "--size",
            metavar="SIZE",
            help="Size of the disk, such as 8G. Without it there is room for the tree, one update and 512 MiB more.",
        ),
    ] = ""
    karg: Annotated[
        list[str],
        typer.Option("--karg", metavar="KEY=VALUE", help="Boot with this kernel argument too. May be repeated."),
    ] = field(default_factory=list)
    stateroot: Annotated[
        str, typer.Option("--stateroot", "--os", metavar="NAME", help="Name of the stateroot to make.")
    ] = "debian"
    root_password_file: Annotated[
        str,
        typer.Option(
            "--root-password-file",
            metavar="FILE",
            help="Let root log in with the password that is the one line of FILE, in clear or hashed (crypt(5)).",
        ),
    ] = ""
    ssh_key_file: Annotated[
        str,
        typer.Option(
            "--ssh-key-file", metavar="FILE", help="Let root log in by ssh with the public keys in FILE, one a line."
        ),
    ] = ""
    menu_timeout: Annotated[
        int,
        typer.Option(
            "--menu-timeout",
            metavar="SECONDS",
            min=0,
            max=600,
            help="How long GRUB shows its menu; 0: not at all, unless Esc is held.",
        ),
    ] = 3
    force: Annotated[bool, typer.Option("--force", help="Replace DEST when it exists.")] = False


def image(settings: Settings, options: ImageOptions) -> int:
    """Make a disk that boots from a commit of a repository.

    The disk has a GPT with three partitions: one for GRUB on BIOS machines, an EFI system partition with GRUB for
    UEFI machines (without Secure Boot), and an ext4 root that holds everything else, /boot as well. The commit is
    deployed there as the only deployment. GRUB's menu is the file libostree writes with every deployment, so updates
    and rollbacks need no program to be run. Only the parts of the file that have content take room; the root is the
    last partition and can be grown.

    Without --root-password-file and --ssh-key-file nobody can log in. A virtual machine can be given a key when it is
    started instead, as the systemd credential ssh.authorized_keys.root (systemd.system-credentials(7)), with QEMU by
    -smbios type=11,value=io.systemd.credential:ssh.authorized_keys.root=KEY. The key stays on the disk. The
    credentials passwd.hashed-password.root and passwd.plaintext-password.root do nothing: they are for accounts that
    do not exist yet, and root does.

    The kernel arguments are those every disk needs, then the kargs of the treefile the commit was made from, then
    those of --karg. This is when the treefile's are applied: changes of them do not reach machines that exist, for
    which there is 'apt-ostree kargs'. GRUB reads them as a line of a script: what it would not hand to the kernel as it
    is, such as $ or a semicolon that is not in double quotes, is refused.

    A commit that could not boot is refused before anything is written, with --dry-run too: one of another
    architecture than amd64, and one whose initramfs does not have what mounts a deployment (ostree-boot).

    The disk knows no remote to update from: on the machine, 'ostree remote add' one, then 'apt-ostree rebase' to it.

    An interrupted or failed run leaves nothing behind: no file, mount or loop device. One that is killed with SIGKILL
    leaves its hidden work directory beside DEST until the next run for DEST, and neither mount nor loop device.
    """
    from apt_ostree.cli import screen
    from apt_ostree.disk import parse_size
    from apt_ostree.ops import compose_image as op
    from apt_ostree.ui import image as view

    request = op.Request(
        repo=absolute(options.repo),
        ref=options.ref,
        target=absolute(options.target),
        format=options.format or ("qcow2" if options.target.endswith(".qcow2") else "raw"),
        size=parse_size(options.size) if options.size else None,
        kargs=tuple(options.karg),
        stateroot=options.stateroot,
        root_password_file=absolute(options.root_password_file) if options.root_password_file else None,
        ssh_key_file=absolute(options.ssh_key_file) if options.ssh_key_file else None,
        menu_timeout=options.menu_timeout,
        force=options.force,
    )
    with screen.reporting(settings, json=options.json) as reporter:
        made = op.execute(context(settings, options, reporter), request)
    if not settings.quiet or options.json or not made.changed:
        screen.show(
            settings,
            options.json,
            lambda: view.as_json(made),
            lambda theme: view.text(made, verbose=settings.verbose > 0, theme=theme),
        )
    return 0


def register(app: typer.Typer) -> None:
    compose = group(
        app,
        "compose",
        """Make trees in a repository.

        These commands need no running OSTree system, only a repository.
        """,
    )
    verb(
        compose,
        "image",
        ImageOptions,
        examples="""
        apt-ostree compose image --repo repo debian/13/x86_64/minimal disk.raw
        apt-ostree compose image --repo repo debian/13/x86_64/minimal vm.qcow2 \\
            --format qcow2 --size 20G --ssh-key-file ~/.ssh/id_ed25519.pub
        apt-ostree compose image --repo repo debian/13/x86_64/minimal disk.raw \\
            --karg console=tty0 --karg console=ttyS0 --dry-run
        """,
    )(image)
    verb(
        compose,
        "install",
        InstallOptions,
        examples="""
        apt-ostree compose install --repo repo --ref debian/13/x86_64/minimal \\
            --branch lab htop
        """,
    )(install)
    verb(
        compose,
        "lockfile",
        LockfileOptions,
        examples="""
        apt-ostree compose lockfile mine.toml --repo repo --dry-run
        apt-ostree compose lockfile mine.toml --repo repo
        """,
    )(lockfile)
    verb(
        compose,
        "tree",
        TreeOptions,
        examples="""
        apt-ostree repo init repo --mode bare
        apt-ostree compose tree debian-13-minimal --repo repo    # an example of ours
        apt-ostree compose tree debian-13-desktop --repo repo    # one with a layer
        apt-ostree compose tree mine.toml --repo repo --dry-run
        apt-ostree compose tree mine.toml --repo repo --write-lockfile
        apt-ostree compose tree mine.toml --repo repo --locked
        """,
    )(tree)
    compose_rootfs.register(compose)
