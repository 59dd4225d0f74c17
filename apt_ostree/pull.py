"""Bringing base commits into the repo, and what can go wrong on the way."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from apt_ostree import preflight, remotes
from apt_ostree.errors import AptOstreeError, ToolError, UsageError, VerificationError
from apt_ostree.faults import point
from apt_ostree.model import Deployment, Origin, Pull, Pulled
from apt_ostree.registry import UNREACHED, reference
from apt_ostree.registry.reference import ImageReference
from apt_ostree.report import OutputLine, Reporter, Warned
from apt_ostree.tools import ostree

FROM = "apt-ostree/from"  # refs that follow branches of repos on this machine
DOWNLOADED = "apt-ostree/downloaded"  # refs that hold what was pulled and not deployed yet

# what libostree says when a signature or a checksum does not fit
_UNVERIFIED = ("signature", "GPG", "Corrupted", "corrupt", "checksum", "Invalid", "invalid", "not in normal form",
               "public key", "binding", "Input buffer", "Need more input", "Writing content object")  # fmt: skip
_SIZE = r"([\d.,]+)\s*(bytes|[kKMGT]?i?B)"
_TRANSFERRED = re.compile(_SIZE + " transferred")
_DELTA = re.compile(rf"Delta update: .*/\s*{_SIZE}, {_SIZE} total uncompressed")
_UNITS = {"bytes": 1, "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
          "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a base's branch lives: at a remote, in a repo at `path`, or (neither) in the sysroot's repo alone.

    Or it is an image, which has no branch.
    """

    branch: str = ""
    remote: str = ""
    path: str = ""
    image: ImageReference | None = None

    @property
    def refspec(self) -> str:
        return f"{self.remote}:{self.branch}" if self.remote else self.branch

    @property
    def ref(self) -> str:
        """The ref of our repo that follows it. A repo on this machine has one of ours: a branch of that name in the
        sysroot's own repo is somebody else's. An image's leads to the commit that is deployed for it."""
        if self.image is not None:
            return self.image.ref
        return f"{FROM}/{self.branch}" if self.path else self.refspec

    def __str__(self) -> str:
        if self.image is not None:
            return str(self.image)
        return f"{self.branch} of {self.path}" if self.path else self.refspec


def source_of(origin: Origin) -> Source:
    """The source an origin names; an empty one for a reference to an image that is none."""
    if origin.container_image_reference:
        with contextlib.suppress(UsageError):
            return Source(image=reference.parse(origin.container_image_reference))
        return Source()
    remote, colon, branch = origin.refspec.partition(":")
    if not colon:
        remote, branch = "", remote
    return Source(branch=branch, remote=remote, path="" if remote else origin.base_repo)


def bring(repo: Path, pull: Pull, reporter: Reporter) -> Pulled:
    """Bring a commit whole into the repo and move its branch there; verified as the remote is configured.

    An interrupted or failed pull moves no ref, and what it fetched is used by the next one. Static deltas are used
    where the remote has them; ostree itself tries again when a download fails.

    Raises VerificationError, AptOstreeError.
    """
    if pull.image:
        return _image(repo, pull, reporter)

    def line(text: str) -> None:
        reporter.event(OutputLine(line=text))

    source = Source(branch=pull.branch or pull.checksum, remote=pull.remote, path=pull.path)
    point("pull")
    if pull.size is None:
        line("The commit does not tell its size: whether there is room for it shows while it is pulled.")
    else:
        preflight.check_pull(repo, pull.size)
    try:
        if pull.path:
            ostree.pull_local(repo, Path(pull.path), pull.checksum, line)
            if pull.branch:
                ostree.ref_create(repo, source.ref, pull.checksum)
            pulled = Pulled()
        else:
            pulled = _from_remote(repo, pull, line, reporter)
        if pull.path or not pull.branch:  # no branch holds it: what is only downloaded must not be pruned
            _hold(repo, pull)
        return pulled
    except ToolError as error:
        raise failed(source, error) from error


def _image(repo: Path, pull: Pull, reporter: Reporter) -> Pulled:
    from apt_ostree.registry import bring as images  # the formats of images: a tenth of what `status` takes to start

    point("pull")
    preflight.check_pull(repo, images.UNPACKED * (pull.size or 0))
    wanted = reference.parse(pull.image)
    place = Path(pull.path) if pull.path else None
    size = images.bring(repo, wanted, pull.digest, Path(pull.root), place, reporter)
    if (there := remotes.read_ref(repo, wanted.ref)) != pull.checksum:
        raise VerificationError(f"{wanted} has the commit {there[:12]}, it had {pull.checksum[:12]} before")
    _hold(repo, pull)
    return Pulled(transferred=size, image=pull.digest)


def _hold(repo: Path, pull: Pull) -> None:
    ostree.ref_create(repo, f"{DOWNLOADED}/{pull.checksum[:16]}", pull.checksum)


def release(repo: Path, deployments: Iterable[Deployment], *, unused: bool = False) -> None:
    """Drop refs of ours that are done with: of what is deployed by now (with `unused`: of all that was downloaded),
    and of branches no deployment follows."""
    from apt_ostree.registry import bring as images

    present = tuple(deployments)
    deployed = {f"{DOWNLOADED}/{deployment.base_checksum[:16]}" for deployment in present}
    followed = {source_of(deployment.origin).ref for deployment in present}
    there = ostree.refs(repo)
    waiting = [ref for ref in there if ref.startswith(f"{DOWNLOADED}/") and not unused and ref not in deployed]
    references = (deployment.origin.container_image_reference for deployment in present)
    images.release(repo, references, (remotes.read_ref(repo, ref) for ref in waiting))
    for ref in there:
        done = ref.startswith(f"{DOWNLOADED}/") and (unused or ref in deployed)
        if done or (ref.startswith(f"{FROM}/") and ref not in followed):
            ostree.ref_delete(repo, ref)


def _from_remote(repo: Path, pull: Pull, line: Callable[[str], None], reporter: Reporter) -> Pulled:
    what = f"{pull.branch}@{pull.checksum}" if pull.branch else pull.checksum
    compressed, content = _delta(repo, pull.remote, what)
    if content:
        preflight.check_pull(repo, compressed + content)
    said: list[str] = []

    def listen(text: str) -> None:
        said.append(text)
        line(text)

    try:
        ostree.pull(repo, pull.remote, what, (), listen)
    except ToolError as error:
        if not content or failed(Source(branch=pull.branch, remote=pull.remote), error).code == UNREACHED:
            raise
        reporter.event(Warned(message=f"the static delta could not be used ({(error.details or ('',))[-1]})"))
        content = 0
        ostree.pull(repo, pull.remote, what, ("--disable-static-deltas",), listen)
    transferred = sum(_bytes(*found.groups()) for text in said if (found := _TRANSFERRED.search(text)))
    used = bool(content) and any("delta parts" in text for text in said)
    return Pulled(transferred=transferred, static_delta=used, saved=max(0, content - compressed) if used else 0)


def _delta(repo: Path, remote: str, what: str) -> tuple[int, int]:
    """Bytes of the static delta to a commit, and bytes of the objects it makes; zeros when there is none."""
    lines: list[str] = []
    try:
        ostree.pull(repo, remote, what, ("--dry-run", "--require-static-deltas"), lines.append)
    except ToolError:
        return 0, 0
    for text in lines:
        if found := _DELTA.search(text):
            words = found.groups()
            return _bytes(words[0], words[1]), _bytes(words[2], words[3])
    return 0, 0


def _bytes(number: str, unit: str) -> int:
    return int(float(number.replace(",", "")) * _UNITS.get(unit, 1))


def failed(source: Source, error: ToolError) -> AptOstreeError:
    """The error for a pull that failed, by what libostree says: a bad signature or object, or no way to it."""
    told = [line.removeprefix("error: ") for line in error.details]
    last = " ".join(told[-3:])
    if any(sign in last for sign in _UNVERIFIED):
        return VerificationError(
            f"what came for {source} does not verify; nothing was changed",
            details=told,
            hint=f"if its key has changed for good reasons: ostree remote gpg-import -k KEYFILE {source.remote}",
        )
    return AptOstreeError(
        f"{source} could not be fetched",
        details=told,
        hint="check the network, then repeat the command; what is here already is kept",
        code=UNREACHED,
    )
