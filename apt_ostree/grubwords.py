"""What GRUB makes of kernel arguments: it reads them as a line of its script language, and then the kernel gets them.

Its syslinux_source copies an APPEND line into a script as it is (write_entry of GRUB's lib/syslinux_parse.c), and so
does libostree's grub2 back end with the options of an entry (ostree-bootloader-grub2.c). libostree writes what both
read, and other boot loaders read the same, so nothing can be escaped for GRUB: what it does not hand over is refused.
The rules are those of GRUB's script/yylex.l and commands/wildcard.c.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Sequence

from apt_ostree import bls
from apt_ostree.errors import AptOstreeError, UsageError

_NAME = r"(?:[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[?#*@])"
_VARIABLE = rf"\$(?:{_NAME}|\{{{_NAME}\}})"
_QUOTED = rf'\$?"(?:[^"\\$]|\\.|{_VARIABLE})*"'
_WORD = re.compile(rf"(?!#)(?:[^\s{{}}|&$;<>'\"\\]|{_QUOTED}|'[^']*'|\\.|{_VARIABLE})+")
_LINE = re.compile(rf"\s*(?:{_WORD.pattern}(?:\s+|$))*")
_BRACKETS = ("[[", "]]")  # words of the language that cannot be arguments, as `if` and its like can
_ANYWHERE = re.compile(r"[$'\\]")  # within double quotes too
_BARE = re.compile(r"[&;<>{|}]")
_PATTERN = re.compile(r"[*?]")
_PATHS = ("/", "(", "*")  # how a word begins that is looked for among files and devices
_INITRD = "initrd="  # GRUB loads it, instead of nothing or in front of the entry's own
_ADDRESS = "ostree="


def taken(karg: str) -> str:
    """What GRUB takes for its own in an argument; empty when the kernel gets it as it is.

    Double quotes around a value come out around the whole argument, or not at all when there is no space in it:
    that is the same to the kernel.
    """
    if karg.lower().startswith(_INITRD):
        return _INITRD
    if karg in _BRACKETS or karg.startswith("#"):
        return karg[:2] if karg in _BRACKETS else "#"
    bare = re.sub(r'"[^"]*"', "", karg)
    paths = karg.lstrip('"').startswith(_PATHS)
    found = _ANYWHERE.search(karg) or _BARE.search(bare) or (paths and _PATTERN.search(bare))
    if found:
        return found[0]
    return '"' if '"' in bare else ""


def bootable(options: str) -> bool:
    """True when a command line is one command to GRUB, with `ostree=` among its words; else it boots nothing.

    A fault of the language in one entry takes the others of its menu away too.
    """
    found = _words(options)
    return found is not None and all(karg in found for karg in bls.split(options) if karg.startswith(_ADDRESS))


def _words(line: str) -> tuple[str, ...] | None:
    """The words as they are written; None when they are not the words of one command."""
    found = tuple(_WORD.findall(line)) if _LINE.fullmatch(line) else _BRACKETS
    return None if set(_BRACKETS) & set(found) else found


def worst(options: str) -> str:
    """The argument that is to blame when GRUB does not hand over a command line as it is; empty when it does."""
    found = [karg for karg in bls.split(options) if taken(karg)]
    return next((karg for karg in found if not bootable(karg)), found[0] if found else "")


def require(kargs: Sequence[str], *, known: Collection[str] = (), place: str = "") -> None:
    """Raise UsageError for an argument that GRUB does not hand over as it is, AptOstreeError for a line that boots not.

    `known` are those that are there already: when the machine boots with them, they are none of this run's business.
    `place` says where the arguments are from.
    """
    for karg in kargs:
        if karg not in known and taken(karg):
            raise UsageError(f"{place}{told(karg)}", hint=_instead(karg))
    line = " ".join(kargs)
    if not bootable(f"{line} {_ADDRESS}/"):
        karg = worst(line)
        raise AptOstreeError(f"{told(karg)}; it would not boot", hint=remedy(karg), code="kargs")


def told(karg: str) -> str:
    """What is wrong with an argument, in words."""
    what = taken(karg)
    does = "loads a file for" if what == _INITRD else f"takes {what} for a part of its own language in"
    return f"GRUB {does} the kernel argument '{karg}'"


def remedy(karg: str) -> str:
    """The command that takes an argument away."""
    return f"sudo apt-ostree kargs {shlex.quote(f'--delete={karg}')}"


def _instead(karg: str) -> str:
    """The argument in the kernel's own quotes where that helps."""
    key, equals, value = karg.partition("=")
    quoted = f'{key}="{value}"' if equals else f'"{karg}"'
    if '"' not in karg and not taken(quoted):
        return f"in double quotes GRUB leaves it as it is: {shlex.quote(quoted)}"
    if key == "systemd.mask":
        return "leave it out; units are masked by: sudo systemctl mask UNIT"
    if key.startswith("systemd."):
        return "leave it out"
    return "leave it out" + ("; options of modules have a place in /etc/modprobe.d" if "." in key else "")
