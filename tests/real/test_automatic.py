"""Automatic updates on a booted machine, and what status tells of them."""

from __future__ import annotations

import pytest

from tests.support.archive import LocalRepo
from tests.support.nshost import NamespaceHost
from tests.support.remote import Remote
from tests.support.sysroots import Sysroot
from tests.support.verbs import held_to, tool

pytestmark = pytest.mark.real


@pytest.fixture
def subscriber(host_sysroot: Sysroot, host_remote: Remote) -> Sysroot:
    """The machine's sysroot before it boots: its base comes from the remote."""
    host_remote.subscribe(host_sysroot)
    return host_sysroot


def configure(host: NamespaceHost, text: str) -> None:
    host.run("sh", "-c", "cat > /etc/apt-ostree.conf", stdin=f"[Daemon]\n{text}\n")


def test_policies_and_status(
    subscriber: Sysroot, host: NamespaceHost, host_remote: Remote, http_repo: LocalRepo
) -> None:
    http_repo.publish(tool("foo"))
    assert "off" in host.apt_ostree("upgrade", "--automatic").stdout
    host.apt_ostree("install", "-y", "foo")
    host.reboot()
    two = host_remote.release(
        "13.2", versions={"hostname": "3.99"}, files={"usr/share/big": "words\n" * 50000}, delta=True
    )
    configure(host, "AutomaticUpdatePolicy=check\nNonsense=1")
    held_to("result", host.apt_ostree("upgrade", "--automatic", "--json"))
    assert not host.is_staged()
    status = held_to("status", host.apt_ostree("status", "--json"))
    assert status["cached-update"]["checksum"] == two and status["cached-update"]["diff"]["upgraded"] == 1
    assert status["update-driver"]["driver-sd-unit"] == "apt-ostree-automatic.timer"
    (booted, _rollback) = status["deployments"]
    assert booted["gpg-enabled"] and "pending-base-checksum" not in booted
    text = host.apt_ostree("status").stdout
    assert "AvailableUpdate:" in text and "AutomaticUpdates: check; last run" in text
    configure(host, "AutomaticUpdatePolicy=stage\nLockLayering=true")
    host_remote.server.fail[""] = 503
    http_repo.publish(tool("foo", "2.0"))
    quiet = host.apt_ostree("-q", "upgrade", "--automatic")
    assert quiet.output == "" and not host.is_staged()
    assert "failing since" in host.apt_ostree("status").stdout
    host_remote.server.heal()
    locked = host.apt_ostree("uninstall", "-y", "foo", "--json", check=1).json["error"]
    assert locked["code"] == "layering-locked" and "LockLayering" in locked["hint"]
    host.apt_ostree("upgrade", "--download-only", "-y")
    (booted, _rollback) = host.apt_ostree("status", "--json").json["deployments"]
    assert booted["pending-base-checksum"] == two and booted["pending-base-version"] == "13.2"
    host_remote.server.fail[""] = 503
    staged = held_to("result", host.apt_ostree("upgrade", "-y", "--cache-only", "--json"))
    assert staged["changed"] and host.is_staged()
    host_remote.server.heal()
    host.reboot()
    assert host.run("foo").stdout == "2.0\n" and host.read("/usr/lib/version") == "13.2\n"
    status = held_to("status", host.apt_ostree("status", "--json"))
    assert status["cached-update"] is None and status["deployments"][0]["signatures"][0][0] is True
    assert "GPGSignature: valid" in host.apt_ostree("status").stdout
    host_remote.release("13.3", delta=True)
    done = host.apt_ostree("upgrade", "--automatic", "--json").json
    assert done["changed"] and done["pulled"]["static-delta"] and host.is_staged()
    assert "failing" not in host.apt_ostree("status").stdout
    configure(host, "AutomaticUpdatePolicy=often")
    assert "conf:2: AutomaticUpdatePolicy" in host.apt_ostree("status").stdout
    host.apt_ostree("upgrade", "--automatic", check=2)
