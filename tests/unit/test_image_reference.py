"""References to images as bases, the rule about policies, and what skopeo's words mean."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from apt_ostree import origin
from apt_ostree.errors import AptOstreeError, ToolError, UsageError, VerificationError
from apt_ostree.oci import names
from apt_ostree.oci.layout import BadImageError
from apt_ostree.pull import source_of
from apt_ostree.registry import bring, machine, policy, reference
from apt_ostree.registry.reference import Trust
from apt_ostree.report import NullReporter

DIGEST = "sha256:" + "0123456789abcdef" * 4
REJECT = [{"type": "reject"}]
ANYTHING = [{"type": "insecureAcceptAnything"}]


@pytest.mark.parametrize(
    ("text", "canonical", "trust", "image", "remote"),
    [
        ("ostree-unverified-registry:quay.io/a/b:1", "", Trust.UNVERIFIED, "docker://quay.io/a/b:1", ""),
        (
            "ostree-unverified-image:docker://h:5000/a",
            "ostree-unverified-registry:h:5000/a",
            Trust.UNVERIFIED,
            "docker://h:5000/a",
            "",
        ),
        ("ostree-unverified-image:oci:/srv/i:13", "", Trust.UNVERIFIED, "oci:/srv/i:13", ""),
        ("ostree-image-signed:docker://quay.io/a/b", "", Trust.SIGNED, "docker://quay.io/a/b", ""),
        (
            "ostree-image-signed:registry:quay.io/a/b",
            "ostree-image-signed:docker://quay.io/a/b",
            Trust.SIGNED,
            "docker://quay.io/a/b",
            "",
        ),
        (f"ostree-remote-registry:deb:quay.io/a@{DIGEST}", "", Trust.REMOTE, f"docker://quay.io/a@{DIGEST}", "deb"),
        ("ostree-image-signed:oci:/srv/\u00fc_b__c:1", "", Trust.SIGNED, "oci:/srv/\u00fc_b__c:1", ""),
        ("ostree-remote-image:deb:oci-archive:/a.tar", "", Trust.REMOTE, "oci-archive:/a.tar", "deb"),
    ],
)
def test_references(text: str, canonical: str, trust: Trust, image: str, remote: str) -> None:
    found = reference.parse(text)
    assert (found.trust, str(found.image), found.remote) == (trust, image, remote)
    assert str(found) == (canonical or text) and reference.parse(str(found)) == found
    assert reference.looks_like(text) and reference.of_ref(found.ref) == found
    kept = origin.parse(f"[origin]\ncontainer-image-reference={found}\n")
    source = source_of(kept)
    assert source.image == found and str(source) == str(found) and source.ref.startswith("apt-ostree/image/")


@pytest.mark.parametrize(
    "text",
    [
        "ostree-unverified-registry:",
        "ostree-unverified-registry:docker://quay.io/a",
        "ostree-unverified-registry:noslash",
        "ostree-unverified-registry:quay.io/A",
        "ostree-unverified-registry:quay.io/a b",
        "ostree-unverified-registry:-x/y",
        "ostree-unverified-registry:quay.io/a@sha256:12",
        "ostree-unverified-other:quay.io/a",
        "ostree-image-signed:quay.io/a",
        "ostree-image-signed:oci:/a\nrefspec=b",
        "ostree-image-signed:oci:/a\x1b[2J",
        "ostree-remote-registry:quay.io/a",
        "ostree-remote-registry::quay.io/a",
        "ostree-remote-image:../x:docker://quay.io/a",
        "ostree-unverified-image:dir:/a",
    ],
)
def test_what_is_no_reference(text: str) -> None:
    assert reference.looks_like(text), "it is meant as one, and never taken for a branch"
    with pytest.raises(UsageError):
        reference.parse(text)
    broken = origin.parse("[origin]\ncontainer-image-reference=ostree-image-signed:nonsense\n")
    assert source_of(broken).image is None


def test_branches_are_no_references() -> None:
    assert not any(map(reference.looks_like, ("debian:13", "ostree:branch", "ostree-unverified", "docker://a/b")))
    assert reference.of_ref("apt-ostree/base/0123") is None and reference.of_ref("apt-ostree/image/nonsense") is None


def test_the_origin_keeps_reference_and_digest() -> None:
    text = "[origin]\ncontainer-image-reference=ostree-image-signed:docker://h/a:1\n\n[x]\ny=z\n"
    read = origin.parse(text)
    assert read.image_digest == ""
    again = origin.parse(origin.render(dataclasses.replace(read, image_digest=DIGEST)))
    assert again.image_digest == DIGEST and again.container_image_reference == read.container_image_reference
    assert "refspec" not in again.text and "y=z" in again.text


def written(root: Path, value: Any, place: str = policy.PLACES[0]) -> Path:
    path = root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


@pytest.mark.parametrize(
    ("value", "strict"),
    [
        ({"default": REJECT}, True),
        ({"default": ANYTHING}, False),
        ({"default": ANYTHING, "transports": {"docker": {"h": REJECT}}}, False),  # it looks at the default alone
        ({"default": [*ANYTHING, *REJECT]}, True),
        ({"default": REJECT, "transports": {"docker": {"h": ANYTHING}}}, True),  # as ostree-ext has it
        ({"default": []}, True),
        ({}, False),
        ([], False),
        ("{", False),
    ],
)
def test_the_rule_for_signed_images(tmp_path: Path, value: Any, strict: bool) -> None:
    written(tmp_path, value)
    if strict:
        policy.require_strict(tmp_path)
        return
    with pytest.raises(VerificationError) as caught:
        policy.require_strict(tmp_path)
    assert caught.value.code == "insecure-policy"


def test_where_the_policy_is(tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match="is not there"):
        policy.require_strict(tmp_path)
    vendor = written(tmp_path, {"default": REJECT}, policy.PLACES[1])
    assert policy.find(tmp_path) == vendor
    own = written(tmp_path, {"default": ANYTHING})
    assert policy.find(tmp_path) == own
    assert policy.asks_nothing({"default": ANYTHING}) and not policy.asks_nothing({"default": REJECT})
    assert not policy.asks_nothing({"default": ANYTHING, "transports": {"docker": {"h": REJECT}}})


def test_key_files_are_those_of_the_tree() -> None:
    rule = {"type": "sigstoreSigned", "keyPath": "/usr/share/k.pub", "fulcio": {"caPath": "/etc/ca"}, "keyData": "/x"}
    many = {"type": "signedBy", "keyPaths": ["/a", "/b"], "signedIdentity": {"type": "exactRepository", "prefix": "/p"}}
    made = policy.moved({"default": REJECT, "transports": {"docker": {"h/a": [rule, many]}}}, Path("/sysroot/d"))
    one, other = made["transports"]["docker"]["h/a"]
    assert one["keyPath"] == "/sysroot/d/usr/share/k.pub" and one["fulcio"]["caPath"] == "/sysroot/d/etc/ca"
    assert other["keyPaths"] == ["/sysroot/d/a", "/sysroot/d/b"] and other["signedIdentity"]["prefix"] == "/p"
    assert one["keyData"] == "/x" and made["default"] == REJECT


def test_passwords_are_of_the_system_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGISTRY_AUTH_FILE", "/home/somebody/auth.json")
    monkeypatch.setenv("CONTAINERS_POLICY_JSON", "/home/somebody/policy.json")
    with machine.access(tmp_path) as how:
        assert "--no-creds" in how.options() and not any("authfile" in word for word in how.options())
        assert "--insecure-policy" in how.argv("copy"), "there is no policy"
        assert how.argv()[0] == "bwrap" and "somebody" not in str(how.environment)
    written(tmp_path, {}, "usr/lib/ostree/auth.json")
    own = written(tmp_path, {}, "etc/ostree/auth.json")
    written(tmp_path, {"default": [{"type": "signedBy", "keyPath": "/k"}]})
    with machine.access(tmp_path) as how:
        assert how.options() == [f"--authfile={own}"]
        assert how.policy is not None and f"{tmp_path}/k" in how.policy.read_text()
    assert not how.policy.exists()


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('level=fatal msg="Source image rejected: A signature was required, but no signature exists"', "verification"),
        ('level=fatal msg="Source image rejected: Running image h/a:1 is rejected by policy."', "verification"),
        ("pinging container registry h: http: server gave HTTP response to HTTPS client", "pull-failed"),
        ("reading manifest 1 in h/a: manifest unknown: manifest unknown", "no-image"),
        ("reading manifest: unauthorized: authentication required", "pull-failed"),
        ("dial tcp 127.0.0.1:1: connect: connection refused", "pull-failed"),
    ],
)  # fmt: skip
def test_what_skopeo_means(line: str, code: str) -> None:
    wanted = reference.parse("ostree-unverified-registry:h/a:1")
    told = machine.explained(wanted, ToolError("it failed", argv=("skopeo",), details=(line,)))
    assert told.code == code and isinstance(told, AptOstreeError)
    assert isinstance(told, VerificationError) == (code == "verification")


def test_a_name_without_its_tag() -> None:
    for text in ("h:5000/a/b", "h:5000/a/b:1", f"h:5000/a/b@{DIGEST}", f"h:5000/a/b:1@{DIGEST}"):
        assert names.parse(f"docker://{text}").repository == "h:5000/a/b"


def test_the_running_system_has_its_own() -> None:
    with machine.access(Path("/")) as how:
        assert how.argv("copy")[0] == "skopeo" and how.policy in (None, *(Path("/", place) for place in policy.PLACES))


def test_a_link_out_of_the_tree_gives_no_passwords(tmp_path: Path) -> None:
    root, secret = tmp_path / "root", tmp_path / "secret"
    written(tmp_path, {}, "secret/auth.json")
    (root / "etc").mkdir(parents=True)
    (root / "etc/ostree").symlink_to(secret)
    with machine.access(root) as how:
        assert how.authfile is None and how.anonymous


@pytest.mark.parametrize(
    ("errors", "tries"),
    [
        ([AptOstreeError("gone", code="pull-failed")], 2),
        ([AptOstreeError("gone", code="pull-failed")] * 3, 3),
        ([BadImageError("cut")], 2),
        ([BadImageError("cut")] * 2, 2),
        ([VerificationError("not signed")], 1),
        ([AptOstreeError("no such", code="no-image")], 1),
    ],
)
def test_what_is_tried_again(errors: list[AptOstreeError], tries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bring, "PAUSE", 0.0)
    waiting, made = list(errors), list[int]()

    def action() -> str:
        made.append(1)
        if waiting:
            raise waiting.pop(0)
        return "done"

    if len(errors) < tries:
        assert bring.retrying(action, NullReporter()) == "done"
    else:
        with pytest.raises(AptOstreeError):
            bring.retrying(action, NullReporter())
    assert len(made) == tries
