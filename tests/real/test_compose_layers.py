"""Layers of a treefile: one commit each on top of the tree, their packages locked with it; and compose lockfile."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from apt_ostree import commits, pkgdb, signatures, trees
from tests.support.archive import SigningKey
from tests.support.composing import REF, Composing, archive_of, refs
from tests.support.debs import DebBuilder
from tests.support.ground import Ground
from tests.support.process import run
from tests.support.sysroots import Base
from tests.support.verbs import held_to, tool

pytestmark = pytest.mark.real

DESK, KIOSK = "lean/desk", "lean/x86_64/kiosk"
ADD_USER = '#!/bin/sh\nset -e\n[ "$1" != configure ] || useradd --system --no-create-home deskd\n'
# what a package's script takes for the time must be the lockfile's
CLOCK = '#!/bin/sh\nset -e\necho "${SOURCE_DATE_EPOCH:-none}" > /usr/share/clock\n'


@pytest.fixture(scope="module")
def composing(base: Base, big_folder: Callable[[str], Path], ground: Ground, signing_key: SigningKey) -> Composing:
    """The archive of this module, with a package for each layer and what it pulls in."""
    folder = big_folder("composing")
    made = Composing(ground=ground, archive=archive_of(base, folder / "archive", signing_key), directory=folder)
    made.archive.publish(
        tool("part"),
        DebBuilder(name="desk", depends="part, passwd", scripts={"postinst": ADD_USER}, files={"/opt/desk/x": "x"}),
        DebBuilder(name="kiosk", depends="desk", scripts={"postinst": CLOCK}, files={"/usr/share/kiosk": "one"}),
    )
    return made


def layers(*kiosk: str, desk: str = "desk") -> list[dict[str, Any]]:
    """Two layers, the second with further packages."""
    meta = {"name": "desk", "ref": DESK, "packages": [desk], "version": "1-desk", "metadata": {"kind": "desk"}}
    return [meta, {"name": "kiosk", "ref": "lean/${basearch}/${layer}", "packages-amd64": ["kiosk", *kiosk]}]


def show(repo: Path, commit: str, key: str) -> str:
    return run(["ostree", "show", f"--repo={repo}", f"--print-metadata-key={key}", commit]).stdout.strip()


def cat(repo: Path, commit: str, path: str) -> str:
    return run(["ostree", "cat", f"--repo={repo}", commit, path]).stdout


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What the first compose of this module made."""

    treefile: Path
    repo: Path
    lock: Path
    answer: dict[str, Any]

    @property
    def checksums(self) -> list[str]:
        return [commit["checksum"] for commit in self.answer["commits"]]


@pytest.fixture(scope="module")
def made(composing: Composing) -> Made:
    """A tree and two layers, after a dry run that told of them."""
    treefile = composing.treefile(layers=layers(), version="1", kargs=["quiet"])
    repo, lock = composing.repo(), composing.directory / "first.lock.json"
    told = held_to("result", composing.tree(treefile, repo, "--dry-run", "--json"))
    assert [(commit["ref"], commit["checksum"], commit["new"]) for commit in told["commits"]] == [
        (REF, None, True), (DESK, None, True), (KIOSK, None, True),
    ]  # fmt: skip
    assert f"{DESK} would get 2 packages on top of that\n" in told["message"] and refs(repo) == {}
    verbose = composing.tree(treefile, repo, "--dry-run", "-v").stderr.splitlines()
    assert {"desk_1.0_all", "part_1.0_all"} <= {line.strip() for line in verbose}, "one a line"
    done = composing.tree(treefile, repo, "--lockfile", lock, "--write-lockfile", "--json")
    return Made(treefile=treefile, repo=repo, lock=lock, answer=held_to("result", done))


def test_each_layer_is_a_commit_on_top_of_the_one_below(made: Made) -> None:
    first, second, third = made.checksums
    assert refs(made.repo) == {REF: first, DESK: second, KIOSK: third} and made.answer["commit"] == third
    loaded = [commits.load(made.repo, checksum).commit for checksum in made.checksums]
    assert [commit.parent for commit in loaded] == ["", first, second]
    assert [commit.version for commit in loaded] == ["1", "1-desk", "1"]
    assert all(commit.layer is None for commit in loaded), "each is a base: a machine can follow it"
    names = [{package.name for package in pkgdb.packages(made.repo, checksum)} for checksum in made.checksums]
    assert (names[1] - names[0], names[2] - names[1]) == ({"desk", "part"}, {"kiosk"})
    assert [commit["packages"] for commit in made.answer["commits"]] == [len(found) for found in names]
    assert cat(made.repo, third, "/usr/share/kiosk") == "one" and "deskd" in cat(made.repo, third, "/usr/etc/passwd")
    assert (show(made.repo, second, "kind"), show(made.repo, third, "apt-ostree.kargs")) == ("'desk'", "'[\"quiet\"]'")
    states = cat(made.repo, third, "/usr/lib/sysimage/apt/extended_states")
    assert "Package: part\n" in states and "Package: desk\n" not in states, "what was asked for is no automatic one"
    assert "L /var/opt/desk" in cat(made.repo, third, "/usr/lib/tmpfiles.d/apt-ostree-var-desk.conf")
    run(["ostree", "fsck", f"--repo={made.repo}", "--quiet"])


def test_one_lockfile_gives_the_same_commits(composing: Composing, made: Made, signing_key: SigningKey) -> None:
    """In another repo, while the archive has gone on; signed, and with no branch moved."""
    lock = json.loads(made.lock.read_text())
    assert [[item["name"] for item in layer["packages"]] for layer in lock["layers"]] == [["desk", "part"], ["kiosk"]]
    assert {commits.load(made.repo, checksum).commit.timestamp for checksum in made.checksums} == {lock["epoch"]}
    assert cat(made.repo, KIOSK, "/usr/share/clock") == f"{lock['epoch']}\n"
    repo, file = composing.repo(), composing.directory / "commitid"
    sign = ("--gpg-sign", signing_key.fingerprint, "--gpg-homedir", signing_key.home)
    composing.tree(made.treefile, repo, "--lockfile", made.lock, "--write-commitid-to", file, *sign)
    found = [commit.checksum for commit in commits.ancestry(repo, file.read_text().strip())]
    assert found == made.checksums[::-1] and refs(repo) == {}
    for checksum in found:
        assert signatures.of_commit(repo, checksum) == (signing_key.fingerprint[-16:],)


def test_what_stands_is_signed_as_well(
    composing: Composing, made: Made, signing_key: SigningKey, tmp_path: Path
) -> None:
    """By the keys that have not signed it, without being made again; told before, and no news when it is done."""
    repo, file = composing.repo(), tmp_path / "commitid"
    first, second, third = made.checksums
    for ref, checksum in zip((REF, DESK, KIOSK), made.checksums, strict=True):
        run(["ostree", "pull-local", f"--repo={repo}", made.repo, checksum])
        run(["ostree", "refs", f"--repo={repo}", checksum, f"--create={ref}"])
    run(["ostree", "gpg-sign", f"--repo={repo}", f"--gpg-homedir={signing_key.home}", second, signing_key.fingerprint])
    before, key = refs(repo), (signing_key.fingerprint[-16:],)
    same = ("--lockfile", made.lock, "--unchanged-exit-77", "--write-commitid-to", file, "--json")
    sign = ("--gpg-sign", signing_key.fingerprint, "--gpg-homedir", signing_key.home)

    def compose(*options: str | Path, check: bool | int = True) -> Any:
        return held_to("result", composing.tree(made.treefile, repo, *options, check=check))

    def signed() -> list[tuple[str, ...]]:
        return [signatures.of_commit(repo, checksum) for checksum in made.checksums]

    for only in ("--dry-run", "--download-only"):
        told = compose(*same, *sign, only)
        assert told["would-change"] and not told["changed"] and told["message"].count("would be signed by") == 2
        assert signed() == [(), key, ()] and not file.exists()
    assert not compose(*same, check=77)["changed"], "nobody is asked to sign"

    done = compose(*same, *sign)
    assert done["changed"] and signed() == [key] * 3 and refs(repo) == before
    assert f"{REF} is {first}, now signed by {signing_key.fingerprint}" in done["message"]
    assert f"No change: {DESK} is {second}\n" in done["message"] and file.read_text() == f"{third}\n"
    assert "Found 1 signature" in run(["ostree", "show", f"--repo={repo}", second]).stdout, "nobody signs twice"
    file.unlink()
    again = compose(*same, *sign, check=77)
    assert not again["changed"] and "signed" not in again["message"] and file.read_text() == f"{third}\n"

    # what is below a layer that is made again
    trees.object_path(repo, first, "commitmeta").unlink()
    run(["ostree", "refs", f"--repo={repo}", "--delete", KIOSK])
    made_again = compose(*same[:2], "--json", *sign)
    assert [commit["new"] for commit in made_again["commits"]] == [False, False, True]
    assert "no change, now signed by" in made_again["message"] and signed() == [key] * 3 and refs(repo) == before


def test_only_what_changed_is_made_again(composing: Composing, made: Made) -> None:
    """From the top down: nothing, the upper layer, both; a run that fails moves no branch."""
    repo = made.repo
    same = held_to("result", composing.tree(made.treefile, repo, "--unchanged-exit-77", "--json", check=77))
    assert [commit["new"] for commit in same["commits"]] == [False] * 3 and same["commit"] == made.checksums[-1]

    composing.archive.publish(DebBuilder(name="kiosk", version="2", depends="desk", files={"/usr/share/kiosk": "two"}))
    told = composing.tree(made.treefile, repo, "--dry-run", "--json").json
    assert [item["new"] for item in told["packages"]["upgraded"]] == ["2"] and "mmdebstrap" not in told["message"]
    again = composing.tree(made.treefile, repo, "--json").json
    assert [commit["new"] for commit in again["commits"]] == [False, False, True]
    assert refs(repo)[DESK] == made.checksums[1] and cat(repo, KIOSK, "/usr/share/kiosk") == "two"
    assert commits.load(repo, refs(repo)[KIOSK]).commit.parent == made.checksums[1]

    bad = DebBuilder(name="bad", scripts={"postinst": "#!/bin/sh\necho no such luck\nexit 3\n"})
    unfit = DebBuilder(name="unfit", files={"/usr/lib/bootc/kargs.d/x.toml": "kargs = 1"})
    composing.archive.publish(bad, unfit, tool("other", depends="desk"))
    before = refs(repo)
    options = {"version": "1", "kargs": ["quiet"]}
    failing = composing.treefile(layers=layers("bad", desk="other"), **options)
    done = composing.tree(failing, repo, "--json", check=1)
    error = held_to("error", done)["error"]
    assert "layer kiosk: the postinst script of package bad failed: exit code 3" in error["message"]
    done = composing.tree(composing.treefile(layers=layers("unfit"), **options), repo, "--json", check=1)
    error = held_to("error", done)["error"]
    assert error["code"] == "lint" and "layer kiosk: the tree would be no good image, bootc-kargs" in error["message"]
    assert refs(repo) == before, "the layer below was made, and its branch has not moved"

    both = composing.tree(composing.treefile(layers=layers(desk="other"), **options), repo, "--json").json
    assert [commit["new"] for commit in both["commits"]] == [False, True, True]
    assert commits.load(repo, refs(repo)[KIOSK]).commit.parent == refs(repo)[DESK] != made.checksums[1]
    assert cat(repo, DESK, "/usr/etc/passwd") == cat(repo, made.checksums[1], "/usr/etc/passwd")


def test_what_cannot_be_a_layer_is_refused(composing: Composing, tmp_path: Path) -> None:
    """With its reason, before anything is downloaded."""
    composing.archive.publish(
        DebBuilder(name="linux-image-6.1-toy", depends="initramfs-tools"), DebBuilder(name="initramfs-tools"),
        DebBuilder(name="hostile", control={"Conflicts": "passwd"}), DebBuilder(name="keen", depends="part (>= 9)"),
    )  # fmt: skip
    repo, archive = composing.repo(), tmp_path / "archive"
    run(["ostree", "init", "--mode=archive", f"--repo={archive}"])

    def refused(code: int, packages: list[str], where: Path = repo, ref: str = "lean/it", **keys: Any) -> str:
        layer = {"name": "it", "ref": ref, "packages": packages}
        return composing.tree(composing.treefile(layers=[layer], **keys), where, "--dry-run", check=code).stderr

    assert "layer it: it would bring a kernel, linux-image-6.1-toy" in refused(3, ["linux-image-6.1-toy"])
    assert "layer it: " in (told := refused(3, ["hostile"])) and "passwd" in told
    assert "layer it: " in (told := refused(3, ["keen"])) and "part" in told
    assert "layer it: " in (told := refused(3, ["nosuch"])) and "nosuch" in told
    assert "part" in refused(3, ["desk"], exclude=["part"])
    assert "taken in the same treefile" in refused(2, ["part"], ref=REF)
    assert "one is a folder of the other" in refused(2, ["part"], ref=f"{REF}/more")
    assert "is no bare one" in refused(1, ["part"], archive)
    told = composing.tree(composing.treefile(["linux-image-6.1-toy"]), repo, "--dry-run", check=3).stderr
    assert "a kernel and initramfs-tools, which has no hook for ostree" in told and "'dracut'" in told
    assert refs(repo) == {} and not (repo / "extensions/apt-ostree").exists()


def test_a_lockfile_without_a_tree(composing: Composing, tmp_path: Path) -> None:
    """Written, left alone while nothing has changed, and what has changed is told."""
    composing.archive.publish(tool("gadget"), tool("needle", depends="gadget"))
    layer = {"name": "one", "ref": "lean/one", "packages": ["needle"]}
    treefile, repo, lock = composing.treefile(layers=[layer]), composing.repo(), tmp_path / "x.lock.json"

    def lockfile(*options: str, check: bool | int = True) -> Any:
        words = ("compose", "lockfile", treefile, "--repo", repo, "--lockfile", lock, "--json", *options)
        return held_to("result", composing.ground.apt_ostree(*words, check=check))

    assert lockfile("--dry-run")["would-change"] and not lock.exists()
    assert not (repo / "extensions/apt-ostree").exists()
    first = lockfile()
    assert first["changed"] and "2 of the layer one" in first["message"] and refs(repo) == {}
    assert [item["name"] for item in json.loads(lock.read_text())["layers"][0]["packages"]] == ["gadget", "needle"]
    assert composing.tree(treefile, repo, "--lockfile", lock, "--dry-run", "--json").json["would-change"]
    text = lock.read_text()
    composing.archive.publish(tool("unrelated"))  # the archive is published anew, with another date and digest
    assert not lockfile("--unchanged-exit-77", check=77)["changed"] and lock.read_text() == text
    composing.archive.publish(tool("gadget", "2"))
    assert [item["new"] for item in lockfile("--dry-run")["packages"]["upgraded"]] == ["2"]
    assert lock.read_text() == text
    assert lockfile()["changed"] and '"gadget", "version": "2"' in lock.read_text()
    lock.write_text("nonsense")
    assert lockfile()["changed"] and json.loads(lock.read_text())["layers"]
