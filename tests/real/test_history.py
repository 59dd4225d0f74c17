"""history: what was deployed when, by which command, and which packages that changed."""

from __future__ import annotations

import pytest

from apt_ostree import history
from apt_ostree.findings import Record
from apt_ostree.paths import Store
from tests.support.archive import LocalRepo
from tests.support.nshost import NamespaceHost
from tests.support.process import run
from tests.support.sysroots import Sysroot
from tests.support.verbs import held_to, tool

pytestmark = pytest.mark.real


def test_history_of_an_offline_sysroot(sysroot: Sysroot, repo: LocalRepo) -> None:
    assert held_to("history", sysroot.apt_ostree("history", "--json")) == {"entries": []}
    assert "Nothing has been deployed" in sysroot.apt_ostree("history").stdout
    repo.publish(tool("foo", depends="bar"), tool("bar"))
    sysroot.apt_ostree("install", "-y", "foo")
    layered = sysroot.checksum()
    sysroot.apt_ostree("install", "-n", "bar")
    sysroot.apt_ostree("install", "-y", "nothing", check=3)
    sysroot.apt_ostree("uninstall", "-y", "foo")
    sysroot.apt_ostree("rollback")
    entries = held_to("history", sysroot.apt_ostree("history", "--json"))["entries"]
    assert [entry["command"].split(" ", 3)[3] for entry in entries] == [
        "rollback",
        "uninstall -y foo",
        "install -y foo",
    ]
    assert [entry["kind"] for entry in entries] == ["rollback", "pkg-change", "pkg-change"]
    assert [change["name"] for change in entries[2]["packages"]["added"]] == ["bar", "foo"]
    assert [change["name"] for change in entries[0]["packages"]["added"]] == ["bar", "foo"]
    assert [change["old"] for change in entries[1]["packages"]["removed"]] == ["1.0", "1.0"]
    assert entries[0]["checksum"] == layered == entries[2]["checksum"] and entries[0]["state"] == "pending"
    sysroot.apt_ostree("rollback")
    sysroot.apt_ostree("cleanup", "--rollback", "--base")  # the layered commit goes with its deployment
    assert run(["ostree", "show", f"--repo={sysroot.repo}", layered], check=False).returncode != 0
    entries = held_to("history", sysroot.apt_ostree("history", "--json", "-n", "2"))["entries"]
    assert [entry["state"] for entry in entries] == ["pending", "gone"]
    assert [change["new"] for change in entries[1]["packages"]["added"]] == ["1.0", "1.0"]
    text = sysroot.apt_ostree("history", "--limit", "0").stdout
    assert "uninstall -y foo" in text and "(gone)" in text and "  foo 1.0 all" in text
    assert held_to("history", sysroot.apt_ostree("history", "--json", "--stateroot", "other")) == {"entries": []}
    sysroot.apt_ostree("history", "-n", "-1", check=2)


def test_a_torn_record_and_a_long_history(sysroot: Sysroot, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(sysroot.repo)
    store.root.mkdir(parents=True, exist_ok=True)
    path = history.place(store)

    def put(command: str) -> None:
        history.append(store, Record(time=1, command=command, kind="deploy", stateroot="debian", checksum="a" * 64))

    put("first")
    put("second")
    path.write_bytes(path.read_bytes()[:-20])  # a power cut in the middle of the second
    put("third")
    path.write_bytes(path.read_bytes() + b'{"format":1}\n[]\n"x"\nnull\n{"format":2}\n' + b"[" * 5000 + b"\n\xff\n")
    commands = [entry["command"] for entry in sysroot.apt_ostree("history", "--json").json["entries"]]
    assert commands == ["third", "first"]
    monkeypatch.setattr(history, "LIMIT", 4000)
    for number in range(60):
        put(f"number {number}")
    assert path.stat().st_size <= 4000 and not path.with_suffix(".new").exists()
    entries = sysroot.apt_ostree("history", "--json", "-n", "0").json["entries"]
    assert entries[0]["command"] == "number 59" and len(entries) > 5
    path.unlink()
    path.symlink_to("/etc/passwd")  # a link of somebody else's sysroot is not followed
    assert sysroot.apt_ostree("history", "--json").json == {"entries": []}


def test_history_of_a_booted_machine(host: NamespaceHost, http_repo: LocalRepo) -> None:
    http_repo.publish(tool("foo"))
    host.apt_ostree("install", "-y", "foo")
    (entry,) = held_to("history", host.apt_ostree("history", "--json"))["entries"]
    assert entry["state"] == "staged" and entry["staged"]
    host.reboot()
    as_user = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "python3", "-m", "apt_ostree")
    (entry,) = held_to("history", host.run(*as_user, "history", "--json"))["entries"]
    assert entry["state"] == "booted"
    host.apt_ostree("rollback")
    host.reboot()
    states = [found["state"] for found in host.apt_ostree("history", "--json").json["entries"]]
    assert states == ["booted", "rollback"]
