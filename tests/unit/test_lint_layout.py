"""The lints of a tree's top: each finds what it is about, and only that."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from apt_ostree.lint.layout import nonempty_run_tmp
from apt_ostree.linting import State
from apt_ostree.view.directory import open_directory
from tests.support.rootfs import clean, found, outcome, put


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return clean(tmp_path / "rootfs")


def test_var_run(root: Path) -> None:
    assert found(root, "var-run") == []
    (root / "var/run").symlink_to("../run")
    assert found(root, "var-run") == []
    (root / "var/run").unlink()
    (root / "var/run").mkdir()
    assert found(root, "var-run") == ["/var/run"]
    (root / "var/run").rmdir()
    put(root, "var/run")
    assert found(root, "var-run") == ["/var/run"]


def test_etc_usretc(root: Path) -> None:
    assert found(root, "etc-usretc") == []
    (root / "usr/etc").mkdir()
    assert found(root, "etc-usretc") == ["/usr/etc"]
    shutil.rmtree(root / "etc")
    assert found(root, "etc-usretc") == []


@pytest.mark.parametrize("name", ["dev", "proc", "sys", "run", "tmp", "var"])
def test_api_base_directories(root: Path, name: str) -> None:
    assert found(root, "api-base-directories") == []
    (root / name).rmdir()
    assert found(root, "api-base-directories") == [f"/{name}"]
    (root / name).symlink_to("usr")
    assert found(root, "api-base-directories") == [f"/{name}"]


def test_baseimage_root(root: Path) -> None:
    assert found(root, "baseimage-root") == []
    (root / "ostree").unlink()
    (root / "ostree").symlink_to("/sysroot/ostree")  # leads to the same, but is another text
    (root / "sysroot").rmdir()
    assert found(root, "baseimage-root") == ["/sysroot", "/ostree"]


def test_baseimage_root_of_the_copy_bootc_ships(root: Path) -> None:
    base = root / "usr/share/doc/bootc/baseimage/base"
    (base / "sysroot").mkdir(parents=True)
    assert found(root, "baseimage-root") == ["/usr/share/doc/bootc/baseimage/base/ostree"]
    (base / "ostree").symlink_to("sysroot/ostree")
    assert found(root, "baseimage-root") == []


def test_nonempty_boot(root: Path) -> None:
    put(root, "boot/EFI/x")
    assert found(root, "nonempty-boot") == []
    put(root, "boot/grub/grub.cfg")
    put(root, "boot/vmlinuz")
    assert found(root, "nonempty-boot") == ["/boot/grub", "/boot/vmlinuz"]
    shutil.rmtree(root / "boot")
    assert found(root, "nonempty-boot") == ["/boot"]


def test_nonempty_run_tmp(root: Path) -> None:
    put(root, "run/systemd/resolve/stub-resolv.conf", "")
    assert found(root, "nonempty-run-tmp") == []
    put(root, "run/systemd/resolve/other")
    put(root, "tmp/left")
    assert found(root, "nonempty-run-tmp") == ["/run/systemd", "/tmp/left"]


def test_what_is_mounted_on_run_and_tmp_counts_for_nothing(root: Path) -> None:
    put(root, "run/secrets/x")
    view = open_directory(root)
    for path in ("run", "run/secrets"):
        assert [item.path for item in nonempty_run_tmp(view)] == ["/run/secrets"]
        mounted = replace(view, nodes={**view.nodes, path: replace(view.nodes[path], mounted=True)})
        assert list(nonempty_run_tmp(mounted)) == []


@pytest.mark.parametrize("name", ["hostname", "resolv.conf"])
def test_buildah_injected(root: Path, name: str) -> None:
    assert found(root, "buildah-injected") == []
    put(root, f"etc/{name}", "")
    assert found(root, "buildah-injected") == [f"/etc/{name}"]
    assert outcome(root, "buildah-injected", running=True).state is State.SKIPPED
    os.rename(root / "etc", root / "usr/etc")
    assert found(root, "buildah-injected") == [f"/usr/etc/{name}"]
    (root / "usr/etc" / name).unlink()
    (root / "usr/etc" / name).symlink_to("nowhere")
    assert found(root, "buildah-injected") == []
