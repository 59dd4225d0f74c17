"""/etc/apt-ostree.conf: what an administrator decides once for every command.

    [Daemon]
    AutomaticUpdatePolicy=none|check|stage|apply   # what `upgrade --automatic` does; none
    LockLayering=true|false                        # refuse to change the requested packages; false
    Recommends=true|false                          # bring recommended packages along; true
    RefreshAge=SECONDS                             # how long package lists are good enough for install; 3600
    RollbackDeployments=NUMBER                     # how many deployments to go back to are kept; 1
    Restage=true|false                             # stage again what a power cut took away; true
    AutomaticRollback=true|false                   # go back from a new deployment that fails its checks; true
    RebootAfterRollback=true|false                 # and reboot into it; true
    PackageManagerHint=true|false                  # apt and dpkg say what to run instead; true

The group is called as in rpm-ostreed.conf(5), whose first two keys these are, though there is no daemon.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from apt_ostree.errors import UsageError

NAME = "etc/apt-ostree.conf"
GROUP = "Daemon"
MAX_SIZE = 1 << 16  # bytes
REFRESH_AGE = 3600.0  # seconds lists stay good enough for `install`
_MAX_COUNT = 20  # deployments; each has a kernel in /boot and an entry in its menu
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class Policy(StrEnum):
    """What an automatic update does."""

    NONE = "none"
    CHECK = "check"  # look and tell
    STAGE = "stage"  # make the deployment, wait for the next boot
    APPLY = "apply"  # and boot into it


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The file's settings; `warnings` are sentences about what was not understood."""

    policy: Policy = Policy.NONE
    lock_layering: bool = False
    recommends: bool = True
    refresh_age: float = REFRESH_AGE  # seconds
    rollback_deployments: int = 1
    restage: bool = True
    automatic_rollback: bool = True
    reboot_after_rollback: bool = True
    package_manager_hint: bool = True  # read by data/host/guard, a shell script
    warnings: tuple[str, ...] = ()


def load(root: Path) -> Config:
    """The settings of the system below `root` (a deployment, or / when it runs); defaults when there is no file.

    A link is not followed: in a deployment it would lead out of it. Raises UsageError for a value that makes no sense.
    """
    path = root / NAME
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            text = file.read(MAX_SIZE).decode(errors="replace")
    except FileNotFoundError:
        return Config()
    except OSError as error:
        return Config(warnings=(f"/{NAME} cannot be read: {error.strerror}",))
    return parse(text)


def load_leniently(root: Path) -> Config:
    """As `load`, for what runs at boot: a value that makes no sense is a warning, and the defaults count."""
    try:
        return load(root)
    except UsageError as error:
        return Config(warnings=(error.message,))


def parse(text: str) -> Config:
    """Text of the file -> Config. Raises UsageError naming the line of a value that makes no sense."""
    found, warnings, group = Config(), [], ""
    settings: dict[str, object] = {}
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("[") and line.endswith("]"):
            group = line[1:-1]
            continue
        key, equals, value = (part.strip() for part in line.partition("="))
        if not equals or group != GROUP or key not in _KEYS:
            warnings.append(f"/{NAME}:{number}: '{line}' is not a setting of [{GROUP}]; it is not heeded")
            continue
        field, read = _KEYS[key]
        try:
            settings[field] = read(value)
        except ValueError as error:
            raise UsageError(
                f"/{NAME}:{number}: {key} is {error}, not '{value}'", hint=f"edit /{NAME}, line {number}", code="config"
            ) from None
    return Config(
        policy=Policy(str(settings.get("policy", found.policy))),
        lock_layering=bool(settings.get("lock_layering", found.lock_layering)),
        recommends=bool(settings.get("recommends", found.recommends)),
        refresh_age=float(str(settings.get("refresh_age", found.refresh_age))),
        rollback_deployments=int(str(settings.get("rollback_deployments", found.rollback_deployments))),
        restage=bool(settings.get("restage", found.restage)),
        automatic_rollback=bool(settings.get("automatic_rollback", found.automatic_rollback)),
        reboot_after_rollback=bool(settings.get("reboot_after_rollback", found.reboot_after_rollback)),
        package_manager_hint=bool(settings.get("package_manager_hint", found.package_manager_hint)),
        warnings=tuple(warnings),
    )


def _policy(value: str) -> Policy:
    try:
        return Policy(value.lower())
    except ValueError:
        raise ValueError(f"one of {', '.join(Policy)}") from None


def _boolean(value: str) -> bool:
    if value.lower() not in _BOOLEANS:
        raise ValueError("true or false")
    return _BOOLEANS[value.lower()]


def _seconds(value: str) -> float:
    if not value.isdecimal():
        raise ValueError("a number of seconds")
    return float(value)


def _count(value: str) -> int:
    if not value.isdecimal() or not 1 <= int(value[:9]) <= _MAX_COUNT or len(value) > 2:
        raise ValueError(f"a number from 1 to {_MAX_COUNT}")
    return int(value)


_KEYS = {
    "AutomaticUpdatePolicy": ("policy", _policy),
    "LockLayering": ("lock_layering", _boolean),
    "Recommends": ("recommends", _boolean),
    "RefreshAge": ("refresh_age", _seconds),
    "RollbackDeployments": ("rollback_deployments", _count),
    "Restage": ("restage", _boolean),
    "AutomaticRollback": ("automatic_rollback", _boolean),
    "RebootAfterRollback": ("reboot_after_rollback", _boolean),
    "PackageManagerHint": ("package_manager_hint", _boolean),
}
