"""Bases that are container images, in a registry on 127.0.0.1: rebase, upgrade, trust."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import lean, registry, sysroots
from tests.support.archive import LocalRepo, SigningKey
from tests.support.ground import Ground
from tests.support.imagebase import ImageStore
from tests.support.process import run
from tests.support.remote import Remote
from tests.support.sysroots import Base, Sysroot, changes
from tests.support.verbs import held_to, says, tool

pytestmark = pytest.mark.real

ONE, TWO = {"usr/bin/thing": "one\n"}, {"usr/bin/thing": "two\n"}


@pytest.fixture(scope="module")
def small(ground: Ground, base: Base, big_folder: Callable[[str], Path]) -> Base:
    return lean.make(ground.copy(base, "container-base"), big_folder("lean"))


@pytest.fixture(scope="module")
def store(
    ground: Ground, small: Base, signing_key: SigningKey, big_folder: Callable[[str], Path]
) -> Iterator[ImageStore]:
    folder = big_folder("store")
    remote = Remote(folder / "remote", small, signing_key)
    with remote.server.running(), registry.serving(folder / "registry") as host:
        yield ImageStore(host, folder, ground, remote)


@pytest.fixture(scope="module")
def first(store: ImageStore, signing_key: SigningKey) -> str:
    """The first release, pushed as `latest` and signed; the commit."""
    commit = store.remote.release("13.1", files=ONE)
    store.push(commit, "13.1", key=signing_key)
    return commit


@pytest.fixture(scope="module")
def lean_template(small: Base, big_folder: Callable[[str], Path]) -> Iterator[Sysroot]:
    made = sysroots.build(big_folder("template") / "sysroot", small)
    yield made
    made.close()


@pytest.fixture
def machine(work: Path, lean_template: Sysroot, store: ImageStore, repo: LocalRepo) -> Iterator[Sysroot]:
    """An offline sysroot that reaches the registry, takes any image, and has packages from `repo`."""
    made = sysroots.clone(lean_template, work / "sysroot")
    made.use_sources({"local": repo.sources()})
    store.trust(made)
    store.asked()
    yield made
    assert made.leftovers() == []
    made.fsck()
    made.close()


def verb(machine: Sysroot, *words: str | Path, check: int = 0) -> Any:
    done = machine.apt_ostree(*words, "--json", check=check)
    return held_to("error" if check not in (0, 77) else "result", done)


def refused(machine: Sysroot, *words: str | Path, check: int) -> Any:
    """The error of a run that must change nothing."""
    before = machine.snapshot()
    told = verb(machine, *words, check=check)["error"]
    assert changes(before, machine.snapshot()) == []
    return told


def test_rebase_upgrade_rollback(
    machine: Sysroot, store: ImageStore, first: str, repo: LocalRepo, signing_key: SigningKey
) -> None:
    digest = store.copy(f"oci:{store.folder}/layout:13.1", "latest")
    repo.publish(tool("foo"))
    target = f"ostree-unverified-registry:{store.reference('latest')}"
    done = verb(machine, "rebase", "-y", target, "--install", "foo")
    deployment = done["deployment"]
    assert deployment["base-checksum"] == first and says(machine, "foo") == "1.0"
    assert deployment["container-image-reference"] == target and "origin" not in deployment
    assert deployment["container-image-reference-digest"] == digest
    assert f"container-image-reference={target}\n" in machine.origin() and "refspec" not in machine.origin()
    text = machine.apt_ostree("status").stdout
    assert target in text and digest in text
    store.asked()
    before = machine.snapshot()
    verb(machine, "upgrade", "--check", check=77)
    verb(machine, "upgrade", "--unchanged-exit-77", check=77)
    assert changes(before, machine.snapshot()) == []
    config = json.loads((store.folder / "layout/blobs/sha256" / digest[7:]).read_text())["config"]["digest"]
    assert set(store.asked()) <= {config}, "an equal digest is no change: no layer is read"
