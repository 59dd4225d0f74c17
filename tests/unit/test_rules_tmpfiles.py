"""tmpfiles.d lines: escaping held to the real systemd-tmpfiles, and reading back what was written."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path

import pytest

from apt_ostree.tree import pkglist, pyc, tmpfiles
from apt_ostree.tree.tmpfiles import Line, parse
from tests.unit.treemaker import STATUS, put

NASTY = ["a b", " lead", "trail ", 'q"uo"te', "it's", "100%", "%m", "%%", "back\\slash", "tab\there",
         "ünï\u00a0x\u2028", os.fsdecode(b"bad\xff\xfe"), "-", "*?[x]", "# no comment", "\\x41"]  # fmt: skip


@pytest.mark.parametrize("name", [*NASTY, "new\nline"])
def test_escapes_survive_a_round_trip(name: str) -> None:
    path = f"/var/lib/{name}"
    assert [line.path for line in parse(str(Line(path=path, kind="d", mode=0o755)), "x")] == [path]


def test_systemd_reads_what_we_write(tmp_path: Path) -> None:
    lines = []
    for name in NASTY:
        lines.append(Line(path=f"/var/d/{name}", kind="d", mode=0o2750))
        lines.append(Line(path=f"/var/l/{name}", kind="L", argument=name))
        lines.append(Line(path=f"/var/c/{name}", kind="C", mode=0o640))
        put(tmp_path, f"usr/share/factory/var/c/{name}")
    tmpfiles.write(tmp_path, "test", lines)
    done = subprocess.run(
        ["systemd-tmpfiles", f"--root={tmp_path}", "--create"], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert sorted(os.listdir(tmp_path / "var/d")) == sorted(NASTY)
    assert {name: os.readlink(tmp_path / "var/l" / name) for name in NASTY} == {name: name for name in NASTY}
    assert sorted(os.listdir(tmp_path / "var/c")) == sorted(NASTY)
    assert all((tmp_path / "var/c" / name).stat().st_mode & 0o7777 == 0o640 for name in NASTY)


def test_escapes_in_shipped_lines_are_understood() -> None:
    text = "d /a\\x20b 0755\nd '/c d'\nd /\\303\\274\nd \"/e\\tf\"\nd\nd relative\n"
    assert [line.path for line in parse(text, "x")] == ["/a b", "/c d", "/ü", "/e\tf"]


def test_etc_stands_for_its_namesake(tmp_path: Path) -> None:
    put(tmp_path, "usr/lib/tmpfiles.d/a.conf", "d /var/a\n# d /var/no\n\nd /var/b/\n")
    put(tmp_path, "usr/lib/tmpfiles.d/b.conf", "d! /var/c\n")
    put(tmp_path, "etc/tmpfiles.d/a.conf", "L /var/x - - - - y\n")
    put(tmp_path, "etc/tmpfiles.d/note.txt", "d /var/y\n")
    assert [(line.letter, line.path) for line in tmpfiles.known(tmp_path)] == [("L", "/var/x"), ("d", "/var/c")]


def test_pyc_loses_its_source_time(tmp_path: Path) -> None:
    magic = b"\xcb\x0d\r\n"
    stamped = struct.pack("<4sIII", magic, 0, 1234567, 10) + b"code"
    hashed = struct.pack("<4sI8s", magic, 1, b"sourcehs") + b"code"
    for rel, content in (("a/x.pyc", stamped), ("a/y.pyc", hashed), ("a/short.pyc", b"abc"), ("a/x.py", stamped)):
        put(tmp_path, rel).write_bytes(content)
    os.link(tmp_path / "a/x.pyc", tmp_path / "other-name")
    (tmp_path / "a/x.pyc").chmod(0o640)
    assert pyc.normalise(tmp_path) == 1
    assert (tmp_path / "a/x.pyc").read_bytes() == struct.pack("<4sIII", magic, 0, 0, 10) + b"code"
    assert (tmp_path / "a/x.pyc").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "a/x.py").stat().st_mtime == 0
    assert (tmp_path / "other-name").read_bytes() == stamped, "never in place"
    assert (tmp_path / "a/y.pyc").read_bytes() == hashed
    assert (tmp_path / "a/x.py").read_bytes() == stamped


def test_pkglist_has_what_is_installed() -> None:
    status = STATUS + (
        "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\nArchitecture: all\n\n"
        "Package: bar\nStatus: install ok installed\nVersion: 2:1-1\nArchitecture: amd64\nSource: src (1.0)\n"
        "Description: x\n more\n"
    )
    found = pkglist.parse(status)
    assert [(p.name, p.version, p.arch, p.source, p.size) for p in found] == [
        ("bar", "2:1-1", "amd64", "src", 0),
        ("foo", "1", "all", "foo", 3072),
    ]
