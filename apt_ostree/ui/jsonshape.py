"""The JSON that scripts read: shapes as TypedDicts, and model -> JSON. Keys and types are those of status.md."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, NotRequired, TypedDict

from apt_ostree.model import Commit, Deployment, Origin, Package, PackageChange
from apt_ostree.states import Health, Signature

PackageTuple = tuple[str, str, int, str, str, str]  # name_version_arch, name, epoch, version, revision, arch

# kebab-case keys need the functional form of TypedDict
DeploymentJson = TypedDict(
    "DeploymentJson",
    {
        "id": str,
        "osname": str,
        "checksum": str,
        "serial": int,
        "booted": bool,
        "staged": bool,
        "pinned": bool,
        "unlocked": str,
        "regenerate-initramfs": bool,
        "timestamp": int,
        "base-commit-meta": dict[str, Any],
        "requested-packages": list[str],
        "requested-local-packages": list[str],
        "requested-base-removals": list[str],
        "requested-base-local-replacements": list[str],
        "packages": list[str],
        "base-removals": list[PackageTuple],
        "base-local-replacements": list[tuple[PackageTuple, PackageTuple]],
        "kargs": list[str],
        "origin": NotRequired[str],
        "origin-error": NotRequired[str],
        "container-image-reference": NotRequired[str],
        "container-image-reference-digest": NotRequired[str],
        "version": NotRequired[str],
        "base-checksum": NotRequired[str],
        "base-version": NotRequired[str],
        "base-timestamp": NotRequired[int],
        "layered-commit-meta": NotRequired[dict[str, Any]],
        "requested-base-remote-replacements": NotRequired[list[str]],
        "base-remote-replacements": NotRequired[dict[str, list[tuple[PackageTuple, PackageTuple]]]],
        "initramfs-args": NotRequired[list[str]],
        "initramfs-etc": NotRequired[list[str]],
        "finalization-locked": NotRequired[bool],
        "pending-base-checksum": NotRequired[str],
        "pending-base-version": NotRequired[str],
        "pending-base-timestamp": NotRequired[int],
        "gpg-enabled": NotRequired[bool],
        "signatures": NotRequired[list["SignatureTuple"]],
        "skipped-packages": NotRequired[list[str]],
        "health": NotRequired[dict[str, Any]],
        "live-replaced": NotRequired[str],
        "live-inprogress": NotRequired[str],
        "etc-conflicts": NotRequired[list[str]],
        "disk": NotRequired[int],
    },
)


class ChangeJson(TypedDict):
    name: str
    arch: str
    old: str | None
    new: str | None
    repo: str
    security: bool


class ChangesJson(TypedDict):
    added: list[ChangeJson]
    removed: list[ChangeJson]
    upgraded: list[ChangeJson]
    downgraded: list[ChangeJson]


_COMMANDS = re.compile(r"[\x7f-\x9f]")

# valid, signature expired, key expired, revoked, missing, fingerprint, made, expires, algorithm, hash, name, email,
# the key's two expiries: rpm-ostree's tuple. What ostree's text does not tell is false, 0 or empty.
SignatureTuple = tuple[bool, bool, bool, bool, bool, str, int, int, str, str, str, str, int, int]


def signature_json(one: Signature) -> SignatureTuple:
    """A signature as rpm-ostree's tools read it."""
    state = (one.valid, one.expired, False, False, one.key_missing)
    return (*state, one.key_id, one.made, 0, one.algorithm, "", one.name, one.email, 0, 0)


def dumps(value: object) -> str:
    """One JSON object as it goes to stdout; what a terminal takes for a command (ECMA-48, C1) is escaped."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return _COMMANDS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def package_tuple(package: Package) -> PackageTuple:
    """A package as rpm-ostree's tools read it: the version in its three parts (deb-version(7)), the epoch a number."""
    epoch, colon, rest = package.version.partition(":")
    if not colon or not epoch.isdecimal():
        epoch, rest = "0", package.version
    upstream, dash, revision = rest.rpartition("-")
    version = upstream if dash else rest
    return (package.nevra, package.name, int(epoch), version, revision if dash else "", package.arch)


def active_requests(deployment: Deployment) -> list[str]:
    """Requests of the origin that are layered in the tree, as they were asked for."""
    layered = {package.name for package in deployment.commit.layer.packages} if deployment.commit.layer else set()
    return [str(request) for request in deployment.origin.requested if request.name in layered]


def inactive_requests(deployment: Deployment) -> list[str]:
    """Requests that the base satisfies by itself."""
    active = set(active_requests(deployment))
    return [str(request) for request in deployment.origin.requested if str(request) not in active]


def deployment_json(deployment: Deployment) -> DeploymentJson:
    """One deployment of `status --json`."""
    origin, layer = deployment.origin, deployment.commit.layer
    base = deployment.base_commit or deployment.commit
    found: DeploymentJson = {
        "id": deployment.id,
        "osname": deployment.osname,
        "checksum": deployment.checksum,
        "serial": deployment.serial,
        "booted": deployment.booted,
        "staged": deployment.staged,
        "pinned": origin.pinned,
        "unlocked": str(deployment.unlocked),
        "regenerate-initramfs": origin.regenerate_initramfs,
        "timestamp": deployment.commit.timestamp,
        "base-commit-meta": base.metadata,
        "requested-packages": [str(request) for request in origin.requested],
        "requested-local-packages": [local.nevra for local in origin.requested_local],
        "requested-base-removals": list(origin.overrides_remove),
        "requested-base-local-replacements": [local.nevra for local in origin.overrides_replace_local],
        "packages": active_requests(deployment),
        "base-removals": [package_tuple(package) for package in layer.removals] if layer else [],
        "base-local-replacements": _replacements(deployment, local=True),
        "kargs": list(deployment.kargs),
    }
    _add_commits(found, deployment, base)
    _add_origin(found, origin, deployment)
    return found


def _replacements(deployment: Deployment, *, local: bool) -> list[tuple[PackageTuple, PackageTuple]]:
    """As rpm-ostree has them: ours first, the base's second. Which are of files the origin knows."""
    layer = deployment.commit.layer
    files = {item.nevra for item in deployment.origin.overrides_replace_local}
    pairs = layer.replacements if layer else ()
    return [(package_tuple(new), package_tuple(old)) for old, new in pairs if (new.nevra in files) is local]


def inactive_overrides(deployment: Deployment) -> list[str]:
    """Overrides of packages the base does not have, in the words of the command line."""
    origin, layer = deployment.origin, deployment.commit.layer
    removed = {package.name for package in layer.removals} if layer else set()
    replaced = {new.name for _, new in layer.replacements} if layer else set()
    found = [f"remove {name}" for name in origin.overrides_remove if name.partition(":")[0] not in removed]
    found += [f"replace {item}" for item in origin.overrides_replace if item.name not in replaced]
    names = [(item.package.name, item.nevra) for item in origin.overrides_replace_local]
    return found + [f"replace {nevra}" for name, nevra in names if name not in replaced]


def _add_commits(found: DeploymentJson, deployment: Deployment, base: Commit) -> None:
    if version := deployment.commit.version or base.version:
        found["version"] = version
    if deployment.commit.layer is None:
        return
    found["base-checksum"] = base.checksum
    found["base-timestamp"] = base.timestamp
    found["layered-commit-meta"] = deployment.commit.metadata
    if base.version:
        found["base-version"] = base.version


def _add_origin(found: DeploymentJson, origin: Origin, deployment: Deployment) -> None:
    if origin.container_image_reference:
        found["container-image-reference"] = origin.container_image_reference
        if origin.image_digest:
            found["container-image-reference-digest"] = origin.image_digest
    elif origin.refspec:
        found["origin"] = origin.refspec
    if deployment.origin_error:
        found["origin-error"] = deployment.origin_error
    if origin.overrides_replace:
        found["requested-base-remote-replacements"] = [str(item) for item in origin.overrides_replace]
    if remote := _replacements(deployment, local=False):
        found["base-remote-replacements"] = {"archive": remote}  # rpm-ostree has the repository's name here
    if origin.skipped:
        found["skipped-packages"] = [str(request) for request in origin.skipped]
    if origin.initramfs_args:
        found["initramfs-args"] = list(origin.initramfs_args)
    if origin.initramfs_etc:
        found["initramfs-etc"] = list(origin.initramfs_etc)
    if deployment.staged:
        found["finalization-locked"] = deployment.finalization_locked


def health_json(health: Health) -> dict[str, Any]:
    """What the checks after a boot said."""
    return {"state": str(health.state), "failed": list(health.failed), "when": health.when or None}


def changes_json(changes: Iterable[PackageChange]) -> ChangesJson:
    """Package changes by kind."""
    found: ChangesJson = {"added": [], "removed": [], "upgraded": [], "downgraded": []}
    for change in changes:
        found[change.kind.value].append(
            {
                "name": change.name,
                "arch": change.arch,
                "old": change.old.version if change.old else None,
                "new": change.new.version if change.new else None,
                "repo": change.repo,
                "security": change.security,
            }
        )
    return found
