"""What may differ between a tree of ours and one that plain apt and dpkg made: one table, nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.support.treecompare import Difference, Rule, compare, scan, unexplained

ANY = frozenset({"missing", "extra", "kind", "mode", "owner", "content", "target", "xattrs", "links"})
EXTRA, MISSING, CONTENT = frozenset({"extra"}), frozenset({"missing"}), frozenset({"content"})


def _same_but_pyc_time(plain: Path, ours: Path) -> bool:
    """Bytes 8-12 of a time-stamped .pyc are the source's mtime (PEP 552), which is 0 in every ostree checkout."""
    a, b = plain.read_bytes(), ours.read_bytes()
    return b[8:12] == bytes(4) and a[:8] + a[12:] == b[:8] + b[12:]


def _same_but_last_change(plain: Path, ours: Path) -> bool:
    """shadow(5): the third field is the day an account was made; it is cleared, or no build could be repeated."""

    def lines(path: Path) -> list[list[str]]:
        return [[*line.split(":")[:2], *line.split(":")[3:]] for line in path.read_text().splitlines()]

    return lines(plain) == lines(ours)


def _same_but_birth(plain: Path, ours: Path) -> bool:
    """A Berkeley DB has a random id at the head of each database in it, and postfix's the time it was made."""

    def text(path: Path) -> bytes:
        content = path.read_bytes()
        return re.sub(rb"\d{10}(?=\x01YP_LAST_MODIFIED)", b"", content.replace(content[52:72], b""))

    return text(plain) == text(ours)


def _stanzas(path: Path) -> set[frozenset[str]]:
    return {frozenset(stanza.splitlines()) for stanza in path.read_text().split("\n\n") if stanza.strip()}


def _same_stanzas(plain: Path, ours: Path) -> bool:
    return _stanzas(plain) == _stanzas(ours)


TABLE = (
    Rule("var: directories and links are made by tmpfiles", r"usr/lib/tmpfiles\.d/apt-ostree-var-[^/]+\.conf",
         EXTRA | CONTENT),
    Rule("var: files are seeded from the factory", r"usr/share/factory(/var(/.*)?)?", EXTRA),
    Rule("var: package state has links of its own", r"usr/lib/tmpfiles\.d/00-apt-ostree-[^/]+\.conf", ANY),
    Rule("users: fixed ids for sysusers", r"usr/lib/sysusers\.d/00-apt-ostree\.conf", frozenset({"extra", "content"})),
    Rule("users: no day of last change", r"etc/shadow", CONTENT, _same_but_last_change),
    Rule("users: no backups of the account files", r"etc/(passwd|group|shadow|gshadow|subuid|subgid)-", MISSING),
    Rule("users: no lock of the account files", r"etc/\.pwd\.lock", MISSING),
    Rule("pyc: source times are 0", r"usr/.*\.pyc", CONTENT, _same_but_pyc_time),
    Rule("dpkgdb: no locks, no backups, no caches of the database",
         r"usr/lib/sysimage/dpkg/(lock|lock-frontend|triggers/Lock|[\w-]+-old|available|cmethopt)", MISSING),
    Rule("dpkgdb: no backups of debconf's database", r"usr/lib/sysimage/debconf/[\w.]+-old", MISSING),
    Rule("dpkgdb: automatic marks are the same set", r"usr/lib/sysimage/apt/extended_states", CONTENT, _same_stanzas),
    Rule("identity: no host keys in a commit", r"etc/ssh/ssh_host_\w+_key(\.pub)?", MISSING),
    Rule("identity: a unit makes missing host keys",
         r"usr/lib/systemd/system/(.*apt-ostree.*|ssh\.(service|socket)\.wants)", EXTRA),
)  # fmt: skip

# Files that differ between two runs of plain apt-get as well: keys, times, random ids.
CHANCE = (
    Rule("a private key made by ssl-cert",
         r"etc/ssl/(private/ssl-cert-snakeoil\.key|certs/ssl-cert-snakeoil\.pem)", CONTENT),
    Rule("the hash link of that certificate", r"etc/ssl/certs/[0-9a-f]{8}(\.\d+)?",
         frozenset({"missing", "extra", "target"})),
    Rule("the id and time of a Berkeley DB", r"etc/aliases\.db", CONTENT, _same_but_birth),
    Rule("the java key store holds times", r"etc/ssl/certs/java/cacerts", CONTENT),
)  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """The two trees after the same packages."""

    plain: Path
    ours: Path

    def locate(self, path: str) -> tuple[Path, Path]:
        ours = self.ours / ("usr/" + path if path.startswith("etc") else path)
        return self.plain / path, ours

    def differences(self) -> list[Difference]:
        plain = scan({"usr": self.plain / "usr", "etc": self.plain / "etc"})
        ours = scan({"usr": self.ours / "usr", "etc": self.ours / "usr/etc"})
        ours = {key: entry for key, entry in ours.items() if key != "usr/etc" and not key.startswith("usr/etc/")}
        return compare(plain, ours)

    def unexplained(self) -> list[Difference]:
        return [*unexplained(self.differences(), TABLE + CHANCE, self.locate), *self.stale()]

    def stale(self) -> list[Difference]:
        """Byte code Python would not use in a deployment, where the source's time is 0: equal to plain is wrong."""
        heads = {path: path.read_bytes()[:12] for path in (self.ours / "usr").rglob("*.pyc")}
        return [
            Difference(str(path.relative_to(self.ours)), "stale", ours=head[8:].hex())
            for path, head in heads.items()
            if head[4:8] == bytes(4) != head[8:]  # PEP 552: flags 0, so it is held to the source's time
        ]
