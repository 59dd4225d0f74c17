"""Records of what an update check found and how automatic updates went: JSON files, written whole and renamed."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from apt_ostree import records
from apt_ostree.model import Update
from apt_ostree.paths import Paths
from apt_ostree.states import AutomaticUpdates


def write_update(path: Path, update: Update | None) -> None:
    """Remember an update; None forgets it. A record that cannot be written is done without."""
    with contextlib.suppress(OSError):
        if update is None:
            path.unlink(missing_ok=True)
        else:
            records.write(path, _encode(update))


def read_update(paths: Paths, start: str) -> Update | None:
    """The newest record that was worked out for the deployment `start`; older ones tell of a state that is gone."""
    found = [_decode(records.read(path)) for path in (paths.update, paths.checked_update)]
    fitting = [update for update in found if update is not None and update.start == start]
    return max(fitting, key=lambda update: update.checked, default=None)


def write_automatic(path: Path, state: AutomaticUpdates) -> None:
    """Remember how the automatic update went."""
    with contextlib.suppress(OSError):
        records.write(path, {"run": state.last_run, "since": state.failing_since, "failure": state.failure})


def read_automatic(path: Path, policy: str) -> AutomaticUpdates:
    """How the last automatic update went, with the policy that holds now."""
    found = records.read(path)
    try:
        return AutomaticUpdates(
            policy=policy,
            last_run=float(str(found.get("run", 0))),
            failing_since=float(str(found.get("since", 0))),
            failure=str(found.get("failure", "")),
        )
    except ValueError:
        return AutomaticUpdates(policy=policy)


def _encode(update: Update) -> dict[str, object]:
    names = ("osname", "refspec", "checksum", "version", "timestamp", "new_base", "start", "downloaded", "checked")
    return {
        **{name: getattr(update, name) for name in names},
        "changes": [records.encode_change(change) for change in update.changes],
    }


def _decode(record: Mapping[str, object]) -> Update | None:
    try:
        match record:
            case {
                "osname": str(osname), "refspec": str(refspec), "checksum": str(checksum), "version": str(version),
                "timestamp": int(timestamp), "new_base": bool(new_base), "start": str(start),
                "downloaded": bool(downloaded), "checked": float(checked), "changes": list(changes),
            }:  # fmt: skip
                return Update(
                    osname=osname, refspec=refspec, checksum=checksum, version=version, timestamp=timestamp,
                    new_base=new_base, start=start, downloaded=downloaded, checked=checked,
                    changes=tuple(records.decode_change(item) for item in changes),
                )  # fmt: skip
    except (ValueError, TypeError):
        pass  # somebody else's file: as good as none
    return None
