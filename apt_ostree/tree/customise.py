"""What a treefile asks for beyond packages, in an ordinary tree: accounts, units, files, language, scripts.

The tree's own programs do it, in the sandbox, so that it comes out as it would on a running system.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from apt_ostree import run
from apt_ostree.errors import AptOstreeError, ToolError
from apt_ostree.tools import locale_gen, systemctl, systemd
from apt_ostree.tree import fsops, mounting, sandbox
from apt_ostree.treefile import Account, File, Treefile

KARGS = "usr/lib/bootc/kargs.d/10-apt-ostree.toml"
# dpkg.cfg(5): the files of a package that are documentation; Policy 12.5 wants the copyright file in any case
WITHOUT_DOCUMENTATION = (
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    *(f"path-exclude=/usr/share/{name}/*" for name in ("man", "info", "groff", "lintian", "linda")),
)
_DOCUMENTATION_CONF = "etc/dpkg/dpkg.cfg.d/apt-ostree-documentation"
_BUILT_IN = ("C", "POSIX", "C.UTF-8")

OnLine = Callable[[str], None]


def apply(root: Path, treefile: Treefile, work: Path, on_line: OnLine) -> tuple[str, ...]:
    """Do everything the treefile asks for; `work` is a directory for scripts, outside the tree.

    Returns warnings. Raises AptOstreeError (code `customise`) naming the key that cannot be done.
    """
    prefix = sandbox.for_scripts(root, work / "none")
    _accounts(prefix, treefile)
    write_files(root, treefile.files)
    _language(root, treefile, prefix)
    _zone(root, treefile.timezone)
    _units(prefix, treefile)
    warnings = mounting.apply(root, treefile.composefs, prefix) if treefile.composefs != "no" else ()
    if treefile.kargs:
        fsops.write(root, KARGS, f"kargs = {json.dumps(list(treefile.kargs))}\n")
    if not treefile.documentation:
        fsops.write(root, _DOCUMENTATION_CONF, "".join(f"{line}\n" for line in WITHOUT_DOCUMENTATION))
    warnings = (*warnings, *remove_files(root, treefile.remove_files))
    _scripts(root, treefile.postprocess, work, on_line)
    return warnings


def _failed(key: str, error: ToolError) -> AptOstreeError:
    told = next(iter(error.details[-1:]), error.message)
    return AptOstreeError(
        f"'{key}' of the treefile cannot be done: {told}",
        details=error.details,
        hint="see man apt-ostree-treefile",
        code="customise",
    )


def _accounts(prefix: Sequence[str], treefile: Treefile) -> None:
    lines = [f"g {group.name} {_id(group)}" for group in treefile.groups]
    for user in treefile.users:
        comment = user.comment.replace('"', "'")
        lines.append(f'u {user.name} {_id(user)} "{comment}" {user.home or "-"} {user.shell or "-"}')
        lines += [f"m {user.name} {group}" for group in user.groups]
    if lines:
        try:
            systemd.sysusers_inline(prefix, lines)
        except ToolError as error:
            raise _failed("users", error) from error


def _id(account: Account) -> str:
    return "-" if account.id < 0 else str(account.id)


def write_files(root: Path, files: Iterable[File]) -> None:
    """Put the treefile's own files into a tree. Raises AptOstreeError (code `unsafe-tree`)."""
    for file in files:
        rel = file.path.lstrip("/")
        if file.link:
            fsops.link(root, rel, file.link)
        elif file.source:
            fsops.write(root, rel, Path(file.source).read_bytes(), int(file.mode, 8))
        else:
            fsops.write(root, rel, file.content, int(file.mode, 8))


def remove_files(root: Path, patterns: Iterable[str]) -> tuple[str, ...]:
    """Remove what patterns match in a tree, nothing behind a link; returns a warning for what removes nothing."""
    return tuple(warning for pattern in patterns for warning in _remove(root, pattern))


def _remove(root: Path, pattern: str) -> Iterator[str]:
    found = sorted(root.glob(pattern.lstrip("/")))
    if not found:
        yield f"'{pattern}' of remove-files matches nothing"
    links = {path: link for path in found if (link := _link_above(root, path))}  # asked before anything goes
    for path in found:
        if path not in links:
            fsops.discard(root, str(path.relative_to(root)))
    if links:
        path, link = next(iter(links.items()))
        told, more = f"/{path.relative_to(root)} is behind the link /{link.relative_to(root)}", len(links) - 1
        yield f"'{pattern}' of remove-files: {told} and stays{f', and {more} more' if more else ''}"


def _link_above(root: Path, path: Path) -> Path | None:
    above = (parent for parent in path.parents if parent != root and parent.is_relative_to(root))
    return next((parent for parent in above if parent.is_symlink()), None)


def _language(root: Path, treefile: Treefile, prefix: Sequence[str]) -> None:
    locale = treefile.locale
    if not locale:
        return
    if locale not in _BUILT_IN:
        if not fsops.is_file(root / "usr/sbin/locale-gen"):
            raise AptOstreeError(
                f"the tree has nothing to make the locale {locale} with",
                hint="add 'locales' to the packages of the treefile",
                code="customise",
            )
        charset = locale.partition(".")[2].partition("@")[0] or "ISO-8859-1"
        fsops.write(root, "etc/locale.gen", f"{locale} {charset}\n")
        try:
            locale_gen.generate(prefix)
        except ToolError as error:
            raise _failed("locale", error) from error
    for name in ("etc/default/locale", "etc/locale.conf"):
        fsops.write(root, name, f"LANG={locale}\n")


def _zone(root: Path, zone: str) -> None:
    if not zone:
        return
    if not fsops.is_file(root / "usr/share/zoneinfo" / zone) and not (root / "usr/share/zoneinfo" / zone).is_symlink():
        raise AptOstreeError(
            f"the tree knows no time zone {zone}",
            hint="add 'tzdata' to the packages of the treefile, or see: timedatectl list-timezones",
            code="customise",
        )
    fsops.link(root, "etc/localtime", f"/usr/share/zoneinfo/{zone}")
    fsops.write(root, "etc/timezone", f"{zone}\n")


def _units(prefix: Sequence[str], treefile: Treefile) -> None:
    verbs = {
        "enable": treefile.enable_units,
        "disable": treefile.disable_units,
        "mask": treefile.mask_units,
        "set-default": (treefile.default_target,) if treefile.default_target else (),
    }
    for verb, units in verbs.items():
        if units:
            try:
                systemctl.offline(prefix, verb, units)
            except ToolError as error:
                raise _failed("default-target" if verb == "set-default" else f"{verb}-units", error) from error


def _scripts(root: Path, scripts: Sequence[str], work: Path, on_line: OnLine) -> None:
    if not scripts:
        return
    folder = work / "postprocess"
    folder.mkdir(mode=0o755)
    for number, text in enumerate(scripts, start=1):
        (folder / str(number)).write_text(text)
        (folder / str(number)).chmod(0o755)
    prefix = sandbox.for_scripts(root, folder)
    for number in range(1, len(scripts) + 1):
        try:
            run.stream([*prefix, f"{sandbox.DEBS}/{number}"], on_line, timeout=600.0)
        except ToolError as error:
            raise AptOstreeError(
                f"the treefile's postprocess script {number} failed with exit code {error.returncode}",
                details=error.details,
                hint="it runs in the tree, without a network and with nothing of the machine",
                code="postprocess",
            ) from error
