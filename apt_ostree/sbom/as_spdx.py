"""An inventory as an SPDX 2.3 document (spdx.github.io/spdx-spec/v2.3, its JSON form)."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from apt_ostree import __version__
from apt_ostree.sbom.model import TOOL, Component, Inventory
from apt_ostree.sbom.purl import purl

_DOCUMENT, _SYSTEM = "SPDXRef-DOCUMENT", "SPDXRef-System"
_NOT_SAID = "NOASSERTION"


def spdx(inventory: Inventory) -> dict[str, Any]:
    """The document: it describes the commit, which contains the packages, which depend on one another."""
    ids = {one.key: _id(one) for one in inventory.components}
    document: dict[str, Any] = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": _DOCUMENT,
        "name": inventory.name,
        # 6.5: who has no web site of his own takes this one; the name is only there for people
        "documentNamespace": f"https://spdx.org/spdxdocs/{quote(inventory.name, safe='')}-{inventory.uuid}",
        "creationInfo": {"created": inventory.created, "creators": [f"Tool: {TOOL}-{__version__}"]},
        "documentDescribes": [_SYSTEM],
        "packages": [_system(inventory), *(_package(inventory, one) for one in inventory.components)],
        "relationships": [
            _relation(_DOCUMENT, "DESCRIBES", _SYSTEM),
            *(_relation(_SYSTEM, "CONTAINS", ids[one.key]) for one in inventory.components),
            *(
                _relation(ids[one.key], "DEPENDS_ON", ids[need])
                for one in inventory.components
                for need in one.needs
                if need in ids
            ),
        ],
    }
    if inventory.extracted:
        document["hasExtractedLicensingInfos"] = [
            {"licenseId": item.id, "name": item.name, "extractedText": item.text} for item in inventory.extracted
        ]
    return document


def _id(component: Component) -> str:
    """An identifier of letters, digits, `.` and `-`; `+` becomes `.2B.`, which no name has: they are lower case."""
    name = re.sub(r"[^a-zA-Z0-9.-]", lambda match: f".{ord(match[0]):X}.", component.name)
    return f"SPDXRef-Package-{component.arch}.{name}"


def _system(inventory: Inventory) -> dict[str, Any]:
    found = _base(_SYSTEM, inventory.name, inventory.version)
    found["primaryPackagePurpose"] = "OPERATING-SYSTEM"
    found["comment"] = f"OSTree commit {inventory.checksum}"
    return found


def _package(inventory: Inventory, component: Component) -> dict[str, Any]:
    found = _base(_id(component), component.name, component.version)
    if component.licence is not None:
        found["licenseDeclared"] = component.licence.expression
    found["sourceInfo"] = f"built from the source package {component.source} {component.source_version}"
    if component.homepage:
        found["homepage"] = component.homepage
    if component.summary:
        found["summary"] = component.summary
    found["externalRefs"] = [
        {
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": purl(component, inventory.system),
        }
    ]
    return found


def _base(identifier: str, name: str, version: str) -> dict[str, Any]:
    found: dict[str, Any] = {"SPDXID": identifier, "name": name}
    if version:
        found["versionInfo"] = version
    return {
        **found,
        "supplier": _NOT_SAID,
        "downloadLocation": _NOT_SAID,
        "filesAnalyzed": False,
        "licenseConcluded": _NOT_SAID,
        "licenseDeclared": _NOT_SAID,
        "copyrightText": _NOT_SAID,
    }


def _relation(element: str, kind: str, other: str) -> dict[str, str]:
    return {"spdxElementId": element, "relationshipType": kind, "relatedSpdxElement": other}
