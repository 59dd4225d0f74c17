"""What a removed package leaves in an image: lines, seeds and /opt, shared ones excepted; accounts stay."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from apt_ostree.model import Package
from apt_ostree.tree import automatic, users, vacate
from tests.unit.treemaker import put

pytestmark = pytest.mark.root  # whiteouts are device nodes

TMPFILES = "usr/lib/tmpfiles.d"
INFO = "usr/lib/sysimage/dpkg/info"


def make(root: Path, files: dict[str, str]) -> Path:
    root.mkdir()
    for rel, text in files.items():
        put(root, rel, text)
    return root


def whiteout(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mknod(path, 0o600 | 0o020000, os.makedev(0, 0))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return make(
        tmp_path / "tree",
        {
            f"{TMPFILES}/apt-ostree-var-gone.conf": "d /var/lib/gone 0755 root root - -\n"
            "d /var/lib/shared 0755 root root - -\nC /var/lib/gone/deep/seed 0644 root root - -\n"
            "L /var/opt/gone - - - - ../../usr/lib/opt/gone\n",
            f"{TMPFILES}/apt-ostree-var-heir.conf": "d /var/lib/heir 0755 root root - -\n",
            f"{TMPFILES}/apt-ostree-var-scripts.conf": "C /var/lib/made 0644 root root - -\n"
            "C /var/lib/left 0644 root root - -\nC /var/lib/gone/too 0644 root root - -\n",
            f"{TMPFILES}/other.conf": "d /var/lib/gone 0755 root root - -\n",
            "usr/share/factory/var/lib/gone/deep/seed": "x",
            "usr/share/factory/var/lib/gone/too": "x",
            "usr/share/factory/var/lib/made": "x",
            "usr/share/factory/var/lib/left": "x",
            "usr/lib/opt/gone/tool": "x",
            "usr/lib/opt/stays/tool": "x",
            f"{INFO}/heir.list": "/var/lib/heir\n/var/lib/shared\n",
        },
    )


def read(tree: Path, name: str) -> list[str]:
    path = tree / TMPFILES / f"apt-ostree-var-{name}.conf"
    return [line.split()[1] for line in path.read_text().splitlines() if line[0] != "#"] if path.exists() else []


def test_lines_seeds_and_opt(tree: Path, tmp_path: Path) -> None:
    var = tmp_path / "var"
    whiteout(var / "lib/made")
    whiteout(var / "lib/gone")
    vacate.apply(tree, var, {"gone"})
    assert read(tree, "gone") == [] and not (tree / TMPFILES / "apt-ostree-var-gone.conf").exists()
    assert read(tree, "heir") == ["/var/lib/heir", "/var/lib/shared"], "another package has it as well"
    assert read(tree, "scripts") == ["/var/lib/left"]
    assert sorted(str(p.relative_to(tree / "usr/share/factory")) for p in (tree / "usr/share/factory").rglob("*")) == [
        "var", "var/lib", "var/lib/left",
    ]  # fmt: skip
    assert os.listdir(tree / "usr/lib/opt") == ["stays"]
    assert (tree / TMPFILES / "other.conf").exists(), "what packages ship is dpkg's business"


def test_a_directory_that_was_made_anew(tree: Path, tmp_path: Path) -> None:
    var = tmp_path / "var"
    (var / "lib/gone/deep").mkdir(parents=True)
    os.setxattr(var / "lib/gone", "trusted.overlay.opaque", b"y")
    vacate.apply(tree, var, set())
    assert read(tree, "gone") == ["/var/lib/gone", "/var/lib/shared", "/var/opt/gone"]
    assert read(tree, "scripts") == ["/var/lib/left", "/var/lib/made"]


def test_nothing_changes_without_a_mark(tree: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in tree.rglob("*") if path.is_file()}
    (tmp_path / "var").mkdir()
    vacate.apply(tree, tmp_path / "var", set())
    assert before == {path: path.read_bytes() for path in tree.rglob("*") if path.is_file()}


def test_links_in_the_way_lead_nowhere(tree: Path, tmp_path: Path) -> None:
    outside = make(tmp_path / "outside", {"deep/seed": "mine", "too": "mine"})
    place = tree / "usr/share/factory/var/lib/gone"
    (place / "deep/seed").unlink()
    (place / "deep").rmdir()
    (place / "too").unlink()
    place.rmdir()
    place.symlink_to(outside)
    whiteout(tmp_path / "var/lib/gone")
    vacate.apply(tree, tmp_path / "var", {"gone"})
    assert (outside / "deep/seed").read_text() == "mine" and (outside / "too").exists()


def test_accounts_stay(tmp_path: Path) -> None:
    lines = "root:x:0:0::/root:/bin/sh\n_gone:x:101:101::/nonexistent:/bin/false\n"
    tree = make(tmp_path / "tree", {"etc/passwd": lines, "etc/group": "root:x:0:\n_gone:x:101:\n", "etc/shadow": "s"})
    upper = make(tmp_path / "upper", {"etc/passwd": "root:x:0:0::/root:/bin/sh\n_new:x:102:102::/:/bin/sh"})
    users.keep(upper, tree)
    assert (upper / "etc/passwd").read_text().splitlines() == [
        "root:x:0:0::/root:/bin/sh", "_new:x:102:102::/:/bin/sh", "_gone:x:101:101::/nonexistent:/bin/false",
    ]  # fmt: skip
    assert not (upper / "etc/group").exists(), "what no script touched stays what it is"


def test_automatic_marks_go(tmp_path: Path) -> None:
    states = "usr/lib/sysimage/apt/extended_states"
    tree = make(tmp_path / "tree", {"usr/lib/sysimage/dpkg/status": ""})
    packages = [Package(name=name, version="1", arch="all") for name in ("one", "two")]
    automatic.mark(tree, "amd64", packages)
    automatic.forget(tree, "amd64", packages[:1])
    assert (tree / states).read_text() == "Package: two\nArchitecture: amd64\nAuto-Installed: 1\n"
    automatic.forget(tree, "amd64", packages)
    assert (tree / states).read_text() == ""
