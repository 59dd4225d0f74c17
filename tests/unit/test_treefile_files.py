"""`files` and `remove-files`: what no image can carry is refused with its line, what is let through is in the image."""

from __future__ import annotations

from pathlib import Path

import pytest

from apt_ostree import treefile
from apt_ostree.compose.tree import policy
from apt_ostree.errors import UsageError
from apt_ostree.tree import customise, dpkgdb, identity, layout, rules, tmpfiles, var
from apt_ostree.treefile import File, Treefile, parse
from tests.unit.treemaker import bootstrapped, put

HEAD = 'suite = "trixie"\nref = "mine"\n'
CONTENT, LINK = 'content = "mine"', 'link = "mine"'


def refused(line: str, *, usr_local: str = "refuse") -> UsageError:
    """The complaint about one table of `files`, which stands in line 5."""
    with pytest.raises(UsageError) as caught:
        parse(f'{HEAD}usr-local = "{usr_local}"\nfiles = [\n{{ {line} }},\n]', "my.toml")
    assert caught.value.message.startswith("my.toml, line 5: ")
    return caught.value


EMPTIED = [f"/{name}/mine" for name in layout.EMPTY if name != "var"]
RUNTIME = [f"/var/{name}/mine" for name in (*var._RUNTIME, "tmp")]
NOT_THERE = [*EMPTIED, *RUNTIME, *(f"/{name}/mine" for name in ("media", "ostree", "usr/etc", "nix")), "/etc", "/mine"]


@pytest.mark.parametrize("what", [CONTENT, LINK])
@pytest.mark.parametrize("path", NOT_THERE)
def test_what_an_image_has_empty_or_not_at_all(path: str, what: str) -> None:
    error = refused(f'path = "{path}", {what}')
    assert path in error.message and error.hint


DROPPED = sorted(
    {f"/var/{name}/mine" for name in var._CONTENT_DROPPED if f"var/{name}" != dpkgdb.ORDINARY}
    | {f"/var/{name}" for name in var._FILES_DROPPED}
)


@pytest.mark.parametrize("path", DROPPED)
def test_what_is_the_machine_s_own(path: str) -> None:
    assert path in refused(f'path = "{path}", {CONTENT}').message


@pytest.mark.parametrize("name", layout._USRMERGE)
def test_paths_through_the_links_of_merged_usr(name: str) -> None:
    assert refused(f'path = "/{name}/mine", {CONTENT}').hint == f"/usr/{name}/mine"
    with pytest.raises(UsageError) as caught:
        parse(f'{HEAD}remove-files = [\n"/usr/{name}/x",\n"/{name}/mine*"]', "my.toml")
    assert caught.value.message.startswith("my.toml, line 5: ") and caught.value.hint == f"/usr/{name}/mine*"
    with pytest.raises(UsageError, match=rf"line 3: .*'/{name}'"):
        parse(f'{HEAD}remove-files = ["/{name}"]', "my.toml")


def test_host_keys_are_not_shared() -> None:
    name = "ssh_host_ed25519_key.pub"
    assert identity._HOST_KEY.fullmatch(name)
    assert "every machine" in refused(f'path = "/etc/ssh/{name}", {CONTENT}').message


@pytest.mark.parametrize("path", ["/usr/local/bin/mine", "/var/usrlocal/bin/mine"])
def test_usr_local_is_the_administrator_s(path: str) -> None:
    assert "usr-local" in refused(f'path = "{path}", {CONTENT}').hint
    assert parse(f'{HEAD}usr-local = "state"\nfiles = [{{ path = "{path}", {CONTENT} }}]').files


def test_what_another_key_writes() -> None:
    assert parse(f'{HEAD}files = [{{ path = "/etc/timezone", {CONTENT} }}]').files
    for path, more in (("/etc/timezone", 'timezone = "UTC"'), ("/etc/locale.conf", 'locale = "C.UTF-8"')):
        with pytest.raises(UsageError, match=rf"line 4: {path} is written by another key: {more.split()[0]}"):
            parse(f'{HEAD}{more}\nfiles = [{{ path = "{path}", {CONTENT} }}]', "my.toml")


def test_one_that_is_included_is_told_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "below.toml").write_text(f'\nfiles = [{{ path = "/run/mine", {CONTENT} }}]\n')
    (tmp_path / "my.toml").write_text(f'{HEAD}include = ["below.toml"]\n')
    with pytest.raises(UsageError, match=r"below\.toml, line 2: .*/run/mine"):
        treefile.load(tmp_path / "my.toml")


def test_a_link_that_leads_nowhere_is_none() -> None:
    assert "'link' cannot be ''" in refused('path = "/etc/empty", link = ""').message


@pytest.mark.parametrize("name", ["a" * 256, "é" * 128])
def test_names_no_file_can_have(name: str) -> None:
    told = refused(f'path = "/etc/{name}", {CONTENT}').message
    assert "255 bytes" in told and len(told) < 200
    for key in (f'remove-files = ["/usr/{name}"]', f'timezone = "Europe/{"a" * 256}"',
                f'users = [{{ name = "a", home = "/srv/{name}" }}]'):  # fmt: skip
        with pytest.raises(UsageError, match=r"line 3: .*255 bytes"):
            parse(HEAD + key, "my.toml")
    assert "2048 bytes" in refused(f'path = "{"/aaaaaaa" * 300}", {CONTENT}').message
    assert "2048 bytes" in refused(f'path = "/etc/x", link = "{"/aaaaaaa" * 300}"').message
    assert parse(f'{HEAD}files = [{{ path = "/etc/{"a" * 255}", {CONTENT} }}]').files


CARRIED = {
    "/etc/resolv.conf": "usr/etc/resolv.conf",
    "/usr/sbin/policy-rc.d": "usr/sbin/policy-rc.d",
    "/etc/apt/apt.conf.d/99mmdebstrap": "usr/etc/apt/apt.conf.d/99mmdebstrap",
    "/etc/ssh/sshd_config.d/mine.conf": "usr/etc/ssh/sshd_config.d/mine.conf",
    "/usr/bin/mine": "usr/bin/mine",
    "/home/me/mine": "usr/share/factory/var/home/me/mine",
    "/root/.profile": "usr/share/factory/var/roothome/.profile",
    "/srv/mine": "usr/share/factory/var/srv/mine",
    "/mnt/mine": "usr/share/factory/var/mnt/mine",
    "/opt/mine/tool": "usr/lib/opt/mine/tool",
    "/var/lib/mine": "usr/share/factory/var/lib/mine",
    "/var/lib/dpkg/statoverride": "usr/lib/sysimage/dpkg/statoverride",
    "/var/cache/debconf/mine": "usr/lib/sysimage/debconf/mine",
    "/var/spool/cron/mine": "usr/share/factory/var/spool/cron/mine",
}


def finished(root: Path, parsed: Treefile) -> rules.FinishReport:
    customise.write_files(root, parsed.files)
    return rules.finish(rules.FinishJob(root=root, var=root / "var", compose=True, policy=policy(parsed)))


@pytest.mark.root
@pytest.mark.parametrize("how", ["content", "source"])
def test_what_is_let_through_is_in_the_image(how: str, tmp_path: Path) -> None:
    (tmp_path / "source").write_text("mine")
    what = CONTENT if how == "content" else 'source = "source"'
    tables = ",".join(f'{{ path = "{path}", {what} }}' for path in CARRIED)
    (tmp_path / "my.toml").write_text(f"{HEAD}files = [{tables}]\n")
    root = bootstrapped(tmp_path / "root")
    (root / "etc/resolv.conf").symlink_to("../run/systemd/resolve/stub-resolv.conf")
    report = finished(root, treefile.load(tmp_path / "my.toml"))
    assert {path: (root / place).read_text() for path, place in CARRIED.items()} == dict.fromkeys(CARRIED, "mine")
    assert not any("files" in warning for warning in report.warnings)


@pytest.mark.root
def test_links_are_in_the_image_too(tmp_path: Path) -> None:
    root = bootstrapped(tmp_path / "root")
    put(root, "etc/resolv.conf")
    paths = ("/etc/resolv.conf", "/var/log/mine", "/usr/local/bin/mine")
    tables = ",".join(f'{{ path = "{path}", {LINK} }}' for path in paths)
    finished(root, parse(f"{HEAD}files = [{tables}]"))
    assert str((root / "usr/etc/resolv.conf").readlink()) == "mine"
    lines = {line.text for line in tmpfiles.known(root)}
    assert {f"L {path} - - - - mine" for path in ("/var/log/mine", "/var/usrlocal/bin/mine")} <= lines


@pytest.mark.root
def test_what_a_package_s_line_makes_is_told(tmp_path: Path) -> None:
    """Only who named the file is told: a package's own is dropped in every compose."""
    root = bootstrapped(tmp_path / "root")
    lines = ("f /var/lib/foo - - - -", "f /var/home/foo - - - -", "L /var/lib/l - - - - x")
    put(root, "usr/lib/tmpfiles.d/foo.conf", "".join(f"{line}\n" for line in lines))
    put(root, "var/log/its")
    files = (File(path="/var/lib/foo", content="x"), File(path="/home/foo", content="x"))
    link = File(path="/var/lib/l", link="y")
    report = finished(root, Treefile(suite="x", ref="x", files=(*files, link)))
    told = {warning.split()[0] for warning in report.warnings if "of files" in warning}
    assert told == {"'/var/lib/foo'", "'/home/foo'", "'/var/lib/l'"} and "/var/log/its" in report.dropped


@pytest.mark.root
def test_a_bootstrap_s_own_are_not_kept(tmp_path: Path) -> None:
    root = bootstrapped(tmp_path / "root")
    for path in ("etc/resolv.conf", "usr/sbin/policy-rc.d"):
        put(root, path)
    finished(root, parse(HEAD))
    assert not (root / "usr/etc/resolv.conf").exists() and not (root / "usr/sbin/policy-rc.d").exists()
