"""ostree(1): one function per subcommand. `repo` is the path of a repository, `sysroot` of a sysroot."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from apt_ostree import run
from apt_ostree.errors import ToolError

_LISTED = re.compile(
    r"(?P<kind>[-dl])[0-7]+ +\d+ +\d+ +(?P<size>\d+) +(?P<checksum>[0-9a-f]{64})(?: +[0-9a-f]{64})? +(?P<path>/.*)"
)
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


def ref_delete(repo: Path, *refs: str) -> None:
    """`ostree refs --delete`; it takes prefixes too."""
    run.capture(_repo(repo, "refs", "--delete", *refs))


def init(repo: Path, *, mode: str, settings: Mapping[str, str]) -> None:
    """`ostree init`, then `ostree config set` of each setting."""
    run.capture(_repo(repo, "init", f"--mode={mode}"))
    for key, value in settings.items():
        config_set(repo, key, value)


def pull(repo: Path, remote: str, what: str, options: Sequence[str], on_line: Callable[[str], None]) -> None:
    """`ostree pull REMOTE WHAT`: a branch, `branch@checksum`, or a checksum. Raises ToolError.

    What it writes when it is done goes to `on_line`, at the end the numbers of objects and bytes.
    """
    run.stream(_repo(repo, "pull", *options, "--", remote, what), on_line, env=run.proxies())


def pull_local(
    repo: Path, source: Path, what: str, on_line: Callable[[str], None], *, options: Sequence[str] = ()
) -> None:
    """`ostree pull-local --untrusted`: from a repo on this machine, every object checked. Raises ToolError."""
    run.stream(_repo(repo, "pull-local", "--untrusted", *options, "--", source, what), on_line)


def pull_local_refs(repo: Path, source: Path, refs: Sequence[str]) -> None:
    """`ostree pull-local` of branches whose objects the caller has checked: they are linked. Raises ToolError."""
    run.capture(_repo(repo, "pull-local", "--disable-verify-bindings", "--", source, *refs))


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


def content(repo: Path, rev: str, path: str) -> AbstractContextManager[IO[bytes]]:
    """The same as bytes, which must be read to their end. Raises ToolError."""
    return run.reading(_repo(repo, "cat", rev, path))


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A line of `ostree ls`: kind is `-`, `d` or `l`; checksum of a file's object (of a directory: its contents)."""

    kind: str
    size: int
    checksum: str
    path: str


def ls(repo: Path, commit: str, path: str, *, recursive: bool = False) -> tuple[Listed, ...]:
    """`ostree ls --checksum` of what is in a directory; nothing when the commit has none such."""
    whole = ["--recursive"] if recursive else []
    done = run.capture(_repo(repo, "ls", "--checksum", *whole, commit, path), check=False)
    found = []
    for line in done.stdout.splitlines() if done.returncode == 0 else ():
        if (match := _LISTED.fullmatch(line)) and match["path"] != path:
            size = int(match["size"])
            found.append(Listed(kind=match["kind"], size=size, checksum=match["checksum"], path=match["path"]))
    return tuple(found)


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
    return run.capture(argv, env=run.keyring()).stdout.strip().splitlines()[-1]


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


def admin_init_fs(sysroot: Path) -> None:
    """`ostree admin init-fs --modern`: an empty directory becomes a sysroot with nothing but /boot and /ostree."""
    run.capture(["ostree", "admin", "init-fs", "--modern", sysroot])


def admin_os_init(sysroot: Path, stateroot: str) -> None:
    """`ostree admin os-init`: a stateroot with an empty /var."""
    run.capture(["ostree", "admin", "os-init", f"--sysroot={sysroot}", stateroot])


def config_set(repo: Path, key: str, value: str) -> None:
    """`ostree config set`."""
    run.capture(_repo(repo, "config", "set", key, value))


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
    run.capture(argv, env=run.generator())


def admin_undeploy(sysroot: Path, index: int) -> None:
    """`ostree admin undeploy`."""
    run.capture(["ostree", "admin", "undeploy", f"--sysroot={sysroot}", str(index)], env=run.generator())


def admin_set_default(sysroot: Path, index: int) -> None:
    """`ostree admin set-default` (not in ostree 2022.7)."""
    run.capture(["ostree", "admin", "set-default", f"--sysroot={sysroot}", str(index)], env=run.generator())


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


def features(sandbox: Sequence[str] = ()) -> frozenset[str]:
    """What an ostree was built with, by `ostree --version`: of the machine, or of the tree a sandbox runs in."""
    lines = run.capture([*sandbox, "ostree", "--version"]).stdout.splitlines()
    return frozenset(line.strip().removeprefix("- ") for line in lines if line.startswith("  - "))


def gpg_sign(repo: Path, commit: str, keys: Sequence[str], home: Path | None) -> None:
    """`ostree gpg-sign`. It signs once more when the key has signed already."""
    place = [f"--gpg-homedir={home}"] if home else []
    run.capture(_repo(repo, "gpg-sign", *place, commit, *keys), env=run.keyring())


def sign(repo: Path, commit: str, kind: str, keys_file: Path) -> None:
    """`ostree sign` with the secret key in a file."""
    run.capture(_repo(repo, "sign", f"--sign-type={kind}", f"--keys-file={keys_file}", commit))


def verify_sign(repo: Path, commit: str, kind: str, keys: Sequence[str], keys_file: str) -> str:
    """`ostree sign --verify`: empty when one of the public keys has signed, else what ostree says."""
    place = [f"--keys-file={keys_file}"] if keys_file else []
    done = run.capture(_repo(repo, "sign", "--verify", f"--sign-type={kind}", *place, commit, *keys), check=False)
    return "" if done.returncode == 0 else done.stderr.strip() or "ostree sign failed"


def summary_update(repo: Path, options: Sequence[str] = ()) -> None:
    """`ostree summary --update`. Without a key in the options it removes the signature there was."""
    run.capture(_repo(repo, "summary", "--update", *options), env=run.keyring())


def delta_generate(repo: Path, options: Sequence[str], on_line: Callable[[str], None]) -> None:
    """`ostree static-delta generate`; what it writes goes to `on_line`. Raises ToolError."""
    run.stream(_repo(repo, "static-delta", "generate", *options), on_line)


def has_set_default() -> bool:
    """True when this ostree knows `ostree admin set-default`."""
    done = run.capture(["ostree", "admin", "--help"], check=False)
    return "set-default" in done.stdout + done.stderr
