"""Kernel arguments for people and scripts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from apt_ostree.ui.theme import clean


class KargsJson(TypedDict):
    """`kargs --json`. `deployment` is None for the running kernel's arguments."""

    deployment: str | None
    kargs: list[str]


def as_json(deployment: str, kargs: Sequence[str]) -> KargsJson:
    """The object for scripts."""
    return {"deployment": deployment or None, "kargs": list(kargs)}


def text(kargs: Sequence[str]) -> str:
    """One line, as the kernel gets it."""
    return clean(" ".join(kargs)) + "\n"
