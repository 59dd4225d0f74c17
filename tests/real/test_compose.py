"""compose tree: lockfiles, the same tree twice, and when nothing has to be composed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from apt_ostree import signatures, signing
from apt_ostree import treefile as treefiles
from apt_ostree.compose import tree as compose
from apt_ostree.tree import rules
from tests.support.archive import SigningKey
from tests.support.composing import REF, Composing, archive_of, refs
from tests.support.debs import DebBuilder
from tests.support.ground import Ground
from tests.support.process import CHECKOUT, environment, run
from tests.support.sysroots import Base

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def composing(base: Base, big_folder: Callable[[str], Path], ground: Ground, signing_key: SigningKey) -> Composing:
    """The archive of this module, which each test adds its own packages to."""
    folder = big_folder("composing")
    return Composing(ground=ground, archive=archive_of(base, folder / "archive", signing_key), directory=folder)


def test_one_lockfile_gives_one_commit(composing: Composing, tmp_path: Path) -> None:
    """Written, honoured from an empty cache while the archive goes on, refused when it cannot be honoured."""
    composing.archive.publish(DebBuilder(name="toy", version="1", files={"/usr/share/toy": "one"}))
    treefile, lock, first = composing.treefile(["toy"]), tmp_path / "tree.lock.json", composing.repo()
    composing.tree(treefile, first, "-C", "--dry-run", check=3)  # no lists yet, and none are made
    assert not (first / "extensions/apt-ostree").exists()
    fetched = composing.tree(treefile, first, "--download-only", "--json").json
    assert fetched["download-bytes"] > 0 and fetched["would-change"] and refs(first) == {}
    words = ("--lockfile", lock, "--write-lockfile", "--json")
    assert f"lockfile would be {lock}: " in composing.tree(treefile, first, *words, "--dry-run").json["message"]
    assert not lock.exists()
    made = composing.tree(treefile, first, "-C", *words).json
    assert f"The lockfile is {lock}: " in made["message"]
    toy = next(item for item in json.loads(lock.read_text())["packages"] if item["name"] == "toy")
    assert (toy["version"], made["commit"], made["download-bytes"]) == ("1", refs(first)[REF], 0)
    file, same = tmp_path / "id", ("--unchanged-exit-77", "--write-commitid-to", tmp_path / "id", "--json")
    composing.tree(treefile, first, *same, "--dry-run", check=77)
    composing.tree(treefile, first, *same, "--download-only", check=77)
    assert not file.exists()
    unchanged = composing.tree(treefile, first, "-C", *same, check=77).json
    assert not unchanged["changed"] and unchanged["commit"] == made["commit"]
    assert file.read_text() == f"{made['commit']}\n", "a script that asks for the commit gets the one that stands"
    file.unlink()

    composing.archive.publish(DebBuilder(name="toy", version="2", files={"/usr/share/toy": "two"}))
    told = composing.tree(treefile, first, "--dry-run", "--json").json  # without the lockfile: what there is now
    assert [item["new"] for item in told["packages"]["upgraded"]] == ["2"] and told["would-change"]
    second = composing.repo()
    composing.tree(treefile, second, "--locked", "--lockfile", lock, "--write-commitid-to", tmp_path / "id")
    assert (tmp_path / "id").read_text() == f"{made['commit']}\n" and refs(second) == {}

    # a lockfile that names another version than the content it names has, whether or not a commit stands
    data = json.loads(lock.read_text())
    next(item for item in data["packages"] if item["name"] == "toy")["version"] = "9"
    wrong = tmp_path / "wrong.lock.json"
    wrong.write_text(json.dumps(data))
    for repo in (first, second):
        done = composing.tree(treefile, repo, "--locked", "--lockfile", wrong, check=3)
        assert "the lockfile says toy_9_all, and what has that content is toy_1_all" in done.stderr
    assert refs(second) == {}

    other = composing.repo()
    composing.archive.withdraw("toy")
    composing.archive.publish(DebBuilder(name="toy", version="1", files={"/usr/share/toy": "forged"}))
    done = composing.tree(treefile, other, "--lockfile", lock, check=3)
    assert "toy_1_all: its content is another" in done.stderr
    composing.archive.withdraw("toy")
    done = composing.tree(treefile, other, "--lockfile", lock, check=3)
    assert "toy_1_all: the archives do not have it" in done.stderr and "--write-lockfile" in done.stderr
    done = composing.tree(composing.treefile(), other, "--lockfile", lock, "--dry-run", check=3)
    assert "does not fit the treefile" in done.stderr
    assert refs(other) == {}


def test_which_commit_is_the_parent(composing: Composing, tmp_path: Path) -> None:
    """The branch's, another, or none; what has changed is asked of the branch's in any case."""
    repo, parsed = composing.repo(), treefiles.parse(f'suite = "trixie"\nref = "{REF}"\n')
    (tmp_path / "tree").mkdir()
    commit = ["ostree", "commit", f"--repo={repo}", f"--tree=dir={tmp_path / 'tree'}"]
    branch, other = (run([*commit, f"--branch={name}"]).stdout.strip() for name in (REF, "other"))
    for parent, found in ((None, branch), ("other", other), ("", "")):
        target = compose.target(parsed, repo, "amd64", parent=parent)
        assert (target.parent, target.previous) == (found, branch)
    options = ("--no-parent", "--parent=x")
    assert "exclude each other" in composing.tree(composing.treefile(), repo, *options, check=2).stderr


def test_a_parent_that_is_asked_for_counts_as_a_change(composing: Composing, tmp_path: Path) -> None:
    """In the dry run too; whoever asks for the one that is there, or names the branch's commit, changes nothing."""
    repo, treefile = composing.repo(), composing.treefile(automatic_version_prefix="7")

    def compose(*options: str, check: int = 0) -> str:
        words = (*options, "--unchanged-exit-77", "--json")
        assert composing.tree(treefile, repo, *words, "--dry-run", check=check).json["would-change"] == (not check)
        answer = composing.tree(treefile, repo, *words, check=check).json
        assert answer["commit"] == refs(repo)[REF] and answer["changed"] == (not check)
        return str(answer["commit"])

    first = compose("--no-parent")
    for options in ((), ("--no-parent",), (f"--parent={REF}",)):
        assert compose(*options, check=77) == first
    (tmp_path / "tree").mkdir()
    argv = ["ostree", "commit", f"--repo={repo}", "--branch=other", f"--tree=dir={tmp_path / 'tree'}"]
    other = run(argv).stdout.strip()
    child = compose("--parent=other")
    assert compose(f"--parent={other}", check=77) == compose(check=77) == child
    assert f"Parent:  {other}" in run(["ostree", "show", f"--repo={repo}", child]).stdout
    grandchild = compose(f"--parent={child}", "--force-nocache")
    show = ["ostree", "show", f"--repo={repo}", "--print-metadata-key=version"]
    assert [run([*show, one]).stdout for one in (first, child, grandchild)] == ["'7'\n", "'7'\n", "'7.1'\n"]
    assert compose("--no-parent") == first, "the same parent, the same checksum"


def test_a_commit_is_born_signed(ground: Ground, signing_key: SigningKey, tmp_path: Path) -> None:
    """The signature stands beside the commit, whose checksum is the same with and without it."""
    repo, file = tmp_path / "repo", tmp_path / "tree.toml"
    run(["ostree", "init", f"--repo={repo}", "--mode=bare"])
    file.write_text(f'suite = "trixie"\nref = "{REF}"\n')
    words = ("compose", "tree", file, "--repo", repo, "--dry-run", "--gpg-sign", "nobody")
    assert "there is no secret key for 'nobody'" in ground.apt_ostree(*words, check=1).stderr
    signer = signing.prepare(signing.Signing(gpg_keys=(signing_key.fingerprint,), gpg_home=signing_key.home))
    plain = compose.target(treefiles.load(file), repo, "amd64")
    made = []
    for target in (plain, replace(plain, signer=signer)):
        (target.tree / "usr").mkdir(parents=True)
        made.append(compose._commit(target, rules.FinishReport(users={}, groups={}), {}, 5))
        signed = signatures.of_commit(repo, made[-1])
        assert signed == ((signing_key.fingerprint[-16:],) if target.signer.gpg else ())
    assert made[0] == made[1]


def test_a_run_that_waited_goes_on_from_what_it_waited_for(composing: Composing, tmp_path: Path) -> None:
    repo, treefile = composing.repo(), composing.treefile(automatic_version_prefix="1")
    words = ("compose", "tree", treefile, "--repo", repo, "--wait", "--force-nocache")
    argv = composing.ground.argv(*words)
    runs = [subprocess.Popen(argv, env=environment({"PYTHONPATH": str(CHECKOUT)})) for _ in range(2)]
    assert [each.wait() for each in runs] == [0, 0]
    told = run(["ostree", "log", f"--repo={repo}", REF]).stdout
    assert [line.split()[1] for line in told.splitlines() if line.startswith("Version:")] == ["1.1", "1"]


def test_where_nothing_can_be_written_nothing_is_composed(composing: Composing, tmp_path: Path) -> None:
    repo, nowhere = composing.repo(), tmp_path / "nowhere/id"
    done = composing.tree(composing.treefile(), repo, "--write-commitid-to", nowhere, check=2)
    assert "cannot be written" in done.stderr and not (repo / "extensions/apt-ostree").exists()
    for option, value in (("--write-commitid-to", tmp_path), ("--lockfile", tmp_path)):
        more = ("--write-lockfile",) if option == "--lockfile" else ()
        for dry in ((), ("--dry-run",)):
            done = composing.tree(composing.treefile(), repo, option, value, *more, *dry, check=2)
            assert "cannot be written" in done.stderr and not (repo / "extensions/apt-ostree").exists()


@pytest.mark.parametrize("there", [f"{REF}/more", REF.partition("/")[0]])
def test_a_branch_that_cannot_be_is_told_before_anything(composing: Composing, tmp_path: Path, there: str) -> None:
    """In the dry run too: refs are files of the repo, none is a folder of another."""
    repo, treefile = composing.repo(), composing.treefile()
    run(["ostree", "commit", f"--repo={repo}", f"--branch={there}", f"--tree=dir={tmp_path}"])
    install = ("compose", "install", "--ref", there, "--branch", REF, "nosuch")
    for words in (("compose", "tree", treefile), ("compose", "lockfile", treefile), install):
        for dry in ((), ("--dry-run",)):
            done = composing.ground.apt_ostree(*words, "--repo", repo, *dry, check=2)
            assert f"'{REF}' cannot be beside '{there}'" in done.stderr and done.stdout == ""
    assert not (repo / "extensions/apt-ostree").exists() and list(refs(repo)) == [there]
    composing.tree(treefile, repo, "--write-commitid-to", tmp_path / "id", "--dry-run")  # the branch is left then
