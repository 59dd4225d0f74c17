"""Builders of .deb files: sane ones by the real dpkg-deb, hostile ones byte by byte."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

EPOCH = "1700000000"  # same inputs, same bytes
SCRIPTS = ("preinst", "postinst", "prerm", "postrm", "config")

Content = str | bytes


def _bytes(content: Content) -> bytes:
    return content.encode() if isinstance(content, str) else content


def _script(text: str) -> str:
    """A maintainer script; without a `#!` line it becomes a strict /bin/sh one."""
    return text if text.startswith("#!") else f"#!/bin/sh\nset -e\n{text}\n"


@dataclass(slots=True, kw_only=True)
class DebBuilder:
    """A package to be built with `dpkg-deb --build`. Paths in the mappings are absolute or relative to /.

    `owners` are (uid, gid), `modes` are octal; `hardlinks` and `links` (symbolic) map the new path to its target.
    `control` holds any further field, `control_files` any further member of the control archive. Fields of
    relations take the text of the field: `depends="libc6 (>= 2.36), foo"`.
    """

    name: str
    version: str = "1.0"
    arch: str = "all"
    depends: str = ""
    control: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Content] = field(default_factory=dict)
    dirs: Sequence[str] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    hardlinks: Mapping[str, str] = field(default_factory=dict)
    modes: Mapping[str, int] = field(default_factory=dict)
    owners: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    scripts: Mapping[str, str] = field(default_factory=dict)
    conffiles: Sequence[str] = ()
    triggers: str = ""
    templates: str = ""
    control_files: Mapping[str, Content] = field(default_factory=dict)
    compression: str = "gzip"

    @property
    def filename(self) -> str:
        """`name_version_arch.deb`, without the epoch (as dpkg-deb names it)."""
        return f"{self.name}_{self.version.partition(':')[2] or self.version}_{self.arch}.deb"

    def control_text(self) -> str:
        """The control file (deb-control(5))."""
        fields = {
            "Package": self.name,
            "Version": self.version,
            "Architecture": self.arch,
            "Maintainer": "Test Ground <test@example.invalid>",
            "Section": "misc",
            "Priority": "optional",
            "Depends": self.depends,
            **self.control,
            "Description": self.control.get("Description", f"{self.name} of the test ground"),
        }
        return "".join(f"{key}: {value}\n" for key, value in fields.items() if value)

    def build(self, directory: Path) -> Path:
        """Build the package into `directory` and return its path. Raises CalledProcessError as dpkg-deb refuses it."""
        directory.mkdir(parents=True, exist_ok=True)
        target = directory / self.filename
        with tempfile.TemporaryDirectory(dir=directory, prefix=".build-") as temporary:
            root = Path(temporary) / "root"
            root.mkdir(mode=0o755)
            self._write_data(root)
            self._write_control(root / "DEBIAN")
            owner = [] if self.owners else ["--root-owner-group"]
            subprocess.run(
                ["dpkg-deb", *owner, f"-Z{self.compression}", "-z1", "--build", str(root), str(target)],
                check=True,
                capture_output=True,
                text=True,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "SOURCE_DATE_EPOCH": EPOCH},
            )
        return target

    def _write_data(self, root: Path) -> None:
        for path in self.dirs:
            _make_dirs(root, path.strip("/"))
        for path, content in self.files.items():
            target = _place(root, path)
            target.write_bytes(_bytes(content))
            target.chmod(0o644)
        for path, goal in self.links.items():
            _place(root, path).symlink_to(goal)
        for path, goal in self.hardlinks.items():
            _place(root, path).hardlink_to(root / goal.lstrip("/"))
        for path, (uid, gid) in self.owners.items():
            os.chown(root / path.lstrip("/"), uid, gid, follow_symlinks=False)
        for path, mode in self.modes.items():  # after chown, which clears setuid
            (root / path.lstrip("/")).chmod(mode)

    def _write_control(self, debian: Path) -> None:
        members: dict[str, Content] = {"control": self.control_text()}
        if self.conffiles:
            members["conffiles"] = "".join(f"{path}\n" for path in self.conffiles)
        if self.triggers:
            members["triggers"] = self.triggers.rstrip("\n") + "\n"
        if self.templates:
            members["templates"] = self.templates.rstrip("\n") + "\n"
        members.update({name: _script(text) for name, text in self.scripts.items()})
        members.update(self.control_files)
        debian.mkdir(mode=0o755)
        for name, content in members.items():
            (debian / name).write_bytes(_bytes(content))
            (debian / name).chmod(0o755 if name in SCRIPTS else 0o644)


def _make_dirs(root: Path, relative: str) -> None:
    current = root
    for part in Path(relative).parts:
        current = current / part
        if not current.is_dir():
            current.mkdir()
            current.chmod(0o755)  # whatever the umask


def _place(root: Path, path: str) -> Path:
    relative = path.lstrip("/")
    _make_dirs(root, str(Path(relative).parent))
    return root / relative


def repack(tree: Path, name: str, version: str, directory: Path, changed: Mapping[str, str] | None = None) -> Path:
    """An installed package of a tree as an archive of another version, with its own files and scripts.

    `tree` is a checkout of a commit of ours. What it has in /etc comes from /usr/etc. `changed` has other content.
    """
    database = tree / "usr/lib/sysimage/dpkg"
    stanzas = (database / "status").read_text().split("\n\n")
    stanza = next(text for text in stanzas if text.startswith(f"Package: {name}\n"))
    root = directory / f"{name}-root"
    root.mkdir(mode=0o755)
    for line in (database / f"info/{name}.list").read_text().splitlines():
        source = tree / ("usr" + line if line.startswith("/etc/") else line.lstrip("/"))
        target = _place(root, line) if line != "/." else root
        at_boot = line.startswith("/var/") and not source.exists()  # packages have nothing but directories there
        if at_boot or (source.is_dir() and not source.is_symlink()):
            _make_dirs(root, line.strip("/"))
        else:
            shutil.copy2(source, target, follow_symlinks=False)
    for line, text in (changed or {}).items():
        (root / line.lstrip("/")).write_text(text)
    (root / "DEBIAN").mkdir(mode=0o755)
    dropped = ("Status:", "Conffiles:", " /etc/")
    lines = [line for line in stanza.splitlines() if not line.startswith(dropped)]
    control = [f"Version: {version}" if line.startswith("Version:") else line for line in lines]
    (root / "DEBIAN/control").write_text("\n".join(control) + "\n")
    for path in (database / "info").glob(f"{name}.*"):
        if path.suffix[1:] in (*SCRIPTS, "conffiles", "triggers"):
            shutil.copy2(path, root / "DEBIAN" / path.suffix[1:])
    target = directory / f"{name}_{version}.deb"
    subprocess.run(["dpkg-deb", "-Zgzip", "-z1", "--build", str(root), str(target)], check=True, capture_output=True)
    return target


@dataclass(slots=True, kw_only=True)
class RawDeb:
    """A .deb written by hand, so that it can hold what dpkg-deb would refuse. Members keep the order of the calls.

    >>> RawDeb(name="evil").file("../../etc/shadow", "x").build(directory)

    Names go into the tar as given. `control` replaces the whole control file, `control_members` adds to it,
    `drop` leaves out members of the ar (`control.tar.gz`, ...), `version_member` is the text of `debian-binary`.
    """

    name: str
    version: str = "1.0"
    arch: str = "all"
    control: str | None = None
    control_members: Mapping[str, Content] = field(default_factory=dict)
    control_links: Mapping[str, str] = field(default_factory=dict)
    drop: Sequence[str] = ()
    version_member: str = "2.0\n"
    entries: list[tuple[tarfile.TarInfo, bytes]] = field(default_factory=list)

    def _add(self, info: tarfile.TarInfo, content: bytes = b"") -> RawDeb:
        info.size = len(content)
        info.uname = info.gname = "root"
        self.entries.append((info, content))
        return self

    def _entry(self, name: str, kind: bytes, mode: int, target: str = "") -> tarfile.TarInfo:
        info = tarfile.TarInfo(name)
        info.type, info.mode, info.linkname = kind, mode, target
        return info

    def file(self, name: str, content: Content = "", mode: int = 0o644) -> RawDeb:
        """A regular file."""
        return self._add(self._entry(name, tarfile.REGTYPE, mode), _bytes(content))

    def directory(self, name: str, mode: int = 0o755) -> RawDeb:
        """A directory."""
        return self._add(self._entry(name, tarfile.DIRTYPE, mode))

    def symlink(self, name: str, target: str) -> RawDeb:
        """A symbolic link."""
        return self._add(self._entry(name, tarfile.SYMTYPE, 0o777, target))

    def hardlink(self, name: str, target: str) -> RawDeb:
        """A hard link, to any path at all."""
        return self._add(self._entry(name, tarfile.LNKTYPE, 0o644, target))

    def device(self, name: str, major: int = 1, minor: int = 5, *, block: bool = False) -> RawDeb:
        """A device node."""
        info = self._entry(name, tarfile.BLKTYPE if block else tarfile.CHRTYPE, 0o666)
        info.devmajor, info.devminor = major, minor
        return self._add(info)

    def fifo(self, name: str) -> RawDeb:
        """A named pipe."""
        return self._add(self._entry(name, tarfile.FIFOTYPE, 0o644))

    @property
    def filename(self) -> str:
        """`name_version_arch.deb`."""
        return f"{self.name}_{self.version}_{self.arch}.deb"

    def to_bytes(self) -> bytes:
        """The whole package."""
        control = self.control
        if control is None:
            control = DebBuilder(name=self.name, version=self.version, arch=self.arch).control_text()
        members = {"./control": _bytes(control), **{f"./{k}": _bytes(v) for k, v in self.control_members.items()}}
        head = [
            (self._entry(name, tarfile.REGTYPE, 0o755 if name[2:] in SCRIPTS else 0o644), content)
            for name, content in members.items()
        ]
        head += [(self._entry(f"./{k}", tarfile.SYMTYPE, 0o777, v), b"") for k, v in self.control_links.items()]
        for info, content in head:
            info.size = len(content)
        archive = {
            "debian-binary": self.version_member.encode(),
            "control.tar.gz": _tar(head),
            "data.tar.gz": _tar(self.entries),
        }
        return _ar({name: content for name, content in archive.items() if name not in self.drop})

    def build(self, directory: Path, *, keep: int | None = None) -> Path:
        """Write the package into `directory`, cut off after `keep` bytes (negative: that many less)."""
        directory.mkdir(parents=True, exist_ok=True)
        target = directory / self.filename
        target.write_bytes(self.to_bytes()[:keep])
        return target


def _tar(entries: Sequence[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.GNU_FORMAT, compresslevel=1) as tar:
        for info, content in entries:
            info.mtime = int(EPOCH)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _ar(members: Mapping[str, bytes]) -> bytes:
    """An ar archive as deb(5) wants it: 60 bytes of header a member, even offsets."""
    parts = [b"!<arch>\n"]
    for name, content in members.items():
        header = f"{name:<16}{EPOCH:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n"
        parts += [header.encode(), content, b"\n" if len(content) % 2 else b""]
    return b"".join(parts)


def truncated(deb: Path, keep: int) -> Path:
    """Cut a package off after `keep` bytes (negative: that many less), in place."""
    deb.write_bytes(deb.read_bytes()[:keep])
    return deb


def tampered(deb: Path, target: Path) -> Path:
    """A copy of `deb` of the same size with its last byte changed."""
    shutil.copyfile(deb, target)
    data = bytearray(target.read_bytes())
    data[-1] ^= 0xFF
    target.write_bytes(data)
    return target
