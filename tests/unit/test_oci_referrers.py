"""What is said of images beside them: lists of artifacts as others write them, and in layouts."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from apt_ostree.errors import AptOstreeError, ToolError
from apt_ostree.oci import names, referrers
from apt_ostree.oci.importing import created_of
from apt_ostree.oci.layout import BadImageError, Descriptor, Layout, digest_of
from apt_ostree.oci.referrers import TYPES, Artifact
from apt_ostree.ops import oci_export, oci_sbom
from apt_ostree.tools.skopeo import Access

SPDX = TYPES["spdx"]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "image")
    made.create()
    return made


def image(layout: Layout, text: str, tag: str) -> Descriptor:
    made = layout.add(json.dumps({"layers": [], "n": text}).encode(), names.MANIFEST)
    referrers.tag_image(layout, made, tag, {"architecture": "amd64"})
    return made


def attach(layout: Layout, subject: Descriptor, data: bytes, kind: str = "spdx") -> Artifact:
    made = referrers.write(layout, subject, kind, data, "2026-01-02T03:04:05Z")
    referrers.listing(layout, [made], subject.digest)
    return made


def test_an_artifact_is_as_the_specification_has_it(layout: Layout) -> None:
    subject = image(layout, "one", "t")
    made = attach(layout, subject, b'{"a": 1}')
    entry = layout.manifests()[1]
    manifest = json.loads(layout.read(made.manifest, "manifest"))
    assert manifest["subject"] == {"mediaType": names.MANIFEST, "digest": subject.digest, "size": subject.size}
    assert manifest["artifactType"] == entry["artifactType"] == manifest["layers"][0]["mediaType"] == SPDX
    assert manifest["config"] == {"mediaType": referrers.EMPTY, "digest": digest_of(b"{}"), "size": 2}
    assert entry["annotations"] == manifest["annotations"] and names.REF_NAME not in entry["annotations"]
    assert referrers.in_layout(layout, subject.digest, "spdx") == b'{"a": 1}'
    assert referrers.in_layout(layout, subject.digest, "cyclonedx") is None


def test_an_artifact_is_no_image(layout: Layout) -> None:
    subject = image(layout, "one", "t")
    attach(layout, subject, b"{}")
    found = layout.find("")
    assert found is not None and found["digest"] == subject.digest


def test_an_artifact_is_replaced_and_goes_with_its_image(layout: Layout) -> None:
    first = image(layout, "one", "t")
    attach(layout, first, b"old")
    attach(layout, first, b"c", "cyclonedx")
    made = referrers.write(layout, first, "spdx", b"new", "2026-01-02T03:04:05Z")
    assert referrers.listing(layout, [made], first.digest)
    assert not referrers.listing(layout, [made], first.digest), "it is there already"
    assert referrers.in_layout(layout, first.digest, "spdx") == b"new" and len(layout.manifests()) == 3
    other = image(layout, "other", "other")
    attach(layout, other, b"of another")
    second = image(layout, "two", "t")
    assert referrers.in_layout(layout, first.digest, "spdx") is None, "nothing leads to that image any more"
    assert [entry["digest"] for entry in layout.manifests()][:1] == [other.digest] and len(layout.manifests()) == 3
    assert referrers.in_layout(layout, other.digest, "spdx") == b"of another"
    assert referrers.in_layout(layout, second.digest, "spdx") is None


def test_lists_of_others_are_kept(layout: Layout) -> None:
    made = referrers.write(layout, image(layout, "one", "t"), "spdx", b"x", "2026-01-02T03:04:05Z")
    theirs = {"artifactType": SPDX, "size": 5, "digest": digest_of(b"y"), "mediaType": names.MANIFEST, "x": 1}
    once = referrers.merged(json.dumps({"manifests": [theirs]}).encode(), [made])
    entries = json.loads(once)["manifests"]
    assert entries == [theirs, made.entry] and referrers.merged(once, [made]) == once
    assert list(entries[0]) == ["mediaType", "digest", "size", "artifactType", "x"], "as Go has it"
    bare = json.loads(referrers.merged(once, [made], types=False))["manifests"]
    assert "artifactType" not in bare[0] and bare[1]["annotations"][names.SBOM] == "spdx"
    assert referrers.typed(once) and not referrers.typed(json.dumps({"manifests": bare}).encode())
    assert not referrers.typed(b"")


@pytest.mark.parametrize(
    "listed",
    [b"[]", b"{", b'{"manifests": 5}', b'{"manifests": [5]}', json.dumps({"mediaType": names.MANIFEST}).encode()],
)
def test_what_is_no_list_is_not_overwritten(listed: bytes, layout: Layout) -> None:
    with pytest.raises(BadImageError):
        referrers.merged(listed, [])


@pytest.mark.parametrize(
    "change",
    [
        {"subject": {"digest": digest_of(b"another")}},
        {"subject": 5},
        {"artifactType": TYPES["cyclonedx"]},
        {"layers": []},
        {"layers": 5},
        {"layers": [{"mediaType": "text/plain", "digest": digest_of(b"x"), "size": 1}]},
    ],
)
def test_artifacts_about_something_else(change: dict[str, Any]) -> None:
    good = {
        "artifactType": SPDX,
        "subject": {"digest": digest_of(b"s")},
        "layers": [{"mediaType": SPDX, "digest": digest_of(b"x"), "size": 1}],
    }
    assert referrers.data_of(good, digest_of(b"s"), "spdx") is not None
    assert referrers.data_of({**good, **change}, digest_of(b"s"), "spdx") is None
    big = {"mediaType": SPDX, "digest": digest_of(b"x"), "size": 1 << 40}
    with pytest.raises(BadImageError, match="bytes"):
        referrers.data_of({**good, "layers": [big]}, digest_of(b"s"), "spdx")


def test_an_artifact_is_held_to_its_descriptor() -> None:
    blob = Descriptor(media_type=SPDX, digest=digest_of(b"right"), size=5)
    assert oci_sbom._held(io.BytesIO(b"right"), blob) == b"right"
    for data in (b"wrong", b"righ", b"right and more"):
        with pytest.raises(BadImageError, match="not what its descriptor says"):
            oci_sbom._held(io.BytesIO(data), blob)


def test_where_lists_are() -> None:
    assert referrers.tag(f"sha256:{'0' * 64}") == f"sha256-{'0' * 64}"


@pytest.mark.parametrize(("said", "absent"), [
    ("reading manifest sha256-404404 in r.example.org/x: manifest unknown", True),
    ("reading manifest sha256-ab in r.example.org/x: StatusCode: 404", True),
    ("reading manifest sha256-1404f in r.example.org/x: toomanyrequests: rate limit", False),
    ("reading manifest sha256-404ab in r.example.org/x: StatusCode: 503", False),
])  # fmt: skip
def test_only_a_list_that_is_not_there_is_begun(monkeypatch: pytest.MonkeyPatch, said: str, absent: bool) -> None:
    """Or what others have listed would be lost."""

    def inspect(_reference: str, _access: Access) -> bytes:
        raise ToolError("skopeo failed", details=[said])

    monkeypatch.setattr(oci_sbom.skopeo, "inspect_raw", inspect)
    there = names.parse("docker://r.example.org/x:sha256-404")
    if absent:
        assert oci_sbom._listed(there, Access()) == b""
    else:
        with pytest.raises(ToolError):
            oci_sbom._listed(there, Access())


def test_a_mirror_that_is_down_keeps_nobody_from_pushing(monkeypatch: pytest.MonkeyPatch) -> None:
    said = ["(Mirrors also failed: [m.example.org/x:1: pinging container registry m.example.org: dial tcp: refused]): "
            "r.example.org/x:1: reading manifest 1: manifest unknown"]  # fmt: skip

    def inspect(_reference: str, _access: Access) -> bytes:
        raise ToolError("skopeo failed", details=said)

    monkeypatch.setattr(oci_export.skopeo, "inspect_raw", inspect)
    request = oci_export.Request(destination=names.parse("docker://r.example.org/x:1"))
    oci_export._check_registry(request)
    said[:] = ["pinging container registry r.example.org: dial tcp: refused"]
    with pytest.raises(AptOstreeError, match="cannot be reached"):
        oci_export._check_registry(request)


def test_when_an_image_was_made() -> None:
    """Docker's format has no annotations: nobody has vouched for what a registry puts in their place."""
    manifest, made = {"annotations": {names.CREATED: "2030-01-01T00:00:00Z"}}, {"created": "2020-01-01T00:00:00Z"}
    times = [
        created_of(SimpleNamespace(manifest=manifest, config=made, is_docker=docker))  # type: ignore[arg-type]
        for docker in (True, False)
    ]
    assert times == [1577836800, 1893456000]
