"""apt's sources (sources.list(5)) of a tree that may be somebody else's -> what our private apt root may have of them.

Options that let apt accept what no key vouches for are left out: whether a package is trusted is not for the tree
to say. Keys are copied, found as they would be with the tree as /.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from debian.deb822 import Deb822

from apt_ostree.errors import UsageError

_TRUST = frozenset({"trusted", "allow-insecure", "allow-weak", "allow-downgrade-to-insecure"})
_LINE = re.compile(r"(?P<type>\s*deb(?:-src)?\s+)(?:\[(?P<options>[^\]]*)\]\s*)?(?P<rest>[^\[\s].*)")
_OPTION = re.compile(r"(?P<name>[A-Za-z-]+)(?P<equals>[+-]?=)(?P<value>[^\s\"%]*)")  # apt reads quotes and %xx
_APART = re.compile(r"[\s,\[\]]")  # what ends a path in Signed-By
_MAX_LINKS = 40


def inside(root: Path, path: str | Path) -> Path:
    """Where `path` leads when `root` is /: links are followed as chroot(2) has it, so none leads out.

    Raises OSError for a circle of links.
    """
    parts, here, links = str(path).split("/")[::-1], root, 0
    while parts:
        name = parts.pop()
        if name == "..":
            here = here if here == root else here.parent
        elif name not in ("", "."):
            try:
                target = str((here / name).readlink())
            except OSError:  # no link, or nothing at all
                here = here / name
                continue
            links += 1
            if links > _MAX_LINKS:
                raise OSError(f"too many links on the way to {path}")
            here = root if target.startswith("/") else here
            parts += target.split("/")[::-1]
    return here


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Takes the key files that sources name into a directory of ours: `root` is whose /, `place` where it will be."""

    root: Path
    directory: Path  # where they are written
    place: Path  # where apt will find them

    def take(self, key: str) -> str:
        """Copy one key; what is no path (a fingerprint) stays. Raises UsageError when apt cannot name the copy."""
        if not key.startswith("/"):
            return key
        if _APART.search(str(self.place)):
            raise UsageError(
                f"apt cannot use a key below '{self.place}': there is a space, comma or bracket in the path",
                hint="put the key itself into Signed-By of the source, or mount the system at another path",
            )
        source = inside(self.root, key)
        name = hashlib.sha256(key.encode()).hexdigest()[:16] + source.suffix
        if source.is_file():
            (self.directory / name).write_bytes(source.read_bytes())
        return str(self.place / name)


def deb822(text: str, keys: Keys) -> str:
    """A .sources file."""
    stanzas = []
    for stanza in Deb822.iter_paragraphs(text.splitlines(keepends=True), use_apt_pkg=False):
        for name in [name for name in stanza if name.lower() in _TRUST]:
            del stanza[name]
        signed_by = stanza.get("Signed-By", "")
        if signed_by and "BEGIN PGP" not in signed_by:
            stanza["Signed-By"] = " ".join(keys.take(key) for key in signed_by.replace(",", " ").split())
        stanzas.append(stanza.dump())
    return "\n".join(stanzas)


def lines(text: str, keys: Keys) -> str:
    """A .list file. Raises UsageError for a line that is neither a source nor a comment."""
    return "".join(f"{_line(line, keys)}\n" for line in text.splitlines())


def _line(line: str, keys: Keys) -> str:
    if not line.strip() or line.lstrip().startswith("#"):
        return ""
    match = _LINE.fullmatch(line)
    if match is None:
        raise UsageError(f"this is not a line of a sources.list: {line.strip()!r}", hint="see sources.list(5)")
    options = [_option(word, keys) for word in (match["options"] or "").split()]
    kept = " ".join(option for option in options if option)
    return match["type"] + (f"[{kept}] " if kept else "") + match["rest"]


def _option(word: str, keys: Keys) -> str:
    match = _OPTION.fullmatch(word)
    if match is None or match["name"].lower() in _TRUST:
        return ""
    if match["name"].lower() != "signed-by":
        return word
    return "signed-by=" + ",".join(keys.take(key) for key in match["value"].split(","))
