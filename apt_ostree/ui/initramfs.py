"""Settings of the initramfs for people and scripts."""

from __future__ import annotations

from typing import TypedDict

from apt_ostree.model import Origin
from apt_ostree.ui.theme import clean

InitramfsJson = TypedDict(
    "InitramfsJson", {"regenerate": bool, "initramfs-args": list[str], "initramfs-etc": list[str]}
)


def as_json(origin: Origin) -> InitramfsJson:
    """The object of `initramfs --json` and `initramfs-etc --json`."""
    return {
        "regenerate": origin.regenerate_initramfs,
        "initramfs-args": list(origin.initramfs_args),
        "initramfs-etc": list(origin.initramfs_etc),
    }


def text(origin: Origin) -> str:
    """Whose initramfs it is."""
    if not origin.regenerate_initramfs:
        return "The initramfs is the base's.\n"
    arguments = clean(" ".join(origin.initramfs_args))
    return f"The initramfs is made for this deployment{f', with: {arguments}' if arguments else ''}.\n"


def etc_text(origin: Origin) -> str:
    """What is tracked, one path a line."""
    if not origin.initramfs_etc:
        return "No files are tracked.\n"
    return "".join(f"{clean(path)}\n" for path in origin.initramfs_etc)
