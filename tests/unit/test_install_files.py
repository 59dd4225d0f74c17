"""`make install` and `make uninstall` below DESTDIR: all but the program itself, which needs an index of packages."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
SHIPPED = (CHECKOUT / "apt_ostree/data/apt-ostree.conf").read_text()
EDITED = SHIPPED + "# mine\n"
DROPIN = "ostree-finalize-staged.service.d/apt-ostree.conf"
FORMER = "# of another version\n"


def make(target: str, root: Path) -> str:
    argv = ["make", "--no-print-directory", target, f"DESTDIR={root}"]
    environment = {"PATH": os.environ["PATH"]}
    return subprocess.run(argv, cwd=CHECKOUT, env=environment, check=True, capture_output=True, text=True).stdout


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir())


def test_what_the_debian_package_has_is_installed_and_taken_away(tmp_path: Path) -> None:
    make("install-files", tmp_path)
    assert (tmp_path / "etc/apt-ostree.conf").read_text() == SHIPPED
    assert (tmp_path / "etc/apt-ostree/health.d/required.d").is_dir()
    assert (tmp_path / "etc/apt-ostree/health.d/wanted.d").is_dir()
    preset = tmp_path / "usr/local/lib/systemd/system-preset/50-apt-ostree.preset"
    assert "enable apt-ostree-boot-check.service" in preset.read_text()
    enabled = tmp_path / "etc/systemd/system/boot-complete.target.requires/apt-ostree-boot-check.service"
    enabled.parent.mkdir()
    enabled.symlink_to("../apt-ostree-boot-check.service")
    assert enabled.read_text().startswith("[Unit]"), "not below /usr/local, which an image has in /var"
    assert "/usr/local/bin/apt-ostree" in (tmp_path / "etc/systemd/system" / DROPIN).read_text()
    make("uninstall", tmp_path)
    assert files(tmp_path) == []
    assert not (tmp_path / "etc/apt-ostree").exists()


def test_settings_that_were_edited_stay(tmp_path: Path) -> None:
    make("install-files", tmp_path)
    settings = tmp_path / "etc/apt-ostree.conf"
    settings.write_text(EDITED)
    check = tmp_path / "etc/apt-ostree/health.d/required.d/mine"
    check.touch()
    make("install-files", tmp_path)
    assert settings.read_text() == EDITED
    assert "kept, as it was edited" in make("uninstall", tmp_path)
    assert files(tmp_path) == ["etc/apt-ostree.conf", "etc/apt-ostree/health.d/required.d/mine"]


def test_settings_that_were_not_are_those_of_the_new_version(tmp_path: Path) -> None:
    make("install-files", tmp_path)
    example = tmp_path / "usr/local/share/doc/apt-ostree/examples/apt-ostree.conf"
    settings = tmp_path / "etc/apt-ostree.conf"
    for path in (example, settings):
        path.write_text(FORMER)  # as if an older version had brought it
    make("install-files", tmp_path)
    assert settings.read_text() == example.read_text() == SHIPPED


def test_of_the_examples_treefiles_alone_are_installed(tmp_path: Path) -> None:
    """A lockfile that was written beside one is whose who wrote it."""
    argv = ["make", "--dry-run", "install", f"DESTDIR={tmp_path}"]
    told = subprocess.run(argv, cwd=CHECKOUT, check=True, capture_output=True, text=True).stdout
    assert "apt_ostree/data/treefiles/*.toml\n" in told
    build = (CHECKOUT / "apt_ostree/data/deb/build").read_text()
    assert "apt_ostree/data/treefiles/*.toml" in told and "treefiles/*.toml" in build.replace('"', "")
    assert "apt_ostree/data/treefiles/*.lock.json" in (CHECKOUT / "pyproject.toml").read_text()
