"""Package URLs (github.com/package-url/purl-spec, type `deb`): pkg:deb/VENDOR/NAME@VERSION?arch=...&distro=..."""

from __future__ import annotations

from urllib.parse import quote

from apt_ostree.sbom.model import Component, System

_VENDOR = "debian"  # where the tree does not say whose it is


def purl(component: Component, system: System) -> str:
    """The URL of a package. All but letters, digits and `.-_~` is percent-encoded; a colon is left (purl-spec)."""
    distro = system.codename or "-".join(part for part in (system.id, system.version_id) if part)
    qualifiers = {"arch": component.arch, "distro": distro}
    text = f"pkg:deb/{_encode(system.id or _VENDOR)}/{_encode(component.name.lower())}@{_encode(component.version)}"
    said = "&".join(f"{key}={_encode(value)}" for key, value in qualifiers.items() if value)
    return f"{text}?{said}" if said else text


def _encode(text: str) -> str:
    return quote(text, safe=":")
