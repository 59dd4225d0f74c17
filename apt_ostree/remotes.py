"""Remotes of an ostree repo as they are configured, read from the files: repo/config and etc/ostree/remotes.d."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from apt_ostree.paths import Paths

_GROUP = re.compile(r'\[remote "(?P<name>[^"]+)"\]')
_TRUE = ("true", "1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """One remote (ostree.repo-config(5)). Commits are verified unless `gpg-verify=false` says otherwise."""

    name: str
    url: str = ""
    gpg_verify: bool = True
    gpg_verify_summary: bool = False
    sign_verify: tuple[str, ...] = ()  # kinds of other signatures that are asked for: `ed25519`, or `true` for any
    ed25519_keys: tuple[str, ...] = ()  # public keys, as base64
    ed25519_file: str = ""  # or a file with them

    @property
    def wants_ed25519(self) -> bool:
        return not {"ed25519", *_TRUE}.isdisjoint(self.sign_verify)


def read(paths: Paths) -> dict[str, Remote]:
    """Every remote by name. What cannot be read is not there."""
    folder = paths.sysroot / "etc/ostree/remotes.d"
    files = [paths.repo / "config", *(sorted(folder.glob("*.conf")) if folder.is_dir() else [])]
    return {remote.name: remote for file in files for remote in _parse(file)}


def _parse(file: Path) -> Iterator[Remote]:
    try:
        lines = file.read_text(errors="replace").splitlines()
    except OSError:
        return
    groups: dict[str, dict[str, str]] = {}
    keys: dict[str, str] = {}
    for line in lines:
        if line.startswith("["):
            match = _GROUP.fullmatch(line.strip())
            keys = groups.setdefault(match["name"], {}) if match else {}
        elif not line.lstrip().startswith("#"):
            key, equals, value = line.partition("=")
            if equals:
                keys[key.strip()] = value.strip()
    for name, found in groups.items():
        yield Remote(
            name=name,
            url=found.get("url", ""),
            gpg_verify=found.get("gpg-verify", "true").lower() in _TRUE,
            gpg_verify_summary=found.get("gpg-verify-summary", "false").lower() in _TRUE,
            sign_verify=_words(found.get("sign-verify", "")),
            ed25519_keys=_words(found.get("verification-ed25519-key", "")),
            ed25519_file=found.get("verification-ed25519-file", ""),
        )


def _words(value: str) -> tuple[str, ...]:
    """A list of ostree.repo-config(5): separated by `;`, or by `,` as sign-verify takes it."""
    return tuple(word.strip() for word in re.split("[;,]", value) if word.strip())


def read_ref(repo: Path, refspec: str) -> str:
    """Checksum of `remote:branch` or a local branch, from the ref's file; empty when there is none."""
    remote, colon, branch = refspec.partition(":")
    parts = (f"remotes/{remote}", branch) if colon and remote else ("heads", branch if colon else refspec)
    path = repo / "refs" / parts[0] / parts[1]
    if not parts[1] or ".." in path.parts:
        return ""
    try:
        text = path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return text if re.fullmatch(r"[0-9a-f]{64}", text) else ""
