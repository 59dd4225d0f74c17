"""ostree(1): one function per subcommand. `repo` is the path of a repository, `sysroot` of a sysroot."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from apt_ostree import run
from apt_ostree.errors import ToolError

_SHORT = re.compile(r"[0-9a-f]{1,6}")


def _repo(repo: Path, *words: str | Path) -> list[str | Path]:
    return ["ostree", f"--repo={repo}", *words]


def config_get(repo: Path, key: str) -> str:
    """`ostree config get`; a key that is not set is an empty string."""
    done = run.capture(_repo(repo, "config", "get", key), check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def rev_parse(repo: Path, rev: str) -> str:
    """Checksum of a ref, refspec or checksum (its first seven digits are enough). Raises ToolError when there is none.

    ostree itself takes a single digit for a checksum: a version `13` would be whatever commit begins with it.
    """
    checksum = run.capture(_repo(repo, "rev-parse", "--", rev)).stdout.strip()
    if _SHORT.fullmatch(rev) and checksum.startswith(rev) and rev not in refs(repo):
        raise ToolError(f"'{rev}' is too short for a checksum", hint="give seven digits of it, or more")
    return checksum


def refs(repo: Path) -> tuple[str, ...]:
    """Every ref of the repo, remote ones as `remote:ref`."""
    return tuple(run.capture(_repo(repo, "refs")).stdout.split())


def ref_create(repo: Path, ref: str, commit: str) -> None:
    """`ostree refs --create`, moving the ref when it is there."""
    run.capture(_repo(repo, "refs", f"--create={ref}", "--force", commit))


def ref_delete(repo: Path, ref: str) -> None:
    """`ostree refs --delete`."""
    run.capture(_repo(repo, "refs", "--delete", ref))


def init(repo: Path, *, mode: str, settings: Mapping[str, str]) -> None:
    """`ostree init`, then `ostree config set` of each setting."""
    run.capture(_repo(repo, "init", f"--mode={mode}"))
    for key, value in settings.items():
        run.capture(_repo(repo, "config", "set", key, value))


def pull(repo: Path, remote: str, what: str, options: Sequence[str], on_line: Callable[[str], None]) -> None:
    """`ostree pull REMOTE WHAT`: a branch, `branch@checksum`, or a checksum. Raises ToolError.

    What it writes when it is done goes to `on_line`, at the end the numbers of objects and bytes.
    """
    run.stream(_repo(repo, "pull", *options, "--", remote, what), on_line, env=run.proxies())


def pull_local(repo: Path, source: Path, what: str, on_line: Callable[[str], None]) -> None:
    """`ostree pull-local --untrusted`: from a repo on this machine, every object checked. Raises ToolError."""
    run.stream(_repo(repo, "pull-local", "--untrusted", "--", source, what), on_line)


def remote_refs(repo: Path, remote: str) -> tuple[str, ...]:
    """`ostree remote refs`: the branches in a remote's summary, without its name. Raises ToolError."""
    done = run.capture(_repo(repo, "remote", "refs", remote), env=run.proxies())
    return tuple(line.partition(":")[2] for line in done.stdout.split())


def show_signed(repo: Path, checksum: str, remote: str) -> str:
    """`ostree show` of a commit with its signatures judged by the keys of a remote; empty when that cannot be done."""
    done = run.capture(_repo(repo, "show", f"--gpg-verify-remote={remote}", checksum), check=False)
    if done.returncode != 0:
        return ""
    # what stands above (the version, the message) is the committer's, and may look like a signature; a message is
    # indented, and a version in two lines is no header of ostree's
    version = run.capture(_repo(repo, "show", "--print-metadata-key=version", checksum), check=False).stdout
    if "\\n" in version:
        return ""
    return done.stdout.rpartition("\nFound ")[2] if "\nFound " in done.stdout else ""


def cat(repo: Path, rev: str, path: str) -> str:
    """Content of one file of a commit."""
    return run.capture(_repo(repo, "cat", rev, path)).stdout


def checkout(repo: Path, commit: str, destination: Path, *, subpath: str = "") -> None:
    """Check a commit out as hard links into the repo; fails rather than copy (ostree-checkout(1) -H)."""
    only = [f"--subpath={subpath}"] if subpath else []
    run.capture(_repo(repo, "checkout", "--require-hardlinks", *only, commit, destination))


def checkout_copy(repo: Path, commit: str, destination: Path, *, subpath: str = "") -> None:
    """Check a commit (or a part of it) out as files of its own."""
    only = [f"--subpath={subpath}"] if subpath else []
    run.capture(_repo(repo, "checkout", "--force-copy", *only, commit, destination))


def commit(
    repo: Path,
    tree: Path,
    *,
    branch: str = "",
    parent: str = "",
    subject: str = "",
    strings: Mapping[str, str] | None = None,
    options: Sequence[str] = (),
) -> str:
    """Commit a tree of hard links into the repo and return the checksum (`ostree commit`).

    `strings` become string metadata. Without a branch the commit is an orphan, held by whoever deploys it.
    """
    argv = _repo(
        repo,
        "commit",
        f"--tree=dir={tree}",
        "--link-checkout-speedup",
        f"--branch={branch}" if branch else "--orphan",
        f"--parent={parent}" if parent else "--parent=none",
        f"--subject={subject}",
        *(f"--add-metadata-string={key}={value}" for key, value in (strings or {}).items()),
        *options,
    )
    return run.capture(argv).stdout.strip().splitlines()[-1]


def diff(repo: Path, one: str, other: str) -> tuple[tuple[str, str], ...]:
    """`ostree diff` of two commits: (`A` added, `M` changed or `D` gone, path) of every file."""
    lines = run.capture(_repo(repo, "diff", one, other)).stdout.splitlines()
    return tuple((line[0], line[1:].strip()) for line in lines if line[:1] in ("A", "M", "D"))


def fsck(repo: Path) -> None:
    """`ostree fsck`. Raises ToolError when an object is broken."""
    run.capture(_repo(repo, "fsck", "--quiet"))


def fsck_report(repo: Path) -> tuple[str, ...]:
    """`ostree fsck --all`: what it says of each broken or missing object; empty when all are well."""
    done = run.capture(_repo(repo, "fsck", "--quiet", "--all"), check=False)
    if done.returncode == 0:
        return ()
    told = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    noise = ("fsck objects (", "Marking commit as partial", "error: Repository corruption encountered")
    return tuple(line for line in told if not line.startswith(noise)) or ("ostree fsck failed",)


def admin_status(sysroot: Path) -> str:
    """`ostree admin status`, as text. Raises ToolError when the sysroot does not load."""
    return run.capture(["ostree", "admin", "status", f"--sysroot={sysroot}"]).stdout


def admin_status_json(sysroot: Path) -> str:
    """`ostree admin status --json` (since 2025.4); empty where the option or the sysroot is not understood."""
    done = run.capture(["ostree", "admin", "status", f"--sysroot={sysroot}", "--json"], check=False)
    return done.stdout if done.returncode == 0 else ""


def admin_deploy(
    sysroot: Path,
    commit: str,
    *,
    stateroot: str,
    origin_file: Path,
    kargs: Sequence[str] | None,
    stage: bool,
    options: Sequence[str] = (),
) -> None:
    """`ostree admin deploy`. `kargs` None: take the merge deployment's; else exactly these. Raises ToolError."""
    argv: list[str | Path] = [
        "ostree",
        "admin",
        "deploy",
        f"--sysroot={sysroot}",
        f"--os={stateroot}",
        f"--origin-file={origin_file}",
        *(["--stage"] if stage else []),
        *(["--karg-none", *(f"--karg-append={karg}" for karg in kargs)] if kargs is not None else []),
        *options,
        commit,
    ]
    run.capture(argv)


def admin_undeploy(sysroot: Path, index: int) -> None:
    """`ostree admin undeploy`."""
    run.capture(["ostree", "admin", "undeploy", f"--sysroot={sysroot}", str(index)])


def admin_set_default(sysroot: Path, index: int) -> None:
    """`ostree admin set-default` (not in ostree 2022.7)."""
    run.capture(["ostree", "admin", "set-default", f"--sysroot={sysroot}", str(index)])


def admin_pin(sysroot: Path, index: int, *, unpin: bool = False) -> None:
    """`ostree admin pin`."""
    run.capture(["ostree", "admin", "pin", f"--sysroot={sysroot}", *(["--unpin"] if unpin else []), str(index)])


def admin_unlock(*options: str) -> None:
    """`ostree admin unlock` of the running system; libostree mounts in the namespace of pid 1."""
    run.capture(["ostree", "admin", "unlock", *options])


def admin_allow_finalization() -> None:
    """`ostree admin lock-finalization --unlock` (not in ostree 2022.7, which has no other lock than the file)."""
    run.capture(["ostree", "admin", "lock-finalization", "--unlock"])


def admin_cleanup(sysroot: Path) -> None:
    """`ostree admin cleanup`: drop undeployed trees and prune the repo."""
    run.capture(["ostree", "admin", "cleanup", f"--sysroot={sysroot}"])


def version() -> str:
    """The ostree version as it says it itself, like `2025.2`."""
    for line in run.capture(["ostree", "--version"]).stdout.splitlines():
        if "Version:" in line:
            return line.split("'")[1]
    raise ToolError("'ostree --version' names no version", argv=("ostree", "--version"))


def has_set_default() -> bool:
    """True when this ostree knows `ostree admin set-default`."""
    done = run.capture(["ostree", "admin", "--help"], check=False)
    return "set-default" in done.stdout + done.stderr
