"""Keys that commits and summaries are signed with, looked for before anything is changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from apt_ostree.errors import AptOstreeError, ToolMissingError, UsageError
from apt_ostree.tools import gpg, ostree

ED25519 = "ed25519"
_ED25519_FEATURES = frozenset({"sign-ed25519", "libsodium"})  # since ostree 2024, before it
_KEY_ID = 16  # hex digits at the end of a fingerprint (RFC 4880, 12.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """Who is to sign: keys as they were typed, where GnuPG has them, and a file with a secret ed25519 key."""

    gpg_keys: tuple[str, ...] = ()
    gpg_home: Path | None = None
    ed25519_file: Path | None = None

    @property
    def wanted(self) -> bool:
        return bool(self.gpg_keys or self.ed25519_file)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Keys that are there. `gpg` has, for each key, its fingerprint and those of its subkeys."""

    gpg: tuple[tuple[str, ...], ...] = ()
    gpg_home: Path | None = None
    ed25519_file: Path | None = None

    @property
    def fingerprints(self) -> tuple[str, ...]:
        return tuple(names[0] for names in self.gpg)

    @property
    def gpg_options(self) -> tuple[str, ...]:
        """As `ostree commit` and `ostree summary` take them."""
        home = (f"--gpg-homedir={self.gpg_home}",) if self.gpg_home and self.gpg else ()
        return (*(f"--gpg-sign={name}" for name in self.fingerprints), *home)

    def missing(self, issuers: tuple[str, ...]) -> tuple[str, ...]:
        """Fingerprints of the GPG keys that are not among the key ids of signatures, with none of their subkeys."""
        return tuple(names[0] for names in self.gpg if not {name[-_KEY_ID:] for name in names} & set(issuers))


def has_ed25519() -> bool:
    """True when this ostree was built with ed25519 signatures; Debian's is not."""
    return bool(_ED25519_FEATURES & ostree.features())


def prepare(signing: Signing) -> Signer:
    """Find every key. Raises AptOstreeError (code `no-key`), UsageError, ToolMissingError."""
    if signing.ed25519_file:
        _check_ed25519(signing.ed25519_file)
    if signing.gpg_home and not signing.gpg_home.is_dir():
        raise UsageError(f"--gpg-homedir: there is no directory '{signing.gpg_home}'", hint="gpg --list-secret-keys")
    return Signer(
        gpg=tuple(_find(key, signing.gpg_home) for key in dict.fromkeys(signing.gpg_keys)),
        gpg_home=signing.gpg_home,
        ed25519_file=signing.ed25519_file,
    )


def _check_ed25519(file: Path) -> None:
    if not has_ed25519():
        raise ToolMissingError(
            f"ostree {ostree.version()} of this machine was built without ed25519 signatures, as all of Debian's are",
            hint="sign with an OpenPGP key: --gpg-sign KEYID",
        )
    if not file.is_file():
        raise UsageError(f"--ed25519-key-file: there is no file '{file}'", hint=f"ls {file.parent}")


def _find(key: str, home: Path | None) -> tuple[str, ...]:
    where = f" --homedir {home}" if home else ""
    found = gpg.list_secret_keys(key, home)
    if len(found) == 1:
        return found[0]
    what = f"{len(found)} secret keys fit" if found else "there is no secret key for"
    raise AptOstreeError(
        f"{what} '{key}'{f' in {home}' if home else ''}", hint=f"gpg{where} --list-secret-keys", code="no-key"
    )
