"""An inventory as a CycloneDX 1.6 bill of materials (cyclonedx.org/docs/1.6/json)."""

from __future__ import annotations

from typing import Any

from apt_ostree import __version__
from apt_ostree.sbom.model import TOOL, Component, Inventory
from apt_ostree.sbom.purl import purl


def cyclonedx(inventory: Inventory) -> dict[str, Any]:
    """The bill: the commit is the component it is about. Texts of licences without an SPDX identifier stay in SPDX."""
    urls = {one.key: purl(one, inventory.system) for one in inventory.components}
    root = f"ostree:{inventory.checksum}"
    system: dict[str, Any] = {"type": "operating-system", "bom-ref": root, "name": inventory.name}
    if inventory.version:
        system["version"] = inventory.version
    system["properties"] = [_property("ostree:commit", inventory.checksum)]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{inventory.uuid}",
        "version": 1,
        "metadata": {
            "timestamp": inventory.created,
            "tools": {"components": [{"type": "application", "name": TOOL, "version": __version__}]},
            "component": system,
        },
        "components": [_component(one, urls[one.key]) for one in inventory.components],
        "dependencies": [
            {"ref": root, "dependsOn": sorted(urls.values())},
            *(
                {"ref": urls[one.key], "dependsOn": sorted({urls[need] for need in one.needs if need in urls})}
                for one in inventory.components
            ),
        ],
    }


def _component(component: Component, url: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "library",
        "bom-ref": url,
        "name": component.name,
        "version": component.version,
    }
    if component.summary:
        found["description"] = component.summary
    if component.licence is not None:
        found["licenses"] = [{"expression": component.licence.expression, "acknowledgement": "declared"}]
    found["purl"] = url
    if component.homepage:
        found["externalReferences"] = [{"type": "website", "url": component.homepage}]
    found["properties"] = [
        _property("source", component.source),
        _property("source-version", component.source_version),
    ]
    return found


def _property(name: str, value: str) -> dict[str, str]:
    return {"name": f"{TOOL}:{name}", "value": value}
