"""passwd(5), group(5) and shadow(5) as texts: read, renumber, write back. Lines nobody understands are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """One line of passwd(5)."""

    name: str
    uid: int
    gid: int
    gecos: str = ""
    home: str = ""
    shell: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One line of group(5)."""

    name: str
    gid: int
    members: tuple[str, ...] = ()


def users(passwd: str) -> dict[str, User]:
    """Users by name; malformed lines are left out, the first of two of one name counts (as getpwnam(3))."""
    found: dict[str, User] = {}
    for line in passwd.splitlines():
        parts = line.split(":")
        if len(parts) == 7 and parts[0] and parts[2].isdecimal() and parts[3].isdecimal():
            name, _, uid, gid, gecos, home, shell = parts
            user = User(name=name, uid=int(uid), gid=int(gid), gecos=gecos, home=home, shell=shell)
            found.setdefault(name, user)
    return found


def groups(group: str) -> dict[str, Group]:
    """Groups by name; malformed lines are left out."""
    found: dict[str, Group] = {}
    for line in group.splitlines():
        parts = line.split(":")
        if len(parts) == 4 and parts[0] and parts[2].isdecimal():
            members = tuple(name for name in parts[3].split(",") if name)
            found.setdefault(parts[0], Group(name=parts[0], gid=int(parts[2]), members=members))
    return found


def renumber(text: str, *, column: int, ids: Mapping[int, int]) -> str:
    """Other ids in one column of passwd or group (counted from 0); every other byte stays."""
    lines = []
    for line in text.splitlines(keepends=True):
        parts = line.split(":")
        if len(parts) > column and parts[column].isdecimal() and int(parts[column]) in ids:
            parts[column] = str(ids[int(parts[column])])
        lines.append(":".join(parts))
    return "".join(lines)


def without_change_dates(shadow: str) -> str:
    """shadow(5) without the date of the last password change, which would be the day of the build."""
    lines = []
    for line in shadow.splitlines(keepends=True):
        parts = line.split(":")
        if len(parts) == 9:
            parts[2] = ""
        lines.append(":".join(parts))
    return "".join(lines)
