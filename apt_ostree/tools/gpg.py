"""gpg(1), of which only the list of secret keys is asked: libostree signs by itself, with gpgme."""

from __future__ import annotations

from pathlib import Path

from apt_ostree import run


def list_secret_keys(key: str, home: Path | None = None) -> tuple[tuple[str, ...], ...]:
    """`gpg --list-secret-keys KEY`: of each key that fits, the fingerprints of itself and its subkeys; none: ().

    The lines are those of GnuPG's doc/DETAILS: `fpr` has the fingerprint in its tenth field.
    """
    place = [f"--homedir={home}"] if home else []
    done = run.capture(
        ["gpg", "--batch", "--with-colons", *place, "--list-secret-keys", "--", key], check=False, env=run.keyring()
    )
    found: list[list[str]] = []
    for line in done.stdout.splitlines():
        fields = line.split(":")
        if fields[0] == "sec":
            found.append([])
        elif fields[0] == "fpr" and found:
            found[-1].append(fields[9])
    return tuple(tuple(names) for names in found)
