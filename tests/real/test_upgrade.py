"""upgrade against a real remote: what it takes, what it refuses, and that a check says what it does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.archive import LocalRepo, SigningKey
from tests.support.process import run
from tests.support.remote import Remote
from tests.support.sysroots import Sysroot, changes
from tests.support.verbs import held_to, says, tool, whole

pytestmark = pytest.mark.real


def upgrade(client: Sysroot, *words: str, check: int = 0) -> Any:
    done = client.apt_ostree("upgrade", *words, "--json", check=check)
    return held_to("error" if check not in (0, 77) else "result", done)


def test_a_check_says_what_upgrade_then_does(client: Sysroot, remote: Remote, repo: LocalRepo) -> None:
    repo.publish(tool("foo"))
    client.apt_ostree("install", "-y", "foo")
    assert "update" not in upgrade(client, "--check", check=77)
    files = {"usr/share/big": "".join(f"line {number}\n" for number in range(60000))}
    two = remote.release("13.2", versions={"hostname": "3.99"}, files=files, delta=True)
    repo.publish(tool("foo", "2.0", depends="bar"), tool("bar"))
    before = whole(client)
    promised = [upgrade(client, word) for word in ("--check", "--preview", "--dry-run")]
    text = client.apt_ostree("upgrade", "--check").stdout
    assert "AvailableUpdate:" in text and "13.2" in text and two in text and "2 upgraded, 1 added" in text
    assert "hostname 3.23" not in text and "foo 1.0 -> 2.0" in client.apt_ostree("upgrade", "--preview").stdout
    assert changes(before, whole(client)) == []
    done = upgrade(client, "-y")
    assert [answer["packages"] for answer in promised] == [done["packages"]] * 3
    assert all(answer["update"]["checksum"] == two and answer["update"]["ref-has-new-commit"] for answer in promised)
    assert {p["name"] for p in done["packages"]["upgraded"]} == {"foo", "hostname"}
    assert done["pulled"]["static-delta"] and done["pulled"]["saved-bytes"] > done["pulled"]["transferred-bytes"]
    assert done["deployment"]["base-checksum"] == two and says(client, "foo") == "2.0" and says(client, "bar")
    assert (client.default / "usr/lib/version").read_text() == "13.2\n"
    assert run(["ostree", "rev-parse", f"--repo={client.repo}", remote.refspec]).stdout.strip() == two
    assert "No upgrade available" in client.apt_ostree("upgrade").stdout
    upgrade(client, "--unchanged-exit-77", check=77)
    repo.publish(tool("foo", "3.0"))  # the base stays, a layered package is newer
    assert upgrade(client, "--check")["update"]["ref-has-new-commit"] is False
    assert upgrade(client, "-y")["deployment"]["base-checksum"] == two and says(client, "foo") == "3.0"


def test_b05_downloaded_then_deployed_without_a_network(client: Sysroot, remote: Remote, repo: LocalRepo) -> None:
    repo.publish(tool("foo"))
    client.apt_ostree("install", "-y", "foo")
    two = remote.release("13.5", parent=remote.base.checksum)
    repo.publish(tool("foo", "2.0"))
    first, origin = client.checksum(), client.origin()
    done = upgrade(client, "-y", "--download-only")
    assert not done["changed"] and done["would-change"] and done["pulled"]["transferred-bytes"] > 0
    assert not done["pulled"]["static-delta"]
    assert client.checksum() == first and client.origin() == origin
    remote.server.fail[""] = 503
    assert upgrade(client, check=1)["error"]["code"] == "pull-failed" and client.checksum() == first
    asked = sum(remote.server.requests.values())
    assert upgrade(client, "-y", "--cache-only")["deployment"]["base-checksum"] == two and says(client, "foo") == "2.0"
    assert sum(remote.server.requests.values()) == asked


def test_b08_a_base_that_conflicts_with_a_layer(client: Sysroot, remote: Remote, repo: LocalRepo) -> None:
    repo.publish(tool("foo", control={"Conflicts": "hostname (>= 99)"}), tool("bar"))
    client.apt_ostree("install", "-y", "foo", "bar")
    two = remote.release("13.8", parent=remote.base.checksum, versions={"hostname": "99.0"})
    before = client.snapshot()
    for words in ((), ("--check",)):
        told = upgrade(client, *words, check=3)["error"]
        assert "foo" in told["message"] and "hostname" in " ".join(told["details"])
    assert changes(before, client.snapshot()) == []
    done = upgrade(client, "-y", "--skip-layer", "foo")
    assert "foo is left out" in done["warnings"][0] and done["deployment"]["requested-packages"] == ["bar"]
    assert done["deployment"]["base-checksum"] == two and "skipped=foo;" in client.origin()
    assert "foo" in upgrade(client, check=3)["error"]["message"], "it is tried again"
    client.apt_ostree("uninstall", "-y", "foo")
    assert "skipped" not in client.origin() and not says(client, "foo") and says(client, "bar")
    upgrade(client, "--unchanged-exit-77", check=77)


def test_b08_works_after_uninstall(client: Sysroot, remote: Remote, repo: LocalRepo) -> None:
    repo.publish(tool("foo", control={"Conflicts": "hostname (>= 99)"}))
    client.apt_ostree("install", "-y", "foo")
    two = remote.release("13.9", parent=remote.base.checksum, versions={"hostname": "99.0"})
    upgrade(client, "-y", check=3)
    upgrade(client, "-y", "--uninstall", "foo")
    assert client.checksum() == two and f"\nrefspec={remote.refspec}" in client.origin()


def test_b19_an_older_commit_is_refused(client: Sysroot, remote: Remote) -> None:
    old = remote.release("12.9", parent=remote.base.checksum, timestamp="2020-02-02 00:00:00")
    before = client.snapshot()
    for words in ((), ("--check",), ("--download-only",)):
        told = upgrade(client, *words, check=1)["error"]
        assert told["code"] == "downgrade" and "2020-02-02" in told["message"] and "--allow-downgrade" in told["hint"]
    assert changes(before, client.snapshot()) == []
    upgrade(client, "-y", "--allow-downgrade")
    assert client.checksum() == old


def test_what_does_not_verify_is_refused(client: Sysroot, remote: Remote, other_key: SigningKey) -> None:
    def refused(code: int = 7) -> dict[str, Any]:
        before = client.snapshot()
        told: dict[str, Any] = upgrade(client, "-y", check=code)["error"]
        assert changes(before, client.snapshot()) == []
        return told

    remote.release("13.10", parent=remote.base.checksum, signed_by=other_key)
    assert "public key" in " ".join(refused()["details"])
    refused()  # not the second time either
    two = remote.release("13.11", parent=remote.base.checksum, files={"usr/share/text": "many words\n" * 5000})
    meta = remote.object(two, "commitmeta")
    signature = meta.read_bytes()
    meta.unlink()
    refused()
    meta.write_bytes(signature)
    remote.summarise(other_key)
    refused()
    remote.summarise(remote.key)
    (content,) = (p for p in remote.archive.rglob("*.filez") if p.stat().st_size > 100 and _is_new(p, remote))
    ok = content.read_bytes()
    for bad in (ok[: len(ok) // 2], ok[:-20] + bytes(20), ok[:60]):
        content.write_bytes(bad)
        refused()
    content.write_bytes(ok)
    remote.server.truncate[content.name] = 40
    assert refused(1)["code"] == "pull-failed"
    remote.server.heal()
    before = client.snapshot()
    client.apt_ostree("upgrade", "-y", env={"APT_OSTREE_FAULT": "pull:kill"}, check=False)
    assert changes(before, client.snapshot()) == []
    upgrade(client, "-y")
    assert client.checksum() == two


def _is_new(path: Path, remote: Remote) -> bool:
    name = f"{path.parent.name}{path.stem}"
    listed = run(["ostree", "ls", "-C", f"--repo={remote.bare}", remote.tip(), "/usr/share/text"]).stdout
    return name in listed
