"""Accounts: fixed ids in sysusers.d, and ids that stay what they were over every rebuild.

The merged /etc/passwd of a host ignores new lines of the tree, so each account needs its sysusers.d(5) line with
the id the tree's files have. A host that has an account already decides its id; new files are chowned to it.
"""

from __future__ import annotations

import os
import posixpath
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from apt_ostree.errors import AptOstreeError
from apt_ostree.tree import accounts, fsops

CONF = "usr/lib/sysusers.d/00-apt-ostree.conf"
_HEAD = "# Written by apt-ostree: every account of this image with the ids its files have; see sysusers.d(5).\n"
_BACKUPS = ("passwd-", "group-", "shadow-", "gshadow-", "subuid-", "subgid-", ".pwd.lock")
_SYSTEM_IDS = (100, 999)  # Debian Policy 9.2.2; adduser.conf(5) may say otherwise
_LIMIT = re.compile(r"^\s*(FIRST|LAST)_SYSTEM_[UG]ID=(\d+)\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identities:
    """Ids that are taken: by earlier builds of this tree and by the accounts of the host."""

    users: Mapping[str, int] = field(default_factory=dict)
    groups: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Removable:
    """Accounts of the former build that need not be there any more."""

    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Kind:
    """Users or groups, so that both go the same way."""

    word: str
    base: Mapping[str, int]
    new: Mapping[str, int]
    known: Mapping[str, int]


def identities(*deployments: Path) -> Identities:
    """What deployments have for accounts: their merged /etc first, then the /usr/etc of their commit."""
    users: dict[str, int] = {}
    groups: dict[str, int] = {}
    for deployment in deployments:
        for etc in (deployment / "etc", deployment / "usr/etc"):
            for name, user in accounts.users(fsops.read(etc / "passwd")).items():
                users.setdefault(name, user.uid)
            for name, group in accounts.groups(fsops.read(etc / "group")).items():
                groups.setdefault(name, group.gid)
    return Identities(users=users, groups=groups)


def refuse_changes(tree: Path, known: Identities, removable: Removable) -> None:
    """Refuse a build that lost accounts of the former one, or has other ids where nothing can be done about them.

    Ids that Debian or an administrator fixed (Policy 9.2.2: all but the system range) are not exchanged, those of
    the system range are what `settle_ids` puts right. Raises AptOstreeError (code `id-drift`) with the whole list.
    """
    low, high = _range(tree, None)
    now = (("user", _uids(_text(tree, None, "passwd")), known.users, removable.users),
           ("group", _gids(_text(tree, None, "group")), known.groups, removable.groups))  # fmt: skip
    wrong = []
    for word, new, former, dispensable in now:
        for name, number in sorted(former.items()):
            if name not in new:
                wrong += [] if name in dispensable else [f"the {word} {name} ({number}) is gone"]
            elif new[name] != number and not (low <= new[name] <= high and low <= number <= high):
                wrong.append(f"the {word} {name} has the id {new[name]} and had {number}")
    if wrong:
        raise AptOstreeError(
            f"accounts are not what they were in the branch's last commit: {wrong[0]}",
            details=wrong,
            hint="files on machines would change hands; for accounts that may go: ignore-removed-users and "
            "ignore-removed-groups of the treefile",
            code="id-drift",
        )


def settle_ids(upper: Path, tree: Path | None, known: Identities) -> None:
    """Give accounts that are new in `upper` the ids they are known by, and their files with them.

    `upper` is what scripts changed (or a whole tree, with `tree` None), `tree` what was there before. An id that
    another account of the host has is exchanged for a free system id. Raises AptOstreeError (code `id-drift`).
    """
    texts = [_text(upper, None, name) for name in ("passwd", "group")]
    before = [_text(tree, None, name) if tree else "" for name in ("passwd", "group")]
    now = [_text(upper, tree, name) for name in ("passwd", "group")]
    low, high = _range(upper, tree)
    kinds = [
        _Kind("user", _uids(before[0]), _new(_uids(now[0]), _uids(before[0])), known.users),
        _Kind("group", _gids(before[1]), _new(_gids(now[1]), _gids(before[1])), known.groups),
    ]
    for kind in kinds:
        _refuse_drift(kind)
    taken = {i for k in kinds for i in (*k.base.values(), *k.new.values(), *k.known.values())}
    free = iter([i for i in range(high, low - 1, -1) if i not in taken])
    uids, gids = (_moves(kind, lambda: next(free, -1)) for kind in kinds)
    if not uids and not gids:
        return
    _rewrite(upper, texts, uids, gids)
    chown_tree(upper, uids, gids)


def keep(upper: Path, tree: Path) -> None:
    """Put accounts back that a removal script deleted: files of theirs may be anywhere on the host's /var.

    `upper` is what scripts changed, `tree` what was there before.
    """
    for name in ("passwd", "group", "shadow", "gshadow"):
        now = _text(upper, None, name)
        have = {line.partition(":")[0] for line in now.splitlines()}
        lost = [line for line in _text(None, tree, name).splitlines() if line.partition(":")[0] not in have]
        if now and lost:
            fsops.rewrite(upper / "etc" / name, now.rstrip("\n") + "".join(f"\n{line}" for line in lost) + "\n")


def _text(first: Path | None, second: Path | None, name: str) -> str:
    for root in (first, second):
        if root and fsops.is_dir(root / "etc") and fsops.exists(root / "etc" / name):
            return fsops.read(root / "etc" / name)
    return ""


def _uids(passwd: str) -> dict[str, int]:
    return {name: user.uid for name, user in accounts.users(passwd).items()}


def _gids(group: str) -> dict[str, int]:
    return {name: entry.gid for name, entry in accounts.groups(group).items()}


def _new(now: Mapping[str, int], base: Mapping[str, int]) -> dict[str, int]:
    return {name: number for name, number in now.items() if name not in base}


def _range(upper: Path, tree: Path | None) -> tuple[int, int]:
    low, high = _SYSTEM_IDS
    for which, number in _LIMIT.findall(_text(upper, tree, "adduser.conf")):
        low, high = (int(number), high) if which == "FIRST" else (low, int(number))
    return low, high


def _refuse_drift(kind: _Kind) -> None:
    for name, number in sorted(kind.base.items()):
        wanted = kind.known.get(name, number)
        if wanted != number:
            raise _drift(f"the {kind.word} {name} has the id {number} in the base and {wanted} on this system")


def _drift(message: str) -> AptOstreeError:
    return AptOstreeError(
        f"{message}; files would change hands",
        hint="compose the base again with the ids of its former version, or move the host's account",
        code="id-drift",
    )


def _moves(kind: _Kind, free: Callable[[], int]) -> dict[int, int]:
    """Old id -> new id for the new accounts of one kind."""
    holders = {number: name for name, number in kind.known.items()}
    owners = {number: name for name, number in kind.base.items()}
    moves: dict[int, int] = {}
    for name, number in sorted(kind.new.items()):
        wanted = kind.known.get(name)
        if wanted is None:
            wanted = free() if holders.get(number, name) != name else number
            if wanted < 0:
                raise _drift(f"no system id is free for the new {kind.word} {name}, {holders[number]} has {number}")
        if wanted != number:
            if wanted in owners:
                raise _drift(
                    f"the {kind.word} {name} must keep the id {wanted}, which {owners[wanted]} has in the base"
                )
            moves[number] = wanted
    return _without_clash(kind, moves, free)


def _without_clash(kind: _Kind, moves: dict[int, int], free: Callable[[], int]) -> dict[int, int]:
    """Move a new account aside when another one must get the id it happened to take."""
    for name, number in sorted(kind.new.items()):
        if number not in moves and number in moves.values() and kind.known.get(name) != number:
            moves[number] = free()
            if moves[number] < 0:
                raise _drift(f"no system id is free for the new {kind.word} {name}")
    return moves


def _rewrite(upper: Path, texts: list[str], uids: Mapping[int, int], gids: Mapping[int, int]) -> None:
    passwd, group = texts
    if passwd:
        text = accounts.renumber(accounts.renumber(passwd, column=2, ids=uids), column=3, ids=gids)
        fsops.rewrite(upper / "etc/passwd", text)
    if group:
        fsops.rewrite(upper / "etc/group", accounts.renumber(group, column=2, ids=gids))


def chown_tree(root: Path, uids: Mapping[int, int], gids: Mapping[int, int]) -> int:
    """Hand every file below `root` over from old ids to new ones; modes (setuid too) and capabilities stay.

    Only for trees whose files are private copies: it changes inodes in place. Returns how many were changed.
    """
    seen: set[tuple[int, int]] = set()
    count = 0
    for entry in fsops.walk(root):
        info = entry.info
        if (info.st_dev, info.st_ino) in seen:
            continue
        seen.add((info.st_dev, info.st_ino))
        uid, gid = uids.get(info.st_uid, info.st_uid), gids.get(info.st_gid, info.st_gid)
        if (uid, gid) != (info.st_uid, info.st_gid):
            _chown(entry, uid, gid)
            count += 1
    return count


def _chown(entry: fsops.Entry, uid: int, gid: int) -> None:
    # chown(2) clears setuid, setgid and security.capability: put back what was there
    xattrs = fsops.get_xattrs(entry.path)
    os.chown(entry.path, uid, gid, follow_symlinks=False)
    if not entry.is_link:
        entry.path.chmod(stat.S_IMODE(entry.info.st_mode))
    fsops.set_xattrs(entry.path, {key: value for key, value in xattrs.items() if key == "security.capability"})


def apply(root: Path) -> tuple[dict[str, int], dict[str, int]]:
    """Write the sysusers.d file of a tree with a real /etc and clear what is of the day; returns users and groups."""
    etc = root / "etc"
    for name in _BACKUPS:
        fsops.remove(etc / name)
    shadow = fsops.read(etc / "shadow")
    if shadow != accounts.without_change_dates(shadow):
        fsops.rewrite(etc / "shadow", accounts.without_change_dates(shadow))
    users = accounts.users(fsops.read(etc / "passwd"))
    groups = accounts.groups(fsops.read(etc / "group"))
    fsops.write(root, CONF, sysusers(users, groups))
    return {name: user.uid for name, user in users.items()}, {name: group.gid for name, group in groups.items()}


def sysusers(users: Mapping[str, accounts.User], groups: Mapping[str, accounts.Group]) -> str:
    """sysusers.d(5) lines: every group and user with its id, then memberships."""
    lines = [f"g {g.name} {g.gid}" for g in sorted(groups.values(), key=lambda g: (g.gid, g.name))]
    lines += [_user_line(u) for u in sorted(users.values(), key=lambda u: (u.uid, u.name))]
    lines += [f"m {member} {g.name}" for g in sorted(groups.values(), key=lambda g: g.name) for member in g.members]
    return _HEAD + "".join(f"{line}\n" for line in lines)


def _user_line(user: accounts.User) -> str:
    gecos = _quoted(user.gecos) if user.gecos and user.gecos.isprintable() else "-"
    return f"u {user.name} {user.uid}:{user.gid} {gecos} {_path(user.home)} {_path(user.shell)}"


def _path(path: str) -> str:
    """A path sysusers accepts: absolute and normalised, else the default."""
    return _quoted(posixpath.normpath(path)) if path.startswith("/") and path.isprintable() else "-"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"' if escaped != text or text == "-" or re.search(r"[\s']", text) else escaped
