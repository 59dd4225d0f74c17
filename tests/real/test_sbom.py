"""db sbom of real Debian: the documents are valid, complete, the same each time, and say what dpkg says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from packageurl import PackageURL

from tests.support.ground import Ground
from tests.support.process import run
from tests.support.sysroots import Base, Sysroot
from tests.support.verbs import held_to
from tests.unit.test_sbom import cyclonedx_problem, spdx_problems

pytestmark = pytest.mark.real


def asked(ground: Ground, base: Base, *words: str) -> Any:
    return held_to("db-sbom", ground.apt_ostree("db", "sbom", "--repo", base.repo, *words))


def listed(base: Base, root: Path) -> dict[tuple[str, str], dict[str, str]]:
    """What dpkg-query says of the commit's database: (name, architecture) -> version, source, its version."""
    run(["ostree", "checkout", f"--repo={base.repo}", "-U", "--subpath=/usr/lib/sysimage/dpkg", base.ref, root])
    fields = ("binary:Package", "Architecture", "Version", "source:Package", "source:Version")
    words = "\t".join(f"${{{field}}}" for field in fields)
    found = {}
    for line in run(["dpkg-query", f"--admindir={root}", "--show", f"--showformat={words}\n"]).stdout.splitlines():
        name, arch, version, source, built = line.split("\t")
        found[name.partition(":")[0], arch] = {"version": version, "source": source, "source-version": built}
    return found


def test_spdx(ground: Ground, base: Base, work: Path) -> None:
    document = asked(ground, base, base.ref)
    assert spdx_problems(document) == []
    wanted = listed(base, work / "dpkg")
    packages = {one["SPDXID"]: one for one in document["packages"]}
    system = packages.pop(document["documentDescribes"][0])
    assert base.checksum in system["comment"] and system["name"] == base.ref
    urls = [PackageURL.from_string(one["externalRefs"][0]["referenceLocator"]) for one in packages.values()]
    assert {(u.name, u.qualifiers["arch"]): u.version for u in urls} == {k: v["version"] for k, v in wanted.items()}
    assert {(u.type, u.namespace, u.qualifiers["distro"]) for u in urls} == {("deb", "debian", "trixie")}
    by_name = {one["name"]: one for one in packages.values()}
    assert by_name["libc6"]["sourceInfo"].endswith(f"glibc {wanted['libc6', 'amd64']['source-version']}")
    assert by_name["adduser"]["licenseDeclared"].startswith("GPL-2.0-or-later")
    assert by_name["gcc-14-base"]["licenseDeclared"] == "NOASSERTION", "its copyright file is prose"
    said = [one for one in packages.values() if one["licenseDeclared"] != "NOASSERTION"]
    assert len(said) > len(packages) / 2
    needs = {(r["spdxElementId"], r["relatedSpdxElement"]) for r in document["relationships"]
             if r["relationshipType"] == "DEPENDS_ON"}  # fmt: skip
    assert (by_name["bash"]["SPDXID"], by_name["libc6"]["SPDXID"]) in needs


def test_every_dependency_is_there(ground: Ground, base: Base) -> None:
    """Each package of a whole tree that has Depends needs somebody, for dpkg found them satisfied."""
    document = asked(ground, base, base.ref, "--format", "cyclonedx")
    status = run(["ostree", "cat", f"--repo={base.repo}", base.ref, "/usr/lib/sysimage/dpkg/status"]).stdout
    with_depends = {
        stanza.partition("Package: ")[2].partition("\n")[0]
        for stanza in status.split("\n\n")
        if "\nDepends: " in stanza or "\nPre-Depends: " in stanza
    }
    names = {one["bom-ref"]: one["name"] for one in document["components"]}
    needing = {names[one["ref"]] for one in document["dependencies"][1:] if one["dependsOn"]}
    assert needing == with_depends


def test_cyclonedx(ground: Ground, base: Base, work: Path) -> None:
    document = asked(ground, base, base.ref, "--format", "cyclonedx")
    assert cyclonedx_problem(document) is None
    found = {}
    for one in document["components"]:
        said = {item["name"].removeprefix("apt-ostree:"): item["value"] for item in one["properties"]}
        arch = PackageURL.from_string(one["purl"]).qualifiers["arch"]
        found[one["name"], arch] = {"version": one["version"], **said}
    assert found == listed(base, work / "dpkg")
    assert document["metadata"]["component"]["properties"][0]["value"] == base.checksum


@pytest.mark.parametrize("kind", ["spdx", "cyclonedx"])
def test_a_commit_has_one_document(ground: Ground, base: Base, work: Path, kind: str) -> None:
    """Byte for byte, whenever and from whatever repo it is made; the commit's time is that of the document."""
    words = ("db", "sbom", base.ref, "--format", kind)
    first = ground.apt_ostree(*words, "--repo", base.repo).stdout
    other = ground.copy(base, f"sbom-{kind}")
    assert ground.apt_ostree(*words, "--repo", other.repo, "--json").stdout == first
    time = run(["ostree", "show", f"--repo={base.repo}", base.ref]).stdout
    document = json.loads(first)
    created = document["creationInfo"]["created"] if kind == "spdx" else document["metadata"]["timestamp"]
    assert created.removesuffix("Z").replace("T", " ") in time


def test_a_deployment_and_what_is_layered(sysroot: Sysroot, repo: Any, deb: Any) -> None:
    copyright_file = (
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"
        "Files: *\nCopyright: 2024 A\nLicense: Expat and own-1\n\nLicense: own-1\n As you like.\n"
    )
    files = {"/usr/share/doc/foo/copyright": copyright_file}
    repo.publish(deb("foo", version="2:1.0+x", files=files, depends="libc6 (>= 2.3) | none"))
    sysroot.apt_ostree("install", "-y", "foo")
    base = held_to("db-sbom", sysroot.apt_ostree("db", "sbom", "1"))
    layered = held_to("db-sbom", sysroot.apt_ostree("db", "sbom"))
    assert len(layered["packages"]) == len(base["packages"]) + 1
    assert layered["documentNamespace"] != base["documentNamespace"] and spdx_problems(layered) == []
    foo = next(one for one in layered["packages"] if one["name"] == "foo")
    assert foo["externalRefs"][0]["referenceLocator"] == "pkg:deb/debian/foo@2:1.0%2Bx?arch=all&distro=trixie"
    text = next(one for one in layered["hasExtractedLicensingInfos"] if one["name"] == "own-1")
    assert foo["licenseDeclared"] == f"MIT AND {text['licenseId']}" and text["extractedText"] == "As you like."
    assert any(r["spdxElementId"] == foo["SPDXID"] and r["relationshipType"] == "DEPENDS_ON"
               and r["relatedSpdxElement"].endswith(".libc6") for r in layered["relationships"])  # fmt: skip


def test_what_has_none(ground: Ground, base: Base, work: Path) -> None:
    assert held_to("error", ground.apt_ostree("db", "sbom", "--repo", base.repo, "nosuch", "--json", check=1))
    done = ground.apt_ostree("db", "sbom", "--repo", base.repo, base.ref, "--format", "xml", check=2)
    assert "spdx, cyclonedx" in done.stderr
    (work / "tree/usr").mkdir(parents=True)
    run(["ostree", "init", f"--repo={work / 'repo'}", "--mode=archive"])
    run(["ostree", "commit", f"--repo={work / 'repo'}", "--branch=b", f"--tree=dir={work / 'tree'}"])
    error = held_to("error", ground.apt_ostree("db", "sbom", "--repo", work / "repo", "b", "--json", check=1))["error"]
    assert error["code"] == "no-pkglist"
