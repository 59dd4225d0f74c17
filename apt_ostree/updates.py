"""Records of what an update check found and how automatic updates went: JSON files, written whole and renamed."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from apt_ostree.model import AutomaticUpdates, DiffKind, Package, PackageChange, Update
from apt_ostree.paths import Paths

MAX_SIZE = 16 << 20  # bytes


def write_update(path: Path, update: Update | None) -> None:
    """Remember an update; None forgets it. A record that cannot be written is done without."""
    with contextlib.suppress(OSError):
        if update is None:
            path.unlink(missing_ok=True)
        else:
            _write(path, _encode(update))


def read_update(paths: Paths, start: str) -> Update | None:
    """The newest record that was worked out for the deployment `start`; older ones tell of a state that is gone."""
    found = [_decode(_read(path)) for path in (paths.update, paths.checked_update)]
    fitting = [update for update in found if update is not None and update.start == start]
    return max(fitting, key=lambda update: update.checked, default=None)


def write_automatic(path: Path, state: AutomaticUpdates) -> None:
    """Remember how the automatic update went."""
    with contextlib.suppress(OSError):
        _write(path, {"run": state.last_run, "since": state.failing_since, "failure": state.failure})


def read_automatic(path: Path, policy: str) -> AutomaticUpdates:
    """How the last automatic update went, with the policy that holds now."""
    found = _read(path)
    try:
        return AutomaticUpdates(
            policy=policy,
            last_run=float(str(found.get("run", 0))),
            failing_since=float(str(found.get("since", 0))),
            failure=str(found.get("failure", "")),
        )
    except ValueError:
        return AutomaticUpdates(policy=policy)


def _write(path: Path, value: object) -> None:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    fd, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    with os.fdopen(fd, "w") as file:
        json.dump(value, file)
        file.flush()
        os.fchmod(fd, 0o644)
        os.fsync(fd)
    Path(name).rename(path)


def _read(path: Path) -> Mapping[str, object]:
    try:
        with path.open("rb") as file:
            value = json.loads(file.read(MAX_SIZE))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _encode(update: Update) -> dict[str, object]:
    def package(item: Package | None) -> list[str] | None:
        return [item.name, item.version, item.arch] if item else None

    changes = [[c.kind, package(c.old), package(c.new), c.repo, c.security] for c in update.changes]
    names = ("osname", "refspec", "checksum", "version", "timestamp", "new_base", "start", "downloaded", "checked")
    return {**{name: getattr(update, name) for name in names}, "changes": changes}


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
                    changes=tuple(_change(item) for item in changes),
                )  # fmt: skip
    except (ValueError, TypeError):
        pass  # somebody else's file: as good as none
    return None


def _change(item: object) -> PackageChange:
    match item:
        case [str(kind), old, new, str(repo), bool(security)]:
            before, after = _package(old), _package(new)
            there = after or before
            if there is not None:
                return PackageChange(
                    kind=DiffKind(kind), name=there.name, arch=there.arch, old=before, new=after, repo=repo,
                    security=security,
                )  # fmt: skip
    raise ValueError("not a change")


def _package(item: object) -> Package | None:
    match item:
        case None:
            return None
        case [str(name), str(version), str(arch)]:
            return Package(name=name, version=version, arch=arch)
    raise ValueError("not a package")
