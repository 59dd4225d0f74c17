"""What people type for packages -> PackageRequest, and for a commit. The one door between strings and types."""

from __future__ import annotations

import re
from collections.abc import Iterable

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
_OWN_KEYS = ("apt-ostree.", "ostree.")
# Bytes: `ostree commit` takes them as arguments. The kernel takes 128 KiB in one and, mostly, 2 MiB in all (execve(2)).
_VALUE, _VALUES = 32 * 1024, 256 * 1024
_FILE_NAME = 255  # bytes
_VERSION = 255  # bytes, of a line in menus and reports


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
    if any(len(name.encode()) > _FILE_NAME for name in text.split("/")):
        raise UsageError(
            f"the branch '{text[:40]}...' has a name longer than {_FILE_NAME} bytes in it",
            hint="refs are files of the repo; take names like debian/13/x86_64/mine",
        )
    if text.startswith(OWN_REFS):
        raise UsageError(
            f"the branch '{text}' is not yours: refs below {OWN_REFS} come and go", hint="choose another name"
        )
    return text


def check_metadata(key: str, value: str) -> None:
    """What somebody may add to a commit's metadata. Raises UsageError for what a commit says otherwise or cannot."""
    if key == "version" or key.startswith(_OWN_KEYS):
        raise UsageError(f"the key '{key}' is set otherwise", hint="choose another one, such as org.example.build")
    if not key.isprintable() or not value.isprintable():
        raise UsageError(f"'{key[:40]}' holds what cannot be printed", hint="one line of plain text")
    if len(key.encode()) + len(value.encode()) > _VALUE:
        raise UsageError(f"'{key[:40]}' is longer than {_VALUE} bytes", hint="put it into a file of the tree")


def check_metadata_size(items: Iterable[tuple[str, str]]) -> None:
    """All that somebody adds to the metadata of one commit, together. Raises UsageError for more than can be."""
    if sum(len(key.encode()) + len(value.encode()) for key, value in items) > _VALUES:
        raise UsageError(f"the metadata is longer than {_VALUES} bytes", hint="put it into files of the tree")


def check_version(text: str) -> None:
    """The version of a commit. Raises UsageError for what is not one line of text."""
    if not text.isprintable():
        raise UsageError(f"the version {text[:40]!r} holds what cannot be printed", hint="versions are like 13.1")
    if len(text.encode()) > _VERSION:
        raise UsageError(f"the version is longer than {_VERSION} bytes", hint="versions are like 13.1")


def installed_size(text: str) -> int:
    """Installed-Size (Policy 5.6.20, in KiB) in bytes; 0 for what is no believable number: it is an estimate only."""
    return int(text) * 1024 if text.isascii() and text.isdigit() and len(text) <= 15 else 0
