"""What the sources of a base have, looked at in a scratch repo.

A scratch repo has the sysroot's repo as its parent (`core.parent`, ostree.repo-config(5)): it knows the same remotes
and takes what is there already, and whatever it fetches is gone with it. So a check, a refused change and a dry run
leave the repo as it was, and what they looked at is exactly what is brought afterwards (`ostree pull branch@checksum`).
"""

from __future__ import annotations

import difflib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from apt_ostree import commits, preflight, remotes, sysroot
from apt_ostree.errors import AptOstreeError, ToolError, VerificationError
from apt_ostree.model import Commit, Pull
from apt_ostree.oci import importing, kept
from apt_ostree.paths import Paths
from apt_ostree.pull import Source, failed
from apt_ostree.registry import UNREACHED, machine
from apt_ostree.registry import bring as images
from apt_ostree.registry.reference import ImageReference
from apt_ostree.report import OutputLine, Reporter
from apt_ostree.tools import ostree, skopeo

PACKAGE_STATE = "/usr/lib/sysimage"  # all that a plan needs to know of a tree
STATE_FILES = tuple(f"{PACKAGE_STATE[1:]}/{name}" for name in ("dpkg/status", "dpkg/arch", "apt/extended_states"))
DEPTHS = (0, 16, 128, -1)  # how far back history is asked for, until what is looked for is found
OURS = ("ostree/", "apt-ostree/")  # refs that are no branches


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A commit, the repo its metadata and package state can be read from, and what brings it whole into ours."""

    commit: Commit
    repo: Path
    pull: Pull | None = None
    digest: str = ""  # of the image it is in


class Finder:
    """Looks at what sources have. Nothing it does is seen in the sysroot's repo."""

    def __init__(
        self, paths: Paths, reporter: Reporter, stack: ExitStack, *, offline: bool, inside: bool, stateroot: str
    ) -> None:
        """`offline`: only what is here. `inside`: scratch goes into our work directory, which is swept."""
        self._stateroot = stateroot
        self._paths, self._reporter, self._stack = paths, reporter, stack
        self._offline, self._inside = offline, inside
        self._scratch: Path | None = None
        self.present: Source | None = None  # where one is, when one is about to go: never what was meant

    def tip(self, source: Source) -> Found:
        """The newest commit of a branch. Raises AptOstreeError, VerificationError."""
        repo = self._paths.repo
        if source.image is not None and not self._offline:
            image = source.image
            return images.retrying(lambda: self._image(image), self._reporter)
        if source.path and not self._offline:
            return self._at_path(source, source.branch)
        if not source.remote or self._offline:
            return self._here(source)
        scratch = self._pull(source, source.branch, f"--subpath={PACKAGE_STATE}")
        checksum = ostree.rev_parse(scratch, source.refspec)
        moved = remotes.read_ref(repo, source.refspec) != checksum or not commits.whole(repo, checksum)
        pull = Pull(checksum=checksum, branch=source.branch, remote=source.remote) if moved else None
        return self._sized(commits.load(scratch, checksum), scratch, pull)

    def search(self, source: Source, revision: str, *, by_version: bool) -> Found | None:
        """A commit of the branch by its version, or by (the beginning of) its checksum; None when it has none such."""
        for repo, start in self._histories(source):
            for commit in commits.ancestry(repo, start):
                if commit.version == revision if by_version else commit.checksum.startswith(revision):
                    return self.commit(source, commit.checksum)
        return None

    def commit(self, source: Source, checksum: str) -> Found:
        """A commit by its whole checksum, wherever in the source it is. Raises AptOstreeError, VerificationError."""
        repo = self._paths.repo
        if commits.whole(repo, checksum):
            return Found(commit=commits.load(repo, checksum).commit, repo=repo)
        if source.path and not self._offline:
            return replace(self._at_path(source, checksum), pull=Pull(checksum=checksum, path=source.path))
        if not source.remote or self._offline:
            raise AptOstreeError(
                f"the commit {checksum[:12]} is not in the repo",
                hint="leave --cache-only out" if source.remote else f"ostree refs --repo={repo}",
                code="no-revision",
            )
        scratch = self._pull(source, checksum, f"--subpath={PACKAGE_STATE}")
        pull = Pull(checksum=checksum, remote=source.remote)
        return self._sized(commits.load(scratch, checksum), scratch, pull)

    def _image(self, wanted: ImageReference) -> Found:
        """The image of a name, verified as the reference asks for. Only an image that is not here is read further."""
        paths, root = self._paths, self._root()
        with machine.opened(wanted, root) as image:
            images.check_form(wanted, image)
            here = kept.stored(paths.repo, wanted.image)
            pull = Pull(checksum="", image=str(wanted), digest=image.digest, root=str(root))
            if here is not None and here.digest == image.digest:
                images.judge_commit(paths, paths.repo, wanted, here.commit)
                moved = remotes.read_ref(paths.repo, wanted.ref) != here.commit
                known = commits.load(paths.repo, here.commit).commit
                pull = replace(pull, checksum=here.commit, size=0)
                return Found(commit=known, repo=paths.repo, pull=pull if moved else None, digest=image.digest)
            size = kept.missing_bytes(image, paths.repo)
            if self._inside:
                preflight.check_pull(paths.repo, images.UNPACKED * size)
            scratch = self._make_scratch("bare" if os.geteuid() == 0 else "archive")
            way = importing.Look(
                place=scratch,
                wanted=STATE_FILES,
                judge=lambda commit: images.judge_commit(paths, scratch, wanted, commit),
                keep=self._inside,
            )
            checksum = importing.look(image, paths.repo, way, self._reporter)
        pull = replace(pull, checksum=checksum, path=str(scratch), size=size)
        return Found(commit=commits.load(scratch, checksum).commit, repo=scratch, pull=pull, digest=image.digest)

    def _root(self) -> Path:
        """The tree whose policy and registries count: the running one, else the one whose /etc is merged."""
        if self._paths.is_running_root:
            return self._paths.sysroot
        system = sysroot.load(self._paths)
        first = system.first(self._stateroot or system.default_stateroot)
        if first is None:
            raise AptOstreeError("there is no deployment to start from", hint="apt-ostree status")
        return first.path

    def _sized(self, loaded: commits.Loaded, repo: Path, pull: Pull | None) -> Found:
        """Found, with the bytes that a pull will bring where the commit says them."""
        size = commits.missing_bytes(self._paths.repo, loaded.metadata) if pull else None
        return Found(commit=loaded.commit, repo=repo, pull=replace(pull, size=size) if pull else None)

    def _here(self, source: Source) -> Found:
        repo = self._paths.repo
        checksum = remotes.read_ref(repo, source.ref)
        if source.image is not None:
            return self._image_here(source.image, checksum)
        if not checksum or not commits.whole(repo, checksum):
            own = f"{source.remote}:" if source.remote else ""
            known = [
                ref.removeprefix(own) for ref in ostree.refs(repo) if not ref.startswith(OURS) and ref.startswith(own)
            ]
            raise absent(source, known, present=self.present)
        return Found(commit=commits.load(repo, checksum).commit, repo=repo)

    def _image_here(self, wanted: ImageReference, checksum: str) -> Found:
        """The image that was brought under this very reference, and so verified as it asks for."""
        repo = self._paths.repo
        if not checksum or not commits.whole(repo, checksum):
            raise AptOstreeError(f"{wanted} was not downloaded", hint="leave --cache-only out", code="no-image")
        here = kept.stored(repo, wanted.image)
        digest = here.digest if here and here.commit == checksum else ""
        return Found(commit=commits.load(repo, checksum).commit, repo=repo, digest=digest)

    def _at_path(self, source: Source, revision: str) -> Found:
        path = Path(source.path)
        if not (path / "objects").is_dir():
            raise AptOstreeError(
                f"there is no ostree repository at '{path}'",
                hint="attach it, or use what is here already with --cache-only",
                code=UNREACHED,
            )
        try:
            checksum = ostree.rev_parse(path, revision)
        except ToolError as error:
            raise absent(source, ostree.refs(path), error.details, present=self.present) from error
        moved = remotes.read_ref(self._paths.repo, source.ref) != checksum
        pull = Pull(checksum=checksum, branch=source.branch, path=source.path) if moved else None
        return self._sized(commits.load(path, checksum), path, pull)

    def _histories(self, source: Source) -> Iterator[tuple[Path, str]]:
        """Places and commits to walk back from: ours first, then deeper and deeper what the remote tells."""
        repo = self._paths.repo
        if start := remotes.read_ref(repo, source.ref):
            yield repo, start
        if self._offline:
            return
        if source.path:
            yield Path(source.path), self._at_path(source, source.branch).commit.checksum
        elif source.remote:
            for depth in DEPTHS:
                scratch = self._pull(source, source.branch, "--commit-metadata-only", f"--depth={depth}")
                yield scratch, ostree.rev_parse(scratch, source.refspec)

    def _pull(self, source: Source, what: str, *options: str) -> Path:
        scratch = self._scratch or self._make_scratch()
        self._scratch = scratch
        try:
            ostree.pull(scratch, source.remote, what, ("--disable-static-deltas", *options), self._line)
        except ToolError as error:
            raise self._explained(source, what, scratch, error) from error
        return scratch

    def _line(self, line: str) -> None:
        self._reporter.event(OutputLine(line=line))

    def _explained(self, source: Source, what: str, scratch: Path, error: ToolError) -> AptOstreeError:
        known = remotes.read(self._paths)
        if source.remote not in known:
            return AptOstreeError(
                f"there is no remote '{source.remote}'",
                hint=f"remotes here: {', '.join(sorted(known)) or 'none'}; add one: ostree remote add NAME URL",
                code="no-remote",
            )
        explained = failed(source, error)
        if isinstance(explained, VerificationError):
            return explained
        try:
            branches = ostree.remote_refs(scratch, source.remote)
        except ToolError:
            return explained
        if source.branch not in branches:
            return absent(source, branches, error.details, present=self.present)
        if what != source.branch and "404" in " ".join(error.details):
            return AptOstreeError(f"{source.remote} has no commit {what}", code="no-revision")
        return explained

    def _make_scratch(self, mode: str = "archive") -> Path:
        work = self._paths.store.work
        outside = None if mode == "archive" else skopeo.big_files()
        folder = tempfile.TemporaryDirectory(
            prefix="scratch-", dir=work if self._inside and work.is_dir() else outside, ignore_cleanup_errors=True
        )
        scratch = Path(self._stack.enter_context(folder)) / "repo"
        parent = self._paths.repo.resolve()
        ostree.init(scratch, mode=mode, settings={"core.parent": str(parent), "core.fsync": "false"})
        for partial in (parent / "state").glob("*.commitpartial"):
            shutil.copyfile(partial, scratch / "state" / partial.name)  # a commit we have half of is to be asked for
        return scratch


@contextmanager
def finder(paths: Paths, reporter: Reporter, *, offline: bool, dry_run: bool, stateroot: str = "") -> Iterator[Finder]:
    """A Finder; what it fetched is gone when the block ends."""
    with ExitStack() as stack:
        yield Finder(paths, reporter, stack, offline=offline, inside=not dry_run, stateroot=stateroot)


def absent(
    source: Source, known: Sequence[str], details: Sequence[str] = (), *, present: Source | None = None
) -> AptOstreeError:
    """There is no such branch: say which names are near, but for that of `present`, where one is already."""
    others = [name for name in known if replace(source, branch=name) != present]
    near = difflib.get_close_matches(source.branch, others, n=3, cutoff=0.6)
    have = f"near: {', '.join(near)}" if near else f"there are: {', '.join(sorted(known)[:10]) or 'none'}"
    where = source.path or (f"the remote '{source.remote}'" if source.remote else "the repo")
    named = replace(source, branch=near[0]) if near else None
    return AptOstreeError(
        f"{where} has no branch '{source.branch}'; {have}",
        details=details,
        hint=f"apt-ostree rebase {named.refspec}" if named else "apt-ostree rebase REMOTE:BRANCH",
        code="no-branch",
    )
