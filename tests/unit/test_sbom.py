"""Bills of materials: package URLs, licences, dependencies, and documents that other people's validators take."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from apt_ostree import sbom
from apt_ostree.errors import AptOstreeError
from apt_ostree.model import Commit
from apt_ostree.sbom import licences, needs
from apt_ostree.sbom.model import Component, Inventory, System
from apt_ostree.sbom.purl import purl
from apt_ostree.view.directory import open_directory
from tests.support.rootfs import put

TRIXIE = System(id="debian", codename="trixie", version_id="13", name="Debian GNU/Linux")
HEAD = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"
STATUS = """Package: dpkg
Status: install ok installed
Architecture: amd64
Version: 1.22.21
Pre-Depends: libc6 (>= 2.41)
Description: package manager
 more of it

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1

Package: libc6
Status: install ok installed
Architecture: amd64
Multi-Arch: same
Source: glibc (2.41-12)
Version: 2.41-12+b1
Homepage: https://www.gnu.org/software/libc/libc.html

Package: libstdc++6
Status: install ok triggers-pending
Architecture: amd64
Version: 1:14.2.0-19
Depends: libc6 (>= 2.38), missing | dpkg
"""


def component(name: str, version: str, arch: str = "amd64") -> Component:
    return Component(name=name, version=version, arch=arch, source=name, source_version=version)


def tree(root: Path, **copyrights: str) -> Path:
    put(root, "usr/lib/sysimage/dpkg/status", STATUS)
    put(root, "usr/lib/os-release", 'NAME="Debian GNU/Linux"\nID=debian\nVERSION_CODENAME=trixie\nVERSION_ID="13"\n')
    for name, text in copyrights.items():
        put(root, f"usr/share/doc/{name}/copyright", text)
    return root


def read(root: Path, **fields: Any) -> Inventory:
    commit = Commit(checksum="a" * 64, timestamp=1700000000, version="13.1", **fields)
    return sbom.inventory(open_directory(root), commit, name="debian/13/x86_64/a b")


def stanza(licence: str, files: str = "*") -> str:
    return f"Files: {files}\nCopyright: 2024 A\nLicense: {licence}\n\n"


# --- package URLs


@pytest.mark.parametrize(
    ("found", "url"),
    [
        (component("bash", "5.2.37-2+b5"), "pkg:deb/debian/bash@5.2.37-2%2Bb5?arch=amd64&distro=trixie"),
        (component("libstdc++6", "1:14~rc1-1"), "pkg:deb/debian/libstdc%2B%2B6@1:14~rc1-1?arch=amd64&distro=trixie"),
        (component("a.b-c", "1", "all"), "pkg:deb/debian/a.b-c@1?arch=all&distro=trixie"),
    ],
)
def test_purl(found: Component, url: str) -> None:
    assert purl(found, TRIXIE) == url
    parsed = PackageURL.from_string(url)
    assert (parsed.name, parsed.version, parsed.qualifiers["arch"]) == (found.name, found.version, found.arch)
    assert parsed.to_string() == url, "the reference implementation writes it so"


def test_purl_of_another_vendor() -> None:
    found = component("bash", "1")
    assert purl(found, System(id="ubuntu", version_id="24.04")) == (
        "pkg:deb/ubuntu/bash@1?arch=amd64&distro=ubuntu-24.04"
    )
    assert purl(found, System()) == "pkg:deb/debian/bash@1?arch=amd64"


# --- licences


@pytest.mark.parametrize(
    ("name", "spdx"),
    [
        ("GPL-2+", "GPL-2.0-or-later"), ("gpl-3", "GPL-3.0-only"), ("GPL-2.0+", "GPL-2.0-or-later"),
        ("LGPL-2.1", "LGPL-2.1-only"), ("GFDL-NIV-1.3+", "GFDL-1.3-no-invariants-or-later"), ("Expat", "MIT"),
        ("BSD-3-clause", "BSD-3-Clause"), ("Apache-2.0", "Apache-2.0"), ("CC-BY-SA-4.0", "CC-BY-SA-4.0"),
        ("MPL-1.1+", "MPL-1.1+"), ("CC0", "CC0-1.0"), ("GPL", ""), ("MIT", ""), ("Artistic", ""), ("Artistic-1.0", ""),
        ("public-domain", ""), ("BSD", ""), ("GPL-7", ""), ("Apache-9.0", ""),
    ],
)  # fmt: skip
def test_identifiers(name: str, spdx: str) -> None:
    assert licences.identifier(name) == spdx


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        (stanza("GPL-2+"), "GPL-2.0-or-later"),
        (stanza("GPL-2+ or Expat and ISC"), "GPL-2.0-or-later OR (MIT AND ISC)"),
        (stanza("GPL-2+ or Expat, and ISC"), "(GPL-2.0-or-later OR MIT) AND ISC"),
        (stanza("ISC") + stanza("Expat or GPL-1", "a") + stanza("ISC", "b"), "ISC AND (MIT OR GPL-1.0-only)"),
    ],
)
def test_expressions(text: str, expression: str) -> None:
    found = licences.licence(HEAD + text)
    assert found is not None and (found.expression, found.extracted) == (expression, ())


def test_other_names_keep_their_text() -> None:
    own = "License: GPL-2+ with OpenSSL exception\n Do as you like.\n .\n Really.\n"
    found = licences.licence(HEAD + stanza("GPL-2+ with OpenSSL exception or ISC") + own)
    assert found is not None and len(found.extracted) == 1
    text = found.extracted[0]
    assert text.name == "GPL-2+ with OpenSSL exception" and text.text == "Do as you like.\n\nReally."
    assert found.expression == f"{text.id} OR ISC" and text.id.startswith("LicenseRef-GPL-2-with-OpenSSL-exception-")
    other = licences.licence(HEAD + stanza("GPL-2+ with OpenSSL exception") + own.replace("Really", "No"))
    assert other is not None and other.extracted[0].id != text.id, "another text is another licence"
    inside = licences.licence(HEAD + stanza("public-domain\n No rights."))
    assert inside is not None and inside.extracted[0].text == "No rights."


@pytest.mark.parametrize(
    "text",
    [
        "This package is free software.\n",
        HEAD,
        HEAD + stanza("public-domain"),  # no text for it
        HEAD + stanza("GPL-2+") + stanza("odd", "a"),
        HEAD + stanza("GPL-2+ or odd"),
        HEAD + stanza("A, or B, and C"),
        HEAD + "Files: *\nCopyright: 2024\n\n",
        HEAD + "Files: *\nFiles: *\nCopyright: x\nLicense: ISC\n",
        "",
    ],
)
def test_nothing_is_guessed(text: str, caplog: pytest.LogCaptureFixture) -> None:
    assert licences.licence(text) is None
    assert caplog.text == ""


# --- dependencies


def installed(name: str, version: str = "1", arch: str = "amd64", **fields: str) -> needs.Installed:
    return needs.Installed(name=name, version=version, arch=arch, **fields)


@pytest.mark.parametrize(
    ("relation", "wanted"),
    [
        ("b", [("b", "amd64")]),
        ("b (>= 2) | c", [("c", "all")]),
        ("nothing | c | b", [("c", "all")]),
        ("virtual", [("c", "all"), ("d", "amd64")]),
        ("virtual (= 3)", [("d", "amd64")]),  # a Provides without a version satisfies no versioned relation
        ("foreign", [("foreign", "i386")]),
        ("other", []),
        ("other:i386", [("other", "i386")]),
        ("allowed", []),
        ("allowed:any", [("allowed", "i386")]),
        ("a, dpkg", [("dpkg", "amd64")]),  # nobody needs himself
    ],
)
def test_needs(relation: str, wanted: Sequence[tuple[str, str]]) -> None:
    a = installed("a", depends=relation)
    index = needs.Index.of([
        a, installed("b"), installed("c", arch="all", provides="virtual"),
        installed("d", provides="virtual (= 3)"), installed("dpkg"), installed("other", arch="i386"),
        installed("foreign", arch="i386", multi_arch="foreign"),
        installed("allowed", arch="i386", multi_arch="allowed"),
    ])  # fmt: skip
    assert list(index.needs(a)) == list(wanted)


# --- documents


def spdx_problems(document: dict[str, Any]) -> list[str]:
    """What spdx-tools finds wrong."""
    parsed = JsonLikeDictParser().parse(json.loads(json.dumps(document)))
    return [message.validation_message for message in validate_full_spdx_document(parsed)]


def cyclonedx_problem(document: dict[str, Any]) -> object:
    """What the official schema finds wrong."""
    return JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document))


@pytest.fixture
def made(tmp_path: Path) -> Inventory:
    own = "License: odd\n Do as you like.\n"
    return read(tree(tmp_path, dpkg=HEAD + stanza("GPL-2+"), libc6=HEAD + stanza("odd or Expat") + own))


def test_inventory(made: Inventory) -> None:
    found = {one.name: one for one in made.components}
    assert list(found) == ["dpkg", "libc6", "libstdc++6"] and made.system == TRIXIE
    libc6 = found["libc6"]
    assert (libc6.source, libc6.source_version, libc6.version) == ("glibc", "2.41-12", "2.41-12+b1")
    assert libc6.homepage.startswith("https://") and found["dpkg"].summary == "package manager"
    assert found["libstdc++6"].needs == (("dpkg", "amd64"), ("libc6", "amd64")) and found["libstdc++6"].licence is None
    assert made.created == "2023-11-14T22:13:20Z"


def test_a_copyright_file_behind_a_link(tmp_path: Path) -> None:
    tree(tmp_path, dpkg=HEAD + stanza("ISC"))
    (tmp_path / "usr/share/doc/libc6").symlink_to("dpkg")
    licence = next(one for one in read(tmp_path).components if one.name == "libc6").licence
    assert licence is not None and licence.expression == "ISC"


def test_no_database(tmp_path: Path) -> None:
    put(tmp_path, "usr/lib/os-release")
    with pytest.raises(AptOstreeError, match="no package database"):
        read(tmp_path)


def test_spdx(made: Inventory) -> None:
    document = sbom.spdx(made)
    assert spdx_problems(document) == []
    packages = {one["name"]: one for one in document["packages"]}
    assert packages["dpkg"]["licenseDeclared"] == "GPL-2.0-or-later"
    assert packages["libstdc++6"]["licenseDeclared"] == "NOASSERTION"
    assert packages["libstdc++6"]["SPDXID"] == "SPDXRef-Package-amd64.libstdc.2B..2B.6"
    assert document["hasExtractedLicensingInfos"][0]["extractedText"] == "Do as you like."
    relations = {
        (r["spdxElementId"], r["relationshipType"], r["relatedSpdxElement"]) for r in document["relationships"]
    }
    system = document["documentDescribes"][0]
    assert ("SPDXRef-DOCUMENT", "DESCRIBES", system) in relations
    assert sum(kind == "CONTAINS" for _, kind, _ in relations) == 3
    assert ("SPDXRef-Package-amd64.dpkg", "DEPENDS_ON", "SPDXRef-Package-amd64.libc6") in relations
    document["packages"][1]["SPDXID"] = "SPDXRef-libstdc++"
    assert spdx_problems(document), "the validator would have told"


def test_cyclonedx(made: Inventory) -> None:
    document = sbom.cyclonedx(made)
    assert cyclonedx_problem(document) is None
    refs = {one["bom-ref"] for one in document["components"]}
    assert len(refs) == 3 and document["dependencies"][0]["dependsOn"] == sorted(refs)
    url = "pkg:deb/debian/libstdc%2B%2B6@1:14.2.0-19?arch=amd64&distro=trixie"
    depends = next(one["dependsOn"] for one in document["dependencies"] if one["ref"] == url)
    assert len(depends) == 2 and set(depends) < refs
    licences = {one["name"]: one.get("licenses") for one in document["components"]}
    assert licences["dpkg"] == [{"expression": "GPL-2.0-or-later", "acknowledgement": "declared"}]
    assert licences["libstdc++6"] is None
    document["components"][0]["type"] = "package"
    assert cyclonedx_problem(document) is not None, "the schema would have told"


@pytest.mark.parametrize("make", [sbom.spdx, sbom.cyclonedx])
def test_the_same_commit_gives_the_same_document(tmp_path: Path, make: Any, made: Inventory) -> None:
    assert json.dumps(make(made)) == json.dumps(make(read(tmp_path)))
    other = sbom.inventory(open_directory(tmp_path), Commit(checksum="b" * 64), name=made.name)
    key = "documentNamespace" if make is sbom.spdx else "serialNumber"
    assert make(made)[key] != make(other)[key]
