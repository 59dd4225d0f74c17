"""Images as bases in the repo of a sysroot: bringing them, and letting go of those nobody deploys."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from apt_ostree import remotes, signatures
from apt_ostree.errors import AptOstreeError, UsageError, VerificationError
from apt_ostree.oci import importing, layers, names
from apt_ostree.oci import kept as stored
from apt_ostree.oci.fetch import Image
from apt_ostree.oci.layout import BadImageError
from apt_ostree.paths import Paths
from apt_ostree.registry import UNREACHED, machine, reference
from apt_ostree.registry.reference import ImageReference, Trust
from apt_ostree.report import Reporter, Warned
from apt_ostree.tools import ostree

TRIES = 3
UNPACKED = 3  # times the size of a layer: what gzip makes of a Debian, about
Result = TypeVar("Result")
PAUSE = 1.0  # seconds before the second try; doubled for the next


def check_form(wanted: ImageReference, image: Image) -> None:
    """Raise VerificationError when the signature of a commit cannot say anything of all of the image."""
    plan = layers.plan_of(image)
    if wanted.trust is Trust.REMOTE and (plan.ordinary or not plan.owned):
        what = "has layers on top of its commit" if plan.owned else "has no commit in it"
        raise VerificationError(
            f"{wanted} {what}, which the keys of a remote say nothing of",
            hint="sign the image itself and use ostree-image-signed",
            code="unsigned-layers",
        )


def judge_commit(paths: Paths, repo: Path, wanted: ImageReference, commit: str) -> None:
    """Hold a commit that is in `repo` to the keys of the reference's remote. Raises VerificationError, AptOstreeError.

    Nothing is asked for where the reference names no remote.
    """
    if wanted.trust is not Trust.REMOTE:
        return
    known = remotes.read(paths)
    remote = known.get(wanted.remote)
    if remote is None:
        raise AptOstreeError(
            f"there is no remote '{wanted.remote}'",
            hint=f"remotes here: {', '.join(sorted(known)) or 'none'}; add one: ostree remote add NAME URL",
            code="no-remote",
        )
    if not remote.gpg_verify:
        raise VerificationError(
            f"the remote '{wanted.remote}' asks for no signature (gpg-verify=false), so {wanted} cannot be verified",
            hint=f"ostree remote gpg-import -k KEYFILE {wanted.remote}, and gpg-verify=true in its configuration",
        )
    problems = tuple(signatures.unverified(ostree.show_signed(repo, commit, wanted.remote)))
    if problems:
        raise VerificationError(
            f"the commit {commit[:12]} of {wanted} is not signed with a key of the remote; nothing was changed",
            details=problems,
            hint=f"if its key has changed for good reasons: ostree remote gpg-import -k KEYFILE {wanted.remote}",
        )


def bring(repo: Path, wanted: ImageReference, digest: str, root: Path, place: Path | None, reporter: Reporter) -> int:
    """Bring an image that was looked at into the repo; returns the bytes that came for it.

    `digest` is what was looked at, `place` where, `root` the tree whose configuration counts. What fails is tried
    again; layers that have come stay. Raises VerificationError, AptOstreeError.
    """
    sizes: list[int] = []  # what lacked before each try: the first is all of it

    def action() -> int:
        with machine.opened(wanted, root, digest=digest) as image:
            sizes.append(stored.missing_bytes(image, repo))
            pulled = importing.pull(image, repo, reporter, place=place)
        ostree.ref_create(repo, wanted.ref, pulled.commit)
        return sizes[0]

    return retrying(action, reporter)


def retrying(action: Callable[[], Result], reporter: Reporter) -> Result:
    """The result of an action on a registry, which is tried again when the network fails."""
    for number in range(1, TRIES + 1):
        try:
            return action()
        except AptOstreeError as error:
            # a stream that was cut looks like a layer that is not what its digest says
            again = error.code == UNREACHED or (isinstance(error, BadImageError) and number == 1)
            if not again or number == TRIES:
                raise
            reporter.event(Warned(message=f"{error.message}; trying again"))
            time.sleep(PAUSE * 2 ** (number - 1))
    raise AssertionError("unreachable")


def release(repo: Path, followed: Iterable[str], held: Iterable[str]) -> None:
    """Drop images no deployment follows: their refs, and those of layers that only they have.

    `followed` are references of deployments, `held` commits that were downloaded and are not deployed yet. Images
    that somebody else imported stay.
    """
    waiting = set(held)
    kept, gone = set[str](), dict[str, ImageReference]()
    for text in followed:
        with contextlib.suppress(UsageError):
            kept.add(reference.parse(text).ref)
    for ref in ostree.refs(repo):
        if (one := reference.of_ref(ref)) is not None and ref not in kept:
            if remotes.read_ref(repo, ref) in waiting:
                kept.add(ref)
            else:
                gone[ref] = one
    images = {names.image_ref(one.image) for ref in kept if (one := reference.of_ref(ref))}
    doomed = {ref for one in gone.values() if (ref := names.image_ref(one.image)) not in images}
    there = [ref for ref in (*gone, *doomed) if remotes.read_ref(repo, ref)]
    if there:
        ostree.ref_delete(repo, *there)
        stored.prune_layers(repo)
