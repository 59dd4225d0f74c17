"""Commands in hints, led to the system that the command line was about."""

from __future__ import annotations

import re
import shlex

# These look at no sysroot; a name with a path or a suffix (apt-ostree-treefile) is no command either.
_COMMAND = re.compile(r"(?<![\w./-])apt-ostree (?!(?:compose|delta|oci|repo|schema)\b)(?=[a-z]|\.\.\.)")


# Where a command begins; in 'apt-ostree uninstall sudo vim' it is a package.
_SUDO = re.compile(r"(^|[:;] )sudo (?=\S)")


def for_sysroot(text: str, sysroot: str) -> str:
    """`text` with `--sysroot` in every command of ours that would otherwise be about the running system."""
    if not sysroot or sysroot == "/":
        return text
    return _COMMAND.sub(lambda _match: f"apt-ostree --sysroot {shlex.quote(sysroot)} ", text)


def without_sudo(text: str) -> str:
    """`text` for root, who needs none and may not have one."""
    return _SUDO.sub(r"\1", text)
