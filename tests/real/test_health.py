"""The checks after a boot: a new deployment that fails them is rolled back to the last good one, once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from apt_ostree import lock
from apt_ostree.health import MAX_TRIES
from apt_ostree.paths import Store
from tests.support.archive import LocalRepo
from tests.support.nshost import NamespaceHost
from tests.support.verbs import held_to, tool

pytestmark = pytest.mark.real

CHECKS = "/etc/apt-ostree/health.d"
REBOOTS = {"PATH": "/run/stub:/usr/sbin:/usr/bin:/sbin:/bin"}


def check(host: NamespaceHost, kind: str, name: str, body: str) -> None:
    path = f"{CHECKS}/{kind}.d/{name}"
    host.run("sh", "-c", "mkdir -p ${0%/*}; printf '%s\\n' '#!/bin/sh' \"$1\" > $0; chmod 755 $0", path, body)


def stub_systemctl(host: NamespaceHost) -> None:
    script = '#!/bin/sh\necho "$@" >> /run/stub/asked\n'
    host.run("sh", "-c", "mkdir -p /run/stub; printf %s \"$1\" > /run/stub/systemctl; chmod 755 /run/stub/systemctl",
             "sh", script)  # fmt: skip


def healths(host: NamespaceHost) -> list[Any]:
    found = held_to("status", host.apt_ostree("status", "--json"))
    return [deployment["health"] for deployment in found["deployments"]]


def test_a_bad_deployment_is_rolled_back_once(host: NamespaceHost, http_repo: LocalRepo) -> None:
    http_repo.publish(tool("foo"))
    check(host, "required", "10-fine", "echo all is well")
    check(host, "required", "20-no-foo", 'if [ -e /usr/bin/foo ]; then echo "foo is here"; exit 4; fi')
    check(host, "wanted", "10-slow", "exec sleep 60")
    host.run("touch", f"{CHECKS}/required.d/not-executable")
    good = host.booted_checksum()
    answer = held_to("boot-check", host.apt_ostree("boot-check", "--automatic", "--timeout=0.5", "--json"))
    assert answer["health"]["state"] == "good" and answer["rolled-back-to"] is None
    assert [(c["name"], c["passed"]) for c in answer["checks"]] == [
        ("10-fine", True), ("20-no-foo", True), ("10-slow", False),
    ]  # fmt: skip
    assert answer["checks"][0]["output"] == ["all is well"] and "no end" in answer["checks"][2]["reason"]
    host.run("rm", f"{CHECKS}/wanted.d/10-slow")

    host.apt_ostree("install", "-y", "foo")
    host.reboot()
    bad = host.booted_checksum()
    assert [h["state"] for h in healths(host)] == ["untested", "good"]
    record = host.read("/var/lib/apt-ostree/health.json")
    assert "not run" in host.apt_ostree("boot-check", "--dry-run").stdout
    assert host.read("/var/lib/apt-ostree/health.json") == record
    stub_systemctl(host)
    with lock.hold(Store(host.sysroot.repo), "another command"):  # the failure is not forgotten over that
        held_to("error", host.apt_ostree("boot-check", "--automatic", "--json", check=4, env=REBOOTS))
    assert [h["state"] for h in healths(host)] == ["untested", "good"]
    answer = held_to("boot-check", host.apt_ostree("boot-check", "--automatic", "--json", check=1, env=REBOOTS))
    assert answer["reboot"] and answer["rolled-back-to"].startswith(f"debian-{good}")
    assert host.read("/run/stub/asked") == "reboot\n"
    assert "foo is here" in answer["checks"][1]["output"] and answer["checks"][1]["reason"] == "exit code 4"
    assert [h["state"] for h in healths(host)] == ["good", "bad"]
    text = host.apt_ostree("status").stdout
    assert "Health: bad: 20-no-foo failed" in text and "Health: good" in text
    assert "20-no-foo failed" in host.apt_ostree("doctor", check=False).stdout

    host.reboot()
    assert host.booted_checksum() == good
    # fails by now where the rollback went: reported, and no second rollback
    check(host, "required", "10-fine", "exit 1")
    answer = held_to("boot-check", host.apt_ostree("boot-check", "--automatic", "--json", check=1, env=REBOOTS))
    assert answer["rolled-back-to"] is None and host.sysroot.checksum() == good
    book = json.loads(host.read("/var/lib/apt-ostree/health.json"))
    assert book["rollback"]["to"].startswith(f"debian-{good}")

    # nobody goes back to it unawares, and with automatic rollback off nothing moves
    answer = held_to("result", host.apt_ostree("install", "-y", "foo", "--json"))
    assert "20-no-foo" in answer["warnings"][0] and answer["deployment"]["checksum"] == bad
    host.run("sh", "-c", "printf '[Daemon]\\nAutomaticRollback=no\\n' > /etc/apt-ostree.conf")
    host.reboot()
    assert host.booted_checksum() == bad
    done = host.apt_ostree("boot-check", "--automatic", check=1)
    assert "AutomaticRollback=false" in done.stdout or "bad" in done.stdout
    assert host.sysroot.checksum() == bad


def test_a_shutdown_during_the_checks_says_nothing(host: NamespaceHost) -> None:
    check(host, "required", "10-slow", "echo $PPID > /run/pid; exec sleep 60")
    for _ in range(MAX_TRIES + 1):
        with host.running("python3", "-m", "apt_ostree", "boot-check", "--automatic") as process:
            host.run("sh", "-c", "until [ -s /run/pid ]; do sleep 0.1; done; kill $(cat /run/pid); rm /run/pid")
            assert process.wait(timeout=60) == 130
        assert [health["state"] for health in healths(host)] == ["untested"]
    check(host, "required", "10-slow", "exit 0")
    host.apt_ostree("boot-check", "--automatic")
    assert [health["state"] for health in healths(host)] == ["good"]
