"""On-off settings of /etc/apt-ostree.conf for what runs by itself at boot: `Key=yes|no` lines, groups do not matter."""

from __future__ import annotations

import re

from apt_ostree.paths import Paths

_LINE = re.compile(r"^\s*([A-Za-z][\w-]*)\s*=\s*(.*?)\s*$", re.MULTILINE)
_OFF = frozenset(("no", "false", "off", "0"))
_ON = frozenset(("yes", "true", "on", "1"))


def flag(paths: Paths, key: str, default: bool = True) -> bool:
    """The last value of a key; the default when it is missing or no truth value. Case and dashes do not count."""
    try:
        text = paths.config.read_text(errors="replace")
    except OSError:
        return default
    values = [value.lower() for name, value in _LINE.findall(text) if _plain(name) == _plain(key)]
    if not values or values[-1] not in _OFF | _ON:
        return default
    return values[-1] in _ON


def _plain(name: str) -> str:
    return name.replace("-", "").replace("_", "").lower()
