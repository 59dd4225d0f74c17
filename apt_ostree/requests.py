"""What people type for packages -> PackageRequest. The one door between strings and types."""

from __future__ import annotations

import re

from apt_ostree.errors import UsageError
from apt_ostree.model import LocalPackage, Package, PackageRequest

# Debian Policy 5.6.1 (names), 5.6.12 (versions); suites and codenames as sources.list(5) has them.
NAME = r"[a-z0-9][a-z0-9+.-]+"
VERSION = r"[0-9][A-Za-z0-9.+~:-]*"
_REQUEST = re.compile(
    rf"(?P<name>{NAME})(?::(?P<arch>[a-z0-9-]+))?(?:=(?P<version>{VERSION})|/(?P<suite>[A-Za-z0-9][\w.+/-]*))?"
)
_LOCAL = re.compile(rf"(?P<sha>[0-9a-f]{{64}}):(?P<name>{NAME})_(?P<version>{VERSION})_(?P<arch>[a-z0-9-]+)")
# what libostree takes for a ref (ostree_validate_rev)
REF = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9_][\w.-]*)*")
STATEROOT = re.compile(r"[A-Za-z0-9][\w.-]{0,63}")
OWN_REFS = "apt-ostree/"  # refs below it are made and removed by us


def parse(text: str) -> PackageRequest:
    """`name`, `name:arch`, `name=version` or `name/suite` (apt-get(8)). Raises UsageError."""
    match = _REQUEST.fullmatch(text.strip())
    if not match:
        raise UsageError(
            f"'{text}' is not a package name",
            hint="names are like 'htop', 'htop=3.4.1-5', 'htop/trixie-backports', 'libc6:i386' or './file.deb'",
        )
    return PackageRequest(**{key: value or "" for key, value in match.groupdict().items()})


def parse_name(text: str) -> str:
    """`name` or `name:arch`, nothing more. Raises UsageError."""
    request = parse(text)
    if request.version or request.suite:
        raise UsageError(f"'{text}' is more than a package's name", hint=f"leave the version away: {request.name}")
    return str(request)


def parse_local(text: str) -> LocalPackage:
    """`sha256:name_version_arch` as it stands in an origin file. Raises UsageError."""
    match = _LOCAL.fullmatch(text.strip())
    if not match:
        raise UsageError(f"'{text}' is not of the form sha256:name_version_arch")
    package = Package(name=match["name"], version=match["version"], arch=match["arch"])
    return LocalPackage(sha256=match["sha"], package=package)


def parse_branch(text: str) -> str:
    """The name of a branch to commit to. Raises UsageError for what is no ref name or is kept for our own refs."""
    if not REF.fullmatch(text):
        raise UsageError(f"'{text}' cannot be the name of a branch", hint="names are like 'debian/13/x86_64/mine'")
    if text.startswith(OWN_REFS):
        raise UsageError(
            f"the branch '{text}' is not yours: refs below {OWN_REFS} come and go", hint="choose another name"
        )
    return text


def installed_size(text: str) -> int:
    """Installed-Size (Policy 5.6.20, in KiB) in bytes; 0 for what is no believable number: it is an estimate only."""
    return int(text) * 1024 if text.isascii() and text.isdigit() and len(text) <= 15 else 0
