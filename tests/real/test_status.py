"""status and doctor on a booted machine: what we read agrees with ostree, for root and for a plain user."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.nshost import NamespaceHost

pytestmark = pytest.mark.real

STAGE = ("ostree", "admin", "deploy", "--stage", "--os=debian", '--karg-append=note="a b"')


def deployments(host: NamespaceHost) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = host.apt_ostree("status", "--json").json["deployments"]
    return found


def agrees_with_ostree(host: NamespaceHost) -> None:
    lines = [line for line in host.run("ostree", "admin", "status").stdout.splitlines() if line[2:3].isalpha()]
    ours = deployments(host)
    names = [f"{d['osname']} {d['checksum']}.{d['serial']}" for d in ours]
    assert names == [" ".join(line[2:].split()[:2]) for line in lines]
    assert [d["booted"] for d in ours] == [line.startswith("*") for line in lines]
    assert [d["staged"] for d in ours] == ["(staged)" in line for line in lines]


def test_status_of_a_booted_machine(host: NamespaceHost) -> None:
    agrees_with_ostree(host)
    (only,) = deployments(host)
    assert only["booted"] and not only["staged"] and "ostree=" not in " ".join(only["kargs"])
    host.run(*STAGE, only["checksum"])
    agrees_with_ostree(host)
    staged, booted = deployments(host)
    assert staged["staged"] and not staged["booted"] and booted["booted"]
    assert staged["serial"] == 1 and staged["finalization-locked"] is False
    text = host.apt_ostree("status").stdout
    assert text.count("●") == 1 and "● " in text.split("\n\n")[1]
    host.run("ostree", "admin", "unlock")
    assert deployments(host)[1]["unlocked"] == "development"
    host.reboot()
    agrees_with_ostree(host)
    assert [d["booted"] for d in deployments(host)] == [True, False]
    assert 'note="a b"' in deployments(host)[0]["kargs"]


def test_a_plain_user_sees_the_same(host: NamespaceHost) -> None:
    host.run(*STAGE, deployments(host)[0]["checksum"])
    plain = host.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                     "python3", "-m", "apt_ostree", "status", "--json").json  # fmt: skip
    assert plain["deployments"] == deployments(host)


def test_doctor_finds_all_five_on_a_booted_machine(host: NamespaceHost) -> None:
    probes = host.apt_ostree("doctor", "--json").json["probes"]
    assert [probe["state"] for probe in probes[:5]] == ["ok"] * 5, probes[:5]
    assert [probe for probe in probes if probe["state"] == "failed"] == []
