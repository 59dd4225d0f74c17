"""Ids stay what they were: renumbering of new accounts, and the refusal of what cannot be kept."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from apt_ostree.errors import AptOstreeError
from apt_ostree.tree import accounts, users
from apt_ostree.tree.users import Identities
from tests.unit.treemaker import put

pytestmark = pytest.mark.root  # chown

BASE_PASSWD = "root:x:0:0::/root:/bin/sh\nmessagebus:x:100:100::/:/bin/false\n"  # noqa: S105  a file, not a secret
BASE_GROUP = "root:x:0:\nmessagebus:x:100:\n"


@pytest.fixture
def trees(tmp_path: Path) -> tuple[Path, Path]:
    """upper with one new account, foo 101:101, and the base."""
    upper, base = tmp_path / "upper", tmp_path / "base"
    put(base, "etc/passwd", BASE_PASSWD)
    put(base, "etc/group", BASE_GROUP)
    put(upper, "etc/passwd", f"{BASE_PASSWD}foo:x:101:101:Foo:/var/lib/foo:/bin/false\n")
    put(upper, "etc/group", f"{BASE_GROUP}foo:x:101:\n")
    program = put(upper, "usr/bin/foo")
    os.chown(program, 101, 101)
    program.chmod(0o6755)
    (upper / "var/lib/foo").mkdir(parents=True)
    os.chown(upper / "var/lib/foo", 101, 100)
    (upper / "var/lib/foo/link").symlink_to("/etc/passwd")
    os.chown(upper / "var/lib/foo/link", 101, 101, follow_symlinks=False)
    return upper, base


def owner(path: Path) -> tuple[int, int]:
    info = path.lstat()
    return info.st_uid, info.st_gid


def test_a_known_id_is_kept(trees: tuple[Path, Path]) -> None:
    upper, base = trees
    users.settle_ids(upper, base, Identities(users={"foo": 555}, groups={"foo": 556}))
    assert accounts.users((upper / "etc/passwd").read_text())["foo"].uid == 555
    assert accounts.users((upper / "etc/passwd").read_text())["foo"].gid == 556
    assert accounts.groups((upper / "etc/group").read_text())["foo"].gid == 556
    assert owner(upper / "usr/bin/foo") == (555, 556)
    assert stat.S_IMODE((upper / "usr/bin/foo").stat().st_mode) == 0o6755
    assert owner(upper / "var/lib/foo") == (555, 100)
    assert owner(upper / "var/lib/foo/link") == (555, 556)
    assert Path("/etc/passwd").stat().st_uid == 0


def test_nothing_is_touched_when_all_is_as_known(trees: tuple[Path, Path]) -> None:
    upper, base = trees
    before = (upper / "etc/passwd").stat().st_ino
    users.settle_ids(upper, base, Identities(users={"foo": 101}, groups={"foo": 101}))
    assert (upper / "etc/passwd").stat().st_ino == before


def test_an_id_of_another_account_of_the_host_is_exchanged(trees: tuple[Path, Path]) -> None:
    upper, base = trees
    users.settle_ids(upper, base, Identities(users={"alice": 101}, groups={"alice": 101}))
    foo = accounts.users((upper / "etc/passwd").read_text())["foo"]
    assert 100 < foo.uid <= 999
    assert foo.uid != 101
    assert owner(upper / "usr/bin/foo") == (foo.uid, foo.gid)


def test_two_new_accounts_can_change_places(tmp_path: Path) -> None:
    upper, base = tmp_path / "u", tmp_path / "b"
    put(base, "etc/passwd", BASE_PASSWD)
    put(base, "etc/group", BASE_GROUP)
    put(upper, "etc/passwd", f"{BASE_PASSWD}one:x:101:0::/:/x\ntwo:x:102:0::/:/x\n")
    for name, uid in (("one", 101), ("two", 102)):
        os.chown(put(upper, f"usr/{name}"), uid, 0)
    users.settle_ids(upper, base, Identities(users={"one": 102, "two": 101}))
    assert owner(upper / "usr/one") == (102, 0)
    assert owner(upper / "usr/two") == (101, 0)


def test_a_new_account_gives_way_to_one_that_must_have_its_id(tmp_path: Path) -> None:
    upper, base = tmp_path / "u", tmp_path / "b"
    put(base, "etc/passwd", BASE_PASSWD)
    put(upper, "etc/passwd", f"{BASE_PASSWD}old:x:102:0::/:/x\nnew:x:101:0::/:/x\n")
    users.settle_ids(upper, base, Identities(users={"old": 101}))
    found = accounts.users((upper / "etc/passwd").read_text())
    assert found["old"].uid == 101
    assert found["new"].uid not in (100, 101, 102)


def test_a_known_id_that_the_base_has_is_refused(trees: tuple[Path, Path]) -> None:
    upper, base = trees
    with pytest.raises(AptOstreeError) as caught:
        users.settle_ids(upper, base, Identities(users={"foo": 100}))
    assert caught.value.code == "id-drift"
    assert "foo" in caught.value.message
    assert "messagebus" in caught.value.message


def test_a_base_that_drifted_is_refused(trees: tuple[Path, Path]) -> None:
    upper, base = trees
    with pytest.raises(AptOstreeError, match="messagebus has the id 100 in the base and 200 on this system"):
        users.settle_ids(upper, base, Identities(users={"messagebus": 200}))


def test_hard_links_are_chowned_once(tmp_path: Path) -> None:
    os.chown(put(tmp_path, "a"), 1, 1)
    os.link(tmp_path / "a", tmp_path / "b")
    assert users.chown_tree(tmp_path, {1: 2, 2: 3}, {}) == 1
    assert owner(tmp_path / "b") == (2, 1)


def test_identities_of_deployments(tmp_path: Path) -> None:
    put(tmp_path, "one/etc/passwd", "foo:x:5:5::/:/x\nbroken\n")
    put(tmp_path, "one/usr/etc/passwd", "foo:x:6:6::/:/x\nbar:x:7:7::/:/x\n")
    found = users.identities(tmp_path / "one", tmp_path / "none")
    assert found.users == {"foo": 5, "bar": 7}


def test_a_build_that_lost_or_moved_accounts_is_refused_with_all_of_them(tmp_path: Path) -> None:
    put(tmp_path, "etc/passwd", "games:x:6:60::/:/x\nsvc:x:998:998::/:/x\nnew:x:400:400::/:/x\n")
    put(tmp_path, "etc/group", "games:x:60:\n")
    known = Identities(users={"games": 5, "svc": 997, "gone": 300, "left": 301}, groups={"games": 60, "lab": 430})
    with pytest.raises(AptOstreeError) as caught:
        users.refuse_changes(tmp_path, known, users.Removable(users=frozenset({"left"})))
    assert caught.value.code == "id-drift"
    assert caught.value.details == (
        "the user games has the id 6 and had 5",
        "the user gone (300) is gone",
        "the group lab (430) is gone",
    )
    assert "ignore-removed-users" in caught.value.hint
    fine = Identities(users={"games": 6, "svc": 997})
    users.refuse_changes(tmp_path, fine, users.Removable())  # ids of the system range are put right afterwards
