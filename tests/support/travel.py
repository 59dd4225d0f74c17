"""What a machine without a network is given: a system disk of v1, and a disk with an apt and an ostree repo on it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from apt_ostree import __version__
from tests.support import lean
from tests.support.archive import LocalRepo, SigningKey
from tests.support.debs import DebBuilder
from tests.support.ground import Ground
from tests.support.lean import Buildable
from tests.support.process import CHECKOUT, run
from tests.support.sysroots import Base

BRANCH = "debian/13/x86_64/guest"
LABEL, PLACE = "travel", "/run/travel"

_SERVICE = """\
[Unit]
Description={name}

[Service]
User={name}
Type=oneshot
RemainAfterExit=yes
ExecStart={program}

[Install]
WantedBy=multi-user.target
"""
_ADDUSER = "adduser --system --group --home /var/lib/{name} --no-create-home {name}\nchown {name}: /var/lib/{name}"


def _service(name: str, program: str, user: str, files: Mapping[str, str]) -> DebBuilder:
    """A package with a service that runs as a user of its own, which its postinst makes as Debian's packages do."""
    unit = _SERVICE.format(name=name, program=program)
    return DebBuilder(
        name=name,
        depends="adduser",
        files={f"/usr/lib/systemd/system/{name}.service": unit, **files},
        modes={path: 0o755 for path in files if path == program},
        conffiles=[path for path in files if path.startswith("/etc/")],
        scripts={"postinst": f"{user}\ndeb-systemd-helper enable {name}.service"},
    )


KEEPER = _service(
    "keeper",
    "/opt/keeper/run",
    _ADDUSER.format(name="keeper"),
    {
        "/opt/keeper/run": "#!/bin/sh\nid -un > /var/lib/keeper/ran-as\n",
        "/var/lib/keeper/seed": "seeded\n",
        "/etc/keeper.conf": "shipped\n",
    },
)
# systemd takes ids from the top and adduser from the bottom: this one is not the id that keeper has on the machine
NEWCOMER = _service(
    "newcomer",
    "/usr/bin/id -un",
    "systemd-sysusers newcomer.conf",
    {"/usr/lib/sysusers.d/newcomer.conf": "u newcomer - Newcomer\n"},
)
SICK = DebBuilder(
    name="sick",
    files={"/usr/lib/apt-ostree/health.d/required.d/10-sick": "#!/bin/sh\necho I am not well\nexit 1\n"},
    modes={"/usr/lib/apt-ostree/health.d/required.d/10-sick": 0o755},
)
MORE = DebBuilder(name="more", files={f"/usr/share/more/{n}": f"{n}\n" * 1000 for n in range(2000)})


class Program:
    """apt-ostree's own package, as `make deb` makes it."""

    def build(self, directory: Path) -> Path:
        """Build it into `directory`."""
        target = directory / f"apt-ostree_{__version__}_all.deb"
        run(["apt_ostree/data/deb/build", __version__, directory / "root", target], cwd=CHECKOUT)
        return target


def versions(ground: Ground, base: Base, folder: Path) -> dict[str, Base]:
    """v1: the base with apt-ostree; v2: one system user more; v3: a required check that fails. The branch is at v1."""
    debs: dict[str, Buildable] = {}
    made = {}
    for version, more in (("v1", {"apt-ostree": Program()}), ("v2", {"newcomer": NEWCOMER}), ("v3", {"sick": SICK})):
        debs |= more
        made[version] = lean.with_packages(ground, base, debs, folder, version, branch=BRANCH)
    run(["ostree", "refs", f"--repo={base.repo}", f"--create={BRANCH}", "--force", made["v1"].checksum])
    return made


def pack(made: dict[str, Base], key: SigningKey, folder: Path) -> Path:
    """The disk that travels: /apt, /repo (an archive repo, signed) and the keys. Its branch stands at v1."""
    root = folder / "root"
    archive = LocalRepo(root / "apt", key)
    archive.publish(KEEPER, MORE)
    (root / "travel.sources").write_text(archive.sources(uri=f"file:{PLACE}/apt"))
    key.export(root / "key.gpg")
    repo = root / "repo"
    run(["ostree", "init", "--mode=archive", f"--repo={repo}"])
    run(["ostree", "config", f"--repo={repo}", "set", "archive.zlib-level", "1"])
    for version, base in made.items():
        run(["ostree", "pull-local", f"--repo={repo}", base.repo, base.checksum])
        run(["ostree", "refs", f"--repo={repo}", f"--create=made/{version}", base.checksum])
        signer = [f"--gpg-homedir={key.home}", base.checksum, key.fingerprint]
        run(["ostree", "gpg-sign", f"--repo={repo}", *signer])
    run(["ostree", "refs", f"--repo={repo}", f"--create={BRANCH}", made["v1"].checksum])
    disk = folder / "travel.raw"
    run(["truncate", "--size=1G", disk])
    run(["mke2fs", "-q", "-t", "ext4", "-L", LABEL, "-d", root, disk])
    return disk
