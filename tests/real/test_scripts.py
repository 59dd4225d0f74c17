"""What maintainer scripts do to a tree, and what dpkg gives files: all of it arrives, and goes again."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import sysroots
from tests.support.archive import LocalRepo, SigningKey
from tests.support.debs import DebBuilder
from tests.support.process import run
from tests.support.sysroots import Base, Sysroot

pytestmark = pytest.mark.real

UNIT = "[Unit]\nDescription=test\n[Service]\nExecStart=/usr/bin/true\n[Install]\nWantedBy=multi-user.target\n"
WANTS = "etc/systemd/system/multi-user.target.wants"


QUERY = DebBuilder(
    name="asks-dpkg",
    files={"/usr/share/asks-dpkg/data": "data"},
    scripts={
        "preinst": "dpkg-query -W -f='${Status}' hostname > /usr/share/asks-dpkg.preinst",
        "postinst": """
            {
                dpkg-query -W -f='${Package} ${Status}\\n' hostname asks-dpkg
                dpkg -L asks-dpkg
                dpkg -S /usr/bin/hostname
                dpkg --print-architecture
                dpkg --compare-versions 1.0 lt 2.0 && echo older
            } > /usr/share/asks-dpkg/seen
        """,
    },
)

DEBCONF = DebBuilder(
    name="asks-debconf",
    depends="debconf",
    templates="""\
Template: asks-debconf/colour
Type: string
Default: green
Description: Which colour?
 It is a colour.

Template: asks-debconf/size
Type: select
Choices: small, large
Default: small
Description: Which size?
 It is a size.
""",
    scripts={
        "config": ". /usr/share/debconf/confmodule\ndb_input high asks-debconf/colour || true\n"
        "db_input medium asks-debconf/size || true\ndb_go || true",
        "postinst": ". /usr/share/debconf/confmodule\ndb_get asks-debconf/colour\n"
        'echo "colour=$RET" > /etc/asks-debconf.conf\ndb_set asks-debconf/size large\ndb_stop',
    },
)

DIVERT = DebBuilder(
    name="diverts",
    files={"/usr/bin/hostname": "#!/bin/sh\necho diverted\n"},
    modes={"/usr/bin/hostname": 0o755},
    scripts={
        "preinst": "dpkg-divert --package diverts --add --rename --divert /usr/bin/hostname.real /usr/bin/hostname"
    },
)

ALTERNATIVE = DebBuilder(
    name="alternates",
    files={"/usr/bin/first-tool": "#!/bin/sh\necho first\n", "/usr/bin/second-tool": "#!/bin/sh\necho second\n"},
    modes={"/usr/bin/first-tool": 0o755, "/usr/bin/second-tool": 0o755},
    scripts={
        "postinst": "update-alternatives --install /usr/bin/chosen-tool chosen-tool /usr/bin/first-tool 10\n"
        "update-alternatives --install /usr/bin/chosen-tool chosen-tool /usr/bin/second-tool 20"
    },
)

STATOVERRIDE = DebBuilder(
    name="overrides-stat",
    files={"/usr/bin/for-the-group": "#!/bin/sh\n"},
    modes={"/usr/bin/for-the-group": 0o755},
    depends="adduser",
    scripts={
        "postinst": "addgroup --system _chosen\n"
        "dpkg-statoverride --update --add root _chosen 2750 /usr/bin/for-the-group"
    },
)

SERVICE = DebBuilder(
    name="serves",
    depends="adduser",
    files={
        "/usr/lib/systemd/system/serves.service": UNIT,
        "/usr/lib/systemd/system/serves-too.service": UNIT,
        "/var/lib/serves/seed": "seed\n",
        "/var/lib/serves/deep/er/seed": "deep\n",
        "/var/cache/serves/rubbish": "rubbish\n",
        "/opt/Big Vendor/bin/app": "#!/bin/sh\necho app\n",
        "/opt/plain/data": "data\n",
    },
    modes={"/opt/Big Vendor/bin/app": 0o755},
    dirs=("/var/lib/serves/spool", "/var/log/serves"),
    conffiles=(),
    scripts={
        "postinst": """
            adduser --system --group --home /var/lib/_serves --shell /usr/sbin/nologin --gecos 'It serves' _serves
            test "$(getent passwd _serves | cut -d: -f6)" = /var/lib/_serves
            chown _serves:_serves /var/lib/serves/spool
            chmod 2770 /var/lib/serves/spool
            ln -s deep/er /var/lib/serves/short
            echo made > /var/lib/serves/made
            chmod 0640 /var/lib/serves/made
            echo log > /var/log/serves/log
            deb-systemd-helper enable serves.service
            systemctl enable serves-too.service
            systemctl daemon-reload || true
            deb-systemd-invoke start serves.service || true
            invoke-rc.d serves start || true
        """
    },
)

WATCHER = DebBuilder(
    name="watches",
    triggers="interest /usr/share/watched\ninterest-noawait watched-by-name",
    scripts={
        "postinst": 'echo "$1 $2" >> /usr/share/watches.log\nls /usr/share/watched >> /usr/share/watches.log || :'
    },
)
ACTIVATOR = DebBuilder(
    name="activates",
    files={"/usr/share/watched/thing": "thing"},
    triggers="activate-noawait watched-by-name",
)

ALL = (QUERY, DEBCONF, DIVERT, ALTERNATIVE, STATOVERRIDE, SERVICE, WATCHER, ACTIVATOR)
NAMES = tuple(package.name for package in ALL)
PLAIN = DebBuilder(name="plain", files={"/usr/bin/plain": "#!/bin/sh\n"}, modes={"/usr/bin/plain": 0o755})


@dataclass(frozen=True)
class Scripted:
    """A sysroot with all these packages, and the tree it had before them."""

    sysroot: Sysroot
    tree: Path
    before: str  # contents checksum of the tree with `plain` only

    def text(self, path: str) -> str:
        return (self.tree / path).read_text()

    def tmpfiles(self) -> dict[str, list[str]]:
        """tmpfiles.d lines of ours by the path they make."""
        found: dict[str, list[str]] = {}
        for path in sorted((self.tree / "usr/lib/tmpfiles.d").glob("*apt-ostree*.conf")):
            for line in path.read_text().splitlines():
                if line.strip() and not line.startswith("#"):
                    parts = line.split(" ", 1)[1]
                    name = parts[1:].partition('"')[0] if parts.startswith('"') else parts.split()[0]
                    found.setdefault(name, []).append(line)
        return found


def contents(sysroot: Sysroot) -> str:
    """Checksums of the root directory: the tree and nothing about the commit."""
    return " ".join(run(["ostree", f"--repo={sysroot.repo}", "ls", "-d", "-C", sysroot.checksum(), "/"]).stdout.split())


@pytest.fixture(scope="module")
def scripted(workspace: Path, template: Sysroot, signing_key: SigningKey) -> Iterator[Scripted]:
    archive = LocalRepo(workspace / "scripts-archive", signing_key)
    archive.publish(*ALL, PLAIN)
    made = sysroots.clone(template, workspace / "scripts-sysroot")
    made.use_sources({"local": archive.sources()})
    try:
        made.apt_ostree("install", "-y", "plain")
        before = contents(made)
        made.apt_ostree("install", "-y", *NAMES)
        yield Scripted(made, made.default, before)
    finally:
        made.close()


def test_b15_scripts_query_dpkg(scripted: Scripted) -> None:
    assert scripted.text("usr/share/asks-dpkg.preinst") == "install ok installed"
    seen = scripted.text("usr/share/asks-dpkg/seen").splitlines()
    assert seen[:2] == ["asks-dpkg install ok half-configured", "hostname install ok installed"]
    assert "/usr/share/asks-dpkg/data" in seen and "older" in seen and "amd64" in seen
    assert any(line.endswith(": /usr/bin/hostname") for line in seen)


def test_b15_debconf(scripted: Scripted) -> None:
    assert scripted.text("usr/etc/asks-debconf.conf") == "colour=green\n"
    config = scripted.text("usr/lib/sysimage/debconf/config.dat")
    assert "Name: asks-debconf/colour" in config
    answer = config[config.index("Name: asks-debconf/size") :].split("\n\n")[0]
    assert "Value: large" in answer
    assert "Name: asks-debconf/colour" in scripted.text("usr/lib/sysimage/debconf/templates.dat")


def test_b15_diversion(scripted: Scripted) -> None:
    assert "echo diverted" in scripted.text("usr/bin/hostname")
    assert (scripted.tree / "usr/bin/hostname.real").read_bytes()[:4] == b"\x7fELF"
    assert "/usr/bin/hostname.real\ndiverts\n" in scripted.text("usr/lib/sysimage/dpkg/diversions")


def test_b15_alternatives(scripted: Scripted) -> None:
    assert os.readlink(scripted.tree / "usr/bin/chosen-tool") == "/etc/alternatives/chosen-tool"
    assert os.readlink(scripted.tree / "usr/etc/alternatives/chosen-tool") == "/usr/bin/second-tool"
    choices = scripted.text("usr/lib/sysimage/dpkg/alternatives/chosen-tool")
    assert choices.startswith("auto\n/usr/bin/chosen-tool\n") and "/usr/bin/first-tool\n10\n" in choices
    assert os.readlink(scripted.tree / "etc/alternatives/chosen-tool") == "/usr/bin/second-tool"  # the machine's /etc


def ids(scripted: Scripted, file: str) -> dict[str, list[str]]:
    return {line.split(":")[0]: line.split(":") for line in scripted.text(f"usr/etc/{file}").splitlines()}


def test_b15_statoverride(scripted: Scripted) -> None:
    gid = int(ids(scripted, "group")["_chosen"][2])
    info = (scripted.tree / "usr/bin/for-the-group").stat()
    assert stat.S_IMODE(info.st_mode) == 0o2750 and (info.st_uid, info.st_gid) == (0, gid)
    overrides = scripted.text("usr/lib/sysimage/dpkg/statoverride").splitlines()
    assert "root _chosen 2750 /usr/bin/for-the-group" in overrides


def test_b15_service_user(scripted: Scripted) -> None:
    user = ids(scripted, "passwd")["_serves"]
    uid, gid = user[2], user[3]
    assert user[5:] == ["/var/lib/_serves", "/usr/sbin/nologin"] and gid == ids(scripted, "group")["_serves"][2]
    assert 100 <= int(uid) <= 999
    lines = scripted.text("usr/lib/sysusers.d/00-apt-ostree.conf").splitlines()
    mine = [line for line in lines if line.split()[:2] == ["u", "_serves"]]
    assert len(mine) == 1 and mine[0].split()[2] == f"{uid}:{gid}", mine
    assert '"It serves' in mine[0] and "/var/lib/_serves" in mine[0]
    assert "d /var/lib/_serves 0755 _serves _serves" in " ".join(scripted.tmpfiles()["/var/lib/_serves"])


def test_b15_services_are_enabled_and_not_started(scripted: Scripted) -> None:
    for name in ("serves.service", "serves-too.service"):
        link = scripted.tree / "usr" / WANTS / name
        assert os.readlink(link) in (f"/usr/lib/systemd/system/{name}", f"/lib/systemd/system/{name}")
        assert (scripted.tree / WANTS / name).is_symlink()
    state = scripted.text("usr/lib/sysimage/deb-systemd-helper-enabled/serves.service.dsh-also")
    assert WANTS.removeprefix("etc/") in state


def test_b15_var_becomes_tmpfiles_and_factory(scripted: Scripted) -> None:
    lines = scripted.tmpfiles()
    factory = scripted.tree / "usr/share/factory"
    assert (factory / "var/lib/serves/seed").read_text() == "seed\n"
    assert (factory / "var/lib/serves/deep/er/seed").read_text() == "deep\n"
    assert (factory / "var/lib/serves/made").read_text() == "made\n"
    assert [line.split()[0] for line in lines["/var/lib/serves/seed"]] == ["C"]
    assert lines["/var/lib/serves/made"][0].split()[:3] == ["C", "/var/lib/serves/made", "0640"]
    assert lines["/var/lib/serves/spool"] == ["d /var/lib/serves/spool 2770 _serves _serves - -"]
    assert lines["/var/lib/serves/short"][0].split()[0] == "L" and lines["/var/lib/serves/short"][0].endswith(
        " deep/er"
    )
    assert lines["/var/log/serves"][0].startswith("d ") and lines["/var/cache/serves"][0].startswith("d ")
    for gone in ("/var/log/serves/log", "/var/cache/serves/rubbish"):
        assert gone not in lines and not (factory / gone[1:]).exists()
    assert list((scripted.tree / "var").iterdir()) == []  # the commit's own is empty; this is the mount point


def test_b15_opt_with_a_space(scripted: Scripted) -> None:
    assert "echo app" in scripted.text("usr/lib/opt/Big Vendor/bin/app")
    assert (scripted.tree / "usr/lib/opt/plain/data").is_file()
    lines = [line for name, found in scripted.tmpfiles().items() if name.startswith("/var/opt/") for line in found]
    assert any(line.startswith("L") and "plain" in line for line in lines)
    assert len([line for line in lines if "Vendor" in line]) == 1, lines


def test_b15_first_boot_makes_var(scripted: Scripted, work: Path) -> None:
    """systemd's own programs, on a copy of what a first boot would find, understand every line of ours."""
    root = work / "root"
    run(["ostree", f"--repo={scripted.sysroot.repo}", "checkout", scripted.sysroot.checksum(), root])
    run(["cp", "-a", root / "usr/etc", root / "etc"])
    done = run(
        ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c",
         'mount -t tmpfs tmpfs "$1/var" && mkdir -p "$1/var/opt" && mount -t proc proc "$1/proc"'
         ' && { chroot "$1" systemd-tmpfiles --create --prefix=/var; code=$?; '
         'find "$1/var/lib/serves" "$1/var/opt" "$1/var/lib/_serves" -printf "%P %y %m %U:%G %l\\n"; '
         'cat "$1/var/lib/serves/seed" "$1/var/opt/Big Vendor/bin/app"; exit $code; }',
         "sh", root],
        check=False,
    )  # fmt: skip
    assert done.returncode in (0, 65, 73), done.output
    assert "apt-ostree" not in done.stderr, done.stderr
    assert "echo app" in done.stdout and "seed\n" in done.stdout, done.output
    assert "made f 640 0:0" in done.stdout and "short l 777 0:0 deep/er" in done.stdout
    uid, gid = ids(scripted, "passwd")["_serves"][2:4]
    assert f"spool d 2770 {uid}:{gid} " in done.stdout.splitlines()


def test_b15_triggers(scripted: Scripted) -> None:
    log = scripted.text("usr/share/watches.log").splitlines()
    assert log[0].startswith("configure") and "thing" in log
    triggered = [line for line in log if line.startswith("triggered")]
    assert triggered or log.index("thing") > 0  # dpkg may have had the file before the first configure
    status = scripted.text("usr/lib/sysimage/dpkg/status")
    assert "triggers-pending" not in status and "triggers-awaited" not in status


def test_b15_uninstalling_leaves_no_trace(scripted: Scripted, base: Base) -> None:
    made = scripted.sysroot
    made.apt_ostree("uninstall", "-y", *NAMES)
    assert contents(made) == scripted.before
    made.apt_ostree("uninstall", "-y", "plain")
    assert made.checksum() == base.checksum
    made.fsck()
    assert made.leftovers() == []


def test_b15_activation_by_name(sysroot: Sysroot, repo: LocalRepo) -> None:
    """A trigger activated by a script reaches its package after that one was configured long ago."""
    repo.publish(
        DebBuilder(
            name="listens",
            triggers="interest spoken",
            scripts={"postinst": 'echo "$1 $2" >> /usr/share/heard'},
        ),
        DebBuilder(name="speaks", depends="listens", scripts={"postinst": "dpkg-trigger spoken"}),
    )
    sysroot.apt_ostree("install", "-y", "speaks")
    heard = (sysroot.default / "usr/share/heard").read_text().splitlines()
    assert [line.split()[0] for line in heard] == ["configure", "triggered"] and heard[1].split()[1] == "spoken"


def test_b15_ucf(debian_sysroot: Sysroot, tmp_path: Path) -> None:
    """ucf of Debian, called by a package of ours: the file is in /etc, ucf's registry in the tree."""
    package = DebBuilder(
        name="uses-ucf",
        depends="ucf",
        files={"/usr/share/uses-ucf/default.conf": "answer=42\n"},
        scripts={
            "postinst": "ucf /usr/share/uses-ucf/default.conf /etc/uses-ucf.conf\nucfr uses-ucf /etc/uses-ucf.conf"
        },
    ).build(tmp_path)
    debian_sysroot.apt_ostree("install", "-y", str(package))
    tree = debian_sysroot.default
    assert (tree / "usr/etc/uses-ucf.conf").read_text() == "answer=42\n"
    assert (tree / "etc/uses-ucf.conf").read_text() == "answer=42\n"
    assert "/etc/uses-ucf.conf" in (tree / "usr/lib/sysimage/ucf/hashfile").read_text()
    assert "uses-ucf" in (tree / "usr/lib/sysimage/ucf/registry").read_text()


def test_b16_modes_owners_capabilities_and_links(sysroot: Sysroot, repo: LocalRepo) -> None:
    modes = {
        "/usr/bin/set-uid": 0o4755,
        "/usr/bin/set-gid": 0o2755,
        "/usr/bin/both": 0o6711,
        "/usr/lib/special/private": 0o700,
        "/usr/lib/special/sticky": 0o1777,
        "/etc/special.secret": 0o440,
    }
    owners = {"/usr/bin/set-gid": (0, 42), "/usr/bin/both": (1, 2), "/usr/lib/special/private": (33, 33)}
    files = {path: f"{path}\n" for path in modes if not path.startswith("/usr/lib/special")}
    repo.publish(
        DebBuilder(
            name="special",
            files={**files, "/usr/lib/special/one": "linked\n", "/usr/bin/capable": "#!/bin/sh\n"},
            dirs=("/usr/lib/special/private", "/usr/lib/special/sticky"),
            hardlinks={"/usr/lib/special/two": "/usr/lib/special/one", "/usr/bin/three": "/usr/lib/special/one"},
            links={"/usr/lib/special/dangling": "../../nowhere"},
            modes={**modes, "/usr/bin/capable": 0o755},
            owners=owners,
            conffiles=("/etc/special.secret",),
            scripts={
                "postinst": "setcap cap_net_raw,cap_net_bind_service+ep /usr/bin/capable\n"
                "test $(stat -c %h /usr/lib/special/one) = 3"
            },
        )
    )
    sysroot.apt_ostree("install", "-y", "special")
    tree = sysroot.default
    for path, mode in modes.items():
        place = tree / ("usr" + path if path.startswith("/etc") else path[1:])
        info = place.lstat()
        assert stat.S_IMODE(info.st_mode) == mode, path
        assert (info.st_uid, info.st_gid) == owners.get(path, (0, 0)), path
    assert stat.S_IMODE((tree / "etc/special.secret").stat().st_mode) == 0o440
    shown = run(["getcap", tree / "usr/bin/capable"]).stdout
    assert "cap_net_bind_service,cap_net_raw=ep" in shown
    inodes = {(tree / path).stat().st_ino for path in ("usr/lib/special/one", "usr/lib/special/two", "usr/bin/three")}
    assert len(inodes) == 1
    assert os.readlink(tree / "usr/lib/special/dangling") == "../../nowhere"


def test_b16_multi_arch(sysroot: Sysroot, repo: LocalRepo, base: Base) -> None:
    def library(arch: str) -> DebBuilder:
        triplet = {"amd64": "x86_64-linux-gnu", "i386": "i386-linux-gnu"}[arch]
        return DebBuilder(
            name="libfoo1",
            arch=arch,
            control={"Multi-Arch": "same"},
            files={f"/usr/lib/{triplet}/libfoo.so.1": arch, "/usr/share/doc/libfoo1/copyright": "free\n"},
        )

    repo.publish(library("amd64"), library("i386"))
    sysroot.apt_ostree("install", "-y", "libfoo1", "libfoo1:i386")
    assert sysroot.apt_ostree("uninstall", "-y", "-n", "libfoo1", "--json").json["packages"]["removed"] == [
        {"name": "libfoo1", "arch": "amd64", "old": "1.0", "new": None, "repo": "", "security": False}
    ]
    tree = sysroot.default
    assert (tree / "usr/lib/i386-linux-gnu/libfoo.so.1").read_text() == "i386"
    assert (tree / "usr/lib/x86_64-linux-gnu/libfoo.so.1").read_text() == "amd64"
    database = tree / "usr/lib/sysimage/dpkg"
    shown = run(["dpkg-query", f"--admindir={database}", "-W", "-f=${Architecture} ${Status}\n", "libfoo1"]).stdout
    assert sorted(shown.splitlines()) == ["amd64 install ok installed", "i386 install ok installed"]
    assert (database / "arch").read_text().split() == ["amd64", "i386"]
    requested = sysroot.apt_ostree("status", "--json").json["deployments"][0]["requested-packages"]
    assert requested == ["libfoo1", "libfoo1:i386"]
    sysroot.apt_ostree("uninstall", "-y", "libfoo1:i386")
    assert not (sysroot.default / "usr/lib/i386-linux-gnu/libfoo.so.1").exists()
    assert (sysroot.default / "usr/lib/x86_64-linux-gnu/libfoo.so.1").exists()
    added = sysroot.apt_ostree("install", "-y", "-n", "libfoo1:i386", "--json").json["packages"]
    assert [(p["name"], p["arch"]) for p in added["added"]] == [("libfoo1", "i386")] and added["removed"] == []
    sysroot.apt_ostree("uninstall", "-y", "libfoo1")
    assert sysroot.checksum() == base.checksum
