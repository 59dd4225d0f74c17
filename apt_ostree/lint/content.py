"""What is in the files of a tree and in /var: names, logs, state that no machine would get, the package database."""

from __future__ import annotations

import os
from collections.abc import Iterator

from apt_ostree.lint.layout import described
from apt_ostree.lint.model import Lint, finding
from apt_ostree.linting import Finding, Scope, Severity
from apt_ostree.tree import dpkgdb, tmpfiles
from apt_ostree.view.model import Kind, View

_TMPFILES = ("usr/lib/tmpfiles.d", "run/tmpfiles.d", "etc/tmpfiles.d")  # the later ones stand for their namesakes
_CREATES = tmpfiles.CREATES_DIRECTORY | tmpfiles.CREATES_LINK | tmpfiles.CREATES_FILE
DATABASE = dpkgdb.DATABASE
_VAR_DATABASE = "var/lib/dpkg"


def utf8(view: View) -> Iterator[Finding]:
    """All names, and what links lead to, are UTF-8: OSTree and OCI images hold no others."""
    for node in view.nodes.values():
        if not _is_utf8(node.name):
            yield finding(_shown(node.path), "is a name that is not UTF-8")
        elif not _is_utf8(node.target):
            yield finding(_shown(node.path), f"leads to '{_shown(node.target)}', which is not UTF-8")


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(text: str) -> str:
    return os.fsencode(text).decode(errors="backslashreplace")


def var_log(view: View) -> Iterator[Finding]:
    """/var/log has no files with content: logs of a build are of no use to a machine."""
    for node in view.below("var/log"):
        if node.kind is Kind.FILE and node.size:
            yield finding(node.path, "is a log of the build")


def var_tmpfiles(view: View) -> Iterator[Finding]:
    """Each directory and link in /var has its line in tmpfiles.d, and there are no files: /var is not updated.

    What is in the /var of an image reaches a machine only when it is installed, never with an update.
    """
    lines = tuple(_lines(view))
    made = {line.path for line in lines if line.letter in _CREATES}
    copied = tuple(f"{line.path}/" for line in lines if line.letter == "C")
    for node in view.below("var"):
        path = f"/{node.path}"
        if node.mounted or path in made or path.startswith(copied):
            continue
        if node.kind in (Kind.DIRECTORY, Kind.LINK):
            yield finding(node.path, "has no line in tmpfiles.d")
        else:
            yield finding(node.path, f"{described(node)}, which no update changes")


def _lines(view: View) -> Iterator[tmpfiles.Known]:
    files = {node.name: node for top in _TMPFILES for node in view.children(top) if node.name.endswith(".conf")}
    for name, node in sorted(files.items()):
        yield from tmpfiles.parse(view.text(node.path), name)


def dpkg_database(view: View) -> Iterator[Finding]:
    """dpkg's database is in /usr/lib/sysimage/dpkg, not in /var: it must change with the packages it tells of."""
    inside = view.get(_VAR_DATABASE)
    if inside is not None and inside.kind is not Kind.LINK:
        yield finding(_VAR_DATABASE, "is a part of /var, which no update changes: it would tell of other packages")
    status = view.resolve(f"{DATABASE}/status")
    if status is None or status.kind is not Kind.FILE:
        yield finding(f"{DATABASE}/status", "is missing: nobody knows which packages the tree has")


LINTS = (
    Lint(
        name="utf8",
        severity=Severity.FATAL,
        check=utf8,
        hint="rename the file, or leave its package out",
    ),
    Lint(
        name="dpkg-database",
        severity=Severity.FATAL,
        check=dpkg_database,
        bootc=False,
        hint="move it to /usr/lib/sysimage/dpkg and leave a link: ln -s ../../usr/lib/sysimage/dpkg var/lib/dpkg",
    ),
    Lint(
        name="var-log",
        severity=Severity.WARNING,
        check=var_log,
        hint="remove it at the end of the build",
    ),
    Lint(
        name="var-tmpfiles",
        severity=Severity.WARNING,
        check=var_tmpfiles,
        scope=Scope.RUNNING,
        hint="add a line to a file in /usr/lib/tmpfiles.d (tmpfiles.d(5)), with content in /usr/share/factory",
    ),
)
