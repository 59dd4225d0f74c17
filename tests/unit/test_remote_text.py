"""What is read from text about remotes, updates and settings."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest

from apt_ostree import config, lookup, pull, remotes, updates
from apt_ostree.errors import ToolError, UsageError, VerificationError
from apt_ostree.model import DiffKind, Origin, Package, PackageChange, Update
from apt_ostree.ops import bases, rebase
from apt_ostree.paths import Paths
from apt_ostree.pull import Source
from apt_ostree.states import AutomaticUpdates, BaseState, StatusReport
from apt_ostree.ui import status

SUM = "ab" * 32


def test_the_shipped_configuration_says_the_defaults() -> None:
    text = (resources.files("apt_ostree") / "data/apt-ostree.conf").read_text()
    assert config.parse(text) == config.Config()


def test_settings() -> None:
    text = (
        "[Daemon]\nAutomaticUpdatePolicy=Stage\nLockLayering=yes\nRecommends=0\nRefreshAge=60\nColour=blue\n[X]\na=b\nz"
    )
    found = config.parse(text)
    assert (found.policy, found.lock_layering, found.recommends, found.refresh_age) == ("stage", True, False, 60.0)
    assert [warning.split(":")[1] for warning in found.warnings] == ["6", "8", "9"]
    for line in ("AutomaticUpdatePolicy=often", "LockLayering=maybe", "RefreshAge=-1", "RefreshAge=soon"):
        with pytest.raises(UsageError, match=r"conf:2: "):
            config.parse(f"[Daemon]\n{line}\n")


def test_a_configuration_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    assert config.load(tmp_path) == config.Config()
    (tmp_path / "secret").write_text("[Daemon]\nLockLayering=true\n")
    (tmp_path / "etc/apt-ostree.conf").symlink_to(tmp_path / "secret")
    found = config.load(tmp_path)
    assert not found.lock_layering and "cannot be read" in found.warnings[0]


def test_remotes_and_refs(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.repo.mkdir(parents=True)
    (paths.repo / "config").write_text('[core]\nmode=bare\nurl=x\n[remote "a"]\nurl=http://a\n#gpg-verify=false\n')
    extra = tmp_path / "etc/ostree/remotes.d"
    extra.mkdir(parents=True)
    (extra / "b.conf").write_text('[remote "b"]\nurl = file:///b\ngpg-verify=false\ngpg-verify-summary=true\n')
    found = remotes.read(paths)
    assert found["a"] == remotes.Remote(name="a", url="http://a")
    assert found["b"] == remotes.Remote(name="b", url="file:///b", gpg_verify=False, gpg_verify_summary=True)
    for name in ("heads/x/y", "remotes/a/x/y"):
        (paths.repo / "refs" / name).parent.mkdir(parents=True, exist_ok=True)
        (paths.repo / "refs" / name).write_text(f"{SUM}\n")
    assert all(remotes.read_ref(paths.repo, ref) == SUM for ref in ("x/y", ":x/y", "a:x/y"))
    assert not any(remotes.read_ref(paths.repo, ref) for ref in ("x", "b:x/y", "", "a:", "../config", "a:../../x"))


@pytest.mark.parametrize(
    ("text", "wanted", "pin"),
    [
        ("mirror:debian/14", Source(remote="mirror", branch="debian/14"), ""),
        ("debian/14", Source(remote="o", branch="debian/14"), ""),
        ("mirror:", Source(remote="mirror", branch="debian/13"), ""),
        (":local/one", Source(branch="local/one"), ""),
        (SUM, Source(remote="o", branch="debian/13"), SUM),
        (f":{SUM}", Source(remote="o", branch="debian/13"), SUM),
        (f"debian/14:{SUM}", Source(remote="o", branch="debian/14"), SUM),
        (f"m:debian/14:{SUM}", Source(remote="m", branch="debian/14"), SUM),
    ],
)
def test_refspecs(text: str, wanted: Source, pin: str) -> None:
    assert rebase.parse(text, Source(remote="o", branch="debian/13")) == (wanted, pin)


@pytest.mark.parametrize("text", ["", ":", "a b", "x:y:z", "../up", "-x", "o:a//b", "o:/x"])
def test_what_is_no_refspec(text: str) -> None:
    present = Source(remote="o", branch="debian/13") if text else Source(branch="")
    with pytest.raises(UsageError):
        rebase.parse(text, present)


def test_source_of_an_origin() -> None:
    assert pull.source_of(Origin(refspec="o:b/c")) == Source(remote="o", branch="b/c")
    assert pull.source_of(Origin(refspec="b/c", base_repo="/srv/repo")) == Source(branch="b/c", path="/srv/repo")


def test_what_libostree_says_decides_the_exit_code() -> None:
    def kind(line: str) -> int:
        return pull.failed(Source(branch="b"), ToolError("x", details=[f"error: {line}"])).exit_code

    assert kind("Can't check signature: public key not found") == VerificationError.exit_code
    assert kind("Corrupted file object; checksum expected='a' actual='b'") == VerificationError.exit_code
    assert kind("While fetching http://x/config: [7] Couldn't connect to server") == 1


def test_signatures() -> None:
    text = (
        "commit x\nFound 2 signatures:\n\n"
        "  Signature made Mon Nov 23 03:45:28 2026 using EdDSA key ID A990DD1BC588DB6F\n"
        '  Good signature from "Test Ground <t@e.invalid>"\n\n'
        "  Signature made Mon Nov 23 03:45:28 2026 using RSA key ID 11\n  Can't check signature: public key not found\n"
        '\n    subject\n    Good signature from "a subject line"\n'
    )
    head = "  Signature made Mon Nov 23 03:45:28 2026 using RSA key ID 22\n"
    text += f'{head}  BAD signature from "Eve"\n{head}  Expired signature from "Old <o@e.invalid>"\n'
    good, unknown, bad, expired = bases.signatures(text)
    assert (bad.valid, bad.key_missing, bad.expired) == (False, False, False) and expired.expired
    report = StatusReport(bases={"x": BaseState(signatures=(good, unknown, bad, expired))})
    told = [words[0].rpartition(" ")[0] for _, words, _ in status._base_rows(report.bases["x"])]
    assert told == [
        "valid signature by",
        "signature cannot be checked, key",
        "BAD signature, key",
        "expired signature, key",
    ]
    assert good.valid and (good.key_id, good.name, good.email) == ("A990DD1BC588DB6F", "Test Ground", "t@e.invalid")
    assert not unknown.valid and unknown.key_missing and bases.signatures("") == ()


def test_records(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    one = Package(name="a", version="1", arch="all")
    change = PackageChange(kind=DiffKind.UPGRADED, name="a", arch="all", old=one, new=one, repo="r", security=True)
    gone = PackageChange(kind=DiffKind.REMOVED, name="a", arch="all", old=one)
    update = Update(
        osname="debian", refspec="o:b", checksum=SUM, start="s", changes=(change, gone), checked=5.0, version="2"
    )
    updates.write_update(paths.update, update)
    assert updates.read_update(paths, "s") == update and update.security == 1
    assert updates.read_update(paths, "another deployment") is None
    for spoiled in ("{", "[]", "{}", paths.update.read_text().replace('"removed"', '"eaten"')):
        paths.update.write_text(spoiled)
        assert updates.read_update(paths, "s") is None
    state = AutomaticUpdates(policy="stage", last_run=1.0, failing_since=2.0, failure="no network")
    updates.write_automatic(paths.automatic, state)
    assert updates.read_automatic(paths.automatic, "stage") == state
    paths.automatic.write_text('{"run": "x"}')
    assert updates.read_automatic(paths.automatic, "none") == AutomaticUpdates()


def test_a_branch_that_is_not_there_is_never_the_one_that_one_is_on() -> None:
    present = Source(remote="origin", branch="debian/13/minimal")
    wanted = replace(present, branch="debian/13/minimla")
    known = [present.branch, "debian/13/desktop", "debian/12/minimal"]
    error = lookup.absent(wanted, known, present=present)
    assert error.hint == "apt-ostree rebase origin:debian/12/minimal"
    assert present.branch not in error.message
    error = lookup.absent(wanted, known[:1], present=present)
    assert error.hint == "apt-ostree rebase REMOTE:BRANCH" and "near" not in error.message
    assert lookup.absent(wanted, known).hint == f"apt-ostree rebase {present.refspec}"
