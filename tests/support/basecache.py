"""Real Debian, fetched once: composed bases and downloaded packages under $APT_OSTREE_TEST_CACHE.

A base is keyed by its treefile and by the code that composes; it is composed anew after a week, since a base
much older than the archive can no longer be layered upon. Everything appears by one rename.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import os
import shutil
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from tests.support import room
from tests.support.process import CHECKOUT, run
from tests.support.sysroots import Base, remove

PACKAGE = CHECKOUT / "apt_ostree"
TREEFILES = PACKAGE / "data/treefiles"
COMPOSERS = ("treefile/*.py", "compose/*.py", "ops/compose_tree.py", "tools/mmdebstrap.py", "tree/**/*.py")
HOUR = 3600.0  # seconds
WEEK = 7 * 24 * HOUR

# What a machine must have in its tree to run apt-ostree from the checkout: Debian's own Python and libraries.
HOST_PACKAGES = ("python3", "python3-typer", "python3-rich", "python3-debian", "python3-sh", "bubblewrap")


def root() -> Path:
    """The cache directory; tests work in it too, so that hard links into it are possible."""
    usual = Path("/var/cache") if os.geteuid() == 0 else Path.home() / ".cache"
    path = Path(os.environ.get("APT_OSTREE_TEST_CACHE") or usual / "apt-ostree-tests")
    path.mkdir(parents=True, exist_ok=True)
    return path


_area: list[Path] = []  # where this session's directory is, when that is in memory


@contextlib.contextmanager
def workspace(*, in_memory: bool = False) -> Iterator[Path]:
    """A directory for one test session, gone afterwards; those of sessions that were killed go too.

    It is on the file system of the bases that `base` gives while the block runs: hard links to them are possible.
    """
    area = root() / ("memory" if in_memory else "sessions")
    area.mkdir(exist_ok=True)
    with _locked(root() / "sessions.lock"):  # nobody sweeps between making a directory and locking it
        _sweep(area)
        if in_memory and not room.furnish(area):
            area = root() / "sessions"
            area.mkdir(exist_ok=True)
            _sweep(area)
        path = Path(tempfile.mkdtemp(dir=area))
        lock = contextlib.ExitStack()
        lock.enter_context(_locked(path))
    near = [area] if os.path.ismount(area) else []
    _area.extend(near)
    try:
        yield path
    finally:
        remove(path)
        lock.close()
        with _locked(root() / "sessions.lock"):
            if os.path.ismount(area) and not _sweep(area):
                room.clear(area)
        for one in near:
            _area.remove(one)


def _sweep(area: Path) -> bool:
    """Remove what sessions left that were killed; True when others are alive."""
    alive = False
    for left in area.glob("tmp*"):
        with _locked(left, wait=False) as dead:
            if dead:
                remove(left)
            alive |= not dead
    return alive


@contextlib.contextmanager
def _locked(path: Path, *, wait: bool = True) -> Iterator[bool]:
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(descriptor)


def base(name: str = "debian-13-minimal", *, extra: Sequence[str] = (), keys: Mapping[str, Any] | None = None) -> Base:
    """The composed base of an example treefile, with `extra` packages and other `keys`; composed when it is not here.

    A cold compose takes about as long as mmdebstrap does (a minute); only one of several sessions does it.
    """
    treefile = tomllib.loads((TREEFILES / f"{name}.toml").read_text()) | dict(keys or {})
    treefile["packages"] = sorted({*treefile.get("packages", ()), *extra})
    text = to_toml(treefile)
    with _locked(root() / "compose.lock"):
        home = _home(name, text)
        if not _fresh(home):
            _compose(home, text)
            _prune(name)
        os.utime(home / "used")
        near = _near(home)
    return Base(repo=near / "repo", ref=treefile["ref"], checksum=(near / "checksum").read_text())


def _near(home: Path) -> Path:
    """The base on the file system of the workspace."""
    if not _area:
        return home
    copy, checksum = _area[0] / "bases" / home.name, (home / "checksum").read_text()
    if not (copy / "checksum").is_file() or (copy / "checksum").read_text() != checksum:
        remove(copy)
        copy.parent.mkdir(exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=copy.parent, prefix=".partial-"))
        run(["cp", "-a", f"{home}/.", partial])
        partial.rename(copy)
    return copy


def _home(name: str, treefile: str) -> Path:
    """Where the base of this treefile and this code is, or will be."""
    bases, prefix = root() / "bases", f"{name}-{hashlib.sha256(_whole(treefile).encode()).hexdigest()[:8]}"
    if os.environ.get("APT_OSTREE_TEST_KEEP_BASE"):  # while one edits a tree rule: the last base will do
        kept = sorted((home for home in bases.glob(f"{prefix}-*") if _fresh(home)), key=_last_use)
        if kept:
            return kept[-1]
    return bases / f"{prefix}-{_code()}"


def _whole(treefile: str) -> str:
    """A treefile's text with that of the examples it includes, which decide as much."""
    names = tomllib.loads(treefile).get("include", ())
    return treefile + "".join(_whole((TREEFILES / f"{name.removesuffix('.toml')}.toml").read_text()) for name in names)


@functools.cache  # one answer a session, whatever is edited meanwhile
def _code() -> str:
    total = hashlib.sha256()
    for pattern in COMPOSERS:
        for path in sorted(PACKAGE.glob(pattern)):
            total.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes())
    return total.hexdigest()[:16]


def _fresh(home: Path) -> bool:
    try:
        return time.time() - (home / "checksum").stat().st_mtime < WEEK
    except FileNotFoundError:
        return False


def _compose(home: Path, text: str) -> None:
    home.parent.mkdir(exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=home.parent, prefix=".partial-"))
    try:
        treefile, repo = partial / "treefile.toml", partial / "repo"
        treefile.write_text(text)
        run(["ostree", "init", "--mode=bare", f"--repo={repo}"])
        argv = [sys.executable, "-m", "apt_ostree", "compose", "tree", treefile, "--repo", repo]
        run(argv, env={"PYTHONPATH": str(CHECKOUT)})
        ref = tomllib.loads(text)["ref"]
        (partial / "checksum").write_text(run(["ostree", "rev-parse", f"--repo={repo}", ref]).stdout.strip())
        (partial / "used").touch()
        shutil.rmtree(home, ignore_errors=True)
        partial.rename(home)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def discard(base: Base) -> None:
    """Forget a cached base: a test broke an object that is linked into it."""
    (base.repo.parent / "checksum").unlink(missing_ok=True)


def _prune(name: str, keep: int = 4) -> None:
    """Keep the bases used last, and all that a session still running may use."""
    for home in sorted((root() / "bases").glob(f"{name}-*"), key=_last_use)[:-keep]:
        if time.time() - _last_use(home) > HOUR:
            shutil.rmtree(home, ignore_errors=True)


def _last_use(home: Path) -> float:
    return (home / "used").stat().st_mtime if (home / "used").exists() else 0.0


def to_toml(table: Mapping[str, Any], *, inside: str = "") -> str:
    """TOML of strings, numbers, booleans, lists of those, and tables (as much as a treefile has)."""
    plain = [f"{key} = {_value(value)}\n" for key, value in table.items() if not isinstance(value, Mapping)]
    return "".join(plain) + "".join(
        f"\n[{inside}{key}]\n{to_toml(value, inside=f'{inside}{key}.')}"
        for key, value in table.items()
        if isinstance(value, Mapping)
    )


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.translate({ord('"'): '\\"', ord("\\"): "\\\\", ord("\n"): "\\n"}) + '"'
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_value(item)}" for key, item in value.items()) + "}"
    return str(value)


class Stored(Protocol):
    """A sysroot, or a bare repo: what has a corner of apt-ostree's."""

    @property
    def store(self) -> Path: ...


def seed(sysroot: Stored) -> None:
    """Give a sysroot the real packages and package lists that earlier tests fetched."""
    for path in (root() / "debs").glob("*.deb"):
        (sysroot.store / "debs").mkdir(mode=0o700, parents=True, exist_ok=True)
        _take(path, sysroot.store / "debs" / path.name)
    if (root() / "lists").is_dir():
        sysroot.store.mkdir(parents=True, exist_ok=True)
        with _locked(root() / "lists.lock"):
            shutil.copytree(root() / "lists", sysroot.store / "apt")


def _take(source: Path, target: Path) -> None:
    """The same file under another name, or a copy from another file system. Raises FileExistsError."""
    if source.stat().st_dev == target.parent.stat().st_dev:
        target.hardlink_to(source)
        return
    descriptor, fresh = tempfile.mkstemp(dir=target.parent, prefix=".")
    os.close(descriptor)
    shutil.copy2(source, fresh)
    try:
        target.hardlink_to(fresh)
    finally:
        os.unlink(fresh)


def harvest(sysroot: Stored) -> None:
    """Keep the real packages and lists a sysroot fetched for the next test. Only for sysroots with Debian's sources."""
    store = root() / "debs"
    store.mkdir(exist_ok=True)
    for path in (sysroot.store / "debs").glob("*.deb"):
        with contextlib.suppress(FileExistsError):
            _take(path, store / path.name)
    if (sysroot.store / "apt/state/refreshed").is_file():
        fresh = Path(tempfile.mkdtemp(dir=root(), prefix=".lists-")) / "apt"
        shutil.copytree(sysroot.store / "apt", fresh)
        with _locked(root() / "lists.lock"):
            shutil.rmtree(root() / "lists", ignore_errors=True)
            fresh.rename(root() / "lists")
        fresh.parent.rmdir()
