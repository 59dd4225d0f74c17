"""What GRUB makes of kernel arguments, held to GRUB's own programs: grub-syslinux2cfg and grub-script-check."""

from __future__ import annotations

import random
import string
from pathlib import Path

import pytest

from apt_ostree import bls, grubwords
from apt_ostree.errors import AptOstreeError, UsageError
from tests.support.process import run

PRINTABLE = string.digits + string.ascii_letters + string.punctuation
ADDRESS = "ostree=/ostree/boot.1/debian/x/0"
# What the kernel was given in /proc/cmdline by GRUB 2.06 from a disk of compose image was something else, or nothing.
TAKEN_BARE, TAKEN_QUOTED = "\"$&';<>\\{|}", "\"$'\\"
LOSES_THE_REST = "#;"  # no fault of the language: a comment, and the end of the command


def parses(folder: Path, options: str) -> bool:
    """Whether GRUB can read the menu that it makes of an entry with these options."""
    (folder / "syslinux.cfg").write_text(f"DEFAULT x\nLABEL x\n\tKERNEL /k\n\tINITRD /i\n\tAPPEND {options}\n")
    run(["grub-syslinux2cfg", "-r", folder, "-o", folder / "menu", folder / "syslinux.cfg"])
    return run(["grub-script-check", folder / "menu"], check=False).returncode == 0


@pytest.mark.parametrize(("form", "taken"), [("t=a{}b", TAKEN_BARE), ('t="a{} b"', TAKEN_QUOTED)])
def test_each_printable_character(tmp_path: Path, form: str, taken: str) -> None:
    assert {each for each in PRINTABLE if grubwords.taken(form.format(each))} == set(taken)
    for each in PRINTABLE:
        line = f"rw {form.format(each)} {ADDRESS}"
        if grubwords.bootable(line):
            assert parses(tmp_path, line), line
        elif each not in LOSES_THE_REST:
            assert not parses(tmp_path, line), line


def test_lines_of_any_characters(tmp_path: Path) -> None:
    chance = random.Random(1)  # noqa: S311 (the same lines every time)
    for _ in range(300):
        word = "".join(chance.choice("ab =\"'\\$*{}|&<>[1?(/") for _ in range(chance.randint(1, 6)))
        line = f"rw x={word} y"
        assert grubwords.bootable(line) == parses(tmp_path, line), line
        if not any(map(grubwords.taken, bls.split(line))):
            assert grubwords.bootable(f"{line} {ADDRESS}"), line


@pytest.mark.parametrize(
    ("karg", "taken"),
    [
        ("quiet", ""),
        ('note="a b"', ""),
        ('"note=a b"', ""),
        ('slub_debug="FZ,a;P,b"', ""),
        ("a#b", ""),
        ("if", ""),
        ("#a", "#"),
        ("[[", "[["),
        ("*", "*"),
        ("/boot/gr?b", "?"),
        ("memmap=10M$1G", "$"),
        ("initrd=/x", "initrd="),
        ("slub_debug=FZ,a;P,b", ";"),
    ],
)
def test_arguments(karg: str, taken: str) -> None:
    assert grubwords.taken(karg) == taken


@pytest.mark.parametrize("karg", ["x=it's", "a={b}", "a=b|c", "slub_debug=FZ,a;P,b", "#x", "a=1\\", "x=$", "x=a&b"])
def test_what_boots_nothing(karg: str) -> None:
    assert not grubwords.bootable(f"rw {karg} {ADDRESS}") and grubwords.worst(f"rw {karg} {ADDRESS}") == karg


def test_what_is_refused_is_named_with_what_to_do() -> None:
    with pytest.raises(UsageError, match=r"^--karg: GRUB takes ; .*'a=b;c'$") as refused:
        grubwords.require(("rw", "a=b;c"), place="--karg: ")
    assert "'a=\"b;c\"'" in refused.value.hint
    with pytest.raises(UsageError, match=r"takes \$ ") as refused:
        grubwords.require(("memmap=10M$1G",))
    assert refused.value.hint == "leave it out"
    for karg, place in (("dyndbg.x='a", "/etc/modprobe.d"), ("systemd.mask=a$1", "systemctl mask")):
        with pytest.raises(UsageError) as refused:
            grubwords.require((karg.replace("'a", '"$1'),))
        assert place in refused.value.hint
    # what the machine boots with stays; what boots nothing does not
    grubwords.require(("systemd.mask=dev-x\\x2dy.swap",), known=("systemd.mask=dev-x\\x2dy.swap",))
    with pytest.raises(AptOstreeError, match="would not boot") as refused:
        grubwords.require(("x=it's",), known=("x=it's",))
    assert not isinstance(refused.value, UsageError) and "kargs" in refused.value.hint
