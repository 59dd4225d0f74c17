"""Origin files: the intent of a deployment. GLib key files (Desktop Entry syntax), keys as layering.md names them.

Unknown groups, unknown keys and comments survive a round trip: `render` edits the text that was read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from apt_ostree import requests
from apt_ostree.errors import AptOstreeError
from apt_ostree.model import LocalPackage, Origin, PackageRequest

_GROUP = re.compile(r"\[([^\[\]]+)\]\s*")
_KEY = re.compile(r"([^=\[\]#\s][^=]*?)\s*=\s*(.*)")

TRANSIENT = "libostree-transient"


class OriginError(AptOstreeError):
    """The origin file of a deployment cannot be understood; nothing was changed."""

    code = "origin"


class _KeyFile:
    """Lines of a key file by group, in the order of the file."""

    def __init__(self, text: str) -> None:
        self.groups: list[tuple[str, list[str]]] = [("", [])]
        for number, line in enumerate(text.splitlines(), 1):
            group = _GROUP.fullmatch(line.strip())
            if group:
                self.groups.append((group[1], []))
            elif line.strip() and not line.lstrip().startswith("#") and not _KEY.fullmatch(line.strip()):
                raise OriginError(f"line {number} is neither a group, a key nor a comment: {line.strip()!r}")
            else:
                self.groups[-1][1].append(line)
        if any(_KEY.fullmatch(line.strip()) for line in self.groups[0][1]):
            raise OriginError("a key stands before the first group")

    def get(self, group: str, key: str) -> str:
        """The last value wins, as GLib has it; a missing key is an empty string."""
        value = ""
        for name, lines in self.groups:
            for line in lines if name == group else ():
                match = _KEY.fullmatch(line.strip())
                if match and match[1] == key and not line.lstrip().startswith("#"):
                    value = match[2]
        return value

    def set(self, group: str, key: str, value: str) -> None:
        """Set a key where it stands, else at the end of its group; an empty value removes it."""
        done = False
        for name, lines in self.groups:
            if name != group:
                continue
            kept = []
            for line in lines:
                match = _KEY.fullmatch(line.strip())
                if not match or match[1] != key:
                    kept.append(line)
                elif value and not done:
                    kept.append(f"{key}={value}")
                    done = True
            lines[:] = kept
        if value and not done:
            self._append(group, f"{key}={value}")

    def _append(self, group: str, line: str) -> None:
        for name, lines in self.groups:
            if name == group:
                at = len(lines)
                while at and not lines[at - 1].strip():
                    at -= 1
                lines.insert(at, line)
                return
        self.groups.append((group, [line]))

    def drop(self, group: str) -> None:
        self.groups = [item for item in self.groups if item[0] != group]

    def text(self) -> str:
        parts = []
        for name, lines in self.groups:
            body = [line for line in lines if line.strip()]
            if name and not body:
                continue
            parts.append("\n".join([*([f"[{name}]"] if name else []), *body]))
        return "\n\n".join(part for part in parts if part) + "\n"


def _split(value: str) -> tuple[str, ...]:
    """A GLib string list: `;` between items, `\\;` inside one."""
    items = re.split(r"(?<!\\);", value)
    return tuple(item.replace("\\;", ";") for item in items if item)


def _join(items: Iterable[str]) -> str:
    return "".join(item.replace(";", "\\;") + ";" for item in items)


def _boolean(value: str, default: bool) -> bool:
    return value.strip().lower() in ("true", "1") if value else default


def parse(text: str) -> Origin:
    """Text of an origin file -> Origin. Raises OriginError, and UsageError for a malformed package in it."""
    file = _KeyFile(text)
    return Origin(
        refspec=file.get("origin", "refspec") or file.get("origin", "baserefspec"),
        container_image_reference=file.get("origin", "container-image-reference"),
        image_digest=file.get("apt-ostree", "container-image-digest"),
        override_commit=file.get("origin", "override-commit"),
        requested=_requests(file, "packages", "requested"),
        requested_local=_locals(file, "packages", "requested-local"),
        overrides_remove=tuple(requests.parse_name(item) for item in _split(file.get("overrides", "remove"))),
        overrides_replace=_requests(file, "overrides", "replace"),
        overrides_replace_local=_locals(file, "overrides", "replace-local"),
        overrides_base=_requests(file, "apt-ostree", "overrides-base"),
        regenerate_initramfs=_boolean(file.get("apt-ostree", "regenerate-initramfs"), False),
        initramfs_args=_split(file.get("apt-ostree", "initramfs-args")),
        initramfs_etc=_split(file.get("apt-ostree", "initramfs-etc")),
        recommends=_boolean(file.get("apt-ostree", "recommends"), True),
        pinned=_boolean(file.get(TRANSIENT, "pinned"), False),
        hold_base=_boolean(file.get("apt-ostree", "hold-base"), False),
        base_repo=file.get("apt-ostree", "base-repo"),
        skipped=tuple(requests.parse(item) for item in _split(file.get("apt-ostree", "skipped"))),
        text=text,
    )


def _requests(file: _KeyFile, group: str, key: str) -> tuple[PackageRequest, ...]:
    return tuple(requests.parse(item) for item in _split(file.get(group, key)))


def _locals(file: _KeyFile, group: str, key: str) -> tuple[LocalPackage, ...]:
    return tuple(requests.parse_local(item) for item in _split(file.get(group, key)))


def render(origin: Origin) -> str:
    """Origin -> text, as an edit of the text it was read from.

    A layered origin has `baserefspec`, a plain one `refspec`.
    """
    file = _KeyFile(origin.text)
    layered = origin.layered
    file.set("origin", "refspec", "" if layered else origin.refspec)
    file.set("origin", "baserefspec", origin.refspec if layered else "")
    file.set("origin", "container-image-reference", origin.container_image_reference)
    file.set("apt-ostree", "container-image-digest", origin.image_digest)
    file.set("origin", "override-commit", origin.override_commit)
    file.set("packages", "requested", _join(sorted(str(item) for item in origin.requested)))
    file.set("packages", "requested-local", _join(sorted(str(item) for item in origin.requested_local)))
    file.set("overrides", "remove", _join(sorted(origin.overrides_remove)))
    file.set("overrides", "replace", _join(sorted(str(item) for item in origin.overrides_replace)))
    file.set("overrides", "replace-local", _join(sorted(str(item) for item in origin.overrides_replace_local)))
    file.set("apt-ostree", "overrides-base", _join(sorted(str(item) for item in origin.overrides_base)))
    file.set("apt-ostree", "regenerate-initramfs", "true" if origin.regenerate_initramfs else "")
    file.set("apt-ostree", "initramfs-args", _join(origin.initramfs_args))
    file.set("apt-ostree", "initramfs-etc", _join(origin.initramfs_etc))
    file.set("apt-ostree", "recommends", "" if origin.recommends else "false")
    file.set("apt-ostree", "hold-base", "true" if origin.hold_base else "")
    file.set("apt-ostree", "base-repo", origin.base_repo)
    file.set("apt-ostree", "skipped", _join(sorted(str(item) for item in origin.skipped)))
    if not origin.pinned:
        file.set(TRANSIENT, "pinned", "")
    return file.text()


def carried(origin: Origin) -> Origin:
    """The origin a new deployment starts from: transient state (a pin, an unlock) belongs to the old one alone."""
    file = _KeyFile(origin.text)
    file.drop(TRANSIENT)
    file.set("origin", "unlocked", "")
    return replace(origin, pinned=False, text=file.text())
