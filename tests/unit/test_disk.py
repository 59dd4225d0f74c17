"""Layouts, sizes, GRUB's configuration and who may log in, without a disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from apt_ostree import disk, grubdisk, login
from apt_ostree.disk import MIB, Content
from apt_ostree.errors import AptOstreeError, ToolMissingError, UsageError
from apt_ostree.ui import image as view
from tests.support import samples

CONTENT = Content(tree=300 * MIB, kernel=50 * MIB)
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ me@there"


@pytest.mark.parametrize(
    ("text", "size"), [("4096", 4096), ("1K", 1024), ("900M", 900 * MIB), ("8G", 8192 * MIB), ("2GiB", 2048 * MIB)]
)
def test_sizes(text: str, size: int) -> None:
    assert disk.parse_size(text) == size


@pytest.mark.parametrize("text", ["", "big", "-1G", "1.5G", "8X", "9" * 20])
def test_no_sizes(text: str) -> None:
    with pytest.raises(UsageError):
        disk.parse_size(text)


@pytest.mark.parametrize("size", [None, 4 * 1024 * MIB, 4 * 1024 * MIB + 12345])
def test_partitions_are_aligned_and_do_not_meet(size: int | None) -> None:
    layout = disk.lay_out(CONTENT, size, samples.identity())
    end = 0
    for part in layout.partitions:
        assert part.start % MIB == part.size % MIB == 0 and part.start >= max(end, MIB)
        end = part.start + part.size
    assert end + 34 * disk.SECTOR <= layout.size  # the copy of the table
    assert layout.root is layout.partitions[-1]


def test_the_content_fits_and_without_a_size_an_update_too() -> None:
    assert disk.lay_out(CONTENT, disk.smallest(CONTENT), samples.identity()).root.size > CONTENT.total
    desktop = Content(tree=4000 * MIB, kernel=50 * MIB)
    assert disk.lay_out(desktop, None, samples.identity()).root.size > 2 * desktop.total
    with pytest.raises(AptOstreeError, match="too small") as caught:
        disk.lay_out(CONTENT, disk.smallest(CONTENT) - MIB, samples.identity())
    hint = caught.value.hint.split()[0].removeprefix("--size=")
    assert disk.lay_out(CONTENT, disk.parse_size(hint), samples.identity())


def test_grub_reads_the_file_of_libostree() -> None:
    layout = disk.lay_out(CONTENT, None, samples.identity())
    text = grubdisk.config(layout, serial=False, timeout=7)
    assert f"--set=root {layout.identity.root}" in text and "serial" not in text
    assert text.splitlines()[-2:] == [
        "syslinux_source -r ($root)/boot/ -s ($root)/boot/loader/syslinux.cfg",
        "set timeout=7",
    ]
    assert "terminal_output console serial" in grubdisk.config(layout, serial=True, timeout=0)


def test_what_to_install_when_grub_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "i386-pc").mkdir()
    (tmp_path / "i386-pc/moddep.lst").touch()
    monkeypatch.setattr(grubdisk, "MODULES", tmp_path)
    with pytest.raises(ToolMissingError) as caught:
        grubdisk.require()
    assert caught.value.hint == "sudo apt-get install grub-efi-amd64-bin"


# --- who may log in


def read(tmp_path: Path, *, clear: str | None = None, keys: str | None = None) -> login.Login:
    paths = []
    for name, text in (("password", clear), ("keys", keys)):
        (tmp_path / name).write_text(text or "")
        paths.append(tmp_path / name if text is not None else None)
    return login.read(*paths)


def test_a_password_is_hashed_and_a_hash_is_taken(tmp_path: Path) -> None:
    made = read(tmp_path, clear="hunter2\n")
    assert made.shadow.startswith("$y$") and "hunter2" not in made.shadow
    assert made.shadow != read(tmp_path, clear="hunter2\n").shadow
    assert read(tmp_path, clear=made.shadow).shadow == made.shadow
    assert read(tmp_path, clear="$y$short").shadow.startswith("$y$j")


def test_nothing_of_it_is_shown(tmp_path: Path) -> None:
    made = read(tmp_path, clear="hunter2", keys=KEY)
    assert made.shadow[3:] not in repr(made) and "AAAAC3" not in repr(made)
    assert made.ways == ("root-password", "ssh-key")


@pytest.mark.parametrize("text", ["", "\n", "one\ntwo\n", "a\tb\n", "x" * 70000])
def test_no_password(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(tmp_path, clear=text)
    assert text.strip() == "" or text.strip() not in caught.value.message


def test_keys_are_kept_and_comments_are_not(tmp_path: Path) -> None:
    options = f'from="10.0.0.*",no-pty {KEY}'
    assert read(tmp_path, keys=f"# mine\n\n{KEY}\n  {options}\n").keys == f"{KEY}\n{options}\n"


def test_a_private_key_is_called_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a private key") as caught:
        read(tmp_path, keys="-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n-----END\n")
    assert caught.value.hint.endswith(".pub")


@pytest.mark.parametrize("text", ["", "# none\n", "-----BEGIN OPENSSH PRIVATE KEY-----\n", f"{KEY}\nnonsense\n"])
def test_no_keys(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError):
        read(tmp_path, keys=text)


def deployment(tmp_path: Path, shadow: str) -> tuple[Path, Path]:
    tree, var = tmp_path / "tree", tmp_path / "var"
    for folder in (tree / "etc", var):
        folder.mkdir(parents=True)
    (tree / "etc/shadow").write_text(shadow)
    (tree / "etc/shadow").chmod(0o640)
    return tree, var


def test_it_is_written_and_nothing_else_is_touched(tmp_path: Path) -> None:
    tree, var = deployment(tmp_path, "daemon:*:1:0:99999:7:::\nroot:*::0:99999:7:::\n")
    login.apply(login.Login(shadow="$y$hash", keys=f"{KEY}\n"), tree, var)
    assert (tree / "etc/shadow").read_text() == "daemon:*:1:0:99999:7:::\nroot:$y$hash::0:99999:7:::\n"
    assert (tree / "etc/shadow").stat().st_mode & 0o777 == 0o640
    keys = var / "roothome/.ssh/authorized_keys"
    assert keys.read_text() == f"{KEY}\n"
    assert [path.stat().st_mode & 0o777 for path in (keys, keys.parent, keys.parent.parent)] == [0o600, 0o700, 0o700]


def test_links_in_a_tree_lead_nowhere(tmp_path: Path) -> None:
    tree, var = deployment(tmp_path, "root:*::0:99999:7:::\n")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "shadow").write_text("root:*::0:99999:7:::\n")
    (tree / "etc/shadow").unlink()
    (tree / "etc").rmdir()
    (tree / "etc").symlink_to(outside)
    (var / "roothome").symlink_to(outside)
    for wanted in (login.Login(shadow="$y$hash"), login.Login(keys=KEY)):
        with pytest.raises(AptOstreeError):
            login.apply(wanted, tree, var)
    assert [path.name for path in outside.iterdir()] == ["shadow"] and "hash" not in (outside / "shadow").read_text()


def test_the_answer_for_people() -> None:
    text = view.text(samples.disk_image())
    assert text.startswith("/images/disk.raw is a disk of ") and "  2  esp   vfat " in text
    assert "Nobody can log in" not in text
