"""compose postprocess and compose commit: a root directory that mmdebstrap alone made becomes a commit."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from apt_ostree import commits, pkgdb, signatures
from apt_ostree.cli import compose_rootfs
from apt_ostree.errors import UsageError
from tests.support.archive import SigningKey
from tests.support.composing import PACKAGES, Composing, archive_of, refs
from tests.support.debs import DebBuilder
from tests.support.ground import Ground
from tests.support.process import CHECKOUT, Done, run
from tests.support.sysroots import Base
from tests.support.verbs import held_to, tool
from tests.unit import treemaker

pytestmark = pytest.mark.real

BRANCH, KERNEL = "own/tree", "6.1-toy"
# stands for dracut, which takes half a minute: that the real one is called so is shown by every composed base
DRACUT = '#!/bin/sh\nset -e\nfor last; do :; done\necho "$@" > "$last"\n'
LSINITRD = """#!/bin/sh
echo usr/lib/ostree/ostree-prepare-root usr/lib/ostree/prepare-root.conf
echo initrd-root-fs.target.wants/ostree-prepare-root.service
"""
ADD_USER = '#!/bin/sh\nset -e\n[ "$1" != configure ] || useradd --system --no-create-home svc\n'


@pytest.fixture(scope="module")
def composing(base: Base, big_folder: Callable[[str], Path], ground: Ground, signing_key: SigningKey) -> Composing:
    """The archive of this module."""
    folder = big_folder("composing")
    made = Composing(ground=ground, archive=archive_of(base, folder / "archive", signing_key), directory=folder)
    made.archive.publish(
        DebBuilder(name="toy-kernel",
                   files={f"/boot/vmlinuz-{KERNEL}": "k", f"/usr/lib/modules/{KERNEL}/modules.x": "x",
                          "/usr/bin/dracut": DRACUT, "/usr/bin/lsinitrd": LSINITRD},
                   modes={"/usr/bin/dracut": 0o755, "/usr/bin/lsinitrd": 0o755}),
        DebBuilder(name="svc", depends="passwd", scripts={"postinst": ADD_USER}, files={"/opt/svc/tool": "tool"}),
    )  # fmt: skip
    return made


@pytest.fixture(scope="module")
def raw(composing: Composing) -> Path:
    """What mmdebstrap leaves; never changed."""
    path = composing.directory / "raw"
    key = composing.archive.directory / "key.asc"
    line = f"deb [signed-by={key}] copy://{composing.archive.directory} {composing.archive.suite} main"
    packages = ",".join((*PACKAGES, "toy-kernel", "svc"))
    run(["mmdebstrap", "--mode=root", "--format=directory", "--variant=essential", f"--include={packages}",
         "--skip=check/qemu", composing.archive.suite, path, line])  # fmt: skip
    return path


def compose(composing: Composing, *words: str | Path, check: bool | int = True, **env: str) -> Done:
    return composing.ground.apt_ostree("compose", *words, check=check, env=env)


def copy(raw: Path, target: Path) -> Path:
    run(["cp", "--archive", raw, target])
    return target


def listing(root: Path) -> dict[str, tuple[int, int, int]]:
    """Every path with what a change would show in."""
    found = {}
    for folder, directories, files in os.walk(root):
        for name in directories + files:
            info = os.lstat(path := os.path.join(folder, name))
            found[path] = (info.st_mode, info.st_ino, info.st_mtime_ns)
    return found


def test_a_root_directory_becomes_a_commit(
    composing: Composing, raw: Path, work: Path, signing_key: SigningKey
) -> None:
    root, repo, file = copy(raw, work / "root"), composing.repo(), work / "id"
    before = listing(root)
    told = held_to("result", compose(composing, "postprocess", root, "--dry-run", "--json"))
    assert told["would-change"] and listing(root) == before
    refused = held_to(
        "error", compose(composing, "commit", root, "--repo", repo, "--branch", BRANCH, "--json", check=1)
    )
    assert refused["error"]["code"] == "not-postprocessed" and "compose postprocess" in refused["error"]["hint"]

    treefile = work / "policy.toml"
    treefile.write_text(
        'suite = "any"\nref = "any"\nhostname = "own"\nopt = "state"\nkargs = ["quiet"]\npackages = ["nosuch"]\n'
        '[[files]]\npath = "/etc/own"\ncontent = "x"\n'
    )
    done = held_to("result", compose(composing, "postprocess", root, "--treefile", treefile, "--json"))
    assert done["changed"] and KERNEL in done["message"] and not (root / "etc").exists()
    modules = root / "usr/lib/modules" / KERNEL
    assert "--add ostree" in (modules / "initramfs.img").read_text() and (modules / "vmlinuz").read_text() == "k"
    assert (root / "usr/etc/hostname").read_text() == "own\n" and (root / "usr/etc/own").is_file()
    assert (root / "usr/share/factory/var/opt/svc/tool").is_file() and not (root / "usr/lib/opt").exists()
    again = held_to("error", compose(composing, "postprocess", root, "--json", check=1))["error"]
    assert again["code"] == "postprocessed"

    where = ("--repo", repo, "--branch", BRANCH)
    options = ("--set-version", "7", "--metadata", "org.example.build=9")
    sign = ("--gpg-sign", signing_key.fingerprint, "--gpg-homedir", signing_key.home)
    before = listing(root)
    told = held_to("result", compose(composing, "commit", root, *where, "--dry-run", "--json"))
    assert told["would-change"] and refs(repo) == {}
    clock = {"SOURCE_DATE_EPOCH": "1700000000"}
    made = held_to("result", compose(composing, "commit", root, *where, *options, *sign, "--json", check=True, **clock))
    assert refs(repo) == {BRANCH: made["commit"]} and listing(root) == before
    found = commits.load(repo, made["commit"])
    assert (found.commit.version, found.commit.timestamp, found.commit.parent) == ("7", 1700000000, "")
    assert found.metadata["org.example.build"] == "9" and found.metadata["ostree.bootable"] is True
    assert found.metadata["apt-ostree.kargs"] == '["quiet"]' and "svc" in str(found.metadata["apt-ostree.users"])
    assert "toy-kernel" in {package.name for package in pkgdb.packages(repo, made["commit"])}
    assert signatures.of_commit(repo, made["commit"]) == (signing_key.fingerprint[-16:],)

    compose(
        composing, "commit", root, *where, *options, "--no-parent", "--write-commitid-to", file, check=True, **clock
    )
    assert file.read_text() == f"{made['commit']}\n", "the same tree, time and metadata: the same commit"
    child = compose(composing, "commit", root, *where, "--json").json["commit"]
    assert commits.load(repo, child).commit.parent == made["commit"] and refs(repo) == {BRANCH: child}

    # it is a base like any other: packages can be layered on it
    deb = tool("extra").build(work)
    compose(composing, "install", "--repo", repo, "--ref", BRANCH, "--branch", "own/more", "-C", deb)
    assert {package.name for package in pkgdb.packages(repo, refs(repo)["own/more"])} >= {"extra", "svc"}
    assert commits.load(repo, refs(repo)["own/more"]).metadata["apt-ostree.kargs"] == '["quiet"]'


def made_with(root: Path, number: int) -> Path:
    """A tiny tree with an account of this id, and a file of its."""
    treemaker.bootstrapped(root)
    for name, line in (("passwd", f"svc:x:{number}:{number}::/:/bin/sh\n"), ("group", f"svc:x:{number}:\n")):
        path = root / "etc" / name
        path.write_text(path.read_text() + line)
    os.chown(treemaker.put(root, "usr/lib/svc"), number, number)
    return root


def test_accounts_keep_the_ids_of_the_branch(composing: Composing, tmp_path: Path) -> None:
    """A tree whose accounts came in another order is refused, unless it was made with the branch's ids."""
    repo = composing.repo()
    where = ("--repo", repo, "--branch", BRANCH)
    first, second, third = (made_with(tmp_path / name, number) for name, number in (("1", 900), ("2", 901), ("3", 901)))
    compose(composing, "postprocess", first, *where)  # there is no such branch yet
    compose(composing, "commit", first, *where)
    compose(composing, "postprocess", second)
    error = held_to("error", compose(composing, "commit", second, *where, "--json", check=1))["error"]
    assert error["code"] == "id-drift" and "svc has the id 901 and had 900" in error["message"]
    compose(composing, "postprocess", third, *where)
    assert (third / "usr/lib/svc").stat().st_uid == 900 and "svc:x:900:" in (third / "usr/etc/passwd").read_text()
    compose(composing, "commit", third, *where)


def _half_configured(root: Path) -> None:
    path = root / "var/lib/dpkg/status"
    path.write_text(path.read_text() + "Package: late\nStatus: install ok unpacked\nVersion: 1\nArchitecture: all\n\n")


def _two_kernels(root: Path) -> None:
    for version in ("1", "2"):
        treemaker.put(root, f"boot/vmlinuz-{version}")


def _initramfs_tools(root: Path) -> None:
    treemaker.put(root, "boot/vmlinuz-1")
    treemaker.put(root, "usr/sbin/mkinitramfs")


def _no_usrmerge(root: Path) -> None:
    (root / "bin").unlink()
    (root / "bin").mkdir()


def _link_for_usr_lib(root: Path) -> None:
    shutil.rmtree(root / "usr/lib")
    (root / "usr/lib").symlink_to("/usr/lib")


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "a package that is not configured": (_half_configured, "late (unpacked)"),
    "two kernels": (_two_kernels, "2 kernels"),
    "initramfs-tools": (_initramfs_tools, "initramfs-tools, which has no hook for ostree"),
    "no merged usr": (_no_usrmerge, "/bin is a directory"),
    "a path at the top": (lambda root: (root / "nix").mkdir(), "/nix"),
    "a file in usr/local": (lambda root: treemaker.put(root, "usr/local/bin/x"), "/usr/local/bin/x"),
    "a device": (lambda root: os.mknod(root / "usr/lib/null", 0o20666, os.makedev(1, 3)), "character device"),
    "no package database": (lambda root: (root / "var/lib/dpkg/status").unlink(), "no package database"),
    "no systemd": (lambda root: (root / "usr/bin/systemd-tmpfiles").unlink(), "add the package 'systemd'"),
    "a link for a directory": (_link_for_usr_lib, "/usr/lib in the tree"),
    "an owner of a user namespace": (lambda root: os.chown(root, 100000, 100000), "belongs to the user 100000"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_become_an_image_is_refused_before_it_is_changed(
    composing: Composing, tmp_path: Path, name: str
) -> None:
    spoil, told = REFUSED[name]
    root = treemaker.bootstrapped(tmp_path / "root")
    compose(composing, "postprocess", root, "--dry-run")  # else it would be another thing that is refused
    spoil(root)
    before = listing(root)
    assert told in compose(composing, "postprocess", root, check=1).stderr
    assert listing(root) == before


def test_a_mount_in_the_tree_is_refused(composing: Composing, tmp_path: Path) -> None:
    """What a chroot was given of the machine would be emptied."""
    root, precious = treemaker.bootstrapped(tmp_path / "the root"), tmp_path / "precious"
    treemaker.put(precious, "data")
    run(["mount", "--bind", precious, root / "dev"])
    try:
        done = compose(composing, "postprocess", root, check=1)
        assert f"{root}/dev is a mount" in done.stderr and "umount" in done.stderr
    finally:
        run(["umount", root / "dev"])
    assert (precious / "data").is_file()


def test_calls_that_make_no_sense(composing: Composing, tmp_path: Path) -> None:
    repo, root = composing.repo(), treemaker.bootstrapped(tmp_path / "root")
    where = ("--repo", repo, "--branch", BRANCH)
    assert "machine's own root" in compose(composing, "postprocess", "/", check=2).stderr
    done = compose(composing, "postprocess", tmp_path / "none", check=2)
    assert f"there is no directory '{tmp_path}/none'\n" in done.stderr
    assert done.stderr.endswith("hint: how one is made: man apt-ostree-compose-postprocess\n")
    assert "\nmmdebstrap " in (CHECKOUT / "man/apt-ostree-compose-postprocess.1").read_text(), "the page has the line"
    file = tmp_path / "root.tar"
    file.touch()
    assert f"'{file}' is not a directory" in compose(composing, "postprocess", file, check=2).stderr
    assert "go together" in compose(composing, "postprocess", root, "--branch", "x", check=2).stderr
    assert "not KEY=VALUE" in compose(composing, "commit", root, *where, "--metadata", "x", check=2).stderr
    for word in ("=x", "version=1", "apt-ostree.users=x", "ostree.bootable=1"):
        with pytest.raises(UsageError, match="--metadata"):
            compose_rootfs._metadata([word])
    done = compose(composing, "commit", root, *where, "--parent", "x", "--no-parent", check=2)
    assert "exclude each other" in done.stderr
    assert "no ostree repo" in compose(composing, "commit", root, "--repo", tmp_path, "--branch", "x", check=1).stderr


def test_what_cannot_be_written_is_told_before_the_commit(composing: Composing, tmp_path: Path) -> None:
    repo, root = composing.repo(), treemaker.bootstrapped(tmp_path / "root")
    compose(composing, "postprocess", root)
    run(["ostree", "commit", f"--repo={repo}", f"--branch={BRANCH}/more", f"--tree=dir={tmp_path}"])
    before = listing(repo / "objects")
    for dry in ((), ("--dry-run",)):
        for file in (tmp_path, tmp_path / "none/id"):
            where = ("--repo", repo, "--branch", "a", "--write-commitid-to", file)
            assert f"'{file}' cannot be written" in compose(composing, "commit", root, *where, *dry, check=2).stderr
        where = ("--repo", repo, "--branch", BRANCH)
        assert "one is a folder of the other" in compose(composing, "commit", root, *where, *dry, check=2).stderr
        told = compose(composing, "commit", root, *where, "--set-version", "13\nx", *dry, check=2).stderr
        assert "--set-version: " in told
    assert listing(repo / "objects") == before
    compose(composing, "commit", root, *where, "--write-commitid-to", tmp_path / "id")


def test_files_of_a_treefile_are_there_or_told(composing: Composing, tmp_path: Path) -> None:
    root, policy = treemaker.bootstrapped(tmp_path / "root"), tmp_path / "policy.toml"
    treemaker.put(root, "etc/resolv.conf", "of the machine that bootstrapped")
    treemaker.put(root, "usr/lib/tmpfiles.d/foo.conf", "f /var/lib/foo - - - -\n")
    files = "".join(f'{{ path = "{path}", content = "mine" }},\n' for path in ("/etc/resolv.conf", "/var/lib/foo"))
    head = 'suite = "any"\nref = "any"\nremove-files = ["/usr/none*"]\nfiles = [\n'
    policy.write_text(f'{head}{files}{{ path = "/run/mine", content = "x" }},\n]\n')
    before = listing(root)
    told = compose(composing, "postprocess", root, "--treefile", policy, check=2).stderr
    assert "line 7: no image carries '/run/mine'" in told and listing(root) == before
    policy.write_text(f"{head}{files}]\n")
    done = held_to("result", compose(composing, "postprocess", root, "--treefile", policy, "--json"))
    assert (root / "usr/etc/resolv.conf").read_text() == "mine"
    for word in ("'/usr/none*' of remove-files matches nothing", "'/var/lib/foo' of files is not in the image"):
        assert any(word in warning for warning in done["warnings"])


def test_an_error_of_the_system_half_way_is_told_as_what_it_is(composing: Composing, tmp_path: Path) -> None:
    """The system's own word for it, and that the directory is not what it was."""
    root, policy = treemaker.bootstrapped(tmp_path / "root"), tmp_path / "policy.toml"
    (root / "usr/lib/mine").mkdir()
    policy.write_text('suite = "any"\nref = "any"\n[[files]]\npath = "/usr/lib/mine/x"\ncontent = "x"\n')
    run(["chattr", "+i", root / "usr/lib/mine"])
    try:
        told = compose(composing, "postprocess", root, "--treefile", policy, check=1).stderr
    finally:
        run(["chattr", "-i", root / "usr/lib/mine"])
    assert "Operation not permitted" in told and "may be half done" in told


def test_an_image_that_was_changed_since_is_not_committed(composing: Composing, tmp_path: Path) -> None:
    repo, root = composing.repo(), treemaker.bootstrapped(tmp_path / "root")
    where = ("--repo", repo, "--branch", BRANCH)
    compose(composing, "postprocess", root)
    assert compose(composing, "commit", root, *where, "--dry-run", "--json").json["would-change"]
    treemaker.put(root, "var/lib/left")
    assert "/var is not an empty directory" in compose(composing, "commit", root, *where, check=1).stderr
    shutil.rmtree(root / "var/lib")
    treemaker.put(root, "usr/lib/modules/1/vmlinuz")
    assert "no initramfs.img" in compose(composing, "commit", root, *where, check=1).stderr
    shutil.rmtree(root / "usr/lib/modules/1")
    (root / "home").unlink()
    assert "/home is not the link" in compose(composing, "commit", root, *where, check=1).stderr
    assert refs(repo) == {}


def test_bootstrapping_tells_how_far_it_is(composing: Composing) -> None:
    done = composing.tree(composing.treefile(), composing.repo(), "--progress=json")
    events = [json.loads(line) for line in done.stderr.splitlines()]
    begins = next(n for n, event in enumerate(events) if event.get("name") == "bootstrap")
    ends = next(n for n, event in enumerate(events) if n > begins and event.get("name") == "bootstrap")
    told = [event["done"] for event in events[begins:ends] if event["event"] == "advanced"]
    total = {event["total"] for event in events[begins:ends] if event["event"] == "advanced"}
    assert told == sorted(told) and len(set(told)) > 5 and total == {told[-1]}
