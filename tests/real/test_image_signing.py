"""Signatures of images as they are pushed, and of commits inside of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ocitrees, registry
from tests.support.archive import SigningKey
from tests.support.ground import Ground
from tests.support.process import run

pytestmark = pytest.mark.real


@pytest.fixture
def toy(work: Path) -> Path:
    """A repo with a commit."""
    made = ocitrees.repo(work / "repo")
    ocitrees.commit(made, ocitrees.toy(work / "tree"))
    return made


@pytest.fixture
def host(work: Path) -> Iterator[str]:
    with registry.serving(work / "registry") as name:
        yield name


def export(ground: Ground, repo: Path, target: str, *words: str | Path, check: int = 0, **env: str) -> str:
    options = ("--repo", repo, ocitrees.REF, target, "--tls-verify=false", "--json", *words)
    done = ground.apt_ostree("oci", "export", *options, check=check, env=env)
    found: str = done.json["digest"] if not check else json.dumps(done.json["error"])
    return found


def has_sigstore() -> bool:
    return "generate-sigstore-key" in run(["skopeo", "--help"]).stdout


def test_signed_with_gpg(ground: Ground, toy: Path, host: str, work: Path, signing_key: SigningKey) -> None:
    home = work / "home"
    (home / ".config/containers/registries.d").mkdir(parents=True)
    place = home / ".config/containers/registries.d/test.yaml"
    place.write_text(f"docker:\n  {host}:\n    lookaside-staging: file://{work}/signatures\n")
    environ = {"HOME": str(home), "GNUPGHOME": str(signing_key.home)}
    digest = export(ground, toy, f"docker://{host}/a/b:1", "--sign-by", signing_key.fingerprint, **environ)
    (signature,) = (work / "signatures").rglob("signature-1")
    assert signature.parent.name == f"b@{digest.replace(':', '=')}"
    told = run(["gpg", "--decrypt", signature], env={"GNUPGHOME": str(signing_key.home)}).stdout
    assert digest in told and f"{host}/a/b:1" in told


def test_signed_with_sigstore(ground: Ground, toy: Path, host: str, work: Path) -> None:
    """Debian 12 has built its skopeo without: then the error says so, and which one has it."""
    key, phrase = work / "key.private", work / "passphrase"
    phrase.write_text("open sesame")
    phrase.chmod(0o600)
    if has_sigstore():
        run(["skopeo", "generate-sigstore-key", "--output-prefix", work / "key", "--passphrase-file", phrase])
    else:
        key.write_text("no key")
    key.chmod(0o644)
    words = ("--sign-by-sigstore-private-key", key, "--sign-passphrase-file", phrase)
    target = f"docker://{host}/a/b:1"
    assert f"chmod 0600 {key}" in export(ground, toy, target, *words, check=2)
    key.chmod(0o600)
    if not has_sigstore():
        assert "Debian 13" in export(ground, toy, target, *words, check=5)
        return
    home = work / "home/.config/containers/registries.d"
    home.mkdir(parents=True)
    (home / "test.yaml").write_text(f"docker:\n  {host}:\n    use-sigstore-attachments: true\n")
    digest = export(ground, toy, target, *words, HOME=str(work / "home"))
    tags = run(["skopeo", "list-tags", "--tls-verify=false", f"docker://{host}/a/b"]).json["Tags"]
    assert f"{digest.replace(':', '-')}.sig" in tags


def test_what_cannot_be_signed(ground: Ground, toy: Path, work: Path) -> None:
    for target, words in (
        (f"oci:{work}/image:1", ("--sign-by", "ABCD")),
        ("docker://127.0.0.1:1/a/b", ("--sign-by", "ABCD", "--sign-by-sigstore-private-key", work / "key")),
        ("docker://127.0.0.1:1/a/b", ("--sign-passphrase-file", work / "key")),
        ("docker://127.0.0.1:1/a/b", ("--sign-by-sigstore-private-key", work / "none")),
    ):
        export(ground, toy, target, *words, check=2)
    assert not (work / "image").exists()


def test_the_signature_of_a_commit_comes_along(
    ground: Ground, toy: Path, work: Path, signing_key: SigningKey, other_key: SigningKey
) -> None:
    checksum = ground.rev_parse(toy, ocitrees.REF)
    unsigned = export(ground, toy, f"oci:{work}/image:unsigned")
    home = f"--gpg-homedir={signing_key.home}"
    run(["ostree", "gpg-sign", f"--repo={toy}", home, checksum, signing_key.fingerprint])
    assert export(ground, toy, f"oci:{work}/image:signed") != unsigned
    client = ocitrees.repo(work / "client")
    ground.apt_ostree("oci", "import", "--repo", client, f"oci:{work}/image:signed", "--write-ref", "toy")
    assert ground.rev_parse(client, "toy") == checksum
    for key, good in ((signing_key, True), (other_key, False)):
        public = key.export(work / "key.gpg")
        run(["ostree", "remote", "delete", "--if-exists", f"--repo={client}", "origin"])
        run(["ostree", "remote", "add", f"--repo={client}", f"--gpg-import={public}", "origin", "http://127.0.0.1:1"])
        told = run(["ostree", "show", f"--repo={client}", "--gpg-verify-remote=origin", "toy"], check=False)
        assert ("Good signature" in told.output) is good
