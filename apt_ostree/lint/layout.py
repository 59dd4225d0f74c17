"""The top of a tree: what must be a directory, what a link, and what must be empty."""

from __future__ import annotations

from collections.abc import Iterator

from apt_ostree.lint.model import Lint, finding
from apt_ostree.linting import Finding, Scope, Severity
from apt_ostree.view.model import Kind, Node, View

_API = ("dev", "proc", "sys", "run", "tmp", "var")
_BASEIMAGE = "usr/share/doc/bootc/baseimage/base"
_OSTREE = "sysroot/ostree"
_EFI = "boot/efi"
_STUB = ("run/systemd", "run/systemd/resolve", "run/systemd/resolve/stub-resolv.conf")
_INJECTED = ("hostname", "resolv.conf")


def described(node: Node | None) -> str:
    """A node in words, for the end of a sentence."""
    if node is None:
        return "is missing"
    if node.kind is Kind.LINK:
        return f"is a link to '{node.target}'"
    return {Kind.FILE: "is a file", Kind.DIRECTORY: "is a directory"}.get(node.kind, "is a special file")


def var_run(view: View) -> Iterator[Finding]:
    """/var/run is a link to /run, or not there: what is in it would not be that of the running system."""
    node = view.get("var/run")
    if node is not None and node.kind is not Kind.LINK:
        yield finding("var/run", f"{described(node)}, not a link")


def etc_usretc(view: View) -> Iterator[Finding]:
    """There is one configuration, /etc or /usr/etc, not both: of the two, OSTree would take one and lose the other."""
    if view.get("etc") is not None and view.get("usr/etc") is not None:
        yield finding("usr/etc", "is there, and /etc as well")


def api_base_directories(view: View) -> Iterator[Finding]:
    """/dev, /proc, /sys, /run, /tmp and /var are directories: the boot mounts something on each."""
    for name in _API:
        node = view.get(name)
        if node is None or node.kind is not Kind.DIRECTORY:
            yield finding(name, f"{described(node)}, not a directory" if node else described(node))


def baseimage_root(view: View) -> Iterator[Finding]:
    """/sysroot is a directory and /ostree a link to sysroot/ostree, so that the system finds its repository."""
    tops = [""]
    if view.get(_BASEIMAGE) is not None:
        tops.append(f"{_BASEIMAGE}/")
    for top in tops:
        sysroot, ostree = view.get(f"{top}sysroot"), view.get(f"{top}ostree")
        if sysroot is None or sysroot.kind is not Kind.DIRECTORY:
            yield finding(f"{top}sysroot", f"{described(sysroot)}, not a directory" if sysroot else "is missing")
        if ostree is None or ostree.kind is not Kind.LINK or ostree.target != _OSTREE:
            yield finding(f"{top}ostree", f"{described(ostree)}; it must be a link to '{_OSTREE}'")


def nonempty_boot(view: View) -> Iterator[Finding]:
    """/boot is there and empty: kernels are in /usr/lib/modules, the rest is the machine's. /boot/efi may be there."""
    boot = view.get("boot")
    if boot is None or boot.kind is not Kind.DIRECTORY:
        yield finding("boot", described(boot))
    for node in view.children("boot"):
        if node.path.lower() != _EFI:
            yield finding(node.path, "is in /boot, which the machine's own /boot hides")


def nonempty_run_tmp(view: View) -> Iterator[Finding]:
    """/run and /tmp are empty: each boot begins with new ones. What is mounted there counts for nothing."""
    for top in ("run", "tmp"):
        if (found := view.get(top)) is not None and found.mounted:
            continue
        for node in view.children(top):
            if not node.mounted and not _stub_only(view, node):
                yield finding(node.path, f"is in /{top}, which is empty on every boot")


def _stub_only(view: View, node: Node) -> bool:
    """True for the way to the file that a container's resolver is mounted on, when nothing else is there."""
    return node.path in _STUB and all(_stub_only(view, child) for child in view.children(node.path))


def buildah_injected(view: View) -> Iterator[Finding]:
    """/etc/hostname and /etc/resolv.conf are no empty files, which container builds leave behind."""
    for name in _INJECTED:
        node = view.get(f"{view.etc}/{name}")
        if node is not None and node.kind is Kind.FILE and node.size == 0:
            yield finding(node.path, "is an empty file, as a container build leaves it")


LINTS = (
    Lint(
        name="var-run",
        severity=Severity.FATAL,
        check=var_run,
        hint="replace it by the link: ln -s ../run var/run",
    ),
    Lint(
        name="etc-usretc",
        severity=Severity.FATAL,
        check=etc_usretc,
        hint="move what is in /usr/etc to /etc; in a commit it is the other way round",
    ),
    Lint(
        name="api-base-directories",
        severity=Severity.FATAL,
        check=api_base_directories,
        hint="make them: mkdir dev proc sys run tmp var",
    ),
    Lint(
        name="baseimage-root",
        severity=Severity.FATAL,
        check=baseimage_root,
        hint="make them: mkdir sysroot; ln -s sysroot/ostree ostree",
    ),
    Lint(
        name="nonempty-boot",
        severity=Severity.WARNING,
        check=nonempty_boot,
        hint="put kernel and initramfs into /usr/lib/modules/VERSION, as vmlinuz and initramfs.img",
    ),
    Lint(
        name="nonempty-run-tmp",
        severity=Severity.WARNING,
        check=nonempty_run_tmp,
        hint="remove it at the end of the build; what a service needs there is for tmpfiles.d(5)",
    ),
    Lint(
        name="buildah-injected",
        severity=Severity.WARNING,
        check=buildah_injected,
        scope=Scope.IMAGE,
        hint="remove the file, or give it content",
    ),
)
