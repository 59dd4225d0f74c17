"""A bill of materials of a commit: SPDX 2.3 or CycloneDX 1.6, from what its dpkg database and copyright files say.

`collect` reads a commit; `spdx` and `cyclonedx` are pure: equal inventories make equal documents, byte for byte.
"""

from apt_ostree.sbom.as_cyclonedx import cyclonedx
from apt_ostree.sbom.as_spdx import spdx
from apt_ostree.sbom.collect import collect, inventory
from apt_ostree.sbom.model import Component, Inventory, System

__all__ = ["Component", "Inventory", "System", "collect", "cyclonedx", "inventory", "spdx"]
