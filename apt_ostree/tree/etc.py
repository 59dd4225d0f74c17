"""/etc -> /usr/etc, where ostree takes a deployment's pristine configuration from."""

from __future__ import annotations

from pathlib import Path

from apt_ostree.errors import AptOstreeError
from apt_ostree.tree import fsops


def apply(root: Path) -> None:
    """Move the tree's /etc to /usr/etc. Raises AptOstreeError when a package has files there already."""
    target = root / "usr/etc"
    if fsops.exists(target):
        raise AptOstreeError(
            "the tree has a /usr/etc, which is the place of the image's own configuration",
            hint="find the package with: dpkg -S /usr/etc",
            code="refused-path",
        )
    if not fsops.is_dir(root / "etc"):
        raise AptOstreeError("the tree has no /etc", code="refused-tree")
    (root / "etc").rename(target)
