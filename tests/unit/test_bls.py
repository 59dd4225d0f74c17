"""Boot entries and kernel command lines."""

from __future__ import annotations

import pytest

from apt_ostree import bls

LINK = "/ostree/boot.1/debian/3d82/0"
TEXT = f"""# made by libostree
title Debian 13 (ostree:0)
version 3
options root=LABEL=root foo="a b" ostree={LINK}
linux /ostree/debian-3d82/vmlinuz-6.12
initrd /ostree/debian-3d82/initramfs-6.12.img
initrd\t/ostree/initramfs-overlays/x.img
unknown key
"""


def test_entry() -> None:
    entry = bls.parse(TEXT)
    assert entry.title == "Debian 13 (ostree:0)"
    assert entry.linux == "/ostree/debian-3d82/vmlinuz-6.12"
    assert entry.initrd == ("/ostree/debian-3d82/initramfs-6.12.img", "/ostree/initramfs-overlays/x.img")
    assert entry.link == LINK
    assert entry.kargs == ("root=LABEL=root", 'foo="a b"')


def test_order_is_by_number_not_by_letter() -> None:
    versions = ["9", "10", "1", "", "10.2"]
    found = sorted((bls.Entry(version=version) for version in versions), key=lambda e: e.order, reverse=True)
    assert [entry.version for entry in found] == ["10.2", "10", "9", "1", ""]


@pytest.mark.parametrize(
    ("cmdline", "args"),
    [
        ("", ()),
        ("a b=c\n", ("a", "b=c")),
        ('a="x y" b', ('a="x y"', "b")),
        ('"a=x y" b', ('"a=x y"', "b")),
        ('dangling="x y', ('dangling="x y',)),
    ],
)
def test_split(cmdline: str, args: tuple[str, ...]) -> None:
    assert bls.split(cmdline) == args


@pytest.mark.parametrize(
    ("link", "valid"),
    [
        (LINK, True),
        ("", False),
        ("/ostree/boot.2/debian/3d82/0", False),
        ("/ostree/boot.1/../3d82/0", False),
        ("/ostree/boot.1/debian/../0", False),
        ("/ostree/boot.1/debian/3d82/x", False),
        ("/etc/passwd", False),
    ],
)
def test_links_that_lead_elsewhere_are_not_links(link: str, valid: bool) -> None:
    assert bls.valid_link(link) is valid
