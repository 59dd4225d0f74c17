"""rebase and deploy against a real remote: branches, partial refspecs, pins, repositories on a disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from apt_ostree import commits
from tests.support.archive import LocalRepo
from tests.support.process import run
from tests.support.remote import Remote
from tests.support.sysroots import Sysroot, changes
from tests.support.verbs import held_to, says, tool, whole

pytestmark = pytest.mark.real


def verb(client: Sysroot, *words: str | Path, check: int = 0) -> Any:
    done = client.apt_ostree(*words, "--json", check=check)
    return held_to("error" if check not in (0, 77) else "result", done)


def test_b18_rebase_carries_layers(client: Sysroot, remote: Remote, repo: LocalRepo) -> None:
    other = f"{remote.branch}-next"
    next_one = remote.release("14.0", branch=other, parent=remote.base.checksum)
    repo.publish(tool("foo"), tool("bar"))
    verb(client, "install", "-y", "foo")
    verb(client, "kargs", "--append", 'note="a b"')
    before = whole(client)
    told = verb(client, "rebase", f"{remote.branch}-nxt", check=1)["error"]
    assert told["code"] == "no-branch" and other in told["message"] and f"rebase origin:{other}" in told["hint"]
    for offline in ((), ("--cache-only",)):
        told = verb(client, "rebase", f"{remote.branch}-xx", *offline, check=1)["error"]
        assert not told["hint"].endswith(f"rebase origin:{remote.branch}") and "origin:origin:" not in told["hint"]
    assert verb(client, "rebase", "nowhere:", check=1)["error"]["code"] == "no-remote"
    assert verb(client, "rebase", remote.branch, check=1)["error"]["code"] == "same-base"
    verb(client, "rebase", "origin:", "--idempotent", "--unchanged-exit-77", check=77)
    verb(client, "rebase", "a b", check=2)
    assert verb(client, "rebase", other, "--dry-run")["would-change"]
    ours = {path for path in changes(before, whole(client)) if "/var/log/" not in path and "extensions" not in path}
    assert ours == set()
    done = verb(client, "rebase", "-y", other, "--install", "bar")
    assert done["deployment"]["base-checksum"] == next_one
    assert done["deployment"]["origin"] == f"origin:{other}"
    assert says(client, "foo") == "1.0" and says(client, "bar") == "1.0"
    assert 'note="a b"' in done["deployment"]["kargs"] and "quiet" in done["deployment"]["kargs"]
    newer = remote.release("14.1", branch=other)
    assert verb(client, "upgrade", "-y")["deployment"]["base-checksum"] == newer


def test_pins_stay_and_packages_move(client: Sysroot, remote: Remote, repo: LocalRepo) -> None:
    repo.publish(tool("foo"))
    two = remote.release("13.2")
    three = remote.release("13.3")
    verb(client, "rebase", "-y", f"origin:{remote.branch}:{two}", "--install", "foo")
    assert f"override-commit={two}" in client.origin() and "hold-base=true" in client.origin()
    repo.publish(tool("foo", "2.0"))
    done = verb(client, "upgrade", "-y")
    assert done["deployment"]["base-checksum"] == two and says(client, "foo") == "2.0"
    assert "pinned" in done["warnings"][0] and "hold-base=true" in client.origin()
    verb(client, "upgrade", "--check", check=77)
    assert verb(client, "rebase", "-y", ":", check=2)["error"]["code"] == "usage"
    assert verb(client, "rebase", "-y", "origin:")["deployment"]["base-checksum"] == three
    assert "override-commit" not in client.origin() and "hold-base" not in client.origin()
    done = verb(client, "rebase", "-y", "origin:", "13.2")
    assert done["deployment"]["base-checksum"] == two and "hold-base=true" in client.origin()


def held(sysroot: Sysroot, under: str) -> list[str]:
    """The commits refs of ours hold below a name."""
    refs = run(["ostree", "refs", f"--repo={sysroot.repo}", "--list", under]).stdout.split()
    return [run(["ostree", "rev-parse", f"--repo={sysroot.repo}", ref]).stdout.strip() for ref in refs]


def test_deploy_fetches_what_is_not_here(client: Sysroot, remote: Remote, repo: LocalRepo) -> None:
    two = remote.release("13.2")
    three = remote.release("13.3")
    stranger = remote.release("99.0", branch="other/branch", parent=remote.base.checksum)
    repo.publish(tool("foo"))
    verb(client, "install", "-y", "foo")
    verb(client, "deploy", "-y", "version=13.2", "--download-only")
    run(["ostree", "prune", f"--repo={client.repo}", "--refs-only"])
    assert held(client, "apt-ostree/downloaded") == [two] and commits.whole(client.repo, two)
    verb(client, "install", "-y", "foo", "--idempotent")
    verb(client, "cleanup", "--repomd")
    assert held(client, "apt-ostree/downloaded") == [two], "whatever else is done"
    verb(client, "cleanup", "--base")
    assert held(client, "apt-ostree/downloaded") == [] and not commits.whole(client.repo, two)
    absent = verb(client, "deploy", "-y", "99.0", check=1)["error"]
    assert absent["code"] == "no-revision" and absent["details"][0].startswith("versions that are here: ")
    assert verb(client, "deploy", "-y", stranger, check=1)["error"]["code"] == "no-revision"
    done = verb(client, "deploy", "-y", "version=13.2")
    assert done["deployment"]["base-checksum"] == two and says(client, "foo") == "1.0"
    assert held(client, "apt-ostree/downloaded") == []
    assert f"override-commit={two}" in client.origin() and "hold-base" not in client.origin()
    tip = run(["ostree", "rev-parse", f"--repo={client.repo}", remote.refspec]).stdout.strip()
    assert tip == remote.base.checksum, "the branch has not moved"
    assert verb(client, "deploy", "-y", three[:16])["deployment"]["base-checksum"] == three
    assert verb(client, "deploy", "-y", two)["deployment"]["base-checksum"] == two
    assert verb(client, "upgrade", "-y")["deployment"]["base-checksum"] == three
    assert "override-commit" not in client.origin(), "upgrade goes on with the branch"
    assert verb(client, "deploy", "-y", "--skip-branch-check", stranger)["deployment"]["base-checksum"] == stranger


def test_a_branch_of_compose_install_is_one_of_bases(client: Sysroot, remote: Remote, repo: LocalRepo) -> None:
    branch, up = "mine/os", remote.base.checksum
    run([
        "ostree", "commit", f"--repo={remote.bare}", f"--branch={branch}", f"--tree=ref={up}", "--bootable",
        f"--parent={up}", f"--add-metadata-string=apt-ostree.base={up}",
    ])  # fmt: skip
    first = run(["ostree", "rev-parse", f"--repo={remote.bare}", branch]).stdout.strip()
    remote.sign(first, remote.key)
    one, two = remote.release("13.1", branch=branch, parent=first), remote.release("13.2", branch=branch)
    repo.publish(tool("foo"))
    verb(client, "install", "-y", "foo")
    assert verb(client, "rebase", "-y", f"origin:{branch}")["deployment"]["base-checksum"] == two
    assert verb(client, "deploy", "-y", "13.1")["deployment"]["base-checksum"] == one and says(client, "foo") == "1.0"
    own = verb(client, "deploy", "-y", two)["deployment"]
    assert own["base-checksum"] == two and says(client, "foo") == "1.0"
    run(["ostree", "refs", f"--repo={client.repo}", "--create=kept", own["checksum"]])
    assert verb(client, "uninstall", "-y", "foo")["deployment"]["checksum"] == two
    assert verb(client, "deploy", "-y", one)["deployment"]["checksum"] == one
    told = verb(client, "deploy", "-y", own["checksum"], check=1)["error"]
    assert "layered commit that is not deployed" in told["message"], "what was layered here is no base"


def test_a_repository_on_a_disk(client: Sysroot, remote: Remote, repo: LocalRepo) -> None:
    branch = "usb/one"
    one = remote.release("20.1", branch=branch, parent=remote.base.checksum)
    told = verb(client, "rebase", "--repo", remote.bare, "usb/two", check=1)["error"]
    assert "usb/one" in told["message"]
    repo.publish(tool("foo"))
    run(["ostree", "refs", f"--repo={client.repo}", f"--create={branch}", remote.base.checksum])  # somebody else's
    done = verb(client, "rebase", "-y", "--repo", remote.bare, branch, "--install", "foo")
    assert done["deployment"]["base-checksum"] == one and f"base-repo={remote.bare}" in client.origin()
    assert says(client, "foo") == "1.0" and done["deployment"]["origin"] == branch
    two = remote.release("20.2", branch=branch)
    assert verb(client, "upgrade", "--check")["update"]["checksum"] == two
    away = remote.bare.rename(remote.bare.with_name("away"))
    assert verb(client, "upgrade", check=1)["error"]["code"] == "pull-failed"
    away.rename(remote.bare)
    assert verb(client, "upgrade", "-y")["deployment"]["base-checksum"] == two
    mine = ["ostree", "rev-parse", f"--repo={client.repo}", branch]
    assert run(mine).stdout.strip() == remote.base.checksum, "a branch of that name in our own repo stays"
    run(["ostree", "refs", f"--repo={client.repo}", f"--create={branch}", "--force", two])
    verb(client, "rebase", "-y", f":{branch}", "--uninstall", "foo")
    assert "base-repo" not in client.origin() and client.checksum() == two
    assert held(client, "apt-ostree/from") == [two], "the deployment before does"
    verb(client, "cleanup", "--rollback")
    assert held(client, "apt-ostree/from") == [], "no deployment follows it any more"
