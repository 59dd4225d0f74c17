"""oci lint on real Debian: the base is a good image, what spoils it is told, and compose tree refuses to make it."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from apt_ostree.view.commit import open_commit
from apt_ostree.view.directory import open_directory
from apt_ostree.view.model import Kind, Node, View
from tests.support import batch
from tests.support.archive import SigningKey
from tests.support.batch import NOBODY, Line
from tests.support.composing import Composing, archive_of, refs
from tests.support.debs import DebBuilder
from tests.support.ground import Ground
from tests.support.process import CHECKOUT, run
from tests.support.rootfs import clean, put
from tests.support.sysroots import Base
from tests.support.verbs import held_to

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def copy(ground: Ground, base: Base) -> Base:
    """The base in a repo whose branches may be added to."""
    return ground.copy(base, "lint-repo")


def nodes(view: View) -> dict[str, Node]:
    return {p: replace(n, object="", size=n.size if n.kind is Kind.FILE else 0) for p, n in view.nodes.items()}


def files(repo: Path) -> dict[str, str]:
    """Every file of a repo: objects by name, the rest by content."""
    return {
        str(path): "" if "objects" in path.parts else hashlib.sha256(path.read_bytes()).hexdigest()
        for path in repo.rglob("*")
        if path.is_file()
    }


def test_the_base_is_a_good_image(ground: Ground, copy: Base) -> None:
    before = files(copy.repo)
    answer = held_to("oci-lint", ground.apt_ostree("oci", "lint", "--repo", copy.repo, copy.ref, "--json"))
    assert answer["passed"] and answer["fatal"] == []
    assert answer["warnings"] == ["baseimage-composefs"], "it is off in Debian 13, as the treefile has it"
    assert [one["name"] for one in answer["lints"] if one["state"] == "skipped"] == ["var-tmpfiles"]
    strict = ground.apt_ostree("oci", "lint", "--repo", copy.repo, copy.ref, "--fatal-warnings", check=1)
    assert "prepare-root.conf" in strict.stdout and "hint:" in strict.stdout
    assert files(copy.repo) == before


def test_an_image_is_what_the_commit_is(ground: Ground, copy: Base, work: Path) -> None:
    image = f"oci:{work / 'image'}:t"
    ground.apt_ostree("oci", "export", "--repo", copy.repo, copy.ref, image)
    answer = held_to("oci-lint", ground.apt_ostree("oci", "lint", image, "--json", env={"TMPDIR": str(work)}))
    assert answer["passed"] and answer["warnings"] == ["baseimage-composefs"]
    assert not list(work.glob("apt-ostree-*"))
    assert "names no image" in ground.apt_ostree("oci", "lint", "docker:", check=2).stderr


def test_a_checkout_is_what_the_commit_is(copy: Base, work: Path, ground: Ground) -> None:
    """Owners, modes, links and capabilities of some twenty thousand paths, read from objects and from a directory."""
    run(["ostree", "checkout", f"--repo={copy.repo}", "--require-hardlinks", copy.ref, work / "tree"])
    made, there = open_commit(copy.repo, copy.checksum), open_directory(work / "tree")
    assert nodes(made) == nodes(there) and len(made.nodes) > 5000
    special = {node.path for node in made.nodes.values() if node.kind is Kind.FILE and node.mode & 0o6000}
    assert "usr/bin/su" in special, "there is something for 'privileges' to look at"
    answer = held_to("oci-lint", ground.apt_ostree("oci", "lint", work / "tree", "--json"))
    assert answer["passed"] and answer["warnings"] == ["baseimage-composefs"]


def test_a_spoilt_commit(ground: Ground, copy: Base) -> None:
    kernel = "usr/lib/modules/9.9.9/vmlinuz"
    files = {kernel: "x", "usr/lib/bootc/kargs.d/x.toml": "kargs = 1", "boot/left": "x"}
    spoilt = ground.with_files(copy, files)
    done = ground.apt_ostree("oci", "lint", "--repo", copy.repo, spoilt.ref, "--json", check=1)
    answer = held_to("oci-lint", done)
    assert answer["fatal"] == ["bootc-kargs", "kernel"] and "nonempty-boot" in answer["warnings"]
    paths = {item["path"] for one in answer["lints"] for item in one["findings"]}
    assert {f"/{path}" for path in files} <= paths
    skipped = ("--skip", "kernel", "--skip", "bootc-kargs")
    ground.apt_ostree("oci", "lint", "--repo", copy.repo, spoilt.ref, *skipped)


def test_capabilities_and_setuid_of_a_commit(ground: Ground, work: Path) -> None:
    """In each mode of a repo, two files that belong to nobody, owned by a user who is not root."""
    tree = clean(work / "tree")
    os.chown(put(tree, "usr/bin/capable", mode=0o755), 5, 6)
    run(["setcap", "cap_net_raw+ep", tree / "usr/bin/capable"])
    os.chown(put(tree, "usr/bin/setuid"), 5, 6)
    (tree / "usr/bin/setuid").chmod(0o4755)
    put(tree, "usr/lib/sysimage/dpkg/statoverride", "root root 4755 /bin/setuid\n#5 #6 0755 /bin/capable\n")
    for mode in ("bare", "archive", "bare-user"):
        repo = work / mode
        run(["ostree", "init", f"--repo={repo}", f"--mode={mode}"])
        run(["ostree", "commit", f"--repo={repo}", "--branch=b", f"--tree=dir={tree}"])
        answer = held_to("oci-lint", ground.apt_ostree("oci", "lint", "--repo", repo, "b", "--json", check=1))
        assert answer["fatal"] == ["privileges"], mode
        said = [item["message"] for one in answer["lints"] for item in one["findings"]]
        assert len(said) == 3 and "5:6 4755; dpkg-statoverride says root:root 4755" in said[2]
        assert "capabilities" in said[0] and "setuid" in said[1]


@pytest.fixture
def public() -> Iterator[Path]:
    """A directory that everybody may look into."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_plain_user_lints_what_he_may_read(public: Path) -> None:
    tree, repo = clean(public / "tree"), public / "repo"
    put(tree, "usr/bin/su", mode=0o4755)
    run(["ostree", "init", f"--repo={repo}", "--mode=archive"])
    run(["ostree", "commit", f"--repo={repo}", "--branch=b", f"--tree=dir={tree}"])
    lines = [Line(("oci", "lint", "--repo", repo, "b"), NOBODY), Line(("oci", "lint", tree), NOBODY)]
    for done in batch.here(lines):
        assert done.returncode == 1 and "/usr/bin/su is setuid and belongs to no package" in done.stdout
    (tree / "var/lib").mkdir(mode=0o700)
    commit, directory = batch.here(lines)
    assert commit.returncode == 1 and directory.returncode == 6 and "var/lib" in directory.stderr


def test_the_running_system_is_known(work: Path) -> None:
    """It is the directory / of the process that looks: here a child whose root is a small tree."""
    tree = clean(work / "tree")
    assert not open_directory(tree).running
    child = os.fork()
    if child == 0:
        os.chroot(tree)
        view = open_directory(Path("/"))
        os._exit(0 if view.running and "usr/lib/sysimage/dpkg/status" in view.nodes else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


LOOK = """
import sys; from pathlib import Path; from apt_ostree.view.directory import open_directory
view = open_directory(Path(sys.argv[1]))
print([n.path for n in view.nodes.values() if n.mounted], view.children("run"))
"""


def test_what_is_mounted_is_not_looked_into(work: Path) -> None:
    tree = clean(work / "tree")
    script = 'mount -t tmpfs none "$1/run" && touch "$1/run/x" && exec "$2" -c "$3" "$1"'
    argv = ["unshare", "--mount", "sh", "-ec", script, "sh", tree, sys.executable, LOOK]
    assert run(argv, env={"PYTHONPATH": str(CHECKOUT)}).stdout.strip() == "['run'] []"


# --- compose tree


@pytest.fixture(scope="module")
def composing(base: Base, big_folder: Callable[[str], Path], ground: Ground, signing_key: SigningKey) -> Composing:
    folder = big_folder("composing")
    return Composing(ground=ground, archive=archive_of(base, folder / "archive", signing_key), directory=folder)


SNEAKY = "#!/bin/sh\nset -e\ncp /bin/true /usr/bin/sneaky\nchmod 4755 /usr/bin/sneaky\n"
SWITCHED_OFF = "#!/bin/sh\nsed -i s/maybe/no/ /usr/lib/ostree/prepare-root.conf\n"


def test_compose_tree_holds_what_it_made_to_the_lints(composing: Composing) -> None:
    composing.archive.publish(DebBuilder(name="sneak", scripts={"postinst": SNEAKY}))
    repo = composing.repo()
    done = composing.tree(composing.treefile(["sneak"]), repo, "--json", check=1)
    error = held_to("error", done)["error"]
    assert error["code"] == "lint" and error["hint"]
    assert "privileges" in error["message"] and "/usr/bin/sneaky is setuid" in error["message"]
    assert refs(repo) == {} and not list((repo / "objects").glob("*/*.commit"))
    work = repo / "extensions/apt-ostree/work"
    assert not work.is_dir() or list(work.iterdir()) == []

    warned = composing.treefile([], composefs="maybe", postprocess=[SWITCHED_OFF])
    answer = held_to("result", composing.tree(warned, repo, "--json"))
    assert any("baseimage-composefs: /usr/lib/ostree/prepare-root.conf" in said for said in answer["warnings"])
    assert refs(repo) == {"lean/tree": answer["commit"]}
    report = held_to("oci-lint", composing.ground.apt_ostree("oci", "lint", "--repo", repo, "lean/tree", "--json"))
    assert report["passed"] and report["warnings"] == ["baseimage-composefs"]
