"""apt-ostree.conf(5), made from the file that is installed: comments tell of the keys, values are the defaults."""

from __future__ import annotations

from pathlib import Path

from apt_ostree import __version__
from apt_ostree.cli.roff import escape, paragraphs
from apt_ostree.config import GROUP

NAME = "apt-ostree.conf.5"
_SHIPPED = Path(__file__).parent.parent / "data/apt-ostree.conf"
_DESCRIPTION = (
    "What an administrator of a machine decides once for every command. The file is read from the system that is "
    "changed: /etc/apt-ostree.conf of the running one, that of the deployment with --sysroot.",
    f"All keys are in the section [{GROUP}], each on a line as KEY=VALUE; lines that begin with # are comments. A key "
    "that is not described here is a warning, a value that makes no sense an error. Units that run at boot go on with "
    "the defaults then. The section has the name it has in the file of rpm-ostree; there is no daemon.",
)


def roff() -> str:
    """The page in the man macros (groff_man(7))."""
    lines = ['.\\" Made from the file that is installed by "make docs"; do not edit.']
    lines.append(f'.TH APT\\-OSTREE.CONF 5 "" "apt-ostree {__version__}" "File Formats"')
    lines += [".SH NAME", "apt\\-ostree.conf \\- settings of apt\\-ostree"]
    lines += [".SH SYNOPSIS", "/etc/apt\\-ostree.conf"]
    lines += [".SH DESCRIPTION", *paragraphs(_DESCRIPTION), f".SH KEYS OF [{GROUP.upper()}]"]
    for keys, text in settings():
        names = ", ".join(f"\\fB{escape(key)}\\fR={escape(value)}" for key, value in keys)
        lines += [".TP", names, escape(text)]
    lines += [
        ".SH SEE ALSO",
        "\\fBapt\\-ostree\\fR(1),\n\\fBapt\\-ostree\\-upgrade\\fR(1),\n\\fBrpm\\-ostreed.conf\\fR(5)",
    ]
    return "\n".join(lines) + "\n"


def settings() -> list[tuple[list[tuple[str, str]], str]]:
    """Keys with their defaults, and the comment above them."""
    found = []
    for block in _SHIPPED.read_text().split("\n\n")[1:]:
        lines = block.removeprefix(f"[{GROUP}]\n").splitlines()
        text = " ".join(line.removeprefix("# ") for line in lines if line.startswith("#"))
        keys = [line.partition("=")[::2] for line in lines if not line.startswith("#")]
        found.append((keys, text))
    return found
