"""The oracle: real, nasty packages by plain apt-get in a chroot and by us must give the same tree.

What the tree rules intend to differ is one table here; nothing else is tolerated.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from apt_ostree.paths import Store
from tests.support.basecache import Base
from tests.support.ground import Ground
from tests.support.plainchroot import PlainChroot
from tests.support.treecompare import Difference, Rule, compare, scan, unexplained

pytestmark = pytest.mark.real

# Two sets, because mail transport agents exclude each other.
FIRST = (
    "nginx-light", "openssh-server", "postgresql", "exim4-daemon-light", "git", "vim", "ca-certificates-java",
    "fontconfig",
    "dbus-user-session", "iputils-ping", "sudo", "man-db", "python3-yaml", "python3-requests", "perl", "emacs-nox",
    "apparmor", "cron", "locales", "dnsmasq", "avahi-daemon", "samba-common", "texinfo",
    "openjdk-21-jre-headless", "rsyslog", "logrotate", "ucf", "tzdata", "xfonts-base",
)  # fmt: skip
SECOND = (
    "postfix", "chrony", "wireguard-tools", "tcpdump", "polkitd", "at", "screen", "tmux", "zsh", "busybox-static",
    "bash-completion", "zutils", "molly-guard", "gawk", "fuse3", "console-setup", "ssl-cert", "udisks2", "plymouth",
)  # fmt: skip

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
    Rule("dpkgdb: package state that was born in /var",
         r"usr/lib/sysimage/(ucf|pam|deb-systemd[\w-]*|shells\.state)(/.*)?", EXTRA),
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
    Rule("the java key store holds times", r"etc/ssl/certs/java/cacerts", CONTENT),
)  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """The two trees after the same packages."""

    plain: Path
    ours: Path

    def parts(self, root: Path, etc: str) -> dict[str, Path]:
        return {"usr": root / "usr", "etc": root / etc}

    def locate(self, path: str) -> tuple[Path, Path]:
        ours = self.ours / ("usr/" + path if path.startswith("etc") else path)
        return self.plain / path, ours

    def differences(self) -> list[Difference]:
        plain = scan(self.parts(self.plain, "etc"))
        ours = scan(self.parts(self.ours, "usr/etc"))
        ours = {key: entry for key, entry in ours.items() if key != "usr/etc" and not key.startswith("usr/etc/")}
        return compare(plain, ours)


def _make(ground: Ground, base: Base, packages: tuple[str, ...], folder: Path) -> Pair:
    branch = f"oracle/{folder.name}"
    done = ground.apt_ostree(
        "compose", "install", "--repo", base.repo, "--ref", base.ref, "--branch", branch, "--no-recommends", "--json",
        *packages,
    )  # fmt: skip
    layered = ground.layered_packages(base.repo, branch)
    debs = {package.nevra: ground.stored_deb(base.repo, package) for package in layered}
    plain = PlainChroot.of_commit(base.repo, base.checksum, folder / "plain")
    plain.install(packages, debs, Store(base.repo).apt / "state/lists", ground.foreign(packages))
    ours = folder / "ours"
    subprocess.run(["ostree", f"--repo={base.repo}", "checkout", "--require-hardlinks", branch, ours], check=True)
    assert done.returncode == 0
    return Pair(plain.root, ours)


@pytest.fixture(scope="module", params=[FIRST, SECOND], ids=["first", "second"])
def pair(request: pytest.FixtureRequest, ground: Ground, base: Base, big_folder: Callable[[str], Path]) -> Pair:
    return _make(ground, base, request.param, big_folder(f"oracle-{len(request.param)}"))


def test_the_sets_are_large_enough() -> None:
    assert len(set(FIRST + SECOND)) >= 40


def test_oracle_tree_equals_plain_apt(pair: Pair) -> None:
    left = unexplained(pair.differences(), TABLE + CHANCE, pair.locate)
    assert not left, f"{len(left)} differences that no rule intends:\n" + "\n".join(str(d) for d in left[:60])


def test_oracle_database_is_sound(pair: Pair) -> None:
    """dpkg's own word on our tree: the same packages in the same state, nothing to audit."""

    def listing(admindir: Path) -> str:
        form = "${Package} ${Architecture} ${Version} ${Status}\n"
        argv = ["dpkg-query", f"--admindir={admindir}", "-W", f"-f={form}"]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout

    ours = pair.ours / "usr/lib/sysimage/dpkg"
    assert listing(ours) == listing(pair.plain / "usr/lib/sysimage/dpkg")
    audit = subprocess.run(["dpkg", f"--admindir={ours}", "--audit"], capture_output=True, text=True, check=False)
    assert audit.stdout == ""
