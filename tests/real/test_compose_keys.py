"""What a treefile asks for beyond packages is in the tree, and every account has its line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.archive import SigningKey
from tests.support.composing import Composing, archive_of, refs
from tests.support.debs import DebBuilder
from tests.support.ground import Ground
from tests.support.process import run
from tests.support.sysroots import Base

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def composing(base: Base, big_folder: Callable[[str], Path], ground: Ground, signing_key: SigningKey) -> Composing:
    """The archive of this module."""
    folder = big_folder("composing")
    return Composing(ground=ground, archive=archive_of(base, folder / "archive", signing_key), directory=folder)


ADD_USER = '#!/bin/sh\nset -e\n[ "$1" != configure ] || useradd --system --no-create-home svc\n'
UNIT = "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n"


def publish(composing: Composing) -> None:
    composing.archive.publish(
        DebBuilder(name="svc", depends="passwd", scripts={"postinst": ADD_USER},
                   files={"/usr/lib/systemd/system/svc.service": UNIT, "/usr/share/man/man1/svc.1": "x",
                          "/usr/share/doc/svc/copyright": "free", "/usr/share/doc/svc/README": "x",
                          "/opt/svc/tool": "tool"}),
        DebBuilder(name="extra", files={"/usr/share/extra": "x"}),
        DebBuilder(name="wants", control={"Recommends": "extra"}, files={"/usr/share/wants": "x"}),
    )  # fmt: skip


def test_every_key_is_in_the_tree(composing: Composing, tmp_path: Path) -> None:
    publish(composing)
    (composing.directory / "issue").write_text("from a file\n")
    keys = {
        "ref": "lean/${basearch}",
        "recommends": True,
        "exclude": ["extra"],
        "documentation": False,
        "enable_units": ["svc.service"],
        "mask_units": ["debug-shell.service"],
        "default_target": "rescue.target",
        "users": [{"name": "app", "id": 420, "comment": "An app", "home": "/var/lib/app"}],
        "groups": [{"name": "lab", "id": 430}],
        "files": [
            {"path": "/etc/issue", "source": "issue"},
            {"path": "/usr/bin/hi", "content": "#!/bin/sh\necho hi\n", "mode": "0755"},
            {"path": "/etc/alias", "link": "issue"},
            {"path": "/etc/default/useradd", "content": "SHELL=/bin/bash\n"},
        ],
        "remove_files": ["/usr/share/wants*"],
        "hostname": "lean-host",
        "locale": "C.UTF-8",
        "kargs": ["quiet", "a=b c"],
        "machineid": "uninitialized",
        "opt": "state",
        "composefs": "maybe",
        "automatic_version_prefix": "7",
        "metadata": {"build": "9"},
        "postprocess": [
            "#!/bin/sh\nset -e\nhi > /usr/share/said\ntest ! -e /var/tmp/host\n! getent hosts example.org\n"
        ],
    }
    repo, branch = composing.repo(), "lean/x86_64"
    treefile = composing.treefile(["svc", "wants"], **keys)
    composing.tree(treefile, repo)
    assert list(refs(repo)) == [branch]

    def cat(path: str) -> str:
        return run(["ostree", "cat", f"--repo={repo}", branch, path]).stdout

    listing = run(["ostree", "ls", f"--repo={repo}", "-R", branch]).stdout
    for path in ("/usr/share/man/man1/svc.1", "/usr/share/doc/svc/README", "/usr/share/extra", "/usr/share/wants"):
        assert f" {path}\n" not in listing
    assert " /usr/share/doc/svc/copyright\n" in listing and " /usr/share/factory/var/opt/svc/tool\n" in listing
    assert "multi-user.target.wants/svc.service -> " in listing
    assert "debug-shell.service -> /dev/null" in listing and "default.target -> " in listing
    assert (
        "/usr/etc/alias -> issue" in listing
        and "-00755 0 0 " in listing[listing.rindex("\n", 0, listing.index(" /usr/bin/hi\n")) :]
    )
    assert (cat("/usr/etc/issue"), cat("/usr/share/said")) == ("from a file\n", "hi\n")
    assert (cat("/usr/etc/hostname"), cat("/usr/etc/machine-id")) == ("lean-host\n", "uninitialized\n")
    assert cat("/usr/etc/default/useradd") == "SHELL=/bin/bash\nHOME=/var/home\n"
    assert "useradd.distrib" not in listing + cat("/usr/lib/sysimage/dpkg/diversions"), "this one is not passwd's"
    assert cat("/usr/etc/default/locale") == "LANG=C.UTF-8\n"
    assert "enabled=maybe" in cat("/usr/lib/ostree/prepare-root.conf")
    assert cat("/usr/lib/bootc/kargs.d/10-apt-ostree.toml") == 'kargs = ["quiet", "a=b c"]\n'
    metadata = {key: run(["ostree", "show", f"--repo={repo}", f"--print-metadata-key={key}", branch]).stdout.strip()
                for key in ("version", "build", "apt-ostree.kargs")}  # fmt: skip
    assert metadata["version"] == "'7'" and metadata["build"] == "'9'"

    # every account has its line with its id
    lines = cat("/usr/lib/sysusers.d/00-apt-ostree.conf").splitlines()
    assert 'u app 420:420 "An app" /var/lib/app /usr/sbin/nologin' in lines and "g lab 430" in lines
    for line in cat("/usr/etc/passwd").splitlines():
        name, _, uid, gid, *_ = line.split(":")
        assert any(found.startswith(f"u {name} {uid}:{gid} ") for found in lines), name
