"""One writer at a time, a reader at any time, and what a transaction that died leaves behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from apt_ostree import faults
from tests.support import sysroots
from tests.support.archive import LocalRepo, SigningKey
from tests.support.debs import DebBuilder
from tests.support.nshost import NamespaceHost
from tests.support.process import CHECKOUT, run
from tests.support.sysroots import Sysroot, changes
from tests.support.verbs import tool

pytestmark = pytest.mark.real

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
AFTER_THE_SWITCH = ("history", "cleanup")
INSTALLING = [point for point in faults.POINTS if point != "pull"]  # that one: test_upgrade, where a base is pulled


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.05)


def record(sysroot: Sysroot) -> dict[str, object]:
    """What the lock file says of its holder; empty when it says nothing (yet)."""
    with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
        found: dict[str, object] = json.loads((sysroot.store / "lock").read_text())
        return found
    return {}


@contextlib.contextmanager
def holding(sysroot: Sysroot, point: str, phase: str) -> Iterator[subprocess.Popen[str]]:
    """`install foo` that waits at a fault point, in a phase, until the block ends."""
    process = sysroot.start("install", "-y", "foo", env={"APT_OSTREE_FAULT": f"{point}:hold"})
    try:
        wait_for(lambda: process.poll() is not None or record(sysroot).get("phase") == phase)
        assert process.poll() is None, process.communicate()
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def test_b24_a_second_writer_is_told_who_is_first(sysroot: Sysroot, repo: LocalRepo) -> None:
    repo.publish(tool("foo"), tool("bar"))
    with holding(sysroot, "checkout", "layer") as first:
        done = sysroot.apt_ostree("install", "-y", "bar", check=4)
        assert f"pid {first.pid}" in done.stderr and "layer" in done.stderr and "install -y foo" in done.stderr
        assert "--wait" in done.stderr
        error = sysroot.apt_ostree("rollback", "--json", check=4).json["error"]
        assert error["code"] == "busy" and str(first.pid) in error["message"]
        start = time.monotonic()
        sysroot.apt_ostree("install", "-y", "bar", "--wait=1", check=4)
        assert 1 <= time.monotonic() - start < 15


def test_b24_wait_waits(sysroot: Sysroot, repo: LocalRepo) -> None:
    repo.publish(tool("foo"), tool("bar"))
    with holding(sysroot, "checkout", "layer") as first:
        second = sysroot.start("install", "-y", "bar", "--wait")
        time.sleep(2)
        assert second.poll() is None
        first.send_signal(signal.SIGTERM)
        assert first.wait(timeout=60) == 130
        output = second.communicate(timeout=120)
        assert second.returncode == 0, output
    assert (sysroot.default / "usr/bin/bar").exists() and not (sysroot.default / "usr/bin/foo").exists()


def test_b24_status_while_a_transaction_runs(sysroot: Sysroot, repo: LocalRepo) -> None:
    repo.publish(tool("foo"))
    with holding(sysroot, "checkout", "layer") as first:
        transaction = sysroot.apt_ostree("status", "--json").json["transaction"]
        assert transaction[2] == str(first.pid) and "install -y foo" in " ".join(map(str, transaction))
        text = sysroot.apt_ostree("status").stdout
        assert "State: busy" in text and "Transaction:" in text and str(first.pid) in text
        probes = {probe["name"]: probe for probe in sysroot.apt_ostree("doctor", "--json", check=False).json["probes"]}
        assert str(first.pid) in probes["transactions"]["detail"]
    status = sysroot.apt_ostree("status", "--json").json
    assert status["transaction"] is None
    assert "State: idle" in sysroot.apt_ostree("status").stdout


def test_b24_a_plain_user_sees_it_on_the_machine(host: NamespaceHost, http_repo: LocalRepo) -> None:
    http_repo.publish(tool("foo"), tool("bar"))
    held = ("python3", "-m", "apt_ostree", "install", "-y", "foo")
    plain = (*NOBODY, "python3", "-m", "apt_ostree")
    assert host.run(*plain, "status", "--json").json["transaction"] is None
    with host.running(*held, env={"APT_OSTREE_FAULT": "checkout:hold"}) as process:
        wait_for(lambda: process.poll() is not None or host.run(*plain, "status", "--json").json["transaction"])
        assert process.poll() is None, process.communicate()
        wait_for(lambda: "layer" in host.run(*plain, "status").stdout)
        text = host.run(*plain, "status").stdout
        assert "State: busy" in text and "install -y foo" in text
        done = host.apt_ostree("install", "-y", "bar", check=4)
        assert "install -y foo" in done.stderr
        refused = host.run(*plain, "install", "-y", "bar", check=False).must(6)
        assert "root" in refused.stderr and "sudo" in refused.stderr
    wait_for(lambda: host.run(*plain, "status", "--json").json["transaction"] is None)
    host.apt_ostree("install", "-y", "bar")


@pytest.fixture(scope="module")
def archive(workspace: Path, signing_key: SigningKey) -> LocalRepo:
    """One archive for all fault points."""
    made = LocalRepo(workspace / "faults-archive", signing_key)
    made.publish(tool("foo"), tool("bar"))
    return made


@pytest.fixture(scope="module")
def shared(workspace: Path, template: Sysroot, archive: LocalRepo) -> Iterator[Sysroot]:
    """A sysroot that must come out of every fault as it went in, so that the next test can have it."""
    made = sysroots.clone(template, workspace / "faults-sysroot")
    made.use_sources({"local": archive.sources()})
    try:
        yield made
    finally:
        made.close()


def recovered(sysroot: Sysroot) -> None:
    """The next command works and finds nothing of the dead one in its way; afterwards nothing is left of it."""
    sysroot.apt_ostree("refresh-md")
    assert sysroot.leftovers() == []
    assert sysroot.apt_ostree("status", "--json").json["transaction"] is None
    sysroot.fsck()


def origins(sysroot: Sysroot) -> list[tuple[str, str]]:
    """Deployments in boot order with their origins; serials tell two of one commit apart and mean nothing."""
    return [(sysroot.checksum(deployment), sysroot.origin(deployment)) for deployment in sysroot.deployments()]


def history(sysroot: Sysroot) -> list[dict[str, object]]:
    """What was deployed, as `history` tells it."""
    entries: list[dict[str, object]] = sysroot.apt_ostree("history", "--json", "--limit", "0").json["entries"]
    return [{key: value for key, value in entry.items() if key != "state"} for entry in entries]


@pytest.mark.parametrize("point", INSTALLING)
def test_b23_failing_at_a_fault_point(shared: Sysroot, point: str) -> None:
    before, deployed = shared.snapshot(), origins(shared)
    code = 0 if point in AFTER_THE_SWITCH else 1
    done = shared.apt_ostree("install", "-y", "foo", env={"APT_OSTREE_FAULT": f"{point}:fail"}, check=code)
    assert f"'{point}'" in done.stderr and "Traceback" not in done.output
    assert shared.leftovers() == []
    if code:
        assert changes(before, shared.snapshot()) == []
    else:
        assert "warning" in done.stderr
        shared.apt_ostree("rollback")
        shared.apt_ostree("cleanup", "--rollback", "--base")
        assert origins(shared) == deployed
    recovered(shared)


@pytest.mark.parametrize("point", INSTALLING)
def test_b23_killed_at_a_fault_point(shared: Sysroot, point: str) -> None:
    before, deployed, said = shared.snapshot(), origins(shared), history(shared)
    shared.apt_ostree("install", "-y", "foo", env={"APT_OSTREE_FAULT": f"{point}:kill"}, check=-signal.SIGKILL)
    assert shared.apt_ostree("status", "--json").json["transaction"] is None  # the lock died with its holder
    if point in AFTER_THE_SWITCH:
        assert (shared.default / "usr/bin/foo").exists()  # the switch is made: the new deployment stands, whole
        told = history(shared)
        assert told[0]["command"].endswith("install -y foo") and told[0]["checksum"] == shared.checksum()
        shared.apt_ostree("rollback")
        shared.apt_ostree("cleanup", "--rollback", "--base")
        assert [entry["id"] for entry in history(shared)][1:] == [entry["id"] for entry in told]  # and rollback's
    else:
        assert changes(before, shared.snapshot()) == []
        assert history(shared) == said
    recovered(shared)
    assert origins(shared) == deployed


def test_b23_after_all_that_installing_works(shared: Sysroot) -> None:
    """No fault above took anything away that an install needs (the tests above share this sysroot)."""
    shared.apt_ostree("install", "-y", "foo", "bar")
    assert (shared.default / "usr/bin/foo").exists() and (shared.default / "usr/bin/bar").exists()
    refs = run(["ostree", "refs", f"--repo={shared.repo}", "--list", "apt-ostree/base"]).stdout.split()
    assert len(refs) == 1, refs


def test_b23_killed_in_a_script(sysroot: Sysroot, repo: LocalRepo) -> None:
    """The machine kills us while a script runs: the sandbox and its script die too, the mounts go with us."""
    marker = "sleep 87654"
    repo.publish(DebBuilder(name="hangs", scripts={"postinst": f"echo hanging\n{marker}"}), tool("foo"))
    before = sysroot.snapshot()
    process = sysroot.start("install", "-y", "hangs")
    logs = sysroot.var / "log/apt-ostree"
    wait_for(lambda: any("hanging" in path.read_text() for path in logs.glob("*.log")))
    os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=30)
    wait_for(lambda: marker not in run(["ps", "ax"]).stdout, 10)
    assert sysroot.leftovers() != []
    sysroot.apt_ostree("cleanup", "--base")
    assert sysroot.leftovers() == []
    assert changes(before, sysroot.snapshot()) == []
    sysroot.apt_ostree("install", "-y", "foo")


def test_b24_not_root_is_told_so(sysroot: Sysroot) -> None:
    """Without root nothing is tried, wherever the sysroot is."""
    env = ["env", f"PYTHONPATH={CHECKOUT}"]
    plain = [*NOBODY, *env, *sysroot.argv("install", "-y", "foo")]
    done = run(plain, check=False)
    assert done.returncode == 6 and "Traceback" not in done.output
    assert "root" in done.stderr
