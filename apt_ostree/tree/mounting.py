"""How a tree will be mounted at boot: prepare-root.conf with composefs, or a refusal where that would not boot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from apt_ostree import composefs
from apt_ostree.errors import AptOstreeError, ToolError
from apt_ostree.tools import ostree
from apt_ostree.tree import fsops


def apply(root: Path, wanted: str, sandbox: Sequence[str]) -> tuple[str, ...]:
    """Write prepare-root.conf with composefs `yes`, `maybe` or `no`, before the initramfs is made: it has a copy.

    The tree's own ostree is asked, in the sandbox, whether it was built with composefs; returns warnings.
    Raises AptOstreeError (code `composefs`) for `yes` in a tree that would not boot then.
    """
    able = wanted == "no" or _able(sandbox)
    if wanted == "yes" and not able:
        raise AptOstreeError(
            "composefs = 'yes' in the treefile: the tree's ostree was built without composefs, it would not boot",
            hint='composefs = "maybe" uses it as soon as the tree can; Debian has it from ostree 2026 on, in sid',
            code="composefs",
        )
    fsops.write(root, composefs.CONFIG, composefs.render(wanted))
    return () if able else ("composefs is not used: the tree's ostree was built without it",)


def _able(sandbox: Sequence[str]) -> bool:
    try:
        return composefs.FEATURE in ostree.features(sandbox)
    except ToolError:
        return False  # there is no ostree in the tree
