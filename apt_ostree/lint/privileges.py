"""Files that give privileges, against what dpkg knows of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from apt_ostree.lint.content import DATABASE
from apt_ostree.lint.model import Lint, finding
from apt_ostree.linting import Finding, Severity
from apt_ostree.tree import accounts, opt
from apt_ostree.view.model import Kind, Node, View

_OCTAL = re.compile(r"[0-7]{1,5}")
_SETUID, _SETGID = 0o4000, 0o2000
# where the tree rules put what packages list elsewhere: the longest first
_MOVED = (
    ("usr/share/factory/var/usrlocal/", "/usr/local/"),
    ("usr/share/factory/var/opt/", "/opt/"),
    ("usr/share/factory/var/", "/var/"),
    (f"{opt.PLACE}/", "/opt/"),
    ("usr/etc/", "/etc/"),
)


def privileges(view: View) -> Iterator[Finding]:
    """Each setuid or setgid file, and each with capabilities, is a package's, and is as dpkg-statoverride(1) says.

    A package's own modes are not in dpkg's database, so only overrides can be compared.
    """
    database = _database(view)
    if not database:
        return
    special = {node.path: node for node in view.nodes.values() if _is_special(node)}
    owned = _owned(view, database, special)
    for path, node in special.items():
        if path not in owned:
            yield finding(path, f"is {_rights(node)} and belongs to no package")
    yield from _overrides(view, database)


def _database(view: View) -> str:
    return next((place for place in (DATABASE, "var/lib/dpkg") if view.resolve(f"{place}/status")), "")


def _is_special(node: Node) -> bool:
    return node.kind is Kind.FILE and (bool(node.mode & (_SETUID | _SETGID)) or node.capable)


def _rights(node: Node) -> str:
    words = ("setuid", node.mode & _SETUID), ("setgid", node.mode & _SETGID), ("given capabilities", node.capable)
    return " and ".join(word for word, true in words if true)


def _owned(view: View, database: str, wanted: Mapping[str, Node]) -> set[str]:
    """Which of the paths are in a package's file list, or were moved there by dpkg-divert(1)."""
    names = {alias.encode(errors="surrogateescape"): path for path in wanted for alias in _aliases(view, path)}
    lines: set[bytes] = set(view.read(f"{database}/diversions").split(b"\n")[1::3])  # from, to, by whom
    if names:
        for node in view.children(database + "/info"):
            if node.name.endswith(".list"):
                lines |= names.keys() & set(view.read(node.path).split(b"\n"))
    return {names[line] for line in lines if line in names}


def _aliases(view: View, path: str) -> Iterator[str]:
    """How a file list may call a path: also by the links of a merged /usr, and where it was before the tree rules."""
    yield f"/{path}"
    for place, former in _MOVED:
        if path.startswith(place):
            yield former + path.removeprefix(place)
            break
    for node in view.children(""):
        target = node.target.strip("/")
        if node.kind is Kind.LINK and target.startswith("usr/") and path.startswith(f"{target}/"):
            yield f"/{node.path}{path.removeprefix(target)}"


def _overrides(view: View, database: str) -> Iterator[Finding]:
    users = {name: user.uid for name, user in accounts.users(view.text(f"{view.etc}/passwd")).items()}
    groups = {name: group.gid for name, group in accounts.groups(view.text(f"{view.etc}/group")).items()}
    for line in view.text(f"{database}/statoverride").splitlines():
        words = line.split(None, 3)
        node = view.locate(words[3]) if len(words) == 4 else None
        if node is None or node.kind is Kind.LINK or not _OCTAL.fullmatch(words[2]):
            continue  # what is in /var is made on the machine
        wanted = (_id(words[0], users), _id(words[1], groups), int(words[2], 8))
        if wanted != (node.uid, node.gid, node.mode):
            now = f"{node.uid}:{node.gid} {node.mode:04o}"
            yield finding(node.path, f"is {now}; dpkg-statoverride says {words[0]}:{words[1]} {wanted[2]:04o}")


def _id(name: str, ids: Mapping[str, int]) -> int:
    """A name, or a number behind `#` (dpkg-statoverride(1)); -1 for a name the tree does not have."""
    return int(name[1:]) if name.startswith("#") and name[1:].isdecimal() else ids.get(name, -1)


LINTS = (
    Lint(
        name="privileges",
        severity=Severity.FATAL,
        check=privileges,
        bootc=False,
        hint="find out who made it: chmod it, leave it out, or say it with dpkg-statoverride in a package's script",
    ),
)
