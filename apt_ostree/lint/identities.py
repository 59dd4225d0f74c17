"""Accounts: /etc/passwd of a machine is its own, so an account of the tree needs its line in sysusers.d(5)."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from apt_ostree.lint.model import Lint
from apt_ostree.linting import Finding, Severity
from apt_ostree.tree import accounts
from apt_ostree.view.model import View

_SYSUSERS = ("usr/lib/sysusers.d", "run/sysusers.d", "etc/sysusers.d")  # the later ones stand for their namesakes
# Debian Policy 9.2.2: 0-99 and 60000-64999 are fixed by Debian, 100-999 given by packages, 65534 is nobody's
_SYSTEM = (range(1000), range(60000, 65000), range(65534, 65535))


@dataclass(frozen=True, slots=True)
class Declared:
    """Names that have a line, and the id it says; None: the machine may choose."""

    users: dict[str, int | None] = field(default_factory=dict)
    groups: dict[str, int | None] = field(default_factory=dict)


def declared(view: View) -> Declared:
    """All lines in force; the first of two about one name counts, as systemd-sysusers(8) has it."""
    found = Declared()
    listed = {node.name: node for top in _SYSUSERS for node in view.children(top) if node.name.endswith(".conf")}
    # /etc of a commit is elsewhere
    listed |= {node.name: node for node in view.children(f"{view.etc}/sysusers.d") if node.name.endswith(".conf")}
    for _, node in sorted(listed.items()):
        for line in view.text(node.path).splitlines():
            _declare(found, line)
    return found


def _declare(found: Declared, line: str) -> None:
    try:
        words = shlex.split(line, comments=False)
    except ValueError:
        return
    if len(words) < 2 or words[0].startswith("#"):
        return
    kind, name, number = words[0].rstrip("!+-"), words[1], words[2] if len(words) > 2 else "-"
    own, colon, _ = number.partition(":")
    value = int(own) if own.isdecimal() else None
    if kind == "u":
        found.users.setdefault(name, value)
        if not colon:  # a group of the same name and id is made with it
            found.groups.setdefault(name, value)
    elif kind == "g":
        found.groups.setdefault(name, value)


def sysusers(view: View) -> Iterator[Finding]:
    """Each line of /etc/passwd and /etc/group has a line in sysusers.d: a machine keeps its own passwd and group."""
    lines = declared(view)
    for name in _users(view):
        if name not in lines.users:
            yield _finding(view, "passwd", f"has the user {name}, who has no line in sysusers.d")
    for name in _groups(view):
        if name not in lines.groups:
            yield _finding(view, "group", f"has the group {name}, which has no line in sysusers.d")


def sysusers_ids(view: View) -> Iterator[Finding]:
    """Each system user and group has a line in sysusers.d with its id: by another, files would change hands.

    Debian's packages get their ids when they are installed (Policy 9.2.2), so a machine that chooses anew chooses
    otherwise, and the files in the image keep the numbers they were built with.
    """
    lines = declared(view)
    yield from _drift(view, "passwd", "user", _users(view), lines.users)
    yield from _drift(view, "group", "group", _groups(view), lines.groups)


def _drift(
    view: View, file: str, word: str, there: Mapping[str, int], lines: Mapping[str, int | None]
) -> Iterator[Finding]:
    for name, number in there.items():
        if not any(number in numbers for numbers in _SYSTEM):
            continue
        if name not in lines:
            yield _finding(view, file, f"has the system {word} {name} ({number}) without a line in sysusers.d")
        elif lines[name] is None:
            yield _finding(view, file, f"has the system {word} {name} ({number}), whose line in sysusers.d has no id")
        elif lines[name] != number:
            yield _finding(view, file, f"has the system {word} {name} ({number}), in sysusers.d it is {lines[name]}")


def _finding(view: View, file: str, what: str) -> Finding:
    path = f"/{view.etc}/{file}"
    return Finding(path=path, message=f"{path} {what}")


def _users(view: View) -> dict[str, int]:
    return {name: user.uid for name, user in accounts.users(view.text(f"{view.etc}/passwd")).items()}


def _groups(view: View) -> dict[str, int]:
    return {name: group.gid for name, group in accounts.groups(view.text(f"{view.etc}/group")).items()}


LINTS = (
    Lint(
        name="sysusers-ids",
        severity=Severity.FATAL,
        check=sysusers_ids,
        bootc=False,
        hint="add it to a file in /usr/lib/sysusers.d, as 'u NAME UID:GID' or 'g NAME GID'",
    ),
    Lint(
        name="sysusers",
        severity=Severity.WARNING,
        check=sysusers,
        hint="add it to a file in /usr/lib/sysusers.d (sysusers.d(5))",
    ),
)
