"""A private apt root: apt sees the base's packages and the host's sources, and nothing of the machine it runs on.

The sources are copied, with `Signed-By` paths led into the tree they come from; of the tree's apt.conf only
settings about fetching are taken over, never hooks or programs.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from apt_ostree import sources, unfetched
from apt_ostree.errors import ToolError, UsageError
from apt_ostree.tools import apt

# Settings of the machine's own apt.conf that concern how packages are fetched or chosen. Anything that names
# a program to run (Proxy-Auto-Detect, Update::Pre-Invoke, ...) stays out: the tree may be somebody else's.
_TAKEN = re.compile(
    r"(?i)Acquire::(https?|ftp)::(Proxy(::[\w.-]+)?|Timeout|Dl-Limit)|Acquire::(Retries|ForceIPv4|ForceIPv6)"
    r"|Acquire::Check-Valid-Until|APT::Default-Release"
)
_INCLUDE = re.compile(r"#\s*include\b", re.IGNORECASE)
_CONF_NAME = re.compile(r"[\w.-]+(?<!\.)\.conf|[\w-]+")  # apt.conf(5): no extension, or .conf
_PATH_UNSAFE = re.compile(r'[";{}\\\n:,]')  # gpgv gets its keyrings as a list with colons and commas
_LINE_UNSAFE = re.compile(r'[";{}\\\n]')

# What apt says of an index that is not the one its Release file names; it passes when the mirror has both.
IN_SYNC = "Mirror sync in progress"
SYNC_PAUSES = (3.0, 15.0)  # seconds; one that takes longer is an error


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTree:
    """Where sources come from: a directory in the place of /etc/apt, and the root its absolute paths belong to."""

    etc_apt: Path
    root: Path
    advice: unfetched.Advice = unfetched.ON_A_SYSTEM

    def inside(self, rel: str) -> Path:
        """Where a path below /etc/apt leads in the tree. Links are the tree's, so they never lead out of it."""
        return sources.inside(self.root, f"/{self.etc_apt.relative_to(self.root)}/{rel}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseState:
    """What apt must believe to be installed: texts out of the base commit's package state."""

    status: str
    extended_states: str
    architectures: tuple[str, ...]  # the native one first


@dataclass(frozen=True, slots=True, kw_only=True)
class AptRoot:
    """A private apt root that is ready for use."""

    directory: Path
    sources_digest: str
    native: str  # the native architecture
    advice: unfetched.Advice = unfetched.ON_A_SYSTEM

    @property
    def config(self) -> Path:
        return self.directory / "apt.conf"

    @property
    def lists(self) -> Path:
        return self.directory / "state/lists"

    @property
    def stamp(self) -> Path:
        """Touched by every successful refresh; holds the digest of the sources that were read."""
        return self.directory / "state/refreshed"

    def age(self) -> float | None:
        """Seconds since the lists of just these sources were fetched; None: never."""
        try:
            if self.stamp.read_text() != self.sources_digest:
                return None
            return max(0.0, time.time() - self.stamp.stat().st_mtime)
        except OSError:
            return None

    def refresh(self, on_line: Callable[[str], None]) -> None:
        """Fetch the package lists. Raises what `unfetched.error` makes of apt's words."""
        self._own_lists()
        said: list[str] = []

        def listen(line: str) -> None:
            said.append(line)
            on_line(line)

        try:
            self._update(listen)
        except ToolError as error:
            raise unfetched.error(said, error.details, self.advice) from error
        self.stamp.write_text(self.sources_digest)

    def _update(self, on_line: Callable[[str], None]) -> None:
        """`apt-get update`, again after a pause while a mirror has a new Release file and old indexes."""
        for pause in SYNC_PAUSES:
            try:
                return apt.update(self.config, on_line)
            except ToolError as error:
                if not any(IN_SYNC in line for line in error.details):
                    raise
            on_line(f"the mirror is being synchronised; trying again in {pause:.0f} s")
            time.sleep(pause)
        apt.update(self.config, on_line)

    def _own_lists(self) -> None:
        """Lists that are linked in become copies: apt gives what it refreshes another name, owner and mode."""
        for link in self.lists.iterdir():
            if link.is_symlink():
                target = link.resolve()
                link.unlink()
                if target.is_file():  # an archive on this machine may be gone
                    shutil.copy2(target, link)

    def releases(self) -> tuple[str, ...]:
        """sha256 of every Release file the lists hang on, sorted."""
        files = [path for path in self.lists.glob("*Release") if path.is_file()]
        return tuple(sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in files))


def build(
    directory: Path,
    base: BaseState,
    source: SourceTree,
    *,
    disabled: tuple[str, ...] = (),
    settings: Mapping[str, str] | None = None,
) -> AptRoot:
    """Lay out a private apt root in `directory` (existing lists in it are kept).

    `settings` stand above those of the sources' own apt.conf.
    `disabled` names sources files to leave out (`NAME` or `NAME.sources`). Raises UsageError for an unknown one.
    """
    for name in ("state/lists/partial", "cache/archives/partial", "log"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    shutil.rmtree(directory / "tmp", ignore_errors=True)
    (directory / "tmp").mkdir(mode=0o700)
    fresh = directory / "etc.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)  # addresses and settings may have passwords in them
    for name in ("sources.list.d", "preferences.d", "trusted.gpg.d", "auth.conf.d", "keys"):
        (fresh / name).mkdir(parents=True)
    keys = sources.Keys(root=source.root, directory=fresh / "keys", place=directory / "etc/keys")
    _copy_sources(source, fresh, keys, disabled)
    _copy_settings(source, fresh)
    (fresh / "preferences.d/00-apt-ostree").write_text(
        # the base is not ours to change: what is installed wins over every candidate (apt_preferences(5))
        "Package: *\nPin: release a=now\nPin-Priority: 1001\n"
    )
    _settle(fresh, directory / "etc")
    (directory / "etc").chmod(0o700)
    _put(directory / "status", base.status)
    _put(directory / "state/extended_states", base.extended_states)
    _put(directory / "apt.conf", _conf(directory, base, {**_taken(directory, source), **(settings or {})}), mode=0o600)
    return AptRoot(
        directory=directory,
        sources_digest=_digest(directory / "etc", base.architectures),
        native=base.architectures[0],
        advice=source.advice,
    )


def _put(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write only what is new: apt throws its cache away when a file it rests on is younger."""
    if not path.is_file() or path.read_text() != text:
        path.touch(mode=mode)
        path.write_text(text)
    path.chmod(mode)


def _settle(fresh: Path, place: Path) -> None:
    """Put a directory in its place, unless what is there already is the same (and older)."""
    if place.is_dir() and _contents(fresh) == _contents(place):
        shutil.rmtree(fresh)
        return
    shutil.rmtree(place, ignore_errors=True)
    fresh.rename(place)


def _contents(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def _files(source: SourceTree, rel: str = "", suffix: str = "") -> dict[str, Path]:
    """The regular files in a directory of a tree's /etc/apt: name -> where it really is, inside the tree."""
    folder = source.inside(rel)
    names = sorted(path.name for path in folder.iterdir() if path.name.endswith(suffix)) if folder.is_dir() else []
    found = {name: source.inside(f"{rel}/{name}") for name in names}
    # a question may be asked by a plain user, who cannot read passwords and does not need them
    return {name: path for name, path in found.items() if path.is_file() and os.access(path, os.R_OK)}


def _copy_sources(source: SourceTree, etc: Path, keys: sources.Keys, disabled: tuple[str, ...]) -> None:
    places = {**_files(source, "sources.list.d", ".list"), **_files(source, "sources.list.d", ".sources")}
    places |= {name: path for name, path in _files(source).items() if name == "sources.list"}
    found = [Path(name) for name in places]
    unknown = [name for name in disabled if not any(name in (path.name, path.stem) for path in found)]
    if unknown:
        raise UsageError(
            f"there is no package source named {', '.join(unknown)}",
            hint="the sources are: " + (", ".join(path.stem for path in found) or "none"),
        )
    for path in found:
        if path.name in disabled or path.stem in disabled:
            continue
        text = places[path.name].read_text(errors="replace")
        taken = sources.deb822 if path.suffix == ".sources" else sources.lines
        target = etc / (path.name if path.name == "sources.list" else f"sources.list.d/{path.name}")
        target.write_text(taken(text, keys))


def _copy_settings(source: SourceTree, etc: Path) -> None:
    top = _files(source)
    files: dict[str, Path] = {name: top[name] for name in ("preferences", "trusted.gpg", "auth.conf") if name in top}
    for folder in ("preferences.d", "trusted.gpg.d", "auth.conf.d"):
        files |= {f"{folder}/{name}": path for name, path in _files(source, folder).items()}
    for name, path in files.items():
        secret = name.startswith("auth.conf")
        fd = os.open(etc / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600 if secret else 0o644)
        with os.fdopen(fd, "wb") as stream:
            stream.write(path.read_bytes())


def _taken(directory: Path, source: SourceTree) -> dict[str, str]:
    """Settings of the tree's own apt.conf, read from copies: what it includes and links to is not looked at."""
    if unsafe := _PATH_UNSAFE.search(str(directory)):
        raise UsageError(
            f"apt cannot use the path '{directory}': there is a {unsafe[0]!r} in it",
            hint="mount the system at another path",
        )
    parts = directory / "tmp/apt.conf.d"
    parts.mkdir()
    files = [path for name, path in _files(source, "apt.conf.d").items() if _CONF_NAME.fullmatch(name)]
    files += [path for name, path in _files(source).items() if name == "apt.conf"]
    for number, path in enumerate(files):
        text = path.read_text(errors="replace")
        (parts / f"{number:04}.conf").write_text(_INCLUDE.sub("//", text))
    probe = directory / "probe.conf"
    probe.write_text(f'Dir::Etc::main "/dev/null";\nDir::Etc::parts "{parts}";\n')
    return {key: value for key, value in apt.config_dump(probe).items() if _TAKEN.fullmatch(key)}


def _conf(directory: Path, base: BaseState, taken: dict[str, str]) -> str:
    settings = {
        "Dir": f"{directory}/",
        "Dir::State": "state",
        "Dir::State::status": f"{directory}/status",
        "Dir::Cache": "cache",
        "Dir::Etc": "etc",
        "Dir::Etc::main": "/dev/null",
        "Dir::Etc::parts": "/dev/null",
        "Dir::Log": "log",
        "APT::Architecture": base.architectures[0],
        "APT::Sandbox::User": "root",
        "APT::Get::AllowUnauthenticated": "false",
        "Acquire::AllowInsecureRepositories": "false",
        "Acquire::Retries": "2",
        "Acquire::Languages": "none",
        **taken,
    }
    lines = [f'{key} "{_LINE_UNSAFE.sub("", value)}";' for key, value in settings.items()]
    lines += ["#clear APT::Architectures;"]
    lines += [f'APT::Architectures:: "{_LINE_UNSAFE.sub("", arch)}";' for arch in base.architectures]
    return "\n".join(lines) + "\n"


def _digest(etc: Path, architectures: tuple[str, ...]) -> str:
    total = hashlib.sha256(" ".join(architectures).encode())
    for path in sorted(etc.glob("sources.list*")) + sorted((etc / "sources.list.d").iterdir()):
        if path.is_file():
            total.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()
