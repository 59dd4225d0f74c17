"""Images in a registry, in OCI's format and in Docker's."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from apt_ostree.errors import VerificationError
from apt_ostree.oci import fetch
from apt_ostree.oci.layout import descriptor, digest_of
from apt_ostree.registry import machine, reference
from tests.support import ocitrees, registry
from tests.support.ground import Ground
from tests.support.ocilayout import Layout
from tests.support.ocitrees import REF, checksum, export, fsck
from tests.support.process import run
from tests.support.verbs import held_to

pytestmark = pytest.mark.real


@pytest.fixture
def host(work: Path) -> Iterator[str]:
    with registry.serving(work / "registry") as address:
        yield address


def test_through_a_registry(toy: Path, work: Path, ground: Ground, host: str) -> None:
    image, insecure, spare = f"docker://{host}/toy:1", "--tls-verify=false", work / "spare"
    spare.mkdir()
    env = {"TMPDIR": str(spare)}
    words = ("oci", "export", "--repo", toy, REF, image, insecure, "--json")
    told = held_to("oci-export", ground.apt_ostree(*words, env=env))
    shown = run(["skopeo", "inspect", "--tls-verify=false", image]).json
    assert shown["Digest"] == told["digest"] and shown["Labels"]["ostree.commit"] == checksum(toy)
    target = ocitrees.repo(work / "target", "archive")
    words = ("oci", "import", "--repo", target, image, insecure, "--json")
    done = held_to("oci-import", ground.apt_ostree(*words, "--write-ref=r/x", env=env))
    assert done["commit"] == checksum(toy) and done["digest"] == told["digest"]
    fsck(target)
    assert ground.apt_ostree(*words).json["fetched-layers"] == 0
    held_to("oci-verify", ground.apt_ostree("oci", "verify", image, insecure, "--json", env=env))
    refused = held_to("error", ground.apt_ostree(*words[:5], "--json", check=1))["error"]
    assert "--tls-verify=false" in refused["hint"]
    assert "manifest unknown" in ground.apt_ostree(*words[:4], f"docker://{host}/no:1", insecure, check=1).stderr
    assert list(spare.iterdir()) == [], "nothing is left of what was on its way"


def test_a_registry_with_a_password(toy: Path, work: Path, ground: Ground) -> None:
    with registry.serving(work / "registry", htpasswd=registry.HTPASSWD) as host:
        image, auth = f"docker://{host}/toy:1", registry.auth(work / "auth.json", host)
        export(ground, toy, image, "--tls-verify=false", check=1)
        done = ground.apt_ostree(
            "-vv", "oci", "export", "--repo", toy, REF, image, "--tls-verify=false", "--authfile", auth
        )
        assert registry.PASSWORD not in done.output and json.loads(auth.read_text())["auths"]
        target = ocitrees.repo(work / "target", "archive")
        words = ("oci", "import", "--repo", target, image, "--tls-verify=false")
        ground.apt_ostree(*words, check=1)
        ground.apt_ostree(*words, "--authfile", auth)
        assert "no file" in ground.apt_ostree(*words, "--authfile", work / "none", check=2).stderr


def test_a_bill_of_materials_in_a_registry(toy: Path, work: Path, ground: Ground, host: str) -> None:
    image, insecure = f"docker://{host}/toy:1", "--tls-verify=false"
    missing = ground.apt_ostree("db", "sbom", image, insecure, "--json", check=1)
    export(ground, toy, image, insecure)
    missing = held_to("error", ground.apt_ostree("db", "sbom", image, insecure, "--json", check=1))["error"]
    assert missing["code"] == "no-sbom"
    told = held_to("oci-export", export(ground, toy, image, insecure, "--sbom=spdx", "--json"))
    export(ground, toy, image, insecure, "--sbom=cyclonedx")
    for form in ("spdx", "cyclonedx"):
        wanted = ("db", "sbom", "--format", form)
        of_commit = ground.apt_ostree(*wanted, "--repo", toy, REF).json
        assert ground.apt_ostree(*wanted, image, insecure).json == of_commit
    assert run(["skopeo", "inspect", insecure, image]).json["Digest"] == told["digest"]
    listed = run(["skopeo", "inspect", "--raw", insecure, f"{image[:-2]}:{told['digest'].replace(':', '-')}"]).json
    assert listed["mediaType"] == "application/vnd.oci.image.index.v1+json"
    assert listed["manifests"][0]["digest"] == told["sboms"][0]["digest"] and len(listed["manifests"]) == 2
    artifact = run(["skopeo", "inspect", "--raw", insecure, f"{image[:-2]}@{told['sboms'][0]['digest']}"]).json
    assert artifact["subject"]["digest"] == told["digest"] and artifact["artifactType"] == "application/spdx+json"
    assert set(run(["skopeo", "list-tags", insecure, image[:-2]]).json["Tags"]) == {
        "1",
        told["digest"].replace(":", "-"),
    }


def as_docker(layout: Path, host: str, work: Path, *, many: bool = False) -> tuple[str, str]:
    """An image in the format of Docker in a registry, or a list of them: its name, and the digest of the image."""
    image, words = f"docker://{host}/docker:1", ("skopeo", "--insecure-policy", "copy", "--quiet", "--format=v2s2")
    run([*words, "--dest-tls-verify=false", f"oci:{layout}:t", image])
    raw = run(["skopeo", "inspect", "--raw", "--tls-verify=false", image]).stdout
    manifest = json.loads(raw)
    assert manifest["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    digest = digest_of(raw.encode())
    if many:
        run([*words, f"oci:{layout}:t", f"dir:{work}/list"])
        here = run(["skopeo", "inspect", "--config", "--tls-verify=false", image]).json["architecture"]
        entry = {"mediaType": manifest["mediaType"], "digest": digest, "size": len(raw)}
        run([*words[:4], "--dest-tls-verify=false", f"oci:{layout}:t", f"docker://{host}/docker:oci"])
        other = {**entry, **Layout(layout).index["manifests"][0], "platform": {"architecture": "mips", "os": "linux"}}
        entries = [other, {**entry, "platform": {"architecture": here, "os": "linux"}}]
        kind = "application/vnd.docker.distribution.manifest.list.v2+json"
        listed = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": entries}, separators=(",", ":"))
        (work / "list/manifest.json").write_text(listed)
        image = f"docker://{host}/docker:list"
        run(["skopeo", "--insecure-policy", "copy", "--quiet", "--multi-arch=index-only", "--dest-tls-verify=false",
             f"dir:{work}/list", image])  # fmt: skip
    return image, digest


@pytest.mark.parametrize("many", [False, True], ids=["image", "list"])
def test_the_format_of_docker(many: bool, toy: Path, work: Path, ground: Ground, host: str) -> None:
    export(ground, toy, f"oci:{work}/image:t")
    image, digest = as_docker(work / "image", host, work, many=many)
    target = ocitrees.repo(work / "target", "archive")
    words = ("oci", "import", "--repo", target, image, "--tls-verify=false", "--json")
    done = held_to("oci-import", ground.apt_ostree(*words))
    assert (done["commit"], done["digest"], done["format"]) == (checksum(toy), digest, "encapsulated")
    fsck(target)
    again = held_to("oci-import", ground.apt_ostree(*words))
    assert again["fetched-layers"] == 0 and not again["changed"]
    told = held_to("oci-verify", ground.apt_ostree("oci", "verify", image, "--tls-verify=false", "--json"))
    assert told["sound"] and told["digest"] == digest


def test_the_policy_of_a_machine_and_the_format_of_docker(toy: Path, work: Path, ground: Ground, host: str) -> None:
    """What skopeo judges is a copy in another format; it must be of the image that is open."""
    export(ground, toy, f"oci:{work}/image:t")
    digest = as_docker(work / "image", host, work)[1]
    etc = work / "root/etc/containers"
    (etc / "registries.conf.d").mkdir(parents=True)
    (etc / "registries.conf.d/test.conf").write_text(f'[[registry]]\nlocation = "{host}"\ninsecure = true\n')
    wanted = reference.parse(f"ostree-unverified-registry:{host}/docker:1")
    other = Layout(work / "image")
    other.change(lambda manifest, config: config["config"]["Labels"].update(another="one"))
    for kind in ("insecureAcceptAnything", "reject"):
        policy = {"default": [{"type": "reject"}], "transports": {"docker": {host: [{"type": kind}]}}}
        (etc / "policy.json").write_text(json.dumps(policy))
        if kind == "reject":
            with pytest.raises(VerificationError), machine.opened(wanted, work / "root"):
                pass
            continue
        with machine.opened(wanted, work / "root") as opened:
            assert opened.digest == digest and opened.is_docker
            assert not machine._is_judged(opened, retagged(fetch.Layout(other.path)))


def retagged(layout: fetch.Layout) -> fetch.Layout:
    entry = layout.manifests()[0]
    layout.tag(descriptor(entry), machine._TAG, {})
    return layout


def test_the_first_push_has_no_image_before_it(toy: Path, ground: Ground, host: str) -> None:
    """Neither of the repository nor of the tag: told in a sentence, not in skopeo's words; the next push has one."""
    for tag, first in (("1", True), ("2", True), ("2", False)):
        image = f"docker://{host}/first:{tag}"
        done = export(ground, toy, image, "--tls-verify=false", "--previous=auto")
        assert (f"no image before this one: there is none at {image} yet" in done.stderr) == first
        assert ("no image before" in done.stderr) == first and "level=" not in done.stderr


def test_a_registry_that_does_not_answer(toy: Path, work: Path, ground: Ground, host: str) -> None:
    """It is told before anything is packed."""
    with socket.socket() as nobody:  # it does not listen
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        for place, words, told in (
            (f"127.0.0.1:{port}", ("--tls-verify=false",), "connection refused"),
            ("nobody.invalid", (), "dial tcp"),
            (host, (), "HTTP response to HTTPS client"),
        ):
            done = export(ground, toy, f"docker://{place}/toy:1", *words, "--json", "-v", check=1)
            error = held_to("error", done)["error"]
            assert error["code"] == "unreached" and any(told in line for line in error["details"])
            assert "Writing the layers" not in done.stderr and "cannot be reached" in error["message"]
            assert ("--tls-verify=false" in error["hint"]) == (place == host)
