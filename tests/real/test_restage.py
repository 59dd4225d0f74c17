"""Staged deployments and power cuts: what was staged is staged again, unless it came to its end."""

from __future__ import annotations

import json

import pytest

from tests.support.archive import LocalRepo
from tests.support.nshost import NamespaceHost
from tests.support.process import run
from tests.support.verbs import held_to, tool

pytestmark = pytest.mark.real

RECORD = "/ostree/repo/extensions/apt-ostree/staged.json"


def refs(host: NamespaceHost) -> list[str]:
    found = host.run("ostree", "refs", "--repo=/ostree/repo").stdout.split()
    return sorted(ref for ref in found if ref.startswith("apt-ostree/staged"))


def test_a_power_cut_loses_nothing(host: NamespaceHost, http_repo: LocalRepo) -> None:
    http_repo.publish(tool("foo"), tool("bar"))
    host.apt_ostree("restage", "--unchanged-exit-77", check=77)
    host.apt_ostree("install", "-y", "foo")
    wanted = host.apt_ostree("status", "--json").json["deployments"][0]
    assert refs(host) == ["apt-ostree/staged", "apt-ostree/staged-base"]
    assert "is staged" in host.apt_ostree("restage").stdout

    host.power_cut()
    host.boot()
    assert not host.is_staged() and host.exists(RECORD)
    run(["ostree", "prune", f"--repo={host.sysroot.repo}", "--refs-only", "--depth=0"])
    assert "would be staged again" in host.apt_ostree("restage", "--dry-run").stdout and not host.is_staged()
    host.run("sh", "-c", "printf '[Daemon]\\nRestage=no\\n' > /etc/apt-ostree.conf")
    host.apt_ostree("restage", "--unchanged-exit-77", check=77)
    host.run("rm", "/etc/apt-ostree.conf")
    record = host.sysroot.store / "staged.json"
    record.write_text(record.read_text().replace('"locked": false', '"locked": true'))
    answer = held_to("result", host.apt_ostree("restage", "--json"))
    assert answer["changed"] and answer["reboot-needed"]
    again = host.apt_ostree("status", "--json").json["deployments"][0]
    assert again["staged"] and {key: again[key] for key in ("checksum", "kargs", "requested-packages", "origin")} == {
        key: wanted[key] for key in ("checksum", "kargs", "requested-packages", "origin")
    }

    assert again["finalization-locked"]
    host.run("rm", "/run/ostree/staged-deployment-locked")
    host.reboot()
    assert host.booted_checksum() == wanted["checksum"] and host.exists("/usr/bin/foo")
    assert "finalised" in host.apt_ostree("restage").stdout
    assert not host.exists(RECORD) and refs(host) == []


def test_what_was_given_up_or_failed_does_not_come_back(host: NamespaceHost, http_repo: LocalRepo) -> None:
    http_repo.publish(tool("foo"))
    host.apt_ostree("install", "-y", "foo")
    host.apt_ostree("rollback")  # back from pending: nothing is staged any more
    assert not host.exists(RECORD) and refs(host) == []
    host.apt_ostree("install", "-y", "foo")
    host.apt_ostree("cleanup", "--pending")
    assert not host.exists(RECORD) and refs(host) == []

    host.apt_ostree("install", "-y", "foo")
    assert json.loads(host.read(RECORD))["origin"]
    # what libostree leaves when it cannot finalise
    stamp = host.sysroot.path / "boot/ostree/finalize-failure.stamp"
    stamp.write_text("error: Writing to boot: No space left on device\n")
    host.power_cut()
    host.boot()
    stamp.rename(stamp.with_name("aside"))
    stamp.touch()  # there is one, whatever is in it
    assert "could not be finalised" in host.apt_ostree("restage", "--dry-run").stdout
    stamp.with_name("aside").rename(stamp)
    assert "No space left" in host.apt_ostree("status").stdout
    told = host.apt_ostree("doctor", "--keep-failure", check=1)  # as a drop-in of ostree-boot-complete.service does
    assert "No space left" in told.stderr
    done = host.run(
        "ostree", "admin", "boot-complete", check=False, env={"INVOCATION_ID": "x"}
    )  # what ostree-boot-complete.service does
    assert "No space left" in done.stderr and not stamp.exists()
    answer = held_to("result", host.apt_ostree("restage", "--json"))
    assert not answer["changed"] and not host.is_staged()
    assert "No space left" in host.apt_ostree("status").stdout
    assert "No space left" in host.apt_ostree("doctor", check=False).stdout
    host.apt_ostree("install", "-y", "foo")
    assert "No space left" not in host.apt_ostree("status").stdout
