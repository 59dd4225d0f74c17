"""Named seams of a transaction where tests make it fail, die or wait.

`APT_OSTREE_FAULT=NAME:ACTION` with ACTION `fail` (raise), `kill` (SIGKILL ourselves) or `hold` (wait until
interrupted). Without the variable a point costs one dictionary look-up.
"""

from __future__ import annotations

import os
import signal
import time

from apt_ostree.errors import AptOstreeError

VARIABLE = "APT_OSTREE_FAULT"

POINTS = (
    "lock",
    "resolve",
    "pull",
    "download",
    "checkout",
    "unpack",
    "configure",
    "fold",
    "commit",
    "deploy",
    "history",
    "cleanup",
)
IMAGE_POINTS = (
    "image-work",
    "image-lock",
    "image-partition",
    "image-mount",
    "image-pull",
    "image-fill",
    "image-bootloader",
    "image-convert",
    "image-rename",
)
LIVE_POINTS = ("live-checkout", "live-switch", "live-etc", "live-settle")


def point(name: str) -> None:
    """Pass the seam `name`, or do there what `APT_OSTREE_FAULT` says. Raises AptOstreeError for `fail`."""
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return
    where, _, action = wanted.partition(":")
    if where != name:
        return
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if action == "hold":
        while True:
            time.sleep(3600)
    raise AptOstreeError(f"fault point '{name}' was asked to fail", code="fault")
