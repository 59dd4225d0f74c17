"""The oracle: real, nasty packages by plain apt-get in a chroot and by us must give the same tree.

What the tree rules intend to differ is one table in tests/support/oracle.py; nothing else is tolerated.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from apt_ostree import aptroot
from apt_ostree.paths import Store
from tests.support import basecache
from tests.support.ground import BareRepo, Ground
from tests.support.oracle import Pair
from tests.support.plainchroot import PlainChroot
from tests.support.process import CHECKOUT, run
from tests.support.sysroots import Base, remove

pytestmark = pytest.mark.real

# Three sets: mail transport agents exclude each other, and a second architecture changes what all others see.
FIRST = (
    "nginx-light", "openssh-server", "postgresql", "exim4-daemon-light", "git", "vim", "ca-certificates-java",
    "fontconfig", "dbus-user-session", "iputils-ping", "sudo", "man-db", "python3-yaml", "python3-requests", "perl",
    "emacs-nox", "apparmor", "cron", "locales", "dnsmasq", "avahi-daemon", "samba-common", "texinfo",
    "openjdk-21-jre-headless", "rsyslog", "logrotate", "ucf", "tzdata", "xfonts-base",
)  # fmt: skip
SECOND = (
    "postfix", "chrony", "wireguard-tools", "tcpdump", "polkitd", "at", "screen", "tmux", "zsh", "busybox-static",
    "bash-completion", "bash-static", "gawk", "fuse3", "console-setup", "ssl-cert", "udisks2", "plymouth",
    "zutils", "molly-guard", "fping", "mtr-tiny",
)  # fmt: skip
FOREIGN = ("libogg0:{arch}", "libogg0:amd64", "libjpeg62-turbo:{arch}")
# Mirrors that fetch on demand may have stale lists of architectures that few ask for, for days. The first that the
# mirror has is taken.
FOREIGN_ARCHITECTURES = ("arm64", "i386")
# The ones a broken rule is looked for with; few, as each break costs a whole layering.
SMALL = ("sudo", "iputils-ping", "chrony", "python3-yaml", "fping")

# The lists of updates are often stale on mirrors; those of a release are there. What is asked for must not be in
# the base, which may have a newer amd64 twin of it.
RELEASE_ONLY = {"usr/etc/apt/sources.list": "deb http://deb.debian.org/debian trixie main\n"}

SETS = {"first": FIRST, "second": SECOND, "small": SMALL}
PAIRS = ("first", "second", "foreign", "small")


def _layer(ground: Ground, base: Base, packages: tuple[str, ...], ours: Path, broken: str = "") -> None:
    """Our side; `broken` is Python that breaks a tree rule before apt-ostree starts."""
    words = (
        "compose", "install", "--repo", base.repo, "--ref", base.ref, "--branch", f"oracle/{ours.name}",
        "--no-recommends", *packages,
    )  # fmt: skip
    if broken:
        start = f"{broken}\nimport runpy\nrunpy.run_module('apt_ostree', run_name='__main__')"
        run([sys.executable, "-c", start, *words], env={"PYTHONPATH": str(CHECKOUT)})
    else:
        ground.apt_ostree(*words)
    run(["ostree", f"--repo={base.repo}", "checkout", "--require-hardlinks", f"oracle/{ours.name}", ours])


def _make(ground: Ground, base: Base, packages: tuple[str, ...], folder: Path) -> Pair:
    ours = folder / f"{folder.name}-ours"
    _layer(ground, base, packages, ours)
    layered = ground.layered_packages(base.repo, f"oracle/{ours.name}")
    debs = {package.nevra: ground.stored_deb(base.repo, package) for package in layered}
    plain = PlainChroot.of_commit(base.repo, base.checksum, folder / "plain")
    plain.install(packages, debs, Store(base.repo).apt / "state/lists", ground.foreign(packages))
    return Pair(plain.root, ours)


@dataclass(frozen=True)
class Bench:
    """Where pairs are made: each set in a repo of its own, so that two can be made at a time."""

    ground: Ground
    base: Base
    folder: Path

    def pair(self, name: str) -> Pair:
        """The trees of a set; what it fetched is kept for the next session."""
        if name == "foreign":
            return self.foreign()
        base = self.ground.copy(self.base, f"oracle-repo-{name}")
        made = _make(self.ground, base, SETS[name], self._directory(name))
        basecache.harvest(BareRepo(base.repo))
        return made

    def foreign(self) -> Pair:
        """The trees of the set with a second architecture; its lists are not those of the base, and not kept."""
        stale = ""
        for arch in FOREIGN_ARCHITECTURES:
            base = self.ground.copy(self.base, f"oracle-repo-{arch}")
            base = self.ground.with_files(base, RELEASE_ONLY)
            packages = tuple(name.format(arch=arch) for name in FOREIGN)
            try:
                return _make(self.ground, base, packages, self._directory(arch))
            except AssertionError as error:
                if aptroot.IN_SYNC not in str(error):
                    raise
                stale = str(error)
        raise AssertionError(f"the mirror has no whole lists of {FOREIGN_ARCHITECTURES}\n{stale}")

    def broken(self, rule: str) -> Path:
        """Our tree of the small set, made with a broken rule."""
        base = self.ground.copy(self.base, f"oracle-repo-broken-{rule}")
        ours = self._directory(f"broken-{rule}") / f"{rule}-ours"
        _layer(self.ground, base, SETS["small"], ours, BREAKS[rule][0])
        return ours

    def _directory(self, name: str) -> Path:
        directory = self.folder / name
        directory.mkdir()
        return directory


@pytest.fixture(scope="module")
def bench(ground: Ground, base: Base, big_folder: Callable[[str], Path]) -> Iterator[Bench]:
    folder = big_folder("oracle")
    yield Bench(ground, base, folder)
    remove(folder)


@pytest.fixture(scope="module")
def pairs(bench: Bench) -> dict[str, Future[Pair]]:
    """Every set, two at a time; all are ready (or failed) when a test begins."""
    with ThreadPoolExecutor(2) as pool:
        return {name: pool.submit(bench.pair, name) for name in PAIRS}


@pytest.fixture(scope="module")
def broken(bench: Bench, pairs: dict[str, Future[Pair]]) -> dict[str, Future[Path]]:
    """Our tree of the small set for every broken rule, once the packages are here."""
    del pairs
    with ThreadPoolExecutor(2) as pool:
        return {rule: pool.submit(bench.broken, rule) for rule in BREAKS}


@pytest.fixture(params=PAIRS)
def pair(request: pytest.FixtureRequest, pairs: dict[str, Future[Pair]]) -> Pair:
    return pairs[request.param].result()


def test_the_sets_are_large_enough() -> None:
    assert len({name for names in SETS.values() for name in names}) >= 40


def test_oracle_tree_equals_plain_apt(pair: Pair) -> None:
    left = pair.unexplained()
    assert not left, f"{len(left)} differences that no rule intends:\n" + "\n".join(str(d) for d in left[:60])


def test_oracle_database_is_sound(pair: Pair) -> None:
    """dpkg's own word on our tree: the same packages in the same state, nothing to audit."""

    def listing(admindir: Path) -> str:
        form = "${Package} ${Architecture} ${Version} ${Status}\n"
        return run(["dpkg-query", f"--admindir={admindir}", "-W", f"-f={form}"]).stdout

    ours = pair.ours / "usr/lib/sysimage/dpkg"
    assert listing(ours) == listing(pair.plain / "usr/lib/sysimage/dpkg")
    assert run(["dpkg", f"--admindir={ours}", "--audit"], check=False).stdout == ""


def test_oracle_files_verify(pair: Pair) -> None:
    """`dpkg --verify` finds nothing in our tree that it does not find in the plain one (but for /var, filled at boot),
    and in both nothing of /etc: the kernel's files are found where the image has them, and so are the conffiles that
    the image changes."""

    def verify(root: Path) -> list[str]:
        argv = ["dpkg", f"--root={root}", f"--admindir={root / 'usr/lib/sysimage/dpkg'}", "--verify"]
        lines = run(argv, check=False).stdout.splitlines()
        return [line for line in lines if " /var/" not in line]

    (pair.ours / "etc").symlink_to("usr/etc")
    try:
        found = verify(pair.ours)
        assert found == verify(pair.plain)
        assert not [line for line in found if "missing" in line], found
        assert not [line for line in found if " /etc/" in line], found
    finally:
        (pair.ours / "etc").unlink()


# --- the oracle sees what it is there for

BREAKS = {
    "pyc": (
        "from apt_ostree.tree import pyc\npyc.normalise = lambda root: 0",
        r"usr/.*\.pyc: stale",
    ),
    "modes": (
        "from apt_ostree.tree import overlay\noverlay._strip = lambda path: path.is_symlink() or path.chmod(0o755)",
        r"usr/bin/sudo: mode",
    ),
    "capabilities": (
        "import os\nfrom apt_ostree.tree import overlay\n"
        "overlay._strip = lambda path: [os.removexattr(path, n, follow_symlinks=False)"
        " for n in os.listxattr(path, follow_symlinks=False)]",
        r"usr/bin/fping: xattrs",
    ),
    "ids": (
        "from apt_ostree.tree import users\nsettle = users.settle_ids\n"
        "users.settle_ids = lambda upper, tree, known: settle(upper, tree, users.Identities(groups={'_chrony': 555}))",
        r"etc/chrony/chrony\.keys: owner",
    ),
}


@pytest.mark.parametrize("rule", BREAKS)
def test_oracle_goes_red_when_a_rule_is_broken(
    rule: str, pairs: dict[str, Future[Pair]], broken: dict[str, Future[Path]]
) -> None:
    left = Pair(pairs["small"].result().plain, broken[rule].result()).unexplained()
    lines = [str(difference) for difference in left]
    assert any(re.match(BREAKS[rule][1], line) for line in lines), f"no {BREAKS[rule][1]} in {lines[:60]}"
