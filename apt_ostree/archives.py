"""The archives Debian and Ubuntu publish their suites on, and the keyrings that vouch for them.

For treefiles that name no mirror: the lines are those mmdebstrap(1) writes for the same suite.
"""

from __future__ import annotations

from pathlib import Path

_DEBIAN = "http://deb.debian.org/debian"
_DEBIAN_SECURITY = "http://security.debian.org/debian-security"
_UBUNTU = ("http://archive.ubuntu.com/ubuntu", "http://security.ubuntu.com/ubuntu")
_UBUNTU_PORTS = ("http://ports.ubuntu.com/ubuntu-ports", "http://ports.ubuntu.com/ubuntu-ports")
_ROLLING = ("unstable", "sid", "testing", "forky", "duke", "experimental")  # they have no updates beside them
_STABLE = ("stable", "oldstable", "bullseye", "bookworm", "trixie")
_UBUNTU_SUITES = ("jammy", "noble", "plucky", "questing", "resolute")
# keyrings of the packages debian-archive-keyring and ubuntu-keyring; newer ones end in .pgp
_KEYRINGS = {
    "debian": ("debian-archive-keyring.pgp", "debian-archive-keyring.gpg"),
    "ubuntu": ("ubuntu-archive-keyring.pgp", "ubuntu-archive-keyring.gpg"),
}


def vendor(suite: str) -> str:
    """`debian` or `ubuntu`, empty for a suite that is neither's."""
    name = suite.partition("-")[0].partition("/")[0]
    if name in _UBUNTU_SUITES:
        return "ubuntu"
    return "debian" if name in (*_ROLLING, *_STABLE) else ""


def known(suite: str, architecture: str, snapshot: str = "") -> tuple[tuple[str, str], ...]:
    """(address, suite) of each archive that belongs to a suite; an unknown suite is looked for at Debian's.

    With `snapshot` (20260801T000000Z) as they were then; both snapshot archives lead to the last state before it.
    """
    if snapshot:
        return tuple((_snapshot(uri, snapshot), name) for uri, name in known(suite, architecture))
    if vendor(suite) == "ubuntu":
        main, security = _UBUNTU if architecture in ("amd64", "i386") else _UBUNTU_PORTS
        return ((main, suite), (main, f"{suite}-updates"), (security, f"{suite}-security"))
    if suite in _STABLE:
        return ((_DEBIAN, suite), (_DEBIAN, f"{suite}-updates"), (_DEBIAN_SECURITY, f"{suite}-security"))
    return ((_DEBIAN, suite),)


def _snapshot(uri: str, timestamp: str) -> str:
    name = uri.rpartition("/")[2]
    if name in ("ubuntu", "ubuntu-ports"):
        return f"https://snapshot.ubuntu.com/{name}/{timestamp}"
    return f"https://snapshot.debian.org/archive/{name}/{timestamp}"


def keyring(suite: str, folder: Path = Path("/usr/share/keyrings")) -> str:
    """Path of the vendor's keyring on this machine, empty when there is none or the suite is not known."""
    names = _KEYRINGS.get(vendor(suite), ())
    return next((str(folder / name) for name in names if (folder / name).is_file()), "")
