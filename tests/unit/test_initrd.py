"""The small initrd of tracked files: its format, and that nothing leads it out of /etc."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import pytest

from apt_ostree import cpio, initrd
from apt_ostree.errors import AptOstreeError, UsageError


def unpacked(data: bytes) -> dict[str, tuple[int, bytes]]:
    """A reader written from the format's description: name -> mode and content."""
    found: dict[str, tuple[int, bytes]] = {}
    at = 0
    while True:
        assert data[at : at + 6] == b"070701" and at % 4 == 0
        fields = [int(data[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        mode, mtime, size, length = fields[1], fields[5], fields[6], fields[11]
        name = data[at + 110 : at + 110 + length - 1].decode()
        assert data[at + 110 + length - 1] == 0 and mtime == 0
        start = at + (110 + length + 3) // 4 * 4
        if name == "TRAILER!!!":
            assert start == len(data)
            return found
        found[name] = (mode, data[start : start + size])
        at = start + (size + 3) // 4 * 4


@pytest.fixture
def root(tmp_path: Path) -> Path:
    etc = tmp_path / "root/etc"
    (etc / "conf.d/deep").mkdir(parents=True)
    (etc / "crypttab").write_text("data UUID=1\n")
    (etc / "crypttab").chmod(0o600)
    (etc / "conf.d/b").write_text("b")
    (etc / "conf.d-x").write_text("x")
    (etc / "conf.d/deep/a").write_text("")
    (etc / "conf.d/link").symlink_to("/etc/shadow")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key").write_text("secret")
    (etc / "out").symlink_to(tmp_path / "secret")
    return tmp_path / "root"


def test_what_is_in_it(root: Path) -> None:
    made = initrd.build(root, ["/etc/crypttab", "/etc/conf.d", "/etc/conf.d/b", "/etc/conf.d-x", "/etc/gone"])
    found = unpacked(made.archive)
    assert list(found) == [
        "etc", "etc/conf.d", "etc/conf.d/b", "etc/conf.d/deep", "etc/conf.d/deep/a", "etc/conf.d/link",
        "etc/conf.d-x", "etc/crypttab",
    ]  # fmt: skip
    assert found["etc/crypttab"] == (stat.S_IFREG | 0o600, b"data UUID=1\n")
    assert stat.S_ISDIR(found["etc/conf.d"][0]) and found["etc/conf.d"][1] == b""
    assert found["etc/conf.d/link"] == (stat.S_IFLNK | 0o777, b"/etc/shadow")
    assert made.missing == ("/etc/gone",)
    assert made.overlays == (hashlib.sha256(made.archive).hexdigest(),)


def test_the_same_content_is_the_same_archive(root: Path) -> None:
    first = initrd.build(root, ["/etc/conf.d", "/etc/crypttab"]).archive
    os.utime(root / "etc/crypttab", (1, 1))
    copy = root / "etc/crypttab.new"
    copy.write_text("data UUID=1\n")
    copy.chmod(0o600)
    copy.replace(root / "etc/crypttab")
    assert initrd.build(root, ["/etc/crypttab", "/etc/conf.d", "/etc/conf.d"]).archive == first
    (root / "etc/crypttab").write_text("data UUID=2\n")
    assert initrd.build(root, ["/etc/conf.d", "/etc/crypttab"]).archive != first


def test_no_link_is_followed(root: Path) -> None:
    with pytest.raises(AptOstreeError, match="leads through /etc/out"):
        initrd.build(root, ["/etc/out/key"])
    assert unpacked(initrd.build(root, ["/etc/out"]).archive)["etc/out"][0] == stat.S_IFLNK | 0o777
    os.mkfifo(root / "etc/conf.d/pipe")
    with pytest.raises(AptOstreeError, match="pipe is neither"):
        initrd.build(root, ["/etc/conf.d"])


def test_nothing_is_no_archive(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert initrd.build(root, []) == initrd.Made()
    assert initrd.build(root, ["/etc/gone"]) == initrd.Made(missing=("/etc/gone",))
    assert initrd.Made().overlays == ()
    monkeypatch.setattr(initrd, "LIMIT", 4)
    with pytest.raises(AptOstreeError, match="too large"):
        initrd.build(root, ["/etc/crypttab"])


@pytest.mark.parametrize(
    "path", ["crypttab", "/etc", "/etc/", "/usr/x", "/etc/../usr/x", "/etc//x", "/etc/./x", "/etc/a\nb", ""]
)
def test_paths_that_cannot_be_tracked(path: str) -> None:
    with pytest.raises(UsageError):
        initrd.tracked_path(path)


def test_a_path_as_the_origin_has_it() -> None:
    assert initrd.tracked_path("/etc/conf.d/") == "/etc/conf.d"


def test_names_are_padded_to_four() -> None:
    for length in range(1, 9):
        member = cpio.Member(name="n" * length, mode=stat.S_IFREG | 0o644, data=b"d" * length)
        assert unpacked(cpio.archive([member])) == {"n" * length: (stat.S_IFREG | 0o644, b"d" * length)}
