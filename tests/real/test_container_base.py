"""Bases that are container images, in a registry on 127.0.0.1: rebase, upgrade, trust."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import lean, ocilayout, registry, sysroots
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
    two = store.remote.release("13.2", files=TWO, versions={"hostname": "3.99"}, parent=first)
    changed = fresh(store, digest, newer := store.push(two))
    promised = verb(machine, "upgrade", "--check")
    looked = set(store.asked()) & set(changed)
    assert looked and looked < set(changed), "the commit and the package database, no more"
    assert changes(before, machine.snapshot()) == []
    done = verb(machine, "upgrade", "-y")
    assert done["packages"] == promised["packages"] and done["packages"]["upgraded"][0]["name"] == "hostname"
    assert promised["update"]["origin"] == target and promised["update"]["checksum"] == two
    assert sorted(one for one in store.asked() if one in layers(store, newer)) == sorted(changed), "each of them once"
    assert done["pulled"]["transferred-bytes"] == sum(changed.values())
    assert done["deployment"]["base-checksum"] == two and says(machine, "foo") == "1.0"
    assert done["deployment"]["container-image-reference-digest"] == newer
    assert (machine.default / "usr/bin/thing").read_text() == "two\n"
    verb(machine, "rollback")
    assert (machine.default / "usr/bin/thing").read_text() == "one\n"
    status = held_to("status", machine.apt_ostree("status", "--json"))["deployments"]
    assert [one["container-image-reference-digest"] for one in status] == [digest, newer]
    assert status[0]["pending-base-checksum"] == two
    assert "rollback" in machine.apt_ostree("history").stdout
    store.asked()
    assert verb(machine, "upgrade", "-y")["deployment"]["base-checksum"] == two
    assert not set(store.asked()) & set(layers(store, newer)), "it is here"
    done = verb(machine, "reset", "-y")
    assert machine.checksum() == two and done["deployment"]["container-image-reference-digest"] == newer
    told = refused(machine, "deploy", "-y", "12.0", check=1)
    assert told["code"] == "no-revision" and "@sha256:" in told["hint"]
    assert verb(machine, "rebase", target, check=1)["error"]["code"] == "same-base"
    pinned = f"ostree-unverified-registry:{store.name}@{digest}"
    assert verb(machine, "rebase", "-y", pinned)["deployment"]["checksum"] == first
    verb(machine, "upgrade", "--check", check=77)
    back_to_a_branch(machine, store, two)


def layers(store: ImageStore, digest: str) -> dict[str, int]:
    """The layers of an image in the registry, with their sizes."""
    raw = run(["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{store.name}@{digest}"]).stdout
    return {layer["digest"]: layer["size"] for layer in json.loads(raw)["layers"]}


def fresh(store: ImageStore, old: str, new: str) -> dict[str, int]:
    """The layers that only the newer image has."""
    known = layers(store, old)
    return {digest: size for digest, size in layers(store, new).items() if digest not in known}


def refs(machine: Sysroot, under: str) -> list[str]:
    return run(["ostree", "refs", f"--repo={machine.repo}", "--list", under]).stdout.split()


def subscribe(machine: Sysroot, store: ImageStore) -> None:
    """The machine knows the remote of the releases, and its key."""
    public = store.remote.key.export(store.folder / "remote.gpg")
    add = ["ostree", "remote", "add", f"--repo={machine.repo}", "--force", f"--gpg-import={public}"]
    run([*add, "--set=gpg-verify=true", "origin", store.remote.server.uri])


def back_to_a_branch(machine: Sysroot, store: ImageStore, commit: str) -> None:
    subscribe(machine, store)
    store.remote.point(commit)
    assert refs(machine, "ostree/container/blob") and refs(machine, "ostree/container/image")
    done = verb(machine, "rebase", "-y", f"origin:{store.remote.branch}")
    assert done["deployment"]["origin"] == f"origin:{store.remote.branch}" and machine.checksum() == commit
    assert "container" not in machine.origin()
    assert refs(machine, "ostree/container/blob"), "those of the deployment before are kept"
    verb(machine, "cleanup", "--rollback")
    assert refs(machine, "ostree/container") == [] and refs(machine, "apt-ostree/image") == []
    assert verb(machine, "upgrade", "--unchanged-exit-77", check=77)


def test_images_that_must_be_signed(
    machine: Sysroot, store: ImageStore, first: str, signing_key: SigningKey, other_key: SigningKey
) -> None:
    target = f"ostree-image-signed:docker://{store.reference('signed')}"
    source = f"oci:{store.folder}/layout:13.1"
    digest = store.copy(source, "signed", key=signing_key)
    told = refused(machine, "rebase", "-y", target, check=7)
    assert told["code"] == "insecure-policy" and "accepts any image by default" in told["message"]
    (machine.default / "etc/containers/policy.json").unlink()
    assert refused(machine, "rebase", "-y", target, check=7)["code"] == "insecure-policy"
    store.trust(machine, signing_key)
    done = verb(machine, "rebase", "-y", target)
    assert machine.checksum() == first and done["deployment"]["container-image-reference-digest"] == digest
    shutil.rmtree(store.folder / "lookaside")  # whoever has the registry may push what he likes
    two = store.remote.release("13.3", files=TWO, parent=first)
    for key in (None, other_key):
        store.push(two, "signed", key=key)
        told = refused(machine, "upgrade", "-y", check=7)
        assert told["code"] == "verification" and "ignature" in " ".join(told["details"])
    for words in (("upgrade", "--check"), ("upgrade", "--download-only")):
        refused(machine, *words, check=7)
    unverified = f"ostree-unverified-registry:{store.reference('signed')}"
    told = refused(machine, "rebase", "-y", unverified, check=7)  # the policy is for all
    assert told["code"] == "verification"
    local = f"ostree-unverified-image:oci:{store.folder}/layout:13.1"
    assert refused(machine, "rebase", "-y", local, check=7)["code"] == "verification"
    store.copy(f"oci:{store.folder}/layout:signed", "signed", key=signing_key)
    verb(machine, "upgrade", "-y")
    assert machine.checksum() == two


def test_commits_signed_for_a_remote(
    machine: Sysroot, store: ImageStore, first: str, other_key: SigningKey, work: Path
) -> None:
    target = f"ostree-remote-registry:origin:{store.reference('remote')}"
    store.copy(f"oci:{store.folder}/layout:13.1", "remote")
    assert refused(machine, "rebase", "-y", target, check=1)["code"] == "no-remote"
    subscribe(machine, store)
    done = verb(machine, "rebase", "-y", target)
    assert machine.checksum() == first and done["deployment"]["container-image-reference"] == target
    status = machine.apt_ostree("status", "--json").json["deployments"][0]
    assert status["gpg-enabled"] and status["signatures"][0][0] is True
    assert "valid signature by" in machine.apt_ostree("status").stdout
    checks = machine.apt_ostree("verify", "--fast", "--json").json["checks"]
    assert [one["state"] for one in checks if one["name"] == f"signature {first[:12]}"] == ["ok"]
    store.export(first, "labelled", "--label", "org.example.a=b")
    assert store.copy(f"oci:{store.folder}/layout:labelled", "remote") != status["container-image-reference-digest"]
    verb(machine, "upgrade", "--unchanged-exit-77", check=77)  # another image of the same commit, which is here
    stranger = store.remote.release("13.4", files=TWO, parent=first, signed_by=other_key)
    store.push(stranger, "remote")
    told = refused(machine, "upgrade", "-y", check=7)
    assert "not signed with a key of the remote" in told["message"]
    (store.remote.bare / "objects" / stranger[:2] / f"{stranger[2:]}.commitmeta").unlink()
    store.push(stranger, "remote")
    told = refused(machine, "upgrade", "-y", check=7)
    assert "there is no signature" in " ".join(told["details"])
    layout = store.folder / "layout"
    derived = ocilayout.Layout(work / "derived")
    run(["skopeo", "copy", "--quiet", f"oci:{layout}:13.1", f"oci:{derived.path}:derived"])
    derived.append(ocilayout.of({"usr/share/on-top": b"on top"}))
    store.copy(f"oci:{derived.path}:derived", "remote")
    assert refused(machine, "upgrade", "-y", check=7)["code"] == "unsigned-layers"
    run(["ostree", "config", f"--repo={machine.repo}", "set", 'remote "origin".gpg-verify', "false"])
    store.copy(f"oci:{layout}:13.1", "remote")
    assert "asks for no signature" in refused(machine, "upgrade", "-y", check=7)["message"]
    done = verb(machine, "rebase", "-y", f"ostree-unverified-registry:{store.reference('derived')}", check=1)
    assert done["error"]["code"] == "no-image"
    store.copy(f"oci:{derived.path}:derived", "derived")
    verb(machine, "rebase", "-y", f"ostree-unverified-registry:{store.reference('derived')}")
    assert (machine.default / "usr/share/on-top").exists() and machine.checksum() != first
    verb(machine, "upgrade", "--check", check=77)


def test_older_images_and_no_network(machine: Sysroot, store: ImageStore, first: str, repo: LocalRepo) -> None:
    repo.publish(tool("foo"))
    target = f"ostree-unverified-registry:{store.reference('moving')}"
    store.copy(f"oci:{store.folder}/layout:13.1", "moving")
    verb(machine, "rebase", "-y", target, "--install", "foo")
    old = store.remote.release("12.9", parent=store.remote.base.checksum, timestamp="2020-02-02 00:00:00")
    store.push(old, "moving")
    for words in (("upgrade",), ("upgrade", "--check")):
        assert refused(machine, *words, check=1)["code"] == "downgrade"
    assert verb(machine, "upgrade", "-y", "--allow-downgrade")["deployment"]["base-checksum"] == old
    files = {"usr/bin/thing": "three\n", "usr/share/big": "line\n" * 9000, "usr/lib/modules/note": "x\n"}
    three = store.remote.release("13.6", files=files, parent=first)
    digest = store.push(three, "moving")
    deployment, origin = machine.checksum(), machine.origin()
    done = verb(machine, "upgrade", "-y", "--download-only")
    assert not done["changed"] and done["would-change"] and done["pulled"]["transferred-bytes"] > 0
    assert machine.checksum() == deployment and machine.origin() == origin
    run(["ostree", "prune", f"--repo={machine.repo}", "--refs-only"])
    machine.write(
        "etc/containers/registries.conf.d/test.conf", f'[[registry]]\nlocation = "{store.host}"\nblocked = true\n'
    )
    assert verb(machine, "upgrade", check=1)["error"]["code"] == "pull-failed"
    done = verb(machine, "upgrade", "-y", "--cache-only")
    assert done["deployment"]["base-checksum"] == three and says(machine, "foo") == "1.0"
    assert done["deployment"]["container-image-reference-digest"] == digest
    archive = store.folder / "13.1.tar"
    run(["skopeo", "copy", "--quiet", f"oci:{store.folder}/layout:13.1", f"oci-archive:{archive}"])
    done = verb(machine, "rebase", "-y", f"ostree-unverified-image:oci-archive:{archive}", "--uninstall", "foo")
    assert machine.checksum() == first and done["deployment"]["container-image-reference"].endswith(str(archive))
    signed = f"ostree-image-signed:docker://{store.reference('moving')}"
    assert refused(machine, "rebase", "-y", "-C", signed, check=1)["code"] == "no-image", "it was never verified so"


def test_a_broken_layer_and_going_on(machine: Sysroot, store: ImageStore, first: str) -> None:
    target = f"ostree-unverified-registry:{store.reference('broken')}"
    digest = store.copy(f"oci:{store.folder}/layout:13.1", "broken")
    verb(machine, "rebase", "-y", target)
    files = {"usr/bin/thing": "four\n", "usr/lib/os-release.d": "4\n"}
    four = store.remote.release("13.7", files=files, versions={"hostname": "4.0"}, parent=first)
    changed = fresh(store, digest, store.push(four, "broken"))
    (*_, last) = changed
    place = store.folder / "registry/data/docker/registry/v2/blobs/sha256" / last[7:9] / last[7:] / "data"
    whole = place.read_bytes()
    place.write_bytes(whole[:-40] + bytes(40))
    before = machine.snapshot()
    told = verb(machine, "upgrade", "-y", check=7)["error"]
    assert told["code"] == "bad-image"
    assert changes(before, machine.snapshot()) == [], "nothing is kept of an image that does not verify"
    place.unlink()
    assert verb(machine, "upgrade", "-y", check=1)["error"]["message"]
    touched = changes(before, machine.snapshot())
    assert touched and all("refs/heads/ostree/container/blob" in path for path in touched), "what has come is kept"
    place.write_bytes(whole)
    store.asked()
    verb(machine, "upgrade", "-y")
    assert machine.checksum() == four
    assert set(store.asked()) & set(changed) == {last, next(iter(changed))}, "the commit's layer and what was broken"


def test_passwords_are_in_the_authfile_of_the_system(
    machine: Sysroot, store: ImageStore, first: str, work: Path
) -> None:
    with registry.serving(work / "private", htpasswd=registry.HTPASSWD) as host:
        own = registry.auth(work / "own.json", host)
        words = ["skopeo", "copy", "--quiet", "--dest-tls-verify=false", f"--dest-authfile={own}"]
        run([*words, f"oci:{store.folder}/layout:13.1", f"docker://{host}/a/b:1"])
        target = f"ostree-unverified-registry:{host}/a/b:1"
        insecure = f'[[registry]]\nlocation = "{host}"\ninsecure = true\n'
        told = refused(machine, "rebase", "-y", target, check=1)
        assert told["code"] == "pull-failed" and "insecure=true" in told["hint"], "never silently without https"
        machine.write("etc/containers/registries.conf.d/private.conf", insecure)
        environ = {"REGISTRY_AUTH_FILE": str(own), "HOME": str(work)}
        done = machine.apt_ostree("rebase", "-y", target, "--json", env=environ, check=1)
        assert "skopeo login --authfile /etc/ostree/auth.json" in done.json["error"]["hint"]
        machine.write("etc/ostree/auth.json", own.read_text(), mode=0o600)
        verb(machine, "rebase", "-y", target)
        assert machine.checksum() == first
