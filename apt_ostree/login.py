"""Who may log in to a fresh machine: root's password and ssh keys, read from files so that no argv has them."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from apt_ostree.errors import AptOstreeError, ToolMissingError, UsageError
from apt_ostree.tree import fsops

_MAX = 64 * 1024  # bytes of such a file
_HASH = re.compile(r"\$(y|gy|7|6|5|2[abxy])\$[./0-9A-Za-z$,=]{20,}")  # crypt(5)
_KEY = re.compile(r"(?:[^#\s].*\s)?(?:ssh|ecdsa|sk-ssh|sk-ecdsa)-[\w@.-]+ [A-Za-z0-9+/]{16,}={0,3}(?: .*)?")
_HINT = "a hash can be made with: openssl passwd -6"
_KEY_OPTION, _KEYGEN = "--ssh-key-file", "ssh-keygen -t ed25519"
_SHADOW, _ROOT_HOME = "etc/shadow", "roothome"


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """What a machine is given. Never printed: `repr` has nothing of it."""

    shadow: str = field(default="", repr=False)  # a hash of crypt(5)
    keys: str = field(default="", repr=False)  # text of an authorized_keys file (sshd(8))

    @property
    def ways(self) -> tuple[str, ...]:
        """What there is, without saying what it is."""
        return (*(["root-password"] if self.shadow else []), *(["ssh-key"] if self.keys else []))


def read(password_file: Path | None, key_file: Path | None) -> Login:
    """Read and check both files; a password in clear is hashed. Raises UsageError."""
    return Login(shadow=_password(password_file) if password_file else "", keys=_keys(key_file) if key_file else "")


def _content(option: str, path: Path) -> str:
    try:
        with path.open("rb") as stream:
            data = stream.read(_MAX + 1)
        if len(data) > _MAX:
            raise UsageError(f"{option}: '{path}' is larger than {_MAX} bytes", hint=f"ls -l {path}")
        return data.decode()
    except OSError as error:
        gone = isinstance(error, FileNotFoundError)
        how = f"make a key, if there is none: {_KEYGEN}" if gone and option == _KEY_OPTION else f"ls -l {path}"
        raise UsageError(f"{option}: '{path}' cannot be read: {error.strerror}", hint=how) from error
    except UnicodeDecodeError:
        raise UsageError(f"{option}: '{path}' is not text", hint=f"file {path}") from None


def _password(path: Path) -> str:
    option = "--root-password-file"
    lines = _content(option, path).splitlines()
    if len(lines) != 1 or not lines[0]:
        raise UsageError(f"{option}: '{path}' must have one line, the password or its hash", hint=_HINT)
    if any(ord(character) < 32 or ord(character) == 127 for character in lines[0]):
        raise UsageError(f"{option}: there is a control character in the password of '{path}'", hint=_HINT)
    return lines[0] if _HASH.fullmatch(lines[0]) else hashed(lines[0])


def _keys(path: Path) -> str:
    option = _KEY_OPTION
    lines = [line.strip() for line in _content(option, path).splitlines()]
    if any("PRIVATE KEY-----" in line for line in lines):
        raise UsageError(f"{option}: '{path}' is a private key", hint=f"name the public one: {option} {path}.pub")
    keys = [line for line in lines if line and not line.startswith("#")]
    wrong = [number for number, key in enumerate(keys, 1) if not _KEY.fullmatch(key)]
    if not keys or wrong:
        raise UsageError(
            f"{option}: '{path}' has no public key" if not keys else f"{option}: key {wrong[0]} of '{path}' is none",
            hint=f"{option} ~/.ssh/id_ed25519.pub",
        )
    return "".join(f"{key}\n" for key in keys)


def hashed(password: str) -> str:
    """The yescrypt hash of a password, as Debian's passwd(1) makes it (crypt(3), crypt_gensalt(3)).

    In this process, by libcrypt: no other program gets to see the password. Raises ToolMissingError, AptOstreeError.
    """
    try:
        library = ctypes.CDLL("libcrypt.so.1")
    except OSError as error:
        raise ToolMissingError(
            "the library libcrypt.so.1 is needed to hash a password", hint="sudo apt-get install libcrypt1"
        ) from error
    for function in (library.crypt, library.crypt_gensalt):
        function.restype = ctypes.c_char_p
    salt = library.crypt_gensalt(b"$y$", ctypes.c_ulong(0), None, ctypes.c_int(0))
    made = library.crypt(password.encode(), salt) if salt else None
    if not made or made.startswith(b"*"):
        raise AptOstreeError("the root password could not be hashed", code="password")
    return bytes(made).decode()


def apply(login: Login, deployment: Path, var: Path) -> None:
    """Write it into a fresh deployment and its stateroot's /var. Raises AptOstreeError for a tree without root."""
    if login.shadow:
        _set_password(deployment, login.shadow)
    if login.keys:
        fsops.make_dir(var, _ROOT_HOME, 0o700)
        fsops.make_dir(var, f"{_ROOT_HOME}/.ssh", 0o700)
        fsops.write(var, f"{_ROOT_HOME}/.ssh/authorized_keys", login.keys, 0o600)


def _set_password(deployment: Path, password: str) -> None:
    path = fsops.parent_of(deployment, _SHADOW)
    lines = fsops.read(path).splitlines()
    fields = [line.split(":") for line in lines]
    for number, parts in enumerate(fields):
        if parts[0] == "root" and len(parts) == 9:  # shadow(5)
            lines[number] = ":".join(("root", password, *parts[2:]))
            fsops.rewrite(path, "\n".join(lines) + os.linesep)
            return
    raise AptOstreeError("the tree has no account 'root' in /etc/shadow to give a password to", code="no-root")
