"""`make install` below DESTDIR, with the Python packages from their index."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from apt_ostree import __version__
from tests.support.process import CHECKOUT, run

pytestmark = pytest.mark.real


def debian_python() -> bool:
    probe = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"
    return subprocess.run(["/usr/bin/python3", "-c", probe], capture_output=True, check=False).returncode == 0


def test_install_and_uninstall(tmp_path: Path) -> None:
    root, first = tmp_path / "root", tmp_path / "bin"
    first.mkdir()
    other = first / "python3"
    other.write_text("#!/bin/sh\necho 'not this one' >&2\nexit 9\n")
    other.chmod(0o755)
    words = ("make", "--no-print-directory", f"DESTDIR={root}", "PACKAGES=")
    env = {"PATH": f"{first}:/usr/sbin:/usr/bin:/sbin:/bin"}
    run([*words, "install"], cwd=CHECKOUT, env=env)
    tree = root / "usr/local/lib/apt-ostree"
    if debian_python():
        assert "home = /usr/bin\n" in (tree / "pyvenv.cfg").read_text()
    assert [path for path in tree.rglob("*") if path.name in ("__pycache__", "direct_url.json")] == []
    assert (root / "usr/local/bin/apt-ostree").readlink() == Path("../lib/apt-ostree/bin/apt-ostree")
    started = (tree / "bin/apt-ostree").read_text().splitlines()[0]
    assert "/usr/local/lib/apt-ostree/bin/python" in started and str(root) not in started
    told = run([tree / "bin/python", "-B", "-m", "apt_ostree", "--version"], cwd=tmp_path).stdout
    assert told == f"apt-ostree {__version__}\n"
    assert list((root / "usr/local/share/doc/apt-ostree/examples/treefiles").glob("*.toml"))
    run([*words, "uninstall"], cwd=CHECKOUT, env=env)
    assert [path for path in root.rglob("*") if not path.is_dir()] == []
