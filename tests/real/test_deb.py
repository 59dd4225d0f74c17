"""The Debian package: what is in it, that it is made the same twice, and that it runs where it is layered."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from apt_ostree import __version__
from tests.support.archive import LocalRepo
from tests.support.nshost import NamespaceHost
from tests.support.process import CHECKOUT, run

pytestmark = pytest.mark.real

CONFFILES = ["/etc/apt-ostree.conf", "/etc/apt/apt.conf.d/20apt-ostree", "/etc/dpkg/dpkg.cfg.d/apt-ostree"]
ENABLED = (
    "multi-user.target.wants/apt-ostree-boot-check.service",
    "multi-user.target.wants/apt-ostree-restage.service",
)


def build(folder: Path, *, umask: int = 0o022) -> Path:
    """What `make deb` makes, below `folder`."""
    target = folder / f"apt-ostree_{__version__}_all.deb"
    argv = ["apt_ostree/data/deb/build", __version__, folder / "root", target]
    environment = {"PATH": os.environ["PATH"]}
    subprocess.run(argv, cwd=CHECKOUT, env=environment, umask=umask, check=True, capture_output=True, text=True)
    return target


def test_what_the_package_is(tmp_path: Path) -> None:
    first, second = build(tmp_path / "a"), build(tmp_path / "b", umask=0o077)
    assert first.read_bytes() == second.read_bytes()
    fields = run(["dpkg-deb", "--field", first, "Architecture", "Version", "Depends"]).stdout
    assert f"Version: {__version__}\n" in fields and "Architecture: all\n" in fields
    for name in ("ostree", "bubblewrap", "python3-typer", "python3-rich", "python3-sh", "python3-debian"):
        assert name in fields
    assert run(["dpkg-deb", "--info", first, "conffiles"]).stdout.split() == CONFFILES
    listed = run(["dpkg-deb", "--contents", first]).stdout.splitlines()
    assert all(line.split()[1] == "root/root" for line in listed)
    paths = {line.split()[5].removeprefix(".") for line in listed}
    modules = "/usr/lib/python3/dist-packages/"
    wanted = {modules + str(path.relative_to(CHECKOUT)) for path in (CHECKOUT / "apt_ostree").rglob("*.py")}
    wanted |= {f"/usr/lib/systemd/system/{path.name}" for path in (CHECKOUT / "apt_ostree/data/systemd").iterdir()}
    wanted |= {f"/usr/share/man/man{path.suffix[1:]}/{path.name}.gz" for path in (CHECKOUT / "man").iterdir()}
    assert wanted <= paths
    assert not [path for path in paths if "data/deb" in path or path.endswith(".pyc")]


def test_it_layers_itself_and_runs(host: NamespaceHost, http_repo: LocalRepo, tmp_path: Path) -> None:
    http_repo.publish(build(tmp_path))
    host.apt_ostree("install", "-y", "apt-ostree")
    host.reboot()
    alone = {"PYTHONPATH": "", "PYTHONDONTWRITEBYTECODE": "1"}
    assert host.run("apt-ostree", "--version", env=alone).stdout.strip().endswith(__version__)
    assert "install" in host.run("apt-ostree", "--help", env=alone).stdout
    assert "--json" in host.run("apt-ostree", "status", "--help", env=alone).stdout
    assert "LayeredPackages: apt-ostree" in host.run("apt-ostree", "status", env=alone).stdout
    for link in ENABLED:
        host.run("test", "-L", f"/etc/systemd/system/{link}")
    timer = "/etc/systemd/system/timers.target.wants/apt-ostree-automatic.timer"
    assert host.run("test", "-e", timer, check=False).returncode == 1
    refused = host.run("apt-get", "remove", "-y", "hostname", check=False).stderr
    assert "    apt-ostree uninstall hostname\n" in refused, "its own hook is at work"
    assert host.run("dpkg", "--verify", "apt-ostree").stdout == ""
    compiled = host.run("python3", "-Ivc", "import apt_ostree.model").stderr
    assert "matches /usr/lib/python3/dist-packages/apt_ostree/model.py" in compiled, "what was compiled is not stale"
    host.run("apt-ostree", "uninstall", "-y", "apt-ostree", env=alone)
    host.reboot()
    assert host.run("test", "-e", "/usr/bin/apt-ostree", check=False).returncode == 1
