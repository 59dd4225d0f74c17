"""The verbs on a sysroot: what their options promise, and that their JSON is what the schemas say."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from apt_ostree import commits, lock
from apt_ostree.paths import Store
from tests.support.archive import LocalRepo
from tests.support.composing import refs
from tests.support.ground import Ground
from tests.support.process import CHECKOUT, environment, run
from tests.support.sysroots import Base, Sysroot, changes
from tests.support.verbs import held_to, requested, says, tool, whole

pytestmark = pytest.mark.real


def test_dry_run_changes_not_one_byte(sysroot: Sysroot, repo: LocalRepo, tmp_path: Path) -> None:
    repo.publish(tool("foo", depends="bar"), tool("bar"))
    local = tool("mine").build(tmp_path)
    before = whole(sysroot)
    answer = held_to("result", sysroot.apt_ostree("install", "--dry-run", "--json", "foo", local))
    assert not answer["changed"] and answer["would-change"] and answer["deployment"] is None
    assert sorted(p["name"] for p in answer["packages"]["added"]) == ["bar", "foo", "mine"]
    assert answer["download-bytes"] > 0
    assert "bar" in sysroot.apt_ostree("install", "-n", "foo").stdout
    assert changes(before, whole(sysroot)) == []
    sysroot.apt_ostree("install", "-y", "foo")
    before = whole(sysroot)
    for words in (("uninstall", "foo"), ("rollback",), ("deploy", sysroot.checksum(sysroot.deployments()[1]))):
        answer = held_to("result", sysroot.apt_ostree(*words, "--dry-run", "--json"))
        assert not answer["changed"]
    sysroot.apt_ostree("cleanup", "--rollback", "--repomd", "--dry-run")
    assert changes(before, whole(sysroot)) == []
    lists = sysroot.store / "apt/state/refreshed"  # older than an hour: a dry run fetches, but not into the sysroot
    os.utime(lists, (0, 0))
    before = whole(sysroot)
    sysroot.apt_ostree("uninstall", "--install", "bar", "--dry-run", "foo")
    assert changes(before, whole(sysroot)) == []


def test_download_only_then_without_network(sysroot: Sysroot, http_repo: LocalRepo) -> None:
    web = http_repo.server
    assert web is not None
    http_repo.publish(tool("foo", depends="bar"), tool("bar"))
    sysroot.use_sources({"web": http_repo.sources()})
    before = sysroot.snapshot()
    answer = held_to("result", sysroot.apt_ostree("install", "-y", "--download-only", "--json", "foo"))
    assert not answer["changed"] and answer["download-bytes"] > 0
    assert changes(before, sysroot.snapshot()) == []
    asked = sum(web.requests.values())
    web.fail.update({"": 503})
    sysroot.apt_ostree("install", "-y", "-C", "foo")
    assert says(sysroot, "foo") == "1.0" and sum(web.requests.values()) == asked
    sysroot.apt_ostree("cleanup", "--repomd")
    assert not list((sysroot.store / "debs").glob("*.deb")) and not (sysroot.store / "apt").exists()
    sysroot.apt_ostree("install", "-y", "-C", "other", check=3)
    web.heal()
    answer = held_to("result", sysroot.apt_ostree("refresh-md", "--json"))
    assert not answer["changed"] and "refresh" in answer["duration"]
    assert sum(web.requests.values()) > asked


def test_no_change_and_its_exit_code(sysroot: Sysroot, repo: LocalRepo, base: Base) -> None:
    repo.publish(tool("foo"))
    first = sysroot.apt_ostree("status", "--json").json["deployments"][0]["checksum"]
    assert re.fullmatch("[0-9a-f]{64}", first) and first == base.checksum
    for revision in (first, first[:12], "13", "version=13", f"revision={first}", base.ref):
        assert "No change" in sysroot.apt_ostree("deploy", revision).stdout, revision
    assert "No change" in sysroot.apt_ostree("deploy", first, "--unchanged-exit-77", check=77).stdout
    sysroot.apt_ostree("install", "-y", "foo")
    before = sysroot.snapshot()
    assert "already requested" in sysroot.apt_ostree("install", "-y", "foo", check=3).stderr
    assert "No change" in sysroot.apt_ostree("install", "-y", "--idempotent", "foo").stdout
    words = ("install", "-y", "--idempotent", "--unchanged-exit-77", "--json", "foo")
    answer = held_to("result", sysroot.apt_ostree(*words, check=77))
    assert not answer["changed"] and not answer["would-change"]
    assert "No change" in sysroot.apt_ostree("deploy", sysroot.checksum()).stdout
    sysroot.apt_ostree("uninstall", "-y", "nothing", check=3)
    told = sysroot.apt_ostree("uninstall", "-y", "fooo", check=3).stderr
    assert "did you mean: apt-ostree" in told and " uninstall foo; " in told, "root needs no sudo"
    sysroot.apt_ostree("uninstall", "-y", "nothing", "--idempotent", "--unchanged-exit-77", check=77)
    sysroot.apt_ostree("install", "-n", "--idempotent", "--unchanged-exit-77", "foo", check=77)
    assert changes(before, sysroot.snapshot()) == []


def test_the_issue_s_jq_line(sysroot: Sysroot) -> None:
    status = sysroot.apt_ostree("status", "--json").stdout
    jq = ["jq", "-e", '.deployments[0].checksum | test("^[0-9a-f]{64}$")']
    assert subprocess.run(jq, input=status, text=True, capture_output=True, check=True).stdout == "true\n"


def test_inactive_requests(sysroot: Sysroot, repo: LocalRepo, base: Base) -> None:
    repo.publish(tool("foo"))
    done = sysroot.apt_ostree("install", "-y", "hostname", "foo", check=3)
    assert "already in the base: hostname" in done.stderr and "--allow-inactive" in done.stderr
    answer = held_to("result", sysroot.apt_ostree("install", "-y", "--allow-inactive", "--json", "hostname", "foo"))
    assert [p["name"] for p in answer["packages"]["added"]] == ["foo"] and "hostname" in answer["warnings"][0]
    first = held_to("status", sysroot.apt_ostree("status", "--json"))["deployments"][0]
    assert first["requested-packages"] == ["foo", "hostname"] and first["packages"] == ["foo"]
    assert "hostname" in sysroot.apt_ostree("status", "-v").stdout
    sysroot.apt_ostree("uninstall", "-y", "foo")
    assert sysroot.checksum() == base.checksum and requested(sysroot) == ["hostname"]
    sysroot.apt_ostree("uninstall", "-y", "hostname")
    assert f"\nrefspec={base.ref}" in sysroot.origin()


def test_versions_and_suites(sysroot: Sysroot, repo: LocalRepo, work: Path) -> None:
    repo.publish(tool("foo", "1.0"), tool("foo", "2.0"))
    backports = LocalRepo(work / "backports", repo.key, suite="backports", name="backports")
    backports.publish(tool("foo", "3.0"))
    sysroot.use_sources({"local": repo.sources(), "backports": backports.sources()})
    sysroot.write("etc/apt/preferences.d/backports", "Package: *\nPin: release a=backports\nPin-Priority: 100\n")
    sysroot.apt_ostree("install", "-y", "foo")
    assert says(sysroot, "foo") == "2.0" and requested(sysroot) == ["foo"]
    answer = held_to("result", sysroot.apt_ostree("install", "-y", "--json", "foo=1.0"))
    assert requested(sysroot) == ["foo=1.0"] and says(sysroot, "foo") == "1.0"
    assert answer["packages"]["downgraded"][0]["new"] == "1.0"
    answer = held_to("result", sysroot.apt_ostree("install", "-y", "--json", "foo/backports"))
    assert requested(sysroot) == ["foo/backports"] and says(sysroot, "foo") == "3.0"
    assert answer["packages"]["upgraded"][0] | {"repo": ""} == {
        "name": "foo", "arch": "all", "old": "1.0", "new": "3.0", "repo": "", "security": False,
    }  # fmt: skip
    assert "backports" in answer["packages"]["upgraded"][0]["repo"]
    sysroot.apt_ostree("install", "-y", "foo/backports", "--disable-repo=backports", "--idempotent")
    assert "backports" in sysroot.apt_ostree("install", "-y", "foo=9", check=3).stderr or says(sysroot, "foo") == "3.0"


def test_rollback_twice_is_no_change(sysroot: Sysroot, repo: LocalRepo, base: Base) -> None:
    repo.publish(tool("foo"))
    assert "roll back to" in sysroot.apt_ostree("rollback", check=1).stderr
    sysroot.apt_ostree("install", "-y", "foo")
    sysroot.write("etc/mine", "of foo\n")
    layered, entries = sysroot.checksum(), [entry["options"] for entry in sysroot.entries()]
    sysroot.write("etc/apt-ostree.conf", "[Daemon]\nRefreshAge=soon\n")
    assert "RefreshAge" in sysroot.apt_ostree("install", "-y", "foo", check=2).stderr
    answer = held_to("result", sysroot.apt_ostree("rollback", "--json"))  # away from it, with a warning
    assert "RefreshAge" in answer["warnings"][0]
    assert answer["changed"] and answer["deployment"]["checksum"] == base.checksum
    assert sysroot.checksum() == base.checksum and not (sysroot.default / "etc/mine").exists()
    sysroot.apt_ostree("rollback")
    assert sysroot.checksum() == layered and (sysroot.default / "etc/mine").read_text() == "of foo\n"
    assert "requested=foo;" in sysroot.origin() and len(sysroot.deployments()) == len(entries)
    kargs = [re.sub(r"ostree=\S+", "", entry["options"]) for entry in sysroot.entries()]
    assert kargs == [re.sub(r"ostree=\S+", "", options) for options in entries]


def test_both_at_once_and_db(sysroot: Sysroot, repo: LocalRepo) -> None:
    repo.publish(tool("foo"), tool("bar", "1:2.0-3"), tool("baz"))
    sysroot.apt_ostree("install", "-y", "foo")
    answer = held_to("result", sysroot.apt_ostree("uninstall", "-y", "foo", "--install", "bar", "--json"))
    assert requested(sysroot) == ["bar"] and says(sysroot, "bar") and not says(sysroot, "foo")
    assert [p["name"] for p in answer["packages"]["added"]] == ["bar"]
    assert [p["name"] for p in answer["packages"]["removed"]] == ["foo"]
    diff = held_to("db-diff", sysroot.apt_ostree("db", "diff", "--json"))
    assert diff["ostree-commit-to"] == sysroot.checksum()
    assert sorted((name, kind) for name, kind, _ in diff["pkgdiff"]) == [("bar", 0), ("foo", 1)]
    text = sysroot.apt_ostree("db", "diff", "1", "0").stdout
    assert "bar" in text and "foo" in text and "Added" in text and "Removed" in text
    listed = held_to("db-list", sysroot.apt_ostree("db", "list", "--json", "--match", "ba?"))
    assert [p["name"] for p in listed["commits"][0]["packages"]] == ["bar"]
    assert "bar" in sysroot.apt_ostree("db", "list").stdout
    sysroot.apt_ostree("install", "-y", "baz", "--uninstall", "bar")
    assert requested(sysroot) == ["baz"]


def test_another_stateroot(sysroot: Sysroot, repo: LocalRepo, base: Base) -> None:
    repo.publish(tool("foo"))
    run(["ostree", "admin", "os-init", f"--sysroot={sysroot.path}", "lab"])
    run(["ostree", "admin", "deploy", f"--sysroot={sysroot.path}", "--os=lab", "--not-as-default", base.ref])
    lab = next((sysroot.path / "ostree/deploy/lab/deploy").glob("*.0"))
    origin = sysroot.origin()
    sources = lab / "etc/apt/sources.list.d"
    for path in (*sources.iterdir(), lab / "etc/apt/sources.list"):
        path.unlink(missing_ok=True)
    (sources / "local.sources").write_text(repo.sources())
    answer = held_to("result", sysroot.apt_ostree("install", "-y", "--stateroot", "lab", "--json", "foo"))
    assert answer["deployment"]["osname"] == "lab"
    status = held_to("status", sysroot.apt_ostree("status", "--json"))["deployments"]
    mine = [d for d in status if d["osname"] == "debian"]
    assert len(mine) == 1 and mine[0]["requested-packages"] == []
    assert next(d["requested-packages"] for d in status if d["osname"] == "lab") == ["foo"]
    deployment = next(path for path in sysroot.deployments() if "/debian/" in str(path))
    assert sysroot.origin(deployment) == origin
    for path in (sysroot.path / "ostree/deploy/lab/deploy").glob("*.[0-9]"):
        run(["chattr", "-f", "-i", path], check=False)


def test_cleanup(sysroot: Sysroot, repo: LocalRepo, tmp_path: Path) -> None:
    repo.publish(tool("foo"))
    local = tool("mine").build(tmp_path)
    sysroot.apt_ostree("install", "-y", "foo", local)
    assert len(sysroot.deployments()) == 2
    answer = held_to("result", sysroot.apt_ostree("cleanup", "-r", "-m", "--json"))
    assert answer["changed"] and len(sysroot.deployments()) == 1
    assert requested(sysroot) == ["foo"] and says(sysroot, "mine") == "1.0"
    assert len(list((sysroot.store / "debs").glob("*.deb"))) == 1, "the local package is nowhere else"
    sysroot.apt_ostree("uninstall", "-y", "foo")
    assert says(sysroot, "mine") == "1.0" and not says(sysroot, "foo")
    run(["ostree", "prune", f"--repo={sysroot.repo}", "--refs-only", "--depth=0"])  # the base is held by a ref
    sysroot.apt_ostree("uninstall", "-y", "mine")


def test_another_base_keeps_the_layers(sysroot: Sysroot, repo: LocalRepo, base: Base) -> None:
    repo.publish(tool("foo"))
    commit = ["ostree", "commit", f"--repo={sysroot.repo}", f"--branch={base.ref}", f"--tree=ref={base.ref}"]
    newer = run([*commit, f"--parent={base.checksum}", "--add-metadata-string=version=13.99"]).stdout.strip()
    sysroot.apt_ostree("install", "-y", "foo")
    answer = held_to("result", sysroot.apt_ostree("deploy", "-y", "13.99", "--json"))
    assert answer["changed"] and answer["deployment"]["base-checksum"] == newer
    assert requested(sysroot) == ["foo"] and says(sysroot, "foo") == "1.0"
    assert "override-commit" not in sysroot.origin(), "it is the tip of the ref, so the ref is followed"
    sysroot.apt_ostree("deploy", "-y", base.checksum[:16], "--uninstall", "foo")
    assert sysroot.checksum() == base.checksum and f"override-commit={base.checksum}" in sysroot.origin()


def test_other_json(sysroot: Sysroot) -> None:
    held_to("doctor", sysroot.apt_ostree("doctor", "--json", check=False))
    held_to("status", sysroot.apt_ostree("status", "--json"))
    for name in ("status", "result", "error", "db-diff", "db-list", "doctor"):
        assert sysroot.apt_ostree("schema", name).json["$schema"]
    held_to("error", sysroot.apt_ostree("install", "--json", "nowhere-to-be-found", check=3))


def test_progress_as_json_lines(sysroot: Sysroot, repo: LocalRepo) -> None:
    repo.publish(tool("foo"))
    done = sysroot.apt_ostree("install", "-y", "--progress=json", "--json", "foo")
    assert held_to("result", done)["changed"]
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert len(events) > 8 and all(isinstance(event, dict) for event in events)


def test_compose_install_goes_on_from_what_it_waited_for(
    ground: Ground, base: Base, work: Path, tmp_path: Path
) -> None:
    bare, deb = work / "bare", tool("mine").build(tmp_path)
    run(["ostree", "init", "--mode=bare", f"--repo={bare}"])
    run(["ostree", "pull-local", f"--repo={bare}", base.repo, base.ref])
    run(["ostree", "refs", f"--repo={bare}", base.ref, "--create=mine"])
    argv = ground.argv("compose", "install", "--wait", "--repo", bare, "--ref", "mine", "--branch", "mine", deb)
    with lock.hold(Store(bare), "another"):
        second = subprocess.Popen(argv, env=environment({"PYTHONPATH": str(CHECKOUT)}))
        until = time.monotonic() + 60
        while str(Store(bare).lock) not in opened(second.pid):  # then it has looked at the ref
            assert second.poll() is None and time.monotonic() < until
            time.sleep(0.1)
        moved = run(["ostree", "commit", f"--repo={bare}", "--branch=mine", f"--tree=ref={base.ref}"]).stdout.strip()
    assert second.wait() == 0
    found = [commit.checksum for commit in commits.ancestry(bare, refs(bare)["mine"])]
    assert found[1:3] == [moved, base.checksum]


def opened(pid: int) -> list[str]:
    """The files a process has open."""
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append(str(entry.readlink()))
    return found


def test_compose_install(ground: Ground, base: Base, repo: LocalRepo, work: Path, tmp_path: Path) -> None:
    bare = work / "bare"
    run(["ostree", "init", "--mode=bare", f"--repo={bare}"])
    run(["ostree", "pull-local", f"--repo={bare}", base.repo, base.ref])
    local = tool("mine").build(tmp_path)
    words = ("compose", "install", "--repo", bare, "--ref", base.ref, "--branch", "lab/mine", "--json", local)
    assert not held_to("result", ground.apt_ostree(*words, "--dry-run"))["changed"]
    assert run(["ostree", "refs", f"--repo={bare}"]).stdout.split() == [base.ref]
    told = ground.apt_ostree(*words[:-2], "--cache-only", "nosuch", check=3).stderr
    assert "run it again without --cache-only" in told and "refresh-md" not in told
    kernel = tool("linux-image-6.99-toy").build(tmp_path)
    told = held_to("error", ground.apt_ostree(*words[:-1], kernel, check=3))["error"]
    assert told["code"] == "kernel" and "treefile" in told["hint"] and "override" not in told["hint"]
    answer = held_to("result", ground.apt_ostree(*words))
    made = run(["ostree", "rev-parse", f"--repo={bare}", "lab/mine"]).stdout.strip()
    assert answer["commit"] == made
    assert run(["ostree", "rev-parse", f"--repo={bare}", "lab/mine^"]).stdout.strip() == base.checksum
    assert run(["ostree", "rev-parse", f"--repo={bare}", base.ref]).stdout.strip() == base.checksum
    assert "echo 1.0" in run(["ostree", "cat", f"--repo={bare}", "lab/mine", "/usr/bin/mine"]).stdout
    listed = ground.apt_ostree("db", "diff", "--repo", bare, base.ref, "lab/mine", "--json").json
    assert [(name, kind) for name, kind, _ in listed["pkgdiff"]] == [("mine", 0)]
    assert list((bare / "extensions/apt-ostree/work").iterdir()) == []
    run(["ostree", "fsck", "--quiet", f"--repo={bare}"])
