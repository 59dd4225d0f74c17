"""apt-ostree-treefile(5), made from the parser's own table of keys."""

from __future__ import annotations

from collections.abc import Sequence

from apt_ostree import __version__
from apt_ostree.cli.roff import escape, paragraphs
from apt_ostree.treefile.keys import KEYS, Key
from apt_ostree.treefile.reader import key_names

NAME = "apt-ostree-treefile.5"
_KINDS = {
    "string": "string",
    "number": "number",
    "boolean": "true or false",
    "strings": "list of strings",
    "table": "table of strings",
    "tables": "list of tables",
}
_DESCRIPTION = (
    "A treefile says what a base image is made of. It is a TOML file, which apt-ostree compose tree reads. A key that "
    "is not described here is an error.",
    "Keys whose value is a list of tables are written as [[key]] sections, or as key = [{...}, {...}].",
)
_EXAMPLE = """\
suite = "trixie"
ref = "debian/13/${basearch}/server"
automatic-version-prefix = "13"
packages = ["dracut", "linux-image-amd64", "ostree", "ostree-boot",
            "systemd-sysv", "udev", "openssh-server"]
enable-units = ["systemd-networkd.service"]
timezone = "Europe/Berlin"
kargs = ["console=ttyS0"]

[[users]]
name = "backup-agent"
home = "/var/lib/backup-agent"

[[files]]
path = "/etc/systemd/network/80-all.network"
source = "files/80-all.network"

[[layers]]
name = "kiosk"
ref = "debian/13/${basearch}/${layer}"
packages = ["cage", "firefox-esr"]"""


def roff() -> str:
    """The page in the man macros (groff_man(7))."""
    lines = ['.\\" Made from the table of keys by "make docs"; do not edit.']
    lines.append(f'.TH APT\\-OSTREE\\-TREEFILE 5 "" "apt-ostree {__version__}" "File Formats"')
    lines += [".SH NAME", "apt\\-ostree\\-treefile \\- what a base image is made of"]
    lines += [".SH DESCRIPTION", *paragraphs(_DESCRIPTION)]
    for key in KEYS:
        lines += [f".SH {key.section.upper()}"] if key.section else []
        lines += _key(key)
    lines += [".SH EXAMPLES", ".nf", *(escape(line) for line in _EXAMPLE.splitlines()), ".fi"]
    lines += [".SH SEE ALSO", "\\fBapt\\-ostree\\-compose\\-tree\\fR(1),\n\\fBmmdebstrap\\fR(1),\n\\fBdracut\\fR(8)"]
    return "\n".join(lines) + "\n"


def _key(key: Key) -> list[str]:
    names = ", ".join(f"\\fB{escape(name)}\\fR" for name in key_names((key,)))
    lines = [".TP", f"{names} ({_kind(key)})", escape(key.text)]
    return [*lines, *_below(key.keys)] if key.keys else lines


def _kind(key: Key) -> str:
    kind = escape(", ".join(key.choices)) if key.choices else _KINDS[key.kind]
    return f"{kind}; required" if key.required else kind


def _below(keys: Sequence[Key]) -> list[str]:
    return [".RS", *(line for key in keys for line in _key(key)), ".RE"]
