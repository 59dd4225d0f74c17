"""Images as bases: releases exported and pushed to a registry on 127.0.0.1, and machines that trust it.

Signatures are GPG's (simple signing), which Debian 12's skopeo can make and check; they lie in a directory.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import registry
from tests.support.archive import SigningKey
from tests.support.ground import Ground
from tests.support.process import run
from tests.support.remote import Remote
from tests.support.sysroots import Sysroot

NAME = "debian/lean"


@dataclass(frozen=True, slots=True)
class ImageStore:
    """A registry at `host`, and a folder with the layout images are pushed from."""

    host: str
    folder: Path
    ground: Ground
    remote: Remote

    @property
    def name(self) -> str:
        """HOST/NAME of the image."""
        return f"{self.host}/{NAME}"

    def reference(self, tag: str) -> str:
        return f"{self.name}:{tag}"

    def export(self, commit: str, tag: str, *words: str | Path) -> Path:
        """Export a commit into the layout; layers it has already are not compressed again."""
        layout = self.folder / "layout"
        options = (
            "--repo",
            self.remote.bare,
            commit,
            f"oci:{layout}:{tag}",
            "--previous",
            "auto",
            "--max-layers",
            "16",
        )
        self.ground.apt_ostree("oci", "export", *options, *words)
        return layout

    def push(self, commit: str, tag: str = "latest", *, key: SigningKey | None = None) -> str:
        """Export, push and sign; returns the digest."""
        return self.copy(f"oci:{self.export(commit, tag)}:{tag}", tag, key=key)

    def copy(self, source: str, tag: str, *, key: SigningKey | None = None) -> str:
        """Push an image, and sign it; returns the digest."""
        file = self.folder / "digest"
        signing = ["--sign-by", key.fingerprint] if key else []
        run(
            ["skopeo", "--registries.d", self._places(self.folder / "registries.d"), "copy", "--quiet",
             "--preserve-digests", "--dest-tls-verify=false", "--digestfile", file, *signing, source,
             f"docker://{self.reference(tag)}"],
            env={"GNUPGHOME": str(key.home)} if key else {},
        )  # fmt: skip
        return file.read_text().strip()

    def _places(self, folder: Path) -> Path:
        folder.mkdir(exist_ok=True)
        look = f"file://{self.folder}/lookaside"
        (folder / "test.yaml").write_text(
            f"docker:\n  {self.host}:\n    lookaside: {look}\n    lookaside-staging: {look}\n"
        )
        return folder

    # --- machines

    def trust(self, sysroot: Sysroot, key: SigningKey | None = None) -> None:
        """The machine speaks to the registry without https, and with a key takes from it what that key signed only."""
        etc = sysroot.default / "etc/containers"
        conf = f'[[registry]]\nlocation = "{self.host}"\ninsecure = true\n'
        sysroot.write("etc/containers/registries.conf.d/test.conf", conf)
        (etc / "registries.d").mkdir(exist_ok=True)
        self._places(etc / "registries.d")
        policy: dict[str, Any] = {"default": [{"type": "insecureAcceptAnything"}]}
        if key is not None:
            key.export(etc / "images.gpg")
            rule = {"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/etc/containers/images.gpg"}
            policy = {"default": [{"type": "reject"}], "transports": {"docker": {self.host: [rule]}}}
        sysroot.write("etc/containers/policy.json", json.dumps(policy))

    def blobs(self) -> dict[str, int]:
        """What the registry keeps, with sizes."""
        return registry.blobs(self.folder / "registry")

    def asked(self) -> list[str]:
        """Layers and configs that were downloaded since the last call, by digest, as the registry logged it."""
        log = self.folder / "registry/log"
        text, seen = log.read_text(errors="replace"), self.folder / "seen"
        start = int(seen.read_text()) if seen.exists() else 0
        seen.write_text(str(len(text)))
        lines = [line for line in text[start:].splitlines() if '"GET /v2/' in line and "/blobs/sha256:" in line]
        return [line.partition("/blobs/")[2].split()[0] for line in lines]
