"""Machine-readable copyright files (DEP-5, copyright-format 1.0) -> SPDX expressions. Nothing is guessed.

A short name that copyright-format defines and SPDX has too becomes its identifier; every other one becomes a LicenseRef
with the text that the file has for it. A file in another format, or one that names a licence without its text, says
nothing: what is declared for only a part of the files would be another licence than that of the package.
"""

from __future__ import annotations

import hashlib
import io
import logging
import re
from collections.abc import Mapping
from typing import Any

from apt_ostree.sbom.model import Extracted, Licence

# copyright-format 1.0, 7.1 (names are not case-sensitive) -> the SPDX License List; families with versions are below
_NAMES = {
    "expat": "MIT",
    "isc": "ISC",
    "zlib": "Zlib",
    "w3c": "W3C",
    "cc0": "CC0-1.0",
    "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "bsd-4-clause": "BSD-4-Clause",
}
# family -> versions SPDX knows; `{}` is the version
_PLAIN = {
    "apache": ("Apache-{}", ("1.0", "1.1", "2.0")),
    "artistic": ("Artistic-{}", ("2.0",)),  # of 1.0 there are several
    "cddl": ("CDDL-{}", ("1.0", "1.1")),
    "cpl": ("CPL-{}", ("1.0",)),
    "efl": ("EFL-{}", ("1.0", "2.0")),
    "lppl": ("LPPL-{}", ("1.0", "1.1", "1.2", "1.3a", "1.3c")),
    "mpl": ("MPL-{}", ("1.0", "1.1", "2.0")),
    "python": ("Python-{}", ("2.0",)),
    "qpl": ("QPL-{}", ("1.0",)),
    "zope": ("ZPL-{}", ("1.1", "2.0", "2.1")),
    **{
        f"cc-{kind}": (f"CC-{kind.upper()}-{{}}", ("1.0", "2.0", "2.5", "3.0", "4.0"))
        for kind in ("by", "by-sa", "by-nd", "by-nc", "by-nc-sa", "by-nc-nd")
    },
}
# those of GNU tell `this version` from `or any later one`
_GNU = {
    "gpl": ("GPL-{}", ("1.0", "2.0", "3.0")),
    "lgpl": ("LGPL-{}", ("2.0", "2.1", "3.0")),
    "gfdl": ("GFDL-{}", ("1.1", "1.2", "1.3")),
    "gfdl-niv": ("GFDL-{}-no-invariants", ("1.1", "1.2", "1.3")),
}
_VERSIONED = re.compile(r"(?P<family>[a-z0-9-]+?)-(?P<version>\d+(?:\.\d+)*[a-z]?)(?P<later>\+?)")
_COMMA = re.compile(r",\s+(and|or)\s+")
_UNSAFE = re.compile(r"[^A-Za-z0-9.-]+")

# what deviates from the format is not taken, so there is nothing to be told about it
logging.getLogger("debian.copyright").addFilter(lambda record: False)


def licence(copyright_file: str) -> Licence | None:
    """What a copyright file declares for all files of its package; None where it says it in no such format."""
    from debian.copyright import Copyright, Error

    try:
        parsed = Copyright(io.StringIO(copyright_file), strict=True)
        stanzas = [stanza.license for stanza in parsed.all_files_paragraphs()]
        standing = [stanza.license for stanza in parsed.all_license_paragraphs()]
    except (Error, ValueError, TypeError):
        return None
    if not stanzas or any(stanza is None or not stanza.synopsis.strip() for stanza in stanzas):
        return None
    texts = _texts([*standing, *stanzas, *([parsed.header.license] if parsed.header.license else [])])
    found: dict[str, Extracted] = {}
    parts = {_expression(" ".join(stanza.synopsis.split()), texts, found) for stanza in stanzas}
    if "" in parts:
        return None
    listed = sorted(parts)
    joined = " AND ".join(_grouped(part) for part in listed) if len(listed) > 1 else listed[0]
    return Licence(expression=joined, extracted=tuple(found[key] for key in sorted(found)))


def _texts(licences: list[Any]) -> dict[str, str]:
    """Name -> text, as far as the file has one."""
    found: dict[str, str] = {}
    for one in licences:
        if one.text and one.text.strip():
            found.setdefault(" ".join(one.synopsis.split()).lower(), one.text.strip("\n"))
    return found


def _expression(synopsis: str, texts: Mapping[str, str], found: dict[str, Extracted]) -> str:
    """An SPDX expression; empty when a part of it is neither known nor explained.

    `and` binds closer than `or`, but not after a comma (copyright-format, 7.2).
    """
    words = {match[1] for match in _COMMA.finditer(synopsis)}
    if len(words) > 1:
        return ""
    sides = [_without_comma(side, texts, found) for side in _COMMA.split(synopsis)[::2]]
    return _joined(sides, f" {next(iter(words), 'and').upper()} ")


def _without_comma(text: str, texts: Mapping[str, str], found: dict[str, Extracted]) -> str:
    if text.lower() in texts and not _is_compound(text):
        return _atom(text, texts, found)
    sides = []
    for side in re.split(r"\s+or\s+", text):
        sides.append(_joined([_atom(name, texts, found) for name in re.split(r"\s+and\s+", side)], " AND "))
    return _joined(sides, " OR ")


def _is_compound(text: str) -> bool:
    return bool(re.search(r"\s(and|or)\s", text))


def _joined(parts: list[str], by: str) -> str:
    if "" in parts:
        return ""
    return by.join(_grouped(part) for part in parts) if len(parts) > 1 else parts[0]


def _grouped(part: str) -> str:
    return f"({part})" if " " in part else part


def _atom(name: str, texts: Mapping[str, str], found: dict[str, Extracted]) -> str:
    known = identifier(name)
    if known:
        return known
    text = texts.get(name.lower(), "")
    if not text:
        return ""
    digest = hashlib.sha256(f"{name.lower()}\0{text}".encode(errors="surrogateescape")).hexdigest()[:12]
    one = Extracted(id=f"LicenseRef-{_UNSAFE.sub('-', name).strip('-')}-{digest}", name=name, text=text)
    found[one.id] = one
    return one.id


def identifier(name: str) -> str:
    """The SPDX identifier of a short name; empty when there is none that means just the same."""
    low = name.lower()
    if low in _NAMES:
        return _NAMES[low]
    match = _VERSIONED.fullmatch(low)
    if not match:
        return ""
    version = _version(match["version"])
    pattern, versions = _PLAIN.get(match["family"], ("", ()))
    if version in versions:
        return pattern.format(version) + match["later"]
    pattern, versions = _GNU.get(match["family"], ("", ()))
    if version in versions:
        return pattern.format(version) + ("-or-later" if match["later"] else "-only")
    return ""


def _version(text: str) -> str:
    """A version as SPDX writes it: `2`, `2.0` and `2.0.0` are the same (copyright-format, 7.1)."""
    while text.endswith(".0"):
        text = text.removesuffix(".0")
    return text if "." in text else f"{text}.0"
