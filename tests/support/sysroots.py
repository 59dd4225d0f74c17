"""Throw-away sysroots: a base deployed with hard links into the cached repo, and what a test asks of one."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.process import CHECKOUT, Done, environment, run

STATEROOT = "debian"
KARGS = ("root=LABEL=root", "rw", "quiet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """A base commit in a bare repo."""

    repo: Path
    ref: str
    checksum: str


def _ostree(*words: str | Path) -> str:
    return run(["ostree", *words]).stdout


def build(path: Path, base: Base, *, bootloader: str = "none", kargs: Sequence[str] = KARGS) -> Sysroot:
    """Make a sysroot with the base deployed once. Objects are hard links when `path` is on the repo's file system."""
    path.mkdir(parents=True)
    repo = path / "ostree/repo"
    _ostree("admin", "init-fs", "--modern", path)
    _ostree("config", f"--repo={repo}", "set", "sysroot.bootloader", bootloader)
    # ostree 2022.7 reads it here; 2025.2 from the tree's prepare-root.conf as well
    _ostree("config", f"--repo={repo}", "set", "sysroot.readonly", "true")
    _ostree("config", f"--repo={repo}", "set", "core.fsync", "false")  # no test pulls the plug of this machine
    _ostree("admin", "os-init", f"--sysroot={path}", STATEROOT)
    _ostree("pull-local", f"--repo={repo}", base.repo, base.ref)
    options = [f"--karg={karg}" for karg in kargs]
    _ostree("admin", "deploy", f"--sysroot={path}", f"--os={STATEROOT}", *options, base.ref)
    return Sysroot(path)


def clone(template: Sysroot, path: Path) -> Sysroot:
    """Copy a sysroot in half a second: objects and /usr as hard links, all that libostree edits as files of its own.

    libostree never writes in place to what is linked here. Only for sysroots in which nothing but `build` happened.
    """
    source = template.path
    (path / "ostree/repo").mkdir(parents=True)
    run(["cp", "-al", source / "ostree/repo/objects", path / "ostree/repo/"])
    rest = [entry for entry in (source / "ostree/repo").iterdir() if entry.name != "objects"]
    run(["cp", "-a", *rest, path / "ostree/repo/"])
    run(["cp", "-a", source / "boot", path])
    run(["cp", "-a", *source.glob("ostree/boot.*"), path / "ostree/"])
    stateroot = path / "ostree/deploy" / STATEROOT
    stateroot.mkdir(parents=True)
    run(["cp", "-a", source / "ostree/deploy" / STATEROOT / "var", stateroot])
    run(["cp", "-al", source / "ostree/deploy" / STATEROOT / "deploy", stateroot])
    copy = Sysroot(path)
    for origin in (stateroot / "deploy").glob("*.origin"):
        original = template.path / origin.relative_to(path)
        origin.unlink()
        shutil.copy2(original, origin)
    for deployment in copy.deployments():
        shutil.rmtree(deployment / "etc")
        run(["cp", "-a", template.path / deployment.relative_to(path) / "etc", deployment])
        run(["chattr", "+i", deployment], check=False)  # as libostree leaves it, where the file system can
    return copy


@dataclass(slots=True)
class Sysroot:
    """A sysroot at `path`, with the questions and commands of tests."""

    path: Path
    check: bool = True  # a test that breaks the repo on purpose sets it to False
    _running: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def repo(self) -> Path:
        return self.path / "ostree/repo"

    @property
    def store(self) -> Path:
        """apt-ostree's corner of the repo."""
        return self.repo / "extensions/apt-ostree"

    @property
    def stateroot(self) -> Path:
        return self.path / "ostree/deploy" / STATEROOT

    @property
    def var(self) -> Path:
        return self.stateroot / "var"

    def deployments(self) -> list[Path]:
        """Checked-out deployments in boot order, the next boot first (from the boot entries)."""
        found = []
        for entry in self.entries():
            target = self.path / entry["ostree"].lstrip("/")
            found.append(target.resolve())
        return found

    def entries(self) -> list[dict[str, str]]:
        """The boot loader entries, first the one that boots next; `ostree` is their karg's value."""
        parsed = []
        for path in (self.path / "boot/loader/entries").glob("*.conf"):
            entry = dict(line.partition(" ")[::2] for line in path.read_text().splitlines() if line.strip())
            words = entry["options"].split()
            entry["ostree"] = next(word.partition("=")[2] for word in words if word.startswith("ostree="))
            parsed.append(entry)
        return sorted(parsed, key=lambda entry: int(entry["version"]), reverse=True)

    @property
    def default(self) -> Path:
        """The deployment that boots next."""
        return self.deployments()[0]

    def checksum(self, deployment: Path | None = None) -> str:
        """The commit of a deployment (default: the first)."""
        return (deployment or self.default).name.partition(".")[0]

    def origin(self, deployment: Path | None = None) -> str:
        """The origin file's text of a deployment (default: the first)."""
        deployment = deployment or self.default
        return (deployment.parent / f"{deployment.name}.origin").read_text()

    def write(self, path: str, content: str, *, mode: int = 0o644, deployment: Path | None = None) -> Path:
        """Write a file below a deployment's /etc or the like, as an administrator would (new file, then rename)."""
        target = (deployment or self.default) / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_name(f"{target.name}.new")
        fresh.write_text(content)
        fresh.chmod(mode)
        fresh.replace(target)
        return target

    def use_sources(self, sources: Mapping[str, str], *, keep: bool = False) -> None:
        """Configure package sources, `{"name": deb822 text}`, in the first deployment's /etc/apt.

        Without `keep` every other source goes: tests of local packages then need no network.
        """
        folder = self.default / "etc/apt"
        if not keep:
            (folder / "sources.list").unlink(missing_ok=True)
            shutil.rmtree(folder / "sources.list.d", ignore_errors=True)
        for name, text in sources.items():
            self.write(f"etc/apt/sources.list.d/{name}.sources", text)

    # --- apt-ostree

    def argv(self, *words: str | Path) -> list[str]:
        """The command line of apt-ostree on this sysroot."""
        return [sys.executable, "-m", "apt_ostree", "--sysroot", str(self.path), *(str(word) for word in words)]

    def apt_ostree(
        self,
        *words: str | Path,
        check: bool | int = True,
        env: Mapping[str, str] | None = None,
        stdin: str | None = None,
    ) -> Done:
        """Run apt-ostree. `check` True: must succeed; an exit code: must end with just that; False: anything."""
        done = run(self.argv(*words), check=False, env={"PYTHONPATH": str(CHECKOUT), **(env or {})}, stdin=stdin)
        if check is False:
            return done
        return done.must(0 if check is True else check)

    def start(self, *words: str | Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start apt-ostree in a process group of its own and go on; `close` ends what is left."""
        process = subprocess.Popen(
            self.argv(*words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment({"PYTHONPATH": str(CHECKOUT), **(env or {})}),
            process_group=0,
        )
        self._running.append(process)
        return process

    # --- what must hold

    def fsck(self) -> None:
        """`ostree fsck`: raises AssertionError when an object is not what its name says."""
        run(["ostree", "fsck", "--quiet", f"--repo={self.repo}"])

    def leftovers(self) -> list[str]:
        """Work dirs apt-ostree did not take away, as paths below its corner of the repo."""
        work = self.store / "work"
        return sorted(str(entry.relative_to(self.store)) for entry in work.iterdir()) if work.is_dir() else []

    def snapshot(self) -> dict[str, str]:
        """All that "nothing changed" is about, path by path: two equal snapshots are the same machine.

        Deployments and their origins, boot entries, refs, every deployment's /etc (type, mode, owner, content).
        """
        whole = [self.path / "boot/loader", self.path / "boot/loader/entries", self.repo / "refs", self.repo / "config"]
        whole += self.path.glob("ostree/boot.*")
        itself = list(self.path.glob("ostree/deploy/*/deploy/*"))  # deployments and origin files
        whole += [deployment / "etc" for deployment in itself if deployment.is_dir()]
        found: dict[str, str] = {}
        for root in whole:
            found.update(fingerprints(root, relative_to=self.path))
        return found | {str(path.relative_to(self.path)): _fingerprint(path) for path in itself}

    def close(self) -> None:
        """End what `start` left running and remove the sysroot."""
        for process in self._running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        remove(self.path)


def fingerprints(root: Path, *, relative_to: Path) -> dict[str, str]:
    """Path -> type, mode, owner and content (sha256 or link target) of `root` and what is below it."""
    found = {str(root.relative_to(relative_to)): _fingerprint(root)}
    for folder, directories, files in os.walk(root) if not root.is_symlink() else ():
        for name in directories + files:
            path = Path(folder, name)
            found[str(path.relative_to(relative_to))] = _fingerprint(path)
    return found


def _fingerprint(path: Path) -> str:
    try:
        info = path.lstat()
    except FileNotFoundError:
        return "absent"
    what = ""
    if stat.S_ISLNK(info.st_mode):
        what = str(path.readlink())
    elif stat.S_ISREG(info.st_mode):
        what = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"{stat.filemode(info.st_mode)} {info.st_uid}:{info.st_gid} {what}"


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """The paths in which two snapshots differ, for an assertion that says something."""
    return sorted(path for path in {*before, *after} if before.get(path) != after.get(path))


def remove(path: Path) -> None:
    """Remove a directory with sysroots in it, at most three levels down: their deployments are immutable (+i)."""
    depths = ("", "*/", "*/*/", "*/*/*/")
    found = [entry for depth in depths for entry in path.glob(f"{depth}ostree/deploy/*/deploy/*") if entry.is_dir()]
    if found:
        run(["chattr", "-f", "-i", *found], check=False)
    run(["rm", "-rf", "--one-file-system", path])
