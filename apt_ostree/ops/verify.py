"""verify: is everything that is deployed what was committed, and the repo whole? Reads only, as root."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from apt_ostree import guarding, host, integrity, lock, remotes, signatures, signing, sysroot
from apt_ostree.context import Context
from apt_ostree.errors import BusyError
from apt_ostree.findings import Check
from apt_ostree.model import Deployment, Unlocked
from apt_ostree.paths import Paths
from apt_ostree.pull import source_of
from apt_ostree.report import phase
from apt_ostree.tools import ostree
from apt_ostree.trees import Trees

_OBJECT = re.compile(r"\b[0-9a-f]{64}\b")


def run(context: Context, *, fast: bool = False) -> tuple[Check, ...]:
    """All checks; `fast` leaves out what reads every file. Raises NotOstreeError, NotRootError, BusyError."""
    paths = context.paths
    guarding.require_root(context.options.command)
    host.require_ostree(paths)
    if (owner := lock.owner(paths.store)) is not None:
        raise BusyError(
            f"a transaction runs: '{owner.command}' (pid {owner.pid}); the repo is not at rest",
            hint="run verify when it is done",
        )
    system = sysroot.load(paths)
    found: list[Check] = []
    places: dict[str, str] = {}
    trees = Trees(paths.repo)
    found.extend(_signatures(paths, system))
    with phase(context.reporter, "deployments", "Comparing deployments with their commits"):
        for deployment in system.deployments:
            check, seen = _deployment(paths, deployment, trees)
            found.append(check)
            places |= {key: f"{deployment.id}:{path}" for key, path in seen.items() if key not in places}
    if fast:
        return tuple(found)
    with phase(context.reporter, "packages", "Checking stored packages"):
        found.append(_stored(paths, system))
    with phase(context.reporter, "fsck", "Checking every object of the repo"):
        found.append(_fsck(paths, places))
    return tuple(found)


def _deployment(paths: Paths, deployment: Deployment, trees: Trees) -> tuple[Check, Mapping[str, str]]:
    comparison, problems = integrity.compare(paths.repo, deployment, trees)
    detail = f"{comparison.looked_at} files compared with their objects"
    if deployment.unlocked is not Unlocked.NONE:
        detail += f"; it is unlocked ({deployment.unlocked}), what was written over it was not looked at"
    check = Check(
        name=f"deployment {deployment.id}", state="failed" if problems else "ok", detail=detail, problems=problems
    )
    return check, comparison.places


def _signatures(paths: Paths, system: sysroot.Sysroot) -> Iterator[Check]:
    """Checks of each base; layered commits are made here and not signed, what they were made from is."""
    known = remotes.read(paths)
    for source, base in dict.fromkeys((source_of(d.origin), d.base_checksum) for d in system.deployments):
        refspec, name = str(source), source.image.remote if source.image else source.remote
        check = Check(name=f"signature {base[:12]}", state="skipped", detail=f"{refspec or 'its base'} has no remote")
        remote = known.get(name)
        if source.image is not None and not name:
            yield replace(check, detail=f"{refspec} was held to the policy when it was pulled")
        elif remote is None and name:
            detail = f"the remote '{name}' is not configured"
            yield replace(check, state="failed", detail=detail, problems=(f"{refspec}: {detail}",))
        elif remote is None:
            yield check
        else:
            detail = f"of {refspec}, by the keys of the remote '{name}'"
            yield from _asked_for(paths, base, remote, replace(check, detail=detail))


def _asked_for(paths: Paths, base: str, remote: remotes.Remote, check: Check) -> Iterator[Check]:
    """A check for each kind of signature that the remote asks for."""
    if remote.gpg_verify:
        yield _judged(check, tuple(signatures.unverified(ostree.show_signed(paths.repo, base, remote.name))))
    if remote.wants_ed25519:
        yield _judged(replace(check, name=f"ed25519 {check.name}"), tuple(_ed25519(paths, base, remote)))
    elif not remote.gpg_verify:
        yield replace(check, detail=f"the remote '{remote.name}' asks for none")


def _judged(check: Check, problems: tuple[str, ...]) -> Check:
    return replace(check, state="failed" if problems else "ok", problems=problems)


def _ed25519(paths: Paths, base: str, remote: remotes.Remote) -> Iterator[str]:
    """Why there is no good ed25519 signature: what was asked for and cannot be looked at does not verify."""
    if not signing.has_ed25519():
        yield f"ostree {ostree.version()} of this machine was built without ed25519 signatures: it cannot be verified"
    elif not (remote.ed25519_keys or remote.ed25519_file):
        yield f"the remote '{remote.name}' has no ed25519 key"
    elif told := ostree.verify_sign(paths.repo, base, signing.ED25519, remote.ed25519_keys, remote.ed25519_file):
        yield " ".join(told.split())


def _stored(paths: Paths, system: sysroot.Sysroot) -> Check:
    """Local packages that deployments ask for are nowhere else: without them nothing can be layered anew."""
    wanted = {local.sha256: local.nevra for d in system.deployments for local in d.origin.local_debs}
    problems = tuple(_damaged(paths, wanted))
    state = "failed" if problems else "ok" if wanted else "skipped"
    return Check(name="local packages", state=state, detail=f"{len(wanted)} are kept", problems=problems)


def _damaged(paths: Paths, wanted: Mapping[str, str]) -> Iterator[str]:
    for sha256, name in sorted(wanted.items(), key=lambda item: item[1]):
        try:
            with (paths.store.debs / f"{sha256}.deb").open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                    yield f"{name} is damaged"
        except OSError as error:
            yield f"{name} cannot be read: {error.strerror}"


def _fsck(paths: Paths, places: Mapping[str, str]) -> Check:
    lines = ostree.fsck_report(paths.repo)
    problems = tuple(_placed(line, places) for line in lines)
    return Check(
        name="repository",
        state="failed" if problems else "ok",
        detail="ostree fsck found objects that are broken or missing" if problems else "ostree fsck found nothing",
        problems=problems,
    )


def _placed(line: str, places: Mapping[str, str]) -> str:
    """What ostree says of an object, with the file it is in a deployment."""
    known = [places[word] for word in _OBJECT.findall(line) if word in places]
    return f"{line} ({known[0]})" if known else line
