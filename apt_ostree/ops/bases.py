"""What the repo knows of the bases that are deployed: newer commits of their branches, and their signatures."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

from apt_ostree import commits, config, remotes, updates
from apt_ostree.errors import AptOstreeError, UsageError
from apt_ostree.model import Commit, Deployment, Update
from apt_ostree.pull import source_of
from apt_ostree.states import AutomaticUpdates, BaseState, Signature
from apt_ostree.sysroot import Sysroot
from apt_ostree.tools import ostree

# ostree's own words (ostree_gpg_verify_result_describe); the first line of a signature
_MADE = re.compile(r"\s*Signature made (?P<when>.+) using (?P<algorithm>\S+) key ID (?P<key>[0-9A-Fa-f]+)")
_WHO = re.compile(r'\s*(?P<how>Good|BAD|Expired) signature from "(?P<name>[^"<]*?)\s*(?:<(?P<email>[^">]*)>)?"')
_MISSING = re.compile(r"\s*Can't check signature: public key not found")


def states(system: Sysroot, deployments: Sequence[Deployment]) -> dict[str, BaseState]:
    """What there is to say of each deployment's base, by the deployment's id."""
    known, repo = remotes.read(system.paths), system.paths.repo
    signed: dict[tuple[str, str], tuple[Signature, ...]] = {}
    found = {}
    for deployment in deployments:
        base, source = deployment.base_checksum, source_of(deployment.origin)
        remote = known.get(source.image.remote if source.image else source.remote)
        if remote is not None and remote.gpg_verify and (remote.name, base) not in signed:
            signed[remote.name, base] = signatures(ostree.show_signed(repo, base, remote.name))
        found[deployment.id] = BaseState(
            pending=_pending(system, deployment),
            gpg_enabled=remote.gpg_verify if remote else None,
            signatures=signed.get((remote.name, base), ()) if remote else (),
        )
    return found


def _pending(system: Sysroot, deployment: Deployment) -> Commit | None:
    """The commit the branch stands at in our repo, when that is not older than the deployment's base."""
    repo, base = system.paths.repo, deployment.base_commit or deployment.commit
    tip = remotes.read_ref(repo, source_of(deployment.origin).ref)
    if not tip or tip == base.checksum or deployment.origin.hold_base:
        return None
    try:
        commit = commits.load(repo, tip).commit
    except AptOstreeError:
        return None
    return commit if commit.timestamp >= base.timestamp else None


def signatures(text: str) -> tuple[Signature, ...]:
    """The signatures in the output of `ostree show --gpg-verify-remote`."""
    found: list[Signature] = []
    made: re.Match[str] | None = None
    for line in text.splitlines():
        if match := _MADE.match(line):
            made = match
        elif made is not None and (who := _WHO.match(line)):
            found.append(_signature(made, who["how"], name=who["name"], email=who["email"] or ""))
            made = None
        elif made is not None and _MISSING.match(line):
            found.append(_signature(made, ""))
            made = None
    return tuple(found)


def _signature(made: re.Match[str], how: str, *, name: str = "", email: str = "") -> Signature:
    """`how` is the word GPG has for it; empty: it has no such key."""
    try:
        moment = int(time.mktime(time.strptime(made["when"], "%a %b %d %H:%M:%S %Y")))
    except (ValueError, OverflowError):
        moment = 0
    return Signature(
        valid=how == "Good",
        key_missing=not how,
        expired=how == "Expired",
        key_id=made["key"],
        algorithm=made["algorithm"],
        made=moment,
        name=name,
        email=email,
    )


def update(system: Sysroot) -> Update | None:
    """The update that is known of, for the deployment that boots next."""
    first = system.first(system.default_stateroot)
    return updates.read_update(system.paths, first.checksum) if first else None


def automatic(system: Sysroot) -> tuple[AutomaticUpdates, str]:
    """The policy for automatic updates and how they went; and what is wrong with the configuration, if anything."""
    merge = system.booted or system.first(system.default_stateroot)
    if merge is None:
        return AutomaticUpdates(), ""
    try:
        policy, problem = config.load(merge.path).policy, ""
    except UsageError as error:
        policy, problem = config.Policy.NONE, error.message
    return updates.read_automatic(system.paths.automatic, policy), problem
