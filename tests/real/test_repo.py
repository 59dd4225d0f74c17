"""repo and delta: what is signed and published here is what a plain `ostree pull` takes, and nothing else."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from apt_ostree import signatures
from tests.support import publisher, tiny
from tests.support.archive import SigningKey
from tests.support.ground import Ground
from tests.support.process import run
from tests.support.publisher import BRANCH, Publisher
from tests.support.sysroots import Sysroot
from tests.support.verbs import held_to

pytestmark = pytest.mark.real


@pytest.fixture
def server(work: Path, ground: Ground) -> Iterator[Publisher]:
    with publisher.publishing(work, ground) as made:
        yield made


def files(repo: Path) -> dict[str, str]:
    """Every file of a repo but the lock, by content."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in repo.rglob("*")
        if path.is_file() and path.name != "lock"
    }


def object_sizes(fetched: dict[str, int]) -> int:
    return sum(size for path, size in fetched.items() if path.startswith("objects/"))


def deltas_of(fetched: dict[str, int]) -> dict[str, int]:
    return {path: size for path, size in fetched.items() if path.startswith("deltas/")}


def test_repo_init(work: Path, ground: Ground) -> None:
    path = work / "new/repo"
    dry = held_to("result", ground.apt_ostree("repo", "init", path, "--dry-run", "--json"))
    assert dry["would-change"] and not path.parent.exists()
    for mode in ("archive", "bare-user", "bare"):
        place = path.with_name(mode)
        words = ("repo", "init", place, "--mode", mode)
        assert held_to("result", ground.apt_ostree(*words, "--json"))["changed"]
        assert (
            held_to("result", ground.apt_ostree(*words, "--unchanged-exit-77", "--json", check=77))["changed"] is False
        )
        run(["ostree", "commit", f"--repo={place}", "--branch=b", f"--tree=dir={tiny.tree(work / 'tree')}"])
        run(["ostree", "fsck", f"--repo={place}", "--quiet"])
    assert "is a repo of mode bare, not archive" in ground.apt_ostree("repo", "init", place, check=1).stderr
    assert "exists and is no repo" in ground.apt_ostree("repo", "init", work / "tree", check=1).stderr
    assert "--mode is one of" in ground.apt_ostree("repo", "init", path, "--mode", "other", check=2).stderr


def test_what_is_signed_is_taken_and_nothing_else(
    server: Publisher, signing_key: SigningKey, other_key: SigningKey
) -> None:
    commit = server.commit({"usr/v": b"1"})
    ours, theirs = server.client("ours", signing_key), server.client("theirs", other_key)
    server.call("repo", "summary", key=signing_key)
    assert "GPG" in ours.pull(check=False).must(1).stderr, "the commit is not signed yet"
    before = files(server.repo)
    assert held_to("repo-sign", server.call("repo", "sign", "--dry-run", "--json", key=signing_key))["would-change"]
    assert files(server.repo) == before
    signed = held_to("repo-sign", server.call("repo", "sign", "--json", key=signing_key))
    assert signed["commits"] == [
        {"revision": BRANCH, "checksum": commit, "signed-by": [signing_key.fingerprint], "new": True}
    ]
    ours.pull()
    told = theirs.pull(check=False).must(1).stderr
    assert "public key not found" in told
    assert run(["ostree", "refs", f"--repo={theirs.repo}"]).stdout == ""
    # once more: the same key does not sign twice, another one signs beside it
    again = server.call("repo", "sign", commit[:12], BRANCH, "--unchanged-exit-77", key=signing_key, check=77)
    assert again.stdout.count("was signed already") == 2
    server.call("repo", "sign", key=other_key)
    assert signatures.of_commit(server.repo, commit) == (signing_key.fingerprint[-16:], other_key.fingerprint[-16:])
    server.call("repo", "summary", key=other_key)
    theirs.pull()
    assert "public key not found" in ours.pull(check=False).must(1).stderr, "the summary is the other key's now"


def test_a_key_that_signs_with_a_subkey(server: Publisher, signing_key: SigningKey, work: Path) -> None:
    server.commit({"usr/v": b"1"})
    home = Path(f"/tmp/aot-sub-{os.getpid()}")
    key = SigningKey.create(home, "With Subkey")
    try:
        key._gpg("--quick-add-key", key.fingerprint, "ed25519", "sign", "never")
        server.call("repo", "sign", key=key)
        server.call("repo", "sign", "--unchanged-exit-77", key=key, check=77)
        server.call("repo", "summary", key=key)
        server.call("repo", "summary", "--unchanged-exit-77", key=key, check=77)
        server.client("client", key).pull()
    finally:
        key.close()
        shutil.rmtree(home)


def test_the_summary_is_true_and_never_loses_its_signature(server: Publisher, signing_key: SigningKey) -> None:
    assert "has no summary" in server.call("repo", "summary", "--view", check=1).stderr
    one = server.commit({"usr/v": b"1"})
    assert held_to("repo-summary", server.call("repo", "summary", "--dry-run", "--json"))["would-change"]
    assert not (server.repo / "summary").exists()
    read = held_to("repo-summary", server.call("repo", "summary", "--json"))
    assert (read["changed"], read["branches"], read["signed-by"]) == (True, {BRANCH: one}, [])
    server.call("repo", "summary", "--unchanged-exit-77", check=77)
    server.call("repo", "summary", key=signing_key)
    before = files(server.repo)
    assert server.call("repo", "summary", "--unchanged-exit-77", check=77).stdout.count(one) == 1
    two = server.commit({"usr/v": b"2"})
    assert held_to("repo-summary", server.call("repo", "summary", "--view", "--json"))["branches"] == {BRANCH: one}
    refused = held_to("error", server.call("repo", "summary", "--json", check=2))["error"]
    assert "would lose its signature" in refused["message"] and "--gpg-sign" in refused["hint"]
    assert "signed" in server.call("delta", "generate", BRANCH, check=2).stderr
    assert [path for path, now in files(server.repo).items() if "/summary" in path and before[path] != now] == []
    read = held_to("repo-summary", server.call("repo", "summary", "--json", key=signing_key))
    assert (read["branches"], read["signed-by"]) == ({BRANCH: two}, [signing_key.fingerprint[-16:]])
    (server.repo / "summary").write_bytes(b"nonsense" * 3)
    assert "is damaged" in server.call("repo", "summary", "--view", check=1).stderr


def test_keys_that_cannot_sign(server: Publisher, signing_key: SigningKey, work: Path) -> None:
    server.commit({"usr/v": b"1"})
    before = files(server.repo)
    home = ("--gpg-homedir", signing_key.home)
    assert (
        "there is no secret key for 'nobody'"
        in server.call("repo", "sign", "--gpg-sign", "nobody", *home, check=1).stderr
    )
    assert "No key is given" in server.call("repo", "sign", check=2).stderr
    assert "no directory" in server.call("repo", "sign", "--gpg-sign=x", "--gpg-homedir=/nowhere", check=2).stderr
    assert "there is no ref 'other'" in server.call("repo", "sign", "other", key=signing_key, check=1).stderr
    assert "no ostree repo" in server.ground.apt_ostree("repo", "summary", "--repo", work, check=1).stderr
    secret = work / "secret"
    secret.write_text("c2VjcmV0\n")
    told = held_to("error", server.call("repo", "sign", "--ed25519-key-file", secret, "--json", check=5))
    assert "built without ed25519" in told["error"]["message"] and "--gpg-sign" in told["error"]["hint"]
    assert files(server.repo) == before


def test_refs_of_imported_images_are_not_signed_and_told(server: Publisher, signing_key: SigningKey) -> None:
    one, two = (
        server.commit({"usr/v": b"1"}),
        server.commit({"usr/v": b"2"}, branch="ostree/container/blob/x"),
    )
    assert held_to("repo-summary", server.call("repo", "summary", "--json"))["branches"].keys() > {BRANCH}
    signed = held_to("repo-sign", server.call("repo", "sign", "--json", key=signing_key))["commits"]
    assert [commit["checksum"] for commit in signed] == [one]
    (warning,) = held_to("repo-summary", server.call("repo", "summary", "--view", "--json"))["warnings"]
    assert warning.startswith("1 of the refs keep") and warning in server.call("repo", "summary", "--view").stderr
    server.commit({"usr/v": b"3"})
    made = held_to("delta-generate", server.call("delta", "generate", BRANCH, "--json", key=signing_key))
    assert made["warnings"] == [warning], "it writes the summary too"
    server.call("repo", "sign", two, key=signing_key)
    run(["ostree", "refs", f"--repo={server.repo}", "--delete", "ostree/container"])
    assert held_to("repo-summary", server.call("repo", "summary", "--json", key=signing_key))["warnings"] == []


def test_ed25519_with_an_ostree_that_has_it(server: Publisher, work: Path) -> None:
    """No Debian has one: a stand-in says it can and writes down what it is asked; all else is the real one's."""
    commit = server.commit({"usr/v": b"1"})
    secret, stand_in, log = work / "secret", work / "bin/ostree", work / "asked"
    secret.write_text("c2VjcmV0\n")
    stand_in.parent.mkdir()
    stand_in.write_text(f"""#!/bin/sh
case "$*" in
  --version) printf "libostree:\\n Version: '2026.4'\\n Features:\\n  - sign-ed25519\\n";;
  *" sign "*) echo "$*" >> {log};;
  *) exec {shutil.which("ostree")} "$@";;
esac
""")
    stand_in.chmod(0o755)
    path = f"{stand_in.parent}:{os.environ['PATH']}"
    done = held_to("repo-sign", server.call("repo", "sign", "--ed25519-key-file", secret, "--json", PATH=path))
    assert done["commits"][0]["new"]
    assert log.read_text() == f"--repo={server.repo} sign --sign-type=ed25519 --keys-file={secret} {commit}\n"
    assert "there is no file" in server.call("repo", "sign", "--ed25519-key-file=/no", check=2, PATH=path).stderr


def test_a_delta_is_pulled_and_its_report_is_true(
    server: Publisher, signing_key: SigningKey, template: Sysroot
) -> None:
    one, two, three = publisher.versions(server, 3)
    for commit in (one, two, three):
        server.call("repo", "sign", commit, key=signing_key)
    server.call("repo", "summary", key=signing_key)
    plain, fast = server.client("plain", signing_key), server.client("fast", signing_key)
    for client in (plain, fast):
        client.pull(what=f"{BRANCH}@{one}")
    before = files(server.repo)
    words = ("delta", "generate", BRANCH, "--last", "5")
    dry = held_to("delta-generate", server.call(*words, "--dry-run", "--json", key=signing_key))
    assert [delta["from"] for delta in dry["deltas"]] == [two, one] and dry["would-change"]
    assert files(server.repo) == before
    made = held_to("delta-generate", server.call(*words, "--json", key=signing_key))
    assert [delta["new"] for delta in made["deltas"]] == [True, True]
    assert sorted(made["summary"]["deltas"]) == sorted(delta["name"] for delta in made["deltas"])
    report = next(delta for delta in made["deltas"] if delta["from"] == one)
    without = plain.fetched("--disable-static-deltas", inside=template.default)
    assert object_sizes(without) == report["plain-bytes"], "what the report calls a plain pull is one"
    with_it = fast.fetched("--require-static-deltas", inside=template.default)
    assert sum(deltas_of(with_it).values()) == report["bytes"] < report["plain-bytes"] / 5
    assert len(deltas_of(with_it)) == 1 + len(report["parts"]) and object_sizes(with_it) == 0, "nothing else"
    assert report["superblock-bytes"] + sum(part["bytes"] for part in report["parts"]) == report["bytes"]
    for client in (plain, fast):
        assert run(["ostree", "rev-parse", f"--repo={client.repo}", f"origin:{BRANCH}"]).stdout.strip() == three
        run(["ostree", "fsck", f"--repo={client.repo}", "--quiet"])
    server.call(*words, "--unchanged-exit-77", key=signing_key, check=77)
    text = server.call("delta", "show").stdout
    assert text.count("-> " + three[:10]) == 2 and "without it (" in text and "part 0" in text


def test_inline_and_from_nothing(server: Publisher, signing_key: SigningKey, template: Sysroot) -> None:
    one, two = publisher.versions(server, 2)
    server.call("repo", "sign", one, two, key=signing_key)
    words = ("delta", "generate", BRANCH, "--json")
    server.call(*words, key=signing_key)
    inline = held_to("delta-generate", server.call(*words, "--inline", key=signing_key))
    assert inline["deltas"][0]["inline"] and inline["deltas"][0]["new"], "the form is another"
    empty = held_to("delta-generate", server.call(*words, "--empty", key=signing_key))
    assert [delta["from"] for delta in empty["deltas"]] == [None]
    shown = held_to("delta-show", server.call("delta", "show", BRANCH, "--json"))["deltas"]
    assert {delta["from"] for delta in shown} == {None, one}
    client = server.client("client", signing_key)
    client.pull(what=f"{BRANCH}@{one}")
    (fetched,) = client.fetched("--require-static-deltas", inside=template.default)
    assert fetched.endswith("/superblock")
    fresh = server.client("fresh", signing_key).fetched("--require-static-deltas", inside=template.default)
    assert fresh == deltas_of(fresh), "nothing else"
    assert sum(fresh.values()) == next(delta for delta in shown if delta["from"] is None)["bytes"]
    name = f"{one}-{two}"
    assert held_to("delta-show", server.call("delta", "show", name, "--json"))["deltas"][0]["name"] == name
    (superblock,) = (path for path in server.repo.glob("deltas/??/*-*/superblock"))
    superblock.write_bytes(superblock.read_bytes()[:-40])
    assert "is damaged" in server.call("delta", "show", name, check=1).stderr
    for words_shown in (("delta", "show"), ("delta", "show", BRANCH)):
        shown = held_to("delta-show", server.call(*words_shown, "--json", check=1))
        assert [delta["name"] for delta in shown["deltas"]] == [two], "the other one is shown all the same"
        assert [delta["name"] for delta in shown["damaged"]] == [name] and "damaged" in shown["damaged"][0]["error"]
        text = server.call(*words_shown, check=1).stdout
        assert f"nothing -> {two[:10]}" in text and f"error: the delta {name} is damaged" in text
    server.call(*words, "--inline", key=signing_key)
    server.call("delta", "show", name)


def test_deltas_that_cannot_be_made(server: Publisher, ground: Ground, work: Path) -> None:
    (one,) = publisher.versions(server, 1)
    words = ("delta", "generate", BRANCH)
    done = held_to("delta-generate", server.call(*words, "--json", "--unchanged-exit-77", check=77))
    assert done["deltas"] == [] and "no former commit" in done["warnings"][0]
    assert "exclude each other" in server.call(*words, "--from", one, "--last", "2", check=2).stderr
    assert "not a number" in server.call(*words, "--last", "-1", check=2).stderr
    assert "the commit to come to" in server.call(*words, "--from", one, check=2).stderr
    assert "there is no ref 'nothing'" in server.call("delta", "generate", "nothing", check=1).stderr
    assert "there is no delta to" in server.call("delta", "show", BRANCH, check=1).stderr
    assert server.call("delta", "show").stdout == "There are no static deltas.\n"
    bare = work / "bare"
    ground.apt_ostree("repo", "init", bare, "--mode", "bare-user")
    run(["ostree", "pull-local", f"--repo={bare}", server.repo, one])
    run(["ostree", "refs", f"--repo={bare}", f"--create={BRANCH}", one])
    told = held_to(
        "delta-generate", ground.apt_ostree("delta", "generate", "--repo", bare, BRANCH, "--empty", "--json")
    )
    assert told["deltas"][0]["plain-bytes"] is None and "bare-user" in json.dumps(told["warnings"])
