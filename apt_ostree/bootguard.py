"""Around every write of boot entries: what was written is looked at; when it would not boot, the former is put back.

What boots next are small files: the directory behind the link `boot/loader`, and the links below `ostree/boot.N`.
Both are remembered before the write. Putting them back ends with one rename of `boot/loader`, as libostree's own
switch does; `ostree admin cleanup` then takes away the deployment that was made.
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from apt_ostree import bls, bootfiles, records
from apt_ostree.errors import AptOstreeError
from apt_ostree.paths import Paths
from apt_ostree.tools import ostree

CODE = "boot-entries"
_LOADER = re.compile(r"loader\.[01]")
_TREE = re.compile(r"boot\.[01](\.[01])?")
_LABEL = re.compile(r"^LABEL ", re.MULTILINE)
_MENUENTRY = re.compile(r"^menuentry [^\n]*\{\n.*?^\}\n?", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Former:
    """What booted before a write."""

    loader: str  # where boot/loader leads: loader.0 or loader.1
    files: dict[str, bytes]  # of that directory, by path below it
    trees: dict[str, str]  # links below ostree/boot.*, and boot.N themselves, by path below ostree
    menus: dict[Path, bytes]  # menus elsewhere: on EFI
    wrong: frozenset[tuple[str, str]]  # what was not well then


@contextlib.contextmanager
def guarded(paths: Paths) -> Iterator[None]:
    """Look at the boot entries when the block has written them. Raises AptOstreeError; the former are back then.

    What was broken before and is not what boots next is not held against this write.
    """
    former = remember(paths)
    try:
        yield
    except AptOstreeError:
        if former is not None and harm(paths, former):
            restore(paths, former)
        raise
    if not (wrong := harm(paths, former)):
        return
    if former is not None:
        restore(paths, former)
    raise refused(wrong, restored=former is not None)


def refused(wrong: tuple[bootfiles.Seen, ...], *, restored: bool = True) -> AptOstreeError:
    """The error for boot entries that would not boot."""
    now = "the former boot entries are back" if restored else "there are no former boot entries to go back to"
    return AptOstreeError(
        f"what was written for the boot loader would not boot: {wrong[0].name}: {wrong[0].wrong}; {now}",
        details=[f"{seen.name}: {seen.wrong}" for seen in wrong],
        hint="see what the boot loader lacks: apt-ostree doctor",
        code=CODE,
    )


def remember(paths: Paths) -> Former | None:
    """What boots now; None when libostree wrote no boot entries yet."""
    link = paths.boot / "loader"
    if not link.is_symlink() or not _LOADER.fullmatch(os.fspath(link.readlink())):
        return None
    loader = os.fspath(link.readlink())
    seen = bootfiles.look(paths)
    return Former(
        loader=loader,
        files=dict(_files(paths.boot / loader)),
        trees=dict(_links(paths.ostree)),
        menus={path: path.read_bytes() for path in bootfiles.menus(paths) if path.parent != paths.boot / "loader"},
        wrong=frozenset(one.key for one in seen if one.wrong),
    )


def _files(root: Path) -> Iterator[tuple[str, bytes]]:
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            if path.is_file() and not path.is_symlink():
                yield str(path.relative_to(root)), path.read_bytes()


def _links(root: Path) -> Iterator[tuple[str, str]]:
    for top in sorted(root.glob("boot.*")):
        if not _TREE.fullmatch(top.name):
            continue
        if top.is_symlink():
            yield top.name, os.fspath(top.readlink())
            continue
        for folder, directories, names in os.walk(top):
            for name in (*directories, *names):
                path = Path(folder, name)
                if path.is_symlink():
                    yield str(path.relative_to(root)), os.fspath(path.readlink())


def note(paths: Paths) -> None:
    """Write down what boots now, for after the shutdown that finalises what is staged. Raises OSError.

    Before anything is staged, which leaves the boot entries as they are: a run that dies then has left the right note.
    """
    if (former := remember(paths)) is None:
        paths.store.boot_entries.unlink(missing_ok=True)
        return
    records.write(
        paths.store.boot_entries,
        {
            "boot-id": paths.boot_id,
            "loader": former.loader,
            "files": {name: base64.b64encode(data).decode() for name, data in former.files.items()},
            "trees": former.trees,
            "menus": {str(path): base64.b64encode(data).decode() for path, data in former.menus.items()},
            "wrong": sorted(former.wrong),
        },
    )


def noted(paths: Paths) -> Former | None:
    """What `note` wrote down in this boot; None when it did not, or that is damaged.

    Paths that are none of ours make it damaged.
    """
    found = records.read(paths.store.boot_entries)
    if found.get("boot-id") != paths.boot_id:
        return None
    try:
        former = Former(
            loader=str(found["loader"]),
            files={str(name): base64.b64decode(data) for name, data in found["files"].items()},
            trees={str(path): str(target) for path, target in found["trees"].items()},
            menus={Path(path): base64.b64decode(data) for path, data in found["menus"].items()},
            wrong=frozenset((str(kernel), str(what)) for kernel, what in found["wrong"]),
        )
        places = (*former.files, *former.trees, *(str(path.relative_to(paths.boot)) for path in former.menus))
    except (KeyError, ValueError, TypeError, AttributeError):
        return None
    inside = not any(place.startswith("/") or ".." in place.split("/") for place in places)
    sound = _LOADER.fullmatch(former.loader) and inside
    return former if sound else None


def put_back(paths: Paths) -> str:
    """After a shutdown finalised what was staged: the former boot entries when the new ones would not boot.

    Returns what was wrong, empty when nothing was. Raises OSError, ToolError, AptOstreeError.
    """
    former = noted(paths)
    wrong = harm(paths, former) if former is not None else ()
    if former is None or not wrong:
        return ""
    restore(paths, former)
    why = refused(wrong).message
    records.write(paths.store.finalize_failure, {"reason": why, "boot-id": paths.boot_id})
    return why


def harm(paths: Paths, former: Former | None) -> tuple[bootfiles.Seen, ...]:
    """Entries that are broken now, and either were not before or are what boots next; none when nothing was written."""
    now = remember(paths)
    if now == former:
        return ()
    seen = bootfiles.look(paths)
    if not seen:
        return (bootfiles.Seen(name="boot/loader/entries", entry=bls.Entry(), wrong="there is no entry"),)
    known = former.wrong if former else frozenset[tuple[str, str]]()
    return tuple(one for place, one in enumerate(seen) if one.wrong and (place == 0 or one.key not in known))


def restore(paths: Paths, former: Former) -> None:
    """Put the former boot entries back, without those of deployments that are gone. Raises OSError, ToolError."""
    dead = {f"/ostree/{path}" for path, target in former.trees.items() if _gone(paths, path, target)}
    lost = {_through(link, former.trees) for link in dead} | dead
    entries = [bls.parse(data.decode(errors="replace")).link for name, data in former.files.items() if _is_entry(name)]
    if all(link in lost for link in entries):
        raise AptOstreeError("none of the former boot entries has its deployment any more", code=CODE)
    _restore_trees(paths, {path: to for path, to in former.trees.items() if f"/ostree/{path}" not in dead})
    files = {}
    for name, data in former.files.items():
        text = data.decode(errors="surrogateescape")
        if not (_is_entry(name) and bls.parse(text).link in lost):
            files[name] = without(text, lost).encode(errors="surrogateescape")
    _put_loader(paths, former.loader, files)
    for path, data in former.menus.items():
        _write(path, without(data.decode(errors="surrogateescape"), lost).encode(errors="surrogateescape"))
    ostree.admin_cleanup(paths.sysroot)


def _is_entry(name: str) -> bool:
    return name.startswith("entries/ostree-")


def _gone(paths: Paths, path: str, target: str) -> bool:
    """True for the link of a deployment that is no more: boot.N.M/OSNAME/BOOTCSUM/SERIAL."""
    parts = path.split("/")
    return len(parts) == 4 and not (paths.deploy / parts[1] / "deploy" / Path(target).name).is_dir()


def _through(link: str, trees: dict[str, str]) -> str:
    """The name entries have for a link: through boot.N, which leads to boot.N.M."""
    tree = link.split("/")[2]
    names = [name for name, target in trees.items() if target == tree]
    return link.replace(f"/{tree}/", f"/{names[0]}/", 1) if names else link


def _restore_trees(paths: Paths, trees: dict[str, str]) -> None:
    for path, target in sorted(trees.items(), key=lambda item: item[0].count("/"), reverse=True):
        place = paths.ostree / path
        place.parent.mkdir(parents=True, exist_ok=True)
        _link(place, target)  # boot.N comes last: then all that it leads to is there


def _put_loader(paths: Paths, name: str, files: dict[str, bytes]) -> None:
    """The directory as it was, file by file where it is the one in use, and boot/loader leads to it again."""
    place, link = paths.boot / name, paths.boot / "loader"
    for path, data in files.items():
        _write(place / path, data)
    for path, _ in tuple(_files(place)):
        if path not in files:
            (place / path).unlink()
    os.sync()
    _link(link, name)
    os.sync()


def _link(place: Path, target: str) -> None:
    """Make or replace a link by one rename."""
    if place.is_symlink() and os.fspath(place.readlink()) == target:
        return
    fresh = place.with_name(f"{place.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(place)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.write_bytes(data)
    fresh.replace(path)


def without(menu: str, links: set[str]) -> str:
    """A syslinux or GRUB menu without the entries of some deployments: what comes first then is what boots."""

    def dead(block: str) -> bool:
        return any(re.search(re.escape(link) + r"(?![0-9])", block) for link in links)

    if not dead(menu):
        return menu
    if _MENUENTRY.search(menu):
        return _MENUENTRY.sub(lambda found: "" if dead(found[0]) else found[0], menu)
    head, *blocks = _LABEL.split(menu)
    if not blocks:
        return menu
    kept = [block for block in blocks if not dead(block)]
    label = kept[0].partition("\n")[0] if kept else ""
    head = re.sub(r"^DEFAULT .*$", lambda _: f"DEFAULT {label}", head, flags=re.MULTILINE) if kept else head
    return head + "".join(f"LABEL {block}" for block in kept)
