"""The tree rules as a whole, on hand-made trees: where each path of the table ends up, and what is refused."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from apt_ostree.errors import AptOstreeError
from apt_ostree.tree import kernel, rules
from apt_ostree.tree.rules import FinishJob, FinishReport, finish
from tests.unit.treemaker import bootstrapped, layered, names, owned, put

pytestmark = pytest.mark.root  # the rules chown and make device nodes


def compose(root: Path) -> FinishReport:
    return finish(FinishJob(root=root, var=root / "var", compose=True))


def conf(root: Path, name: str) -> list[str]:
    text = (root / f"usr/lib/tmpfiles.d/{name}.conf").read_text()
    return [line for line in text.splitlines() if not line.startswith("#")]


def test_the_top_of_a_composed_tree(tmp_path: Path) -> None:
    root = bootstrapped(tmp_path / "r")
    (root / "vmlinuz").symlink_to("boot/vmlinuz-1")
    compose(root)
    links = {name: os.readlink(root / name) for name in names(root) if (root / name).is_symlink()}
    assert links == {
        "bin": "usr/bin", "home": "var/home", "lib": "usr/lib", "media": "run/media", "mnt": "var/mnt",
        "opt": "var/opt", "ostree": "sysroot/ostree", "root": "var/roothome", "sbin": "usr/sbin", "srv": "var/srv",
    }  # fmt: skip
    assert os.readlink(root / "usr/local") == "../var/usrlocal"
    empty = [name for name in names(root) if not (root / name).is_symlink() and not names(root / name)]
    assert empty == ["boot", "dev", "proc", "run", "sys", "sysroot", "tmp", "var"]
    assert stat.S_IMODE((root / "tmp").stat().st_mode) == 0o1777
    assert not (root / "etc").exists()
    assert (root / "usr/etc/machine-id").read_text() == ""
    assert "d /var/roothome 0700 root root - -" in conf(root, "apt-ostree-var-scripts")
    assert "d /var/usrlocal/bin 0755 root root - -" in conf(root, "apt-ostree-var-scripts")
    assert conf(root, "apt-ostree-layout") == ["d /run/media 0755 root root - -"]


def test_package_state_moves_into_the_image(tmp_path: Path) -> None:
    root = bootstrapped(tmp_path / "r")
    for rel in ("lib/apt/extended_states", "cache/debconf/config.dat", "cache/debconf/config.dat-old",
                "lib/ucf/registry", "lib/pam/seen", "lib/systemd/deb-systemd-helper-enabled/x.dsh-also",
                "lib/shells.state",
                "lib/dpkg/status-old", "lib/dpkg/lock", "lib/dpkg/lock-frontend", "lib/dpkg/triggers/Lock",
                "lib/dpkg/triggers/File", "lib/dpkg/available", "lib/dpkg/updates/0000"):  # fmt: skip
        put(root, f"var/{rel}")
    compose(root)
    state = root / "usr/lib/sysimage"
    assert names(state) == ["apt", "deb-systemd-helper-enabled", "debconf", "dpkg", "pam", "shells.state", "ucf"]
    assert names(state / "dpkg") == ["status", "triggers", "updates"]
    assert names(state / "dpkg/triggers") == ["File"]
    assert names(state / "dpkg/updates") == []
    assert names(state / "debconf") == ["config.dat"]
    lines = conf(root, "00-apt-ostree-sysimage")
    assert "L /var/lib/dpkg - - - - ../../usr/lib/sysimage/dpkg" in lines
    assert "L /var/lib/apt/extended_states - - - - ../../../usr/lib/sysimage/apt/extended_states" in lines
    assert lines == sorted(lines)


def test_state_that_a_layered_package_brings_or_renames(tmp_path: Path) -> None:
    tree, var = layered(tmp_path)
    put(tree, "usr/lib/sysimage/shells.state", "old")
    put(var, "lib/shells.state", "new")  # update-shells renames over the link
    put(var, "lib/ucf/registry", "ucf")
    finish(FinishJob(root=tree, var=var))
    assert (tree / "usr/lib/sysimage/shells.state").read_text() == "new"
    assert (tree / "usr/lib/sysimage/ucf/registry").read_text() == "ucf"
    assert "L /var/lib/ucf - - - - ../../usr/lib/sysimage/ucf" in conf(tree, "00-apt-ostree-sysimage")


def test_var_by_package(tmp_path: Path) -> None:
    root = bootstrapped(tmp_path / "r")
    put(root, "var/lib/foo/data", mode=0o640)
    os.chown(root / "var/lib/foo/data", 0, 8)
    (root / "var/lib/foo").chmod(0o2750)
    put(root, "var/lib/made/by-script")
    put(root, "var/cache/foo/big")
    put(root, "var/log/foo.log")
    put(root, "var/tmp/junk")
    os.mkfifo(root / "var/lib/foo/fifo")
    os.mknod(root / "var/lib/foo/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    (root / "var/lib/foo/link").symlink_to("../made")
    owned(root, "foo:amd64", "/var/lib/foo", "/var/lib/foo/data", "/var/cache/foo")
    report = compose(root)
    assert conf(root, "apt-ostree-var-foo") == [
        "d /var/cache/foo 0755 root root - -",
        "d /var/lib/foo 2750 root root - -",
        "C /var/lib/foo/data 0640 root mail - -",
    ]
    scripts = conf(root, "apt-ostree-var-scripts")
    assert "L /var/lib/foo/link - - - - ../made" in scripts
    assert "C /var/lib/made/by-script 0644 root root - -" in scripts
    assert "d /var/tmp 1777 root root - -" in scripts
    factory = root / "usr/share/factory/var/lib/foo"
    assert names(factory) == ["data"]
    assert stat.S_IMODE((factory / "data").stat().st_mode) == 0o640
    assert stat.S_IMODE(factory.stat().st_mode) == 0o2750, "private directories stay private in the factory"
    assert {"/var/cache/foo/big", "/var/log/foo.log", "/var/lib/foo/fifo", "/var/lib/foo/null"} <= set(report.dropped)


def test_what_packages_ship_lines_for_is_left_to_them(tmp_path: Path) -> None:
    root = bootstrapped(tmp_path / "r")
    put(
        root,
        "usr/lib/tmpfiles.d/foo.conf",
        'd /var/lib/foo 0700 - - -\nL+ "/var/lib/a b" - - - - x\nf /var/lib/f - -\n',
    )
    put(root, "etc/tmpfiles.d/local.conf", "d$ /var/lib/local 0700\n")
    for name in ("foo", "local"):
        (root / "var/lib" / name).mkdir()
    (root / "var/lib/a b").symlink_to("x")
    put(root, "var/lib/f")
    compose(root)
    text = "".join(path.read_text() for path in (root / "usr/lib/tmpfiles.d").glob("apt-ostree-*"))
    for path in ("/var/lib/foo", "/var/lib/local", "/var/lib/a", "/var/lib/f "):
        assert path not in text


def test_a_service_directory_made_by_a_script_is_seeded_as_a_whole(tmp_path: Path) -> None:
    tree, var = layered(tmp_path)
    put(var, "lib/db/main/base/1", mode=0o600)
    put(var, "lib/db/main/other")
    (var / "lib/db/main/wal").mkdir()
    (var / "lib/db/main/now").symlink_to("base")
    os.mkfifo(var / "lib/db/main/pipe")
    for path in (var / "lib/db", *(var / "lib/db").rglob("*")):
        os.chown(path, 42, 8, follow_symlinks=False)
    owned(tree, "db", "/var/lib/db", database="usr/lib/sysimage/dpkg")
    report = finish(FinishJob(root=tree, var=var))
    assert conf(tree, "apt-ostree-var-db") == ["d /var/lib/db 0755 _apt mail - -"]
    assert [line for line in conf(tree, "apt-ostree-var-scripts") if "/db" in line] == ["C /var/lib/db/main - - - - -"]
    factory = tree / "usr/share/factory/var/lib/db/main"
    assert names(factory) == ["base", "now", "other", "wal"]
    assert (factory / "base/1").stat().st_uid == 42
    assert report.dropped == ("/var/lib/db/main/pipe",)


def test_a_seeded_directory_takes_what_a_later_layer_changes(tmp_path: Path) -> None:
    tree, var = layered(tmp_path)
    put(tree, "usr/lib/tmpfiles.d/apt-ostree-var-scripts.conf", "C /var/lib/db/main - - - - -\n")
    for name in ("kept", "changed", "gone"):
        put(tree, f"usr/share/factory/var/lib/db/main/{name}", "old")
    put(var, "lib/db/main/changed", "new")
    os.mknod(var / "lib/db/main/gone", stat.S_IFCHR, os.makedev(0, 0))
    finish(FinishJob(root=tree, var=var))
    factory = tree / "usr/share/factory/var/lib/db/main"
    assert {name: (factory / name).read_text() for name in names(factory)} == {"kept": "old", "changed": "new"}
    assert "C /var/lib/db/main - - - - -" in conf(tree, "apt-ostree-var-scripts")


def test_layering_merges_the_lines_of_the_base(tmp_path: Path) -> None:
    tree, var = layered(tmp_path)
    put(tree, "usr/lib/tmpfiles.d/apt-ostree-var-scripts.conf", "d /var/lib/old 0755 root root - -\n"
        "d /var/lib/changed 0755 root root - -\n")  # fmt: skip
    (var / "lib/changed").mkdir(parents=True)
    (var / "lib/changed").chmod(0o700)
    (var / "lib/new").mkdir()
    os.mknod(var / "lib/gone", stat.S_IFCHR, os.makedev(0, 0))
    report = finish(FinishJob(root=tree, var=var))
    lines = conf(tree, "apt-ostree-var-scripts")
    assert "d /var/lib/old 0755 root root - -" in lines
    assert "d /var/lib/changed 0700 root root - -" in lines
    assert len([line for line in lines if "/changed" in line]) == 1
    assert "d /var/lib/new 0755 root root - -" in lines
    assert "gone" not in "".join(lines)
    assert report.dropped == ()


def test_a_line_moves_with_its_owner(tmp_path: Path) -> None:
    tree, var = layered(tmp_path)
    put(tree, "usr/lib/tmpfiles.d/apt-ostree-var-scripts.conf", "d /var/lib/foo 0755 root root - -\n")
    (var / "lib/foo").mkdir(parents=True)
    owned(tree, "foo", "/var/lib/foo", database="usr/lib/sysimage/dpkg")
    finish(FinishJob(root=tree, var=var))
    assert conf(tree, "apt-ostree-var-foo") == ["d /var/lib/foo 0755 root root - -"]
    assert "/var/lib/foo" not in "".join(conf(tree, "apt-ostree-var-scripts"))


def test_opt(tmp_path: Path) -> None:
    tree, var = layered(tmp_path)
    put(var, 'opt/big corp\'s "app"/bin/run', mode=0o4755)
    owned(tree, "bigapp", '/opt/big corp\'s "app"', database="usr/lib/sysimage/dpkg")
    finish(FinishJob(root=tree, var=var))
    moved = tree / 'usr/lib/opt/big corp\'s "app"/bin/run'
    assert stat.S_IMODE(moved.stat().st_mode) == 0o4755
    argument = r"../../usr/lib/opt/big\x20corp\x27s\x20\x22app\x22"
    assert conf(tree, "apt-ostree-var-bigapp") == [f'L "/var/opt/big corp\'s \\"app\\"" - - - - {argument}']


@pytest.mark.parametrize("made", ["usr/local/bin/tool", "usr/local/lib/x/y"])
def test_usr_local_is_refused(tmp_path: Path, made: str) -> None:
    root = bootstrapped(tmp_path / "r")
    put(root, made)
    owned(root, "rude", "/usr/local/bin", f"/{made}")
    with pytest.raises(AptOstreeError) as caught:
        compose(root)
    assert caught.value.code == "refused-path"
    assert f"/{made} (package rude)" in caught.value.message


def test_other_top_level_paths_are_refused_by_name(tmp_path: Path) -> None:
    tree, var = layered(tmp_path)
    put(tree, "data/x")
    put(tree, "nix")
    owned(tree, "odd", "/data", "/data/x", database="usr/lib/sysimage/dpkg")
    with pytest.raises(AptOstreeError) as caught:
        finish(FinishJob(root=tree, var=var))
    assert caught.value.code == "refused-path"
    assert "/data (package odd), /nix" in caught.value.message


def test_homes_go_to_var_with_their_content(tmp_path: Path) -> None:
    root = bootstrapped(tmp_path / "r")
    put(root, "root/.profile", "hello")
    put(root, "etc/adduser.conf", "# Default: DHOME=/home\n#DHOME=/home\nDIR_MODE=0700\n")
    put(root, "etc/default/useradd", "# HOME=/home\nSHELL=/bin/sh\n")
    put(root, "usr/lib/tmpfiles.d/home.conf", "Q /home 0755 - - -\nq /srv 0755 - - -\n")
    put(root, "usr/lib/tmpfiles.d/provision.conf", "d- /root :0700 root :root -\nf^ /root/.ssh/keys - -\nd /rootfs\n")
    compose(root)
    assert (root / "usr/share/factory/var/roothome/.profile").read_text() == "hello"
    assert "DHOME=/var/home" in (root / "usr/etc/adduser.conf").read_text().splitlines()
    assert "HOME=/var/home" in (root / "usr/etc/default/useradd").read_text().splitlines()
    assert (root / "usr/etc/tmpfiles.d/home.conf").read_text() == "Q /var/home 0755 - - -\nq /var/srv 0755 - - -\n"
    provision = (root / "usr/etc/tmpfiles.d/provision.conf").read_text()
    assert provision == "d- /var/roothome :0700 root :root -\nf^ /var/roothome/.ssh/keys - -\nd /rootfs\n"
    assert "Q /home" in (root / "usr/lib/tmpfiles.d/home.conf").read_text(), "what a package ships is not edited"


def test_media_with_content_is_refused(tmp_path: Path) -> None:
    root = bootstrapped(tmp_path / "r")
    put(root, "media/cdrom/x")
    with pytest.raises(AptOstreeError, match="/media has content"):
        compose(root)


def test_identity_leaves(tmp_path: Path) -> None:
    root = bootstrapped(tmp_path / "r")
    for rel in ("etc/hostname", "etc/resolv.conf", "etc/passwd-", "etc/shadow-", "etc/.pwd.lock",
                "etc/machine-id",
                "etc/ssh/ssh_host_rsa_key", "etc/ssh/ssh_host_rsa_key.pub", "etc/ssh/sshd_config", "usr/sbin/sshd",
                "etc/apt/apt.conf.d/99mmdebstrap", "var/lib/systemd/random-seed",
                "var/lib/dbus/machine-id"):  # fmt: skip
        put(root, rel)
    compose(root)
    etc = root / "usr/etc"
    assert names(etc) == ["apt", "group", "machine-id", "passwd", "shadow", "ssh"]
    assert names(etc / "ssh") == ["sshd_config"]
    assert (etc / "machine-id").read_text() == ""
    assert (etc / "shadow").read_text() == "root:*::0:99999:7:::\n"
    assert (root / "usr/lib/systemd/system/ssh.service.wants/apt-ostree-sshd-keygen.service").exists()
    assert not (root / "usr/share/factory").exists()


def test_sysusers_has_every_account_with_its_id(tmp_path: Path) -> None:
    root = bootstrapped(tmp_path / "r")
    put(
        root,
        "etc/passwd",
        'root:x:0:0:root:/root:/bin/bash\nodd:x:150:8:100% "odd" \\o/:/var//lib/odd:/usr/sbin/nologin\n',
    )
    put(root, "etc/group", "root:x:0:\nmail:x:8:odd\n")
    report = compose(root)
    text = (root / "usr/lib/sysusers.d/00-apt-ostree.conf").read_text()
    assert text.splitlines()[1:] == [
        "g root 0",
        "g mail 8",
        "u root 0:0 root /root /bin/bash",
        r'u odd 150:8 "100%% \"odd\" \\o/" /var/lib/odd /usr/sbin/nologin',
        "m odd mail",
    ]
    assert report.users == {"root": 0, "odd": 150}
    assert report.groups == {"root": 0, "mail": 8}


def test_the_kernel_moves_and_boot_is_empty(tmp_path: Path) -> None:
    root = bootstrapped(tmp_path / "r")
    for name in ("vmlinuz-6.1", "config-6.1", "System.map-6.1", "initrd.img-6.1", "grub/grub.cfg"):
        put(root, f"boot/{name}", name)
    report = compose(root)
    assert names(root / "boot") == []
    assert names(root / "usr/lib/modules/6.1") == ["System.map", "config", "vmlinuz"]
    assert report.kernel == "6.1"
    assert report.dropped == ("/boot/grub",)


def test_of_a_kernel_that_was_removed_nothing_stays(tmp_path: Path) -> None:
    """But what a link in its place leads to is none of it."""
    tree, var = layered(tmp_path)
    put(tree, "usr/lib/modules/6.2/vmlinuz")
    for name in ("6.1/initramfs.img", "6.1/modules.dep", "6.0/initramfs.img", "6.0/extra.ko"):
        put(tree, f"usr/lib/modules/{name}")
    victim = tmp_path / "victim"
    put(victim, "initramfs.img")
    put(victim, "vmlinuz")
    (tree / "usr/lib/modules/5.9").symlink_to(victim)
    (victim / "vmlinuz").unlink()
    assert finish(FinishJob(root=tree, var=var)).kernel == "6.2"
    assert names(victim) == ["initramfs.img"]
    assert names(tree / "usr/lib/modules") == ["5.9", "6.0", "6.2"]
    assert names(tree / "usr/lib/modules/6.0") == ["extra.ko"]


def test_two_kernels_are_refused_by_version(tmp_path: Path) -> None:
    tree, var = layered(tmp_path)
    put(tree, "usr/lib/modules/6.1/vmlinuz")
    put(tree, "boot/vmlinuz-6.2")
    with pytest.raises(AptOstreeError, match=r"2 kernels.*6\.1, 6\.2"):
        finish(FinishJob(root=tree, var=var))


def test_a_tree_without_kernel_is_warned_about(tmp_path: Path) -> None:
    assert "no kernel" in compose(bootstrapped(tmp_path / "r")).warnings[0]


def test_usr_etc_in_a_package_is_refused(tmp_path: Path) -> None:
    tree, var = layered(tmp_path)
    put(tree, "usr/etc/x")
    with pytest.raises(AptOstreeError, match="/usr/etc"):
        finish(FinishJob(root=tree, var=var))


def test_lint_names_everything_that_is_wrong(tmp_path: Path) -> None:
    tree, var = layered(tmp_path)
    (tree / "usr/bin/true").unlink()
    os.mkfifo(tree / "usr/lib/pipe")
    with pytest.raises(AptOstreeError) as caught:
        finish(FinishJob(root=tree, var=var))
    assert caught.value.code == "lint"
    assert any("/usr/bin/true" in line for line in caught.value.details)
    assert "/usr/lib/pipe is a fifo, which no commit can hold" in caught.value.details


def test_links_of_the_tree_are_never_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    tree, var = layered(tmp_path)
    put(var, "lib/x/file")
    (tree / "usr/share").symlink_to(outside)
    with pytest.raises(AptOstreeError) as caught:
        finish(FinishJob(root=tree, var=var))
    assert caught.value.code == "unsafe-tree"
    assert names(outside) == []


def test_hard_links_into_the_repo_are_not_written(tmp_path: Path) -> None:
    """Every file the rules rewrite stays as it was under its other name."""
    tree, var = layered(tmp_path)
    put(tree, "etc/adduser.conf", "DHOME=/home\n")
    put(tree, "usr/lib/tmpfiles.d/apt-ostree-var-scripts.conf", "d /var/lib/x 0700 root root - -\n")
    (var / "lib/x").mkdir(parents=True)
    repo = tmp_path / "repo"
    repo.mkdir()
    before = {}
    for index, path in enumerate(p for p in sorted(tree.rglob("*")) if p.is_file() and not p.is_symlink()):
        os.link(path, repo / str(index))
        before[repo / str(index)] = (path.read_bytes(), path.stat().st_mode)
    finish(FinishJob(root=tree, var=var))
    assert {path: (path.read_bytes(), path.stat().st_mode) for path in before} == before


def test_finish_twice_gives_the_same_tree(tmp_path: Path) -> None:
    """A layered tree that is finished again without news does not change."""
    texts = []
    for name in ("a", "b"):
        tree, var = layered(tmp_path / name)
        put(var, "lib/foo/data")
        finish(FinishJob(root=tree, var=var))
        texts.append({str(p.relative_to(tree)): p.read_bytes() for p in tree.rglob("*") if p.is_file()})
    assert texts[0] == texts[1]


def test_arrange_leaves_etc_for_programs_of_the_tree(tmp_path: Path) -> None:
    root = bootstrapped(tmp_path / "r")
    job = FinishJob(root=root, var=root / "var", compose=True)
    arranged = rules.arrange(job)
    assert (root / "etc/passwd").exists()
    rules.seal(job, arranged)
    assert (root / "usr/etc/passwd").exists()


@pytest.mark.parametrize(
    ("program", "told"), [("usr/sbin/mkinitramfs", "initramfs-tools, which has no hook"), ("x", "no dracut")]
)
def test_a_tree_without_dracut_is_refused_with_the_reason(tmp_path: Path, program: str, told: str) -> None:
    put(tmp_path, program)
    with pytest.raises(AptOstreeError, match=told) as caught:
        kernel.make_initramfs(tmp_path, "6.1", (), print)
    assert caught.value.code == "initramfs" and "dracut" in caught.value.hint
