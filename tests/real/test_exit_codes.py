"""Which exit codes each command has, all of them reached for real; and that no dry run changes a byte."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import pytest

from apt_ostree import lock
from apt_ostree.cli import app
from apt_ostree.paths import Store
from tests.real.test_every_verb import has
from tests.support import batch, ocitrees, sysroots
from tests.support.archive import HttpServer, LocalRepo, SigningKey
from tests.support.basecache import TREEFILES
from tests.support.batch import NOBODY, Line
from tests.support.debs import tampered
from tests.support.ground import Ground
from tests.support.nshost import NamespaceHost
from tests.support.process import Done, run
from tests.support.remote import Remote
from tests.support.sysroots import Base, Sysroot, changes
from tests.support.verbs import held_to, tool, whole

pytestmark = pytest.mark.real


@dataclass(frozen=True, slots=True)
class Never:
    """Why a command does not end with a code, or which other test reaches it."""

    reason: str


READS = Never("it only reads, and any user may")
FREE = Never("it takes no lock: it changes nothing, and what it reads is whole at any time")
NO_77 = Never("it has no --unchanged-exit-77")
NO_PACKAGES = Never("it asks for no packages")
NOTHING_NEW = Never("nothing comes from outside: the tree is one that is here")
OFFLINE = Never("the lists it reads were verified when they were fetched")
ANYBODY = Never("whoever may write the repository may do it")
A_REPO = Never("it works in a repository, not on a system")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What is typed after a command's name to get an exit code, or why it never ends with it.

    `words`: a call with something to do; it is refused with 4 while another transaction runs, with 6 to a plain user
    (`root`) and where there is no ostree system (`system`). `booted`: only on a running machine.
    """

    words: str = ""
    root: Never | None = None
    system: Never | None = None
    busy: Never | None = None
    unchanged: str | Never = NO_77  # 77
    refused: str | Never = NO_PACKAGES  # 3
    unverified: str | Never = NOTHING_NEW  # 7
    booted: bool = False


def reading(words: str = "", **fields: str | Never | None) -> Row:
    return Row(words=words, root=READS, busy=FREE, **fields)  # type: ignore[arg-type]


# `{base}` is the base's commit, `{branch}` its branch, `{bad}` a branch whose commit a stranger signed, `{other}` a ref
# that is here; foo and baz are layered, bar is not; the archive of `unverified` gives other files than it promised
ROWS: dict[str, Row] = {
    "status": reading(),
    "doctor": reading(system=Never("that there is no system is its answer: 1, and which probe failed")),
    "schema": reading("status", system=Never("schemas are in the program")),
    "history": reading(),
    "refresh-md": Row(unverified=""),
    "search": reading("foo", unverified="foo"),
    "show": reading("foo", refused="nosuch", unverified="foo"),
    "provides": reading("awk", unverified="awk"),
    "why": reading("foo", unverified=OFFLINE),
    "db list": reading(),
    "db version": reading(),
    "db diff": reading(),
    "etc-diff": reading(),
    "verify": Row(words="--fast", unverified="--fast"),
    "install": Row(
        words="-y bar", unchanged="-y --idempotent foo", refused="-y nosuch", unverified="-y bar",
    ),
    "uninstall": Row(
        words="-y baz", unchanged="-y --idempotent nosuch", refused="-y nosuch", unverified="-y baz",
    ),
    "override remove": Row(
        words="-y less", unchanged="-y --idempotent nosuch", refused="-y nosuch", unverified="-y less",
    ),
    "override replace": Row(
        words="-y hostname=99", unchanged="-y --idempotent nosuch=1", refused="-y nosuch=1",
        unverified="-y hostname=99",
    ),
    "override reset": Row(
        words="-y --all --install bar", unchanged="--all", refused="-y hostname",
        unverified="-y --all --install bar",
    ),
    "reset": Row(
        words="-y", unchanged="--overrides", refused="-y --install nosuch", unverified="-y --overrides --install bar",
    ),
    "upgrade": Row(
        words="-y --install bar", unchanged="-C", refused="-y -C --install nosuch", unverified="-y",
    ),
    "rebase": Row(
        words="-y :{other}", unchanged="--idempotent origin:", refused="-y :{other} --install nosuch",
        unverified="-y origin:{bad}",
    ),
    "deploy": Row(
        words="-y {base} --install bar", unchanged="{base}", refused="-y {base} --install nosuch",
        unverified="-y 13.66",
    ),
    "rollback": Row(
        unchanged=Never("there is another deployment to go to, or that there is none is an error: 1"),
    ),
    "initramfs": Row(
        words="-y --enable", unchanged="--disable", refused="-y --enable -C --disable-repo=local",
        unverified="-y --enable",
    ),
    "initramfs-etc": Row(words="--track /etc/issue", unchanged="--untrack-all"),
    "kargs": Row(words="--append=ground=1", unchanged="--append-if-missing=quiet"),
    "pin": Row(words="0", unchanged="1"),
    "unpin": Row(words="1", unchanged="0"),
    "cleanup": Row(words="--repomd", unchanged="--pending"),
    "cancel": Row(busy=Never("what runs is what it is for"), unchanged=""),
    "apply-live": Row(booted=True, words="--allow-replacement", unchanged="--reset"),
    "finalize-deployment": Row(booted=True, words="--allow-missing-checksum --allow-unlocked"),
    "restage": Row(booted=True, unchanged=""),
    "boot-check": Row(booted=True, busy=Never("it takes the lock only to roll back: tests/real/test_health.py")),
    "usroverlay": Row(booted=True, unchanged=""),
    "compose install": Row(
        words="-C --repo {repo} --ref {base} --branch made {local}", system=A_REPO,
        refused="-C --repo {repo} --ref {base} --branch made nosuch",
        unverified="-C --repo {repo} --ref {base} --branch made {damaged}",
    ),
    "compose tree": Row(
        words="{treefile} --repo {repo}", system=A_REPO,
        unchanged=Never("reached in tests/real/test_compose.py: a whole tree must be there first"),
        refused="{small} --repo {repo}", unverified="{small} --repo {repo}",
    ),
    "compose image": Row(
        words="--repo {repo} {ref} {disk}", system=A_REPO, busy=Never("it only reads the repository"),
    ),
    "repo init": Row(
        words="{fresh}", root=ANYBODY, system=A_REPO, unchanged="--mode bare {repo}",
        busy=Never("nobody works in a repository that is not there yet"),
    ),
    "repo sign": Row(
        words="--repo {repo} {key}", root=ANYBODY, system=A_REPO,
        unchanged=Never("reached in tests/real/test_repo.py: it must be signed first"),
    ),
    "repo summary": Row(
        words="--repo {repo}", root=ANYBODY, system=A_REPO,
        unchanged=Never("reached in tests/real/test_repo.py: it must be written first"),
    ),
    "delta generate": Row(
        words="--repo {repo} {ref} --empty", root=ANYBODY, system=A_REPO,
        unchanged=Never("reached in tests/real/test_repo.py: it must be made first"),
    ),
    "delta show": reading("--repo {repo}", system=A_REPO),
    "oci export": Row(
        words="--repo {repo} {ref} oci:{fresh}:t", root=ANYBODY, system=A_REPO,
        busy=Never("it only reads the repository"),
        unchanged=Never("reached in tests/real/test_oci_toy.py: the image must be there first"),
    ),
    "oci import": Row(
        words="--repo {repo} oci:{image}:t", root=ANYBODY, system=A_REPO, unverified="--repo {repo} oci:{image}:t",
        unchanged=Never("reached in tests/real/test_oci_toy.py: the image must be imported first"),
    ),
    "oci verify": reading("oci:{image}:t", system=A_REPO, unverified="oci:{image}:t"),
}  # fmt: skip


SMALL = """\
suite = "{suite}"
ref = "ground/small"
version = "1"
packages = ["nosuch"]
mirrors = [{{ uri = "{uri}", suites = ["{suite}"], signed-by = "{key}" }}]
"""


def test_the_table_has_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["--help-verbs"]) == 0
    assert sorted(capsys.readouterr().out.splitlines()) == sorted(ROWS)
    for name, row in ROWS.items():
        assert has(name, "--unchanged-exit-77") or isinstance(row.unchanged, Never), f"{name}: 77 by which option?"
        assert not has(name, "--unchanged-exit-77") or row.unchanged is not NO_77, f"{name} has --unchanged-exit-77"
        assert not has(name, "--wait") or row.busy is not FREE, f"{name} waits for a lock that it does not take?"
        reasons = [getattr(row, field.name) for field in fields(row)]
        assert all(len(never.reason) > 15 for never in reasons if isinstance(never, Never))


# --- a sysroot


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """An offline sysroot with layers, its remote and its archive, and what the words of the table stand for."""

    machine: Sysroot
    repo: Path  # for what works in a repository
    remote: Remote
    archive: LocalRepo
    words: dict[str, str]

    def calls(self, pick: Callable[[Row], str | Never | None], *extra: str, uid: int = 0) -> dict[str, Line]:
        """Command -> the line that `pick` chooses of its row. Where there is --json, the answer is asked for in it."""
        found = {}
        for name, row in ROWS.items():
            chosen = pick(row)
            if isinstance(chosen, str):
                said = ["--json"] if has(name, "--json") else []
                typed = (*name.split(), *chosen.format(**self.words).split(), *extra, *said)
                place = () if row.system is A_REPO else ("--sysroot", self.machine.path)
                found[name] = Line((*place, *typed), uid)
        return found


@pytest.fixture(scope="module")
def lab(workspace: Path, ground: Ground, template: Sysroot, base: Base, signing_key: SigningKey) -> Iterator[Lab]:
    folder = workspace / "exit-codes"
    archive = LocalRepo(folder / "archive", signing_key)
    archive.publish(tool("foo"), tool("bar"), tool("baz"), tool("hostname", "99"))
    local = tool("mine").build(folder)
    damaged = tampered(local, folder / "damaged.deb")
    remote, machine = Remote(folder / "remote", base, signing_key), sysroots.clone(template, folder / "sysroot")
    with HttpServer(archive.directory).running() as server, remote.server.running():
        archive.base_uri, archive.server = server.uri, server
        machine.use_sources({"local": archive.sources()})
        remote.subscribe(machine)
        machine.apt_ostree("install", "-y", "foo", "baz")
        machine.apt_ostree("pin", "1")
        for deb in (machine.store / "debs").iterdir():
            deb.unlink()  # each deployment that is made needs them again
        run(["ostree", "refs", f"--repo={machine.repo}", "--create=ground/other", base.checksum])
        repo = ground.copy(base, "exit-codes-repo").repo
        small = folder / "small.toml"  # from our archive, which does not have what every tree needs
        small.write_text(SMALL.format(uri=archive.uri, suite=archive.suite, key=signing_key.export(folder / "key.asc")))
        words = {
            "image": str(ocitrees.wrong_image(folder / "image")),
            "small": str(small), "base": base.checksum, "other": "ground/other",
            "branch": remote.branch, "bad": "ground/bad",
            "repo": str(repo), "ref": base.ref, "disk": str(folder / "disk.img"), "fresh": str(folder / "fresh"),
            "key": f"--gpg-homedir {signing_key.home} --gpg-sign {signing_key.fingerprint}", "local": str(local),
            "damaged": str(damaged), "treefile": str(TREEFILES / "debian-13-minimal.toml"),
        }  # fmt: skip
        try:
            yield Lab(machine=machine, repo=repo, remote=remote, archive=archive, words=words)
        finally:
            machine.close()


def ended(lines: dict[str, Line], done: Sequence[Done], code: int) -> None:
    """Each ended with the code: an error in words and, where asked for, in JSON; nothing is said of a bug."""
    wrong = []
    for name, one in zip(lines, done, strict=True):
        if one.returncode != code or "Traceback" in one.output or "internal error" in one.output:
            wrong.append(f"{name} ended with {one.returncode}: {' '.join(one.argv)}\n{one.output}")
        elif code in (2, 3, 4, 6) and "--json" in one.argv:
            assert held_to("error", one)["error"]["message"], name
    assert not wrong, f"not {code}:\n" + "\n".join(wrong)


def reached(lab: Lab, lines: dict[str, Line], code: int) -> None:
    before = lab.machine.snapshot()
    ended(lines, batch.here(list(lines.values())), code)
    assert changes(before, lab.machine.snapshot()) == [] and lab.machine.leftovers() == []


def test_2_for_every_command(lab: Lab) -> None:
    reached(lab, lab.calls(lambda row: row.words, "--frobnicate"), 2)


def test_2_for_what_needs_a_running_machine(lab: Lab) -> None:
    reached(lab, lab.calls(lambda row: row.words if row.booted else None), 2)


def test_6_where_there_is_no_ostree_system(lab: Lab, tmp_path: Path) -> None:
    lines = lab.calls(lambda row: row.words if row.system is None else None)
    ended(lines, batch.here([Line(("--sysroot", tmp_path, *line.words[2:])) for line in lines.values()]), 6)


def test_6_for_plain_users(lab: Lab) -> None:
    reached(lab, lab.calls(lambda row: None if row.booted else row.root or row.words, uid=NOBODY), 6)


def test_4_while_another_transaction_runs(lab: Lab) -> None:
    with lock.hold(Store(lab.machine.repo), "another command"), lock.hold(Store(lab.repo), "another command"):
        reached(lab, lab.calls(lambda row: None if row.booted else row.busy or row.words), 4)


def test_3_for_packages_that_cannot_be_had(lab: Lab) -> None:
    reached(lab, lab.calls(lambda row: row.refused), 3)


def test_77_when_there_is_nothing_to_do(lab: Lab) -> None:
    lines = lab.calls(lambda row: None if row.booted else row.unchanged, "--unchanged-exit-77")
    reached(lab, lines, 77)


def test_dry_runs_change_not_one_byte(lab: Lab) -> None:
    def tried(row: Row) -> str | Never | None:
        return None if row.booted else row.words

    lines = lab.calls(tried, "--dry-run")
    lines = {name: line for name, line in lines.items() if has(name, "--dry-run")}
    before = whole(lab.machine)
    ended(lines, batch.here(list(lines.values())), 0)
    assert changes(before, whole(lab.machine)) == []


def test_7_for_what_does_not_verify(lab: Lab, signing_key: SigningKey, other_key: SigningKey, base: Base) -> None:
    """A stranger signed the branch's new commit and that of another branch; the archive's files are not its own."""
    lab.remote.release("13.66", signed_by=other_key)
    lab.remote.release("13.67", signed_by=other_key, branch="ground/bad", parent=base.checksum)
    assert lab.archive.server is not None
    lab.archive.server.tamper |= {"foo_1.0_all.deb", "bar_1.0_all.deb"}
    lines = lab.calls(lambda row: row.unverified)
    lists = ("refresh-md", "search", "show", "provides", "compose tree")
    reached(lab, {name: line for name, line in lines.items() if name not in lists}, 7)
    lab.archive.key = other_key
    lab.archive.sign()
    shutil.rmtree(lab.machine.store / "apt")
    reached(lab, {name: line for name, line in lines.items() if name in lists}, 7)


# --- a running machine


def test_commands_of_a_running_machine(host: NamespaceHost, http_repo: LocalRepo) -> None:
    """The same for those that are booted: with something staged there is something to do for each."""
    rows = {name: row for name, row in ROWS.items() if row.booted}

    def tried(*extra: str, only: Sequence[str] = (), unchanged: bool = False, uid: int = 0) -> dict[str, Line]:
        names = only or list(rows)
        typed = {name: rows[name].unchanged if unchanged else rows[name].words for name in names}
        return {
            name: Line((*name.split(), *words.split(), *extra, "--json"), uid)
            for name, words in typed.items()
            if isinstance(words, str)
        }

    def reached(lines: dict[str, Line], code: int) -> None:
        state = whole if code == 0 else Sysroot.snapshot
        before = state(host.sysroot)
        done = host.run("python3", "-c", batch.SOURCE, stdin=batch.encoded(list(lines.values())))
        ended(lines, batch.decoded(done), code)
        assert changes(before, state(host.sysroot)) == []

    nothing = [name for name in rows if name != "usroverlay"]
    reached(tried("--unchanged-exit-77", only=nothing, unchanged=True), 77)
    http_repo.publish(tool("foo"))
    host.apt_ostree("install", "-y", "foo")
    reached(tried("--frobnicate"), 2)
    reached(tried(uid=NOBODY), 6)
    reached(tried("--dry-run"), 0)
    with lock.hold(Store(host.sysroot.repo), "another command"):
        reached(tried(only=[name for name, row in rows.items() if row.busy is None]), 4)
    host.run("mount", "--make-rshared", "/")
    host.apt_ostree("usroverlay")
    reached(tried("--unchanged-exit-77", only=["usroverlay"], unchanged=True), 77)
