"""compose image: the disk is looked at from outside. That it boots is shown in tests/boot."""

from __future__ import annotations

import fcntl
import json
import signal
import stat
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from apt_ostree import bls, faults, grubdisk
from tests.support import leaks, tiny
from tests.support.image import OSTREE, Disk, initramfs, virtual_size
from tests.support.process import CHECKOUT, Done, environment, run

pytestmark = pytest.mark.real

INITRAMFS = "usr/lib/modules/6.12.1/initramfs.img"
WANTED = ["splash", 'note="c d"']
DPKG = """Package: dpkg
Status: install ok installed
Architecture: arm64
Version: 1.22
"""
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ me@there"
CLEAR = "correct horse battery staple"
SHADOW = "root:*::0:99999:7:::\ndaemon:*:20000:0:99999:7:::\n"
SCHEMA = json.loads((resources.files("apt_ostree") / "data/schemas/compose-image.json").read_text())


@pytest.fixture(scope="module")
def repo(big_folder: Any) -> Path:
    """A repo with a tree of a few files, and with others that cannot boot."""
    folder = big_folder("image")
    made = tiny.sysroot(folder / "sysroot")
    tree = tiny.tree(folder / "tree")
    (tree / "usr/etc/shadow").write_text(SHADOW)
    (tree / "usr/etc/shadow").chmod(0o640)
    (tree / "boot").mkdir()
    (tree / INITRAMFS).write_bytes(initramfs(*OSTREE))
    made.commit(tree, strings={"version": "13.1", "apt-ostree.kargs": json.dumps(WANTED)})
    made.commit(tree, ref="odd/kargs", strings={"apt-ostree.kargs": '["ostree=/x"]'})
    made.commit(tree, ref="grub/kargs", strings={"apt-ostree.kargs": json.dumps(["a={b}"])})
    (tree / "usr/sbin").mkdir()
    (tree / "usr/sbin/sshd").write_text("sshd")
    made.commit(tree, ref="with/sshd")
    dead(made, tree)
    return made.repo


def dead(made: tiny.Tiny, tree: Path) -> None:
    """Commit trees a disk would not boot from."""
    made.commit(tree, ref="arm64/metadata", strings={"ostree.architecture": "aarch64"})
    status, kernel = tree / "usr/lib/sysimage/dpkg/status", tree / "usr/lib/modules/6.12.1/vmlinuz"
    status.write_text(f"{DPKG}\n{tiny.STATUS}")
    made.commit(tree, ref="arm64/dpkg")
    status.write_text(tiny.STATUS.replace("amd64", "riscv64"))
    made.commit(tree, ref="riscv64/packages")
    status.unlink()
    made.commit(tree, ref="arm64/pkglist", strings={"apt-ostree.pkglist": '[["dpkg","1.22","arm64","dpkg",1]]'})
    kernel.write_bytes(b"MZ" + bytes(0x3A) + b"\x40\0\0\0" + b"PE\0\0\x64\xaa")
    made.commit(tree, ref="arm64/kernel")
    kernel.write_text("kernel")
    for ref, content in {
        "toy": b"a toy initramfs",
        "plain": initramfs("usr/bin/init"),
        "idle": initramfs(*OSTREE[:2]),
    }.items():
        (tree / INITRAMFS).write_bytes(content)
        made.commit(tree, ref=f"{ref}/initramfs")
    (tree / INITRAMFS).unlink()
    made.commit(tree, ref="no/initramfs")


def argv(repo: Path, *words: str | Path) -> list[str]:
    return [sys.executable, "-m", "apt_ostree", "compose", "image", "--repo", *map(str, (repo, *words))]


def image(repo: Path, *words: str | Path, code: int = 0, **env: str) -> Done:
    return run(argv(repo, *words), check=False, env={"PYTHONPATH": str(CHECKOUT), **env}).must(code)


def held(done: Done) -> dict[str, Any]:
    Draft202012Validator(SCHEMA).validate(done.json)
    found: dict[str, Any] = done.json
    return found


def secrets(folder: Path) -> tuple[Path, Path]:
    (folder / "password").write_text(f"{CLEAR}\n")
    (folder / "key.pub").write_text(f"{KEY}\n")
    return folder / "password", folder / "key.pub"


def test_a_disk_for_both_firmwares(repo: Path, work: Path) -> None:
    password, key = secrets(work)
    target = work / "disk.raw"
    login = ("--root-password-file", password, "--ssh-key-file", key)
    done = image(repo, tiny.REF, target, "--json", "--karg=quiet", '--karg=note="a b"', *login)
    answer, disk = held(done), Disk(target)
    assert answer["changed"] and answer["login"] == ["root-password", "ssh-key"] and answer["duration"]
    assert CLEAR not in done.output and "$y$" not in done.output

    table = disk.table()
    assert table["label"] == "gpt" and answer["size"] == target.stat().st_size
    for told, found in zip(answer["partitions"], table["partitions"], strict=True):
        assert (told["start"], told["size"]) == (found["start"] * 512, found["size"] * 512)
        assert (told["name"], told["type"], told["uuid"]) == (
            found["name"], found["type"].lower(), found["uuid"].lower(),
        )  # fmt: skip
    assert [disk.filesystem(number)["TYPE"] for number in (2, 3)] == ["vfat", "ext4"]
    assert disk.filesystem(3)["UUID"] == answer["root-uuid"]
    taken = target.stat().st_blocks * 512
    assert taken == answer["disk-bytes"] < answer["size"] // 4, "the image is not sparse"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600  # it has the hash of a password

    check_grub(disk, work)
    with disk.mounted(work / "root") as root:
        check_root(root, answer, run(["ostree", "rev-parse", f"--repo={repo}", tiny.REF]).stdout.strip())
    run(["e2fsck", "-f", "-n", f"{target}?offset={disk.part(3)[0]}"])


def check_grub(disk: Disk, work: Path) -> None:
    """Each firmware finds a program, and that finds the next."""
    start, _ = disk.part(1)
    with disk.path.open("rb") as stream:
        first = stream.read(512)
        stream.seek(start)
        core = stream.read(512)
    assert first[510:] == b"\x55\xaa" and int.from_bytes(first[0x5C:0x64], "little") * 512 == start
    assert first[446:510].strip(b"\0"), "the protective entry of the GPT is gone"
    blocks = core[-12:]
    assert int.from_bytes(blocks[:8], "little") * 512 == start + 512 and int.from_bytes(blocks[8:10], "little") > 50
    program = disk.esp(grubdisk.EFI_PATH, work / "BOOTX64.EFI")
    uuid = disk.filesystem(3)["UUID"].encode()
    assert program[:2] == b"MZ" and uuid in program


def check_root(root: Path, answer: dict[str, Any], commit: str) -> None:
    """One deployment of the commit, in the loader's file, with what was asked for."""
    assert answer["commit"] == commit
    entries = list((root / "boot/loader/entries").glob("*.conf"))
    entry = bls.parse(entries[0].read_text())
    assert len(entries) == 1 and list(entry.kargs) == answer["kargs"]
    ours = (f"root=UUID={answer['root-uuid']}", "rw", "systemd.gpt_auto=0")
    assert entry.kargs == (*ours, *WANTED, "quiet", 'note="a b"')
    assert (root / "boot" / entry.linux.lstrip("/")).read_text() == "kernel"
    menu = (root / "boot/loader/syslinux.cfg").read_text()
    # GRUB reads paths below /boot, whether the entry has that in front or not
    kernel = next(line.split()[1] for line in menu.splitlines() if line.strip().startswith("KERNEL"))
    assert (root / "boot" / kernel.lstrip("/")).read_text() == "kernel" and entry.options in menu
    assert (
        "TIMEOUT" in menu
        and (root / "boot/syslinux/syslinux.cfg").resolve() == (root / "boot/loader/syslinux.cfg").resolve()
    )
    deployment = next((root / "ostree/deploy/debian/deploy").glob("*.0"))
    assert deployment.name == f"{commit}.0"
    assert (deployment.parent / f"{deployment.name}.origin").read_text().split() == ["[origin]", f"refspec={tiny.REF}"]
    hashed, rest = (deployment / "etc/shadow").read_text().split("\n", 1)
    assert hashed.startswith("root:$y$") and rest == SHADOW.split("\n", 1)[1]
    assert (root / "ostree/deploy/debian/var/roothome/.ssh/authorized_keys").read_text() == f"{KEY}\n"
    assert not list(root.glob(".origin-*")) and not (root / "boot/loader.0").exists()
    run(["ostree", "fsck", "--quiet", f"--repo={root / 'ostree/repo'}"])
    settings = (root / "ostree/repo/config").read_text()
    assert "bootloader=syslinux" in settings and "readonly=true" in settings


def kind(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(4)


def test_other_formats_sizes_and_names(repo: Path, work: Path) -> None:
    target, archive = work / "disk.qcow2", work / "archive"
    chosen = ("--format=qcow2", "--size=3G", "--stateroot=lab", "--karg=root=LABEL=mine", "--karg=console=ttyS0")
    answer = held(image(repo, tiny.REF, target, "--json", *chosen))
    assert kind(target) == b"QFI\xfb" and virtual_size(target) == answer["size"] == 3 << 30
    assert answer["kargs"] == ["rw", "systemd.gpt_auto=0", *WANTED, "root=LABEL=mine", "console=ttyS0"]
    assert answer["stateroot"] == "lab" and stat.S_IMODE(target.stat().st_mode) == 0o644
    raw = work / "back.raw"
    run(["qemu-img", "convert", "-O", "raw", target, raw])
    with Disk(raw).mounted(work / "root") as root:
        assert (root / "ostree/deploy/lab/deploy").is_dir()
        assert "terminal_output console serial" in (root / "boot/grub/grub.cfg").read_text()
    # of a repo with compressed objects it is as large
    run(["ostree", "init", "--mode=archive", f"--repo={archive}"])
    run(["ostree", "pull-local", f"--repo={archive}", repo, tiny.REF])
    before = sorted(work.iterdir())
    sizes = [held(image(at, tiny.REF, work / "no.raw", "--json", "--dry-run"))["size"] for at in (repo, archive)]
    assert sizes[0] == sizes[1] > 500 << 20 and sorted(work.iterdir()) == before
    # mtools end a name at its first @@
    (work / "odd@@2").mkdir()
    held(image(repo, tiny.REF, work / "odd@@2/a@@1.raw", "--json"))
    # what is there is replaced only when one says so
    image(repo, tiny.REF, target, code=2)
    assert held(image(repo, tiny.REF, target, "--json", "--force", "--format=raw"))["format"] == "raw"
    assert kind(target) != b"QFI\xfb"
    assert held(image(repo, tiny.REF, target, "--json", "--dry-run", "--force"))["format"] == "qcow2", "by its name"


def test_a_key_for_a_tree_without_an_ssh_server_is_told(repo: Path, work: Path) -> None:
    words = (work / "disk.raw", "--ssh-key-file", secrets(work)[1], "--dry-run")
    (warning,) = held(image(repo, tiny.REF, *words, "--json"))["warnings"]
    assert "no ssh server" in warning
    quiet = ("-q", "compose", "image", "--repo", repo, tiny.REF, *words)
    done = run([sys.executable, "-m", "apt_ostree", *quiet], env={"PYTHONPATH": str(CHECKOUT)})
    assert done.stderr == f"warning: {warning}\n", "also with --quiet"
    assert held(image(repo, "with/sshd", *words, "--json"))["warnings"] == []
    assert held(image(repo, tiny.REF, work / "disk.raw", "--dry-run", "--json"))["warnings"] == []


@pytest.mark.parametrize("point", faults.IMAGE_POINTS)
def test_a_failure_at_any_step_leaves_nothing(repo: Path, work: Path, point: str) -> None:
    target = work / "disk.qcow2"
    target.write_text("what was here")
    words = (tiny.REF, target, "--force", "--format=qcow2")
    done = image(repo, *words, code=1, APT_OSTREE_FAULT=f"{point}:fail")
    assert point in done.stderr
    assert [path.name for path in work.iterdir()] == [target.name] and target.read_text() == "what was here"


@pytest.mark.parametrize("point", ["image-work", "image-lock", "image-mount", "image-fill", "image-convert"])
def test_kill_leaves_no_mount_and_no_loop_device(repo: Path, work: Path, point: str) -> None:
    image(repo, tiny.REF, work / "disk.raw", "--format=qcow2", code=-signal.SIGKILL, APT_OSTREE_FAULT=f"{point}:kill")
    assert not leaks.loops(work) and not leaks.mounts(work) and not (work / "disk.raw").exists()
    assert len(list(work.iterdir())) == 1
    # somebody who is at it keeps theirs; what only looks like one stays
    kept = {name: work / f".disk.raw-{name}" for name in ("begun_by", "busy1234", "other", "somebody")}
    for folder in kept.values():
        folder.mkdir()
    (kept["somebody"] / "notes").touch()
    (work / ".disk.raw-linked12").symlink_to(kept["other"])
    names = kept["busy1234"] / "apt-ostree.lock", kept["begun_by"] / "apt-ostree.lock.new"
    with names[0].open("wb") as lock, names[1].open("wb") as begun:
        for held_by_them in (lock, begun):
            fcntl.flock(held_by_them, fcntl.LOCK_EX)
        image(repo, tiny.REF, work / "disk.raw")
    left = {".disk.raw-linked12", "disk.raw", *(folder.name for folder in kept.values())}
    assert {path.name for path in work.iterdir()} == left and all(name.exists() for name in names)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_nothing(repo: Path, work: Path, signum: signal.Signals) -> None:
    process = subprocess.Popen(
        argv(repo, tiny.REF, work / "disk.raw"),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment({"PYTHONPATH": str(CHECKOUT), "APT_OSTREE_FAULT": "image-pull:hold"}),
        process_group=0,
    )
    try:
        while not leaks.loops(work) and process.poll() is None:
            pass
        process.send_signal(signum)
        _, told = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130 and signum.name in told
    assert not list(work.iterdir()) and not leaks.loops(work)


BAD: dict[str, tuple[tuple[str, ...], int, str]] = {
    "another branch": (("no/such", "DEST"), 1, "there is no branch 'no/such'"),
    "a misspelt branch": ((f"{tiny.REF}x", "DEST"), 1, f"did you mean {tiny.REF}"),
    "no kernel": (("no/initramfs", "DEST"), 1, "there is no initramfs.img"),
    "an initramfs that is none": (("toy/initramfs", "DEST"), 1, "the initramfs is no archive"),
    "an initramfs without ostree": (("plain/initramfs", "DEST"), 1, "it lacks: usr/lib/ostree/ostree-prepare-root"),
    "an initramfs that starts nothing": (("idle/initramfs", "DEST"), 1, "it lacks: the link that starts it"),
    "another architecture": (("arm64/dpkg", "DEST"), 1, "its packages are arm64"),
    "another without dpkg": (("riscv64/packages", "DEST"), 1, "its packages are riscv64"),
    "another by a list": (("arm64/pkglist", "DEST"), 1, "its packages are arm64"),
    "another by metadata": (("arm64/metadata", "DEST"), 1, "its metadata says arm64"),
    "another kernel": (("arm64/kernel", "DEST"), 1, "its kernel is arm64"),
    "an argument of the commit": (("odd/kargs", "DEST"), 2, "kargs of the commit: 'ostree='"),
    "no directory": ((tiny.REF, "DEST/in/it"), 2, "there is no directory"),
    "a directory": ((tiny.REF, "."), 2, "is no file"),
    "a device": ((tiny.REF, "/dev/null"), 2, "is no file"),
    "a format": ((tiny.REF, "DEST", "--format=vdi"), 2, "--format is one of raw, qcow2"),
    "a size": ((tiny.REF, "DEST", "--size=much"), 2, "'much' is not a size"),
    "too small": ((tiny.REF, "DEST", "--size=64M"), 1, "too small"),
    "an argument": ((tiny.REF, "DEST", "--karg=ostree=x"), 2, "ostree="),
    "a quote of GRUB's": ((tiny.REF, "DEST", "--karg=x=it's"), 2, "--karg: GRUB takes ' "),
    "the end of GRUB's line": ((tiny.REF, "DEST", "--karg=slub_debug=FZ,a;P,b"), 2, "--karg: GRUB takes ; "),
    "a variable of GRUB's": ((tiny.REF, "DEST", "--karg=memmap=10M$1G"), 2, "--karg: GRUB takes $ "),
    "a block of GRUB's": (("grub/kargs", "DEST"), 2, "kargs of the commit: GRUB takes { "),
    "a stateroot": ((tiny.REF, "DEST", "--stateroot=../x"), 2, "cannot be a stateroot"),
    "no password": ((tiny.REF, "DEST", "--root-password-file=/dev/null"), 2, "must have one line"),
    "long name": ((tiny.REF, "x" * 241), 2, "is longer than 240 bytes"),
    "no key": ((tiny.REF, "DEST", "--ssh-key-file=/nowhere"), 2, "ssh-keygen -t ed25519"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_is_told_before_anything_is_written(repo: Path, work: Path, name: str) -> None:
    words, code, told = BAD[name]
    for more in ((), ("--dry-run",)):
        done = image(repo, *(word.replace("DEST", str(work / "disk.raw")) for word in words), *more, code=code)
        assert told in done.stderr and "hint:" in done.stderr.lower() and not list(work.iterdir())


def test_missing_programs_are_named_by_their_packages(repo: Path, work: Path) -> None:
    done = image(repo, tiny.REF, work / "disk.raw", "--format=qcow2", "--json", code=5, PATH="/nowhere")
    hint = done.json["error"]["hint"]
    assert {"dosfstools", "e2fsprogs", "fdisk", "grub-common", "mtools", "ostree", "qemu-utils"} <= set(hint.split())
