"""`apt-ostree oci`: container images and trees that are to become some."""

from __future__ import annotations

import typer

from apt_ostree.cli import oci_lint
from apt_ostree.cli.common import group


def register(app: typer.Typer) -> None:
    oci = group(
        app,
        "oci",
        """Work with OCI images of trees.

        These commands need no running OSTree system.
        """,
    )
    oci_lint.register(oci)
