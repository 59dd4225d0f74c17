"""search, show, provides and why: what they say agrees with apt and dpkg, needs no root and changes nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.archive import LocalRepo
from tests.support.nshost import NamespaceHost
from tests.support.sysroots import Sysroot, changes
from tests.support.verbs import held_to, tool, whole

pytestmark = pytest.mark.real

PLAIN = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "python3", "-m", "apt_ostree")


def described(name: str, summary: str, version: str = "1.0", **fields: str) -> object:
    depends = fields.pop("depends", "")
    return tool(name, version, depends=depends, control={"Description": summary, **fields})


def test_questions_about_packages(sysroot: Sysroot, repo: LocalRepo, tmp_path: Path) -> None:
    """foo needs a virtual name and recommends rec; deep is at the end of both; mine is a local file."""
    repo.publish(
        described("foo", "Frobnicates widgets", depends="some-virtual (>= 2) | nothing", Recommends="rec"),
        described("real", "Really there", Provides="some-virtual (= 2.5)", depends="mid"),
        described("other", "Not taken", Provides="some-virtual (= 1.1)"),
        described("mid", "In the middle", depends="deep (>= 1)"),
        described("deep", "Deep down"),
        described("rec", "Recommended", depends="deep"),
        described("hostname", "A newer one that must not come", "99"),
    )
    local = tool("mine", "3", depends="foo", control={"Description": "Brought along"}).build(tmp_path)
    sysroot.apt_ostree("install", "-y", "--allow-inactive", "foo", "hostname", local)
    before = whole(sysroot)
    search_and_show(sysroot)
    provided(sysroot)
    reasons(sysroot)
    assert changes(before, whole(sysroot)) == []


def search_and_show(layered: Sysroot) -> None:
    hits = held_to("search", layered.apt_ostree("search", "--json", "."))["packages"]
    found = {hit["name"]: hit for hit in hits}
    assert found["foo"] == {
        "name": "foo", "summary": "Frobnicates widgets", "installed": "1.0", "where": "layered", "requested": True,
    }  # fmt: skip
    assert found["deep"]["where"] == "layered" and not found["deep"]["requested"]
    assert found["other"]["where"] is None and found["other"]["installed"] is None
    assert found["dpkg"]["where"] == found["hostname"]["where"] == "base" and found["hostname"]["requested"]
    assert list(found) == sorted(found) and len(hits) == len(found)
    assert "foo - Frobnicates widgets [1.0 layered, requested]\n" in layered.apt_ostree("search", "FROB", "widg").stdout
    assert "No package fits" in layered.apt_ostree("search", "--names-only", "widgets").stdout
    assert "regular expressions" in layered.apt_ostree("search", "+", "--json", check=2).stdout
    shown = held_to("show", layered.apt_ostree("show", "--json", "foo", "hostname", "other", "mine"))["packages"]
    assert [facts["name"] for facts in shown] == ["foo", "hostname", "other", "mine"]
    foo, hostname, other, mine = shown
    assert foo["candidate"] == "1.0" and foo["fields"]["Recommends"] == "rec" and len(foo["versions"]) == 1
    assert hostname["candidate"] == hostname["installed"] != "99" and hostname["versions"][0]["version"] == "99"
    assert other["where"] is None and mine["where"] == "layered" and mine["versions"] == []
    text = layered.apt_ostree("show", "hostname").stdout
    assert "(base, requested)" in text and "  99 from file:" in text
    assert "near: mid" in layered.apt_ostree("show", "midd", check=3).stderr
    assert " provides some-virtual" in layered.apt_ostree("show", "some-virtual", check=3).stderr
    layered.apt_ostree("show", "--", "-x", check=2)


def provided(layered: Sysroot) -> None:
    def provides(query: str) -> list[tuple[str, bool]]:
        read = held_to("provides", layered.apt_ostree("provides", "--json", query))
        assert read["archive-searched"] is (read["kind"] == "capability") is ("/" not in query)
        return [(found["name"], found["installed"]) for found in read["providers"]]

    assert provides("some-virtual") == [("real", True), ("other", False)]
    assert ("mawk", True) in provides("awk") and provides("deep")[0] == ("deep", True)
    assert provides("/usr/bin/foo") == provides("/bin/foo") == provides("bin/foo") == [("foo", True)]
    env = held_to("provides", layered.apt_ostree("provides", "--json", "/bin/env"))["providers"]
    assert [(found["name"], found["provides"]) for found in env] == [("coreutils", "/usr/bin/env")]
    assert provides("/usr/etc/pam.conf") == provides("/etc/pam.conf") == [("libpam-runtime", True)]
    shell = layered.apt_ostree("provides", "/bin/sh").stdout
    assert shell.startswith("dash ") and "Only installed packages" in shell
    for query in ("/no/such/file", "no-such-capability"):
        assert layered.apt_ostree("provides", "--json", query, check=1).json["error"]["code"] == "not-found"
    layered.apt_ostree("provides", "x y", check=2)


def reasons(layered: Sysroot) -> None:
    def why(name: str) -> tuple[str, str | None, list[str]]:
        read = held_to("why", layered.apt_ostree("why", "--json", name))
        return read["why"], read["request"], [f"{step['relation']} {step['needs']}" for step in read["chain"]]

    assert why("foo") == ("requested", "foo", []) and why("mine") == ("requested", "mine_3_all", [])
    assert why("rec") == ("dependency", "foo", ["Recommends rec"])
    assert why("real") == ("dependency", "foo", ["Depends real"])
    assert why("deep") == ("dependency", "foo", ["Recommends rec", "Depends deep"])
    assert why("mid")[2] == ["Depends real", "Depends mid"]
    assert why("dpkg") == ("base", None, []) and why("hostname") == ("base", "hostname", [])
    text = layered.apt_ostree("why", "real").stdout
    assert "needed by what is requested: foo\n  foo Depends: some-virtual (>= 2) | nothing -> real\n" in text
    assert "provided by: real" in layered.apt_ostree("why", "some-virtual", check=1).stderr
    assert "not installed" in layered.apt_ostree("why", "other", check=1).stderr


def test_plain_users_may_ask(host: NamespaceHost, http_repo: LocalRepo) -> None:
    web = http_repo.server
    assert web is not None
    http_repo.publish(tool("foo", depends="bar"), tool("bar"))
    secret = host.deployment / "etc/apt/auth.conf.d/secret.conf"
    secret.write_text("machine 127.0.0.1 login me password geheim\n")
    secret.chmod(0o600)
    assert "foo" in host.run(*PLAIN, "search", "foo").stdout  # fetched for this one answer
    assert "refresh-md" in host.run(*PLAIN, "search", "-C", "foo", check=False).must(1).stderr
    host.apt_ostree("install", "-y", "foo")
    asked = sum(web.requests.values())
    assert "[1.0 layered, requested]" in host.run(*PLAIN, "search", "foo").stdout
    assert "(layered, requested)" in host.run(*PLAIN, "show", "-C", "foo").stdout
    assert "bar" in host.run(*PLAIN, "why", "bar").stdout
    assert "coreutils" in host.run(*PLAIN, "provides", "/bin/ls").stdout
    assert sum(web.requests.values()) == asked, "the lists that are here do"
    store = host.sysroot.store / "apt"
    assert host.run(*PLAIN[:4], "cat", f"/ostree/repo/extensions/apt-ostree/apt/etc/auth.conf.d/{secret.name}",
                    check=False).returncode != 0  # fmt: skip
    assert os.stat(store / "etc").st_mode & 0o777 == 0o700 and os.stat(store / "apt.conf").st_mode & 0o777 == 0o600
