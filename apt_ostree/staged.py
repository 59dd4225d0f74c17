"""The record of what is staged: libostree keeps a staged deployment in /run only, so a power cut loses it.

`<repo>/extensions/apt-ostree/staged.json` says all that is needed to stage the same thing once more, and two refs
keep its commits from being pruned until then.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apt_ostree import records
from apt_ostree.errors import ToolError
from apt_ostree.model import Deployment
from apt_ostree.paths import Paths
from apt_ostree.tools import ostree

REF = "apt-ostree/staged"
BASE_REF = "apt-ostree/staged-base"
_CHECKSUM = re.compile(r"[0-9a-f]{64}")
_STATEROOT = re.compile(r"[A-Za-z0-9_][\w.-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """One staged deployment as it was written down."""

    osname: str
    checksum: str
    serial: int
    origin: str  # text of the origin file
    kargs: tuple[str, ...] = ()  # without ostree=
    overlays: tuple[str, ...] = ()  # sha256 of small initrds; copies are in `Store.staged_initrds`
    locked: bool = False
    boot_id: str = ""  # of the boot it was staged in

    @property
    def id(self) -> str:
        return f"{self.osname}-{self.checksum}.{self.serial}"


def parse(record: dict[str, Any]) -> Staged | None:
    """A record -> Staged; None for what is none of ours, or was damaged."""
    serial = record.get("serial")
    found = Staged(
        osname=records.text(record, "osname"),
        checksum=records.text(record, "checksum"),
        serial=serial if isinstance(serial, int) else -1,
        origin=records.text(record, "origin"),
        kargs=records.texts(record, "kargs"),
        overlays=tuple(filter(_CHECKSUM.fullmatch, records.texts(record, "overlays"))),
        locked=record.get("locked") is True,
        boot_id=records.text(record, "boot-id"),
    )
    sound = _CHECKSUM.fullmatch(found.checksum) and _STATEROOT.fullmatch(found.osname) and found.boot_id
    return found if sound and found.serial >= 0 and found.origin else None


def read(paths: Paths) -> Staged | None:
    """What was staged last; None when nothing was, or it has come to its end."""
    return parse(records.read(paths.store.staged))


def follow(paths: Paths, first: Deployment | None) -> None:
    """Make the record say what is staged now. `first` boots next; when it is not staged, nothing is.

    Call it after every change of the deployments. Raises OSError, ToolError.
    """
    if first is None or not first.staged:
        forget(paths)
        return
    ostree.ref_create(paths.repo, REF, first.checksum)
    if first.base_commit is not None:
        ostree.ref_create(paths.repo, BASE_REF, first.base_checksum)
    else:
        _drop_ref(paths, BASE_REF)
    paths.store.finalize_failure.unlink(missing_ok=True)
    _keep_overlays(paths, first.overlays)
    records.write(
        paths.store.staged,
        {
            "osname": first.osname,
            "checksum": first.checksum,
            "serial": first.serial,
            "origin": first.origin.text,
            "kargs": list(first.kargs),
            "overlays": list(first.overlays),
            "locked": first.finalization_locked,
            "boot-id": paths.boot_id,
        },
    )


def forget(paths: Paths) -> None:
    """Nothing is staged any more. Raises OSError, ToolError."""
    paths.store.staged.unlink(missing_ok=True)
    shutil.rmtree(paths.store.staged_initrds, ignore_errors=True)
    for ref in (REF, BASE_REF):
        _drop_ref(paths, ref)


def _keep_overlays(paths: Paths, checksums: tuple[str, ...]) -> None:
    """libostree holds the small initrds of a staged deployment in /run, and those of others in /boot."""
    kept = paths.store.staged_initrds
    for checksum in checksums:
        for source in (paths.staged.with_name("staged-initrds") / checksum, _in_boot(paths, checksum)):
            if source.is_file() and not (kept / f"{checksum}.img").exists():
                kept.mkdir(mode=0o700, exist_ok=True)
                shutil.copyfile(source, kept / "copying")
                (kept / "copying").rename(kept / f"{checksum}.img")
    for left in kept.iterdir() if kept.is_dir() else ():
        if left.name.removesuffix(".img") not in checksums:
            left.unlink()


def _in_boot(paths: Paths, checksum: str) -> Path:
    return paths.boot / "ostree/initramfs-overlays" / f"{checksum}.img"


def _drop_ref(paths: Paths, ref: str) -> None:
    if (paths.repo / "refs/heads" / ref).exists():
        with contextlib.suppress(ToolError):  # somebody else was faster
            ostree.ref_delete(paths.repo, ref)


def keep_failure(paths: Paths) -> str:
    """Keep why the last finalisation failed, and return it: `ostree admin boot-complete` takes libostree's own away."""
    reason = _told(paths)
    if reason:
        records.write(paths.store.finalize_failure, {"reason": reason, "boot-id": paths.boot_id})
    return reason


def _told(paths: Paths) -> str:
    """libostree's own note; that there is one says that finalising failed, whatever is in it."""
    try:
        return paths.finalize_failure.read_text(errors="replace").strip() or "libostree gives no reason"
    except OSError:
        return ""


def failure(paths: Paths) -> str:
    """Why the last staged deployment failed to finalise, in libostree's words; empty when none did since."""
    return _told(paths) or records.text(records.read(paths.store.finalize_failure), "reason")


def lost(record: Staged, deployments: tuple[Deployment, ...], boot_id: str) -> bool:
    """True when a record is of an earlier boot and its deployment was never finalised: it has no boot entry."""
    deployed = {deployment.id for deployment in deployments if not deployment.staged}
    return record.boot_id != boot_id and record.id not in deployed
