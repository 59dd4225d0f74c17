"""locale-gen(8) of a tree."""

from __future__ import annotations

from collections.abc import Sequence

from apt_ostree import run


def generate(prefix: Sequence[str]) -> None:
    """`locale-gen`: what /etc/locale.gen lists. Raises ToolError."""
    run.capture([*prefix, "locale-gen"])
