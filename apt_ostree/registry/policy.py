"""containers-policy.json(5): where a tree has it, what it asks for, and how it is read from outside of the tree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from apt_ostree.errors import VerificationError

PLACES = ("etc/containers/policy.json", "usr/share/containers/policy.json")
_ANYTHING = "insecureAcceptAnything"
# keys whose values are files of the tree (c/image's signature/policy_types.go)
_FILES = ("keyPath", "caPath", "rekorPublicKeyPath", "caRootsPath", "caIntermediatesPath")
_LISTS = ("keyPaths", "rekorPublicKeyPaths")
MAX_SIZE = 4 << 20  # bytes


def find(root: Path) -> Path | None:
    """The policy of the tree at `root`; a person's own, in a home, is none of the machine's."""
    return next((root / place for place in PLACES if (root / place).is_file()), None)


def read(path: Path) -> dict[str, Any]:
    """A policy. Raises VerificationError for what is none: nothing can be verified then."""
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(MAX_SIZE))
    except (OSError, ValueError, RecursionError) as error:
        raise _broken(path, str(error)) from error
    if not isinstance(found, dict) or not isinstance(found.get("default"), list):
        raise _broken(path, "it has no default")
    return found


def _broken(path: Path, why: str) -> VerificationError:
    return VerificationError(
        f"{path} cannot be used: {why}", hint="see containers-policy.json(5)", code="insecure-policy"
    )


def accepts_all(policy: dict[str, Any]) -> bool:
    """True when the default is a lone insecureAcceptAnything, as Debian ships it."""
    default = policy["default"]
    return len(default) == 1 and isinstance(default[0], dict) and default[0].get("type") == _ANYTHING


def asks_nothing(policy: dict[str, Any]) -> bool:
    """True when no image whatever could be refused by it."""
    return accepts_all(policy) and not policy.get("transports")


def require_strict(root: Path) -> None:
    """For images that must be signed. Raises VerificationError unless the policy refuses what it does not name.

    The rule of ostree-ext (container_policy_is_default_insecure): it looks at the default alone.
    """
    path = find(root)
    if path is None or accepts_all(read(path)):
        raise VerificationError(
            f"the policy of this system, /{PLACES[0]}, "
            + ("is not there" if path is None else "accepts any image by default")
            + ": a signature would not be asked for",
            hint='write one whose default is [{"type": "reject"}] and that names the keys of your registry: '
            "containers-policy.json(5)",
            code="insecure-policy",
        )


def moved(value: Any, root: Path) -> Any:
    """A policy whose key files are found below `root`, for a program that does not run in that tree."""
    if isinstance(value, list):
        return [moved(item, root) for item in value]
    if not isinstance(value, dict):
        return value
    found: dict[str, Any] = {}
    for key, item in value.items():
        if key in _FILES and isinstance(item, str):
            found[key] = _below(root, item)
        elif key in _LISTS and isinstance(item, list):
            found[key] = [_below(root, one) if isinstance(one, str) else one for one in item]
        else:
            found[key] = moved(item, root)
    return found


def _below(root: Path, path: str) -> str:
    return str(root / path.lstrip("/"))
