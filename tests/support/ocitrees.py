"""Trees with everything that is hard about images in them, committed with plain ostree."""

from __future__ import annotations

import hashlib
import json
import os
import random
from pathlib import Path

from tests.support import tiny
from tests.support.ground import Ground
from tests.support.process import Done, run

REF = "ground/toy"
BOOTABLE = ("--bootable", "--add-metadata-string=version=13.1")
LONG = "n" * 255
DEEP = "/".join(["d" * 100] * 3 + ["x" * 60])
CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")  # cap_net_raw+ep


def toy(path: Path) -> Path:
    """setuid, capabilities, hard links, links with `//`, long and UTF-8 names, binary attributes, empty files."""
    tree = tiny.tree(path)
    tree.chmod(0o755)
    binaries, etc = tree / "usr/bin", tree / "usr/etc"
    binaries.mkdir()
    (binaries / "su").write_bytes(b"su" * 4000)
    (binaries / "su").chmod(0o4755)
    (binaries / "ping").write_bytes(b"ping")
    (binaries / "ping").chmod(0o755)
    os.setxattr(binaries / "ping", "security.capability", CAPABILITY)
    (binaries / "one").write_bytes(b"same bytes")
    os.link(binaries / "one", binaries / "two")
    (binaries / "odd").symlink_to("..//lib//somewhere")
    (binaries / "long").symlink_to("/".join(["t" * 120] * 3))
    (binaries / "uml\u00e4ut").write_text("utf-8")
    (binaries / LONG).write_text("255 bytes")
    (tree / "usr/share" / DEEP).mkdir(parents=True)
    (tree / "usr/share" / DEEP / LONG).write_text("a long path")
    os.setxattr(tree / "usr/share" / DEEP / LONG, "user.binary", bytes(range(256)) + b"\n=\0")
    os.setxattr(tree / "usr/share", "user.of.directory", b"\xff\0")
    for name in ("empty", "nothing"):
        (etc / name).write_bytes(b"")
    (etc / "owned").write_text("by somebody")
    os.chown(etc / "owned", 1234, 0x7FFFFFF)
    (etc / "owned").chmod(0o640)
    (etc / "private").mkdir(mode=0o700)
    (tree / "sysroot").mkdir()
    (tree / "ostree").symlink_to("sysroot/ostree")
    (tree / "tmp").mkdir()
    (tree / "tmp").chmod(0o1777)
    return tree


def commit(repo: Path, tree: Path, *options: str, ref: str = REF) -> str:
    """Commit a tree; times are fixed, so that the same tree is the same commit."""
    words = ["--timestamp=2026-01-02T03:04:05Z", f"--branch={ref}", f"--tree=dir={tree}", "--subject=toy"]
    return run(["ostree", "commit", f"--repo={repo}", *words, *options]).stdout.strip()


def repo(path: Path, mode: str = "bare") -> Path:
    """An empty repo."""
    run(["ostree", "init", f"--mode={mode}", f"--repo={path}"])
    return path


def wrong_image(path: Path) -> Path:
    """A layout with an image whose one layer is not what its digest says."""
    blobs = path / "blobs/sha256"
    blobs.mkdir(parents=True)

    def add(value: object) -> dict[str, object]:
        data = json.dumps(value).encode()
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"digest": f"sha256:{digest}", "size": len(data)}

    kind, zero = "application/vnd.oci.image", f"sha256:{'0' * 64}"
    (blobs / ("0" * 64)).write_bytes(b"nothing")
    config = add({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [zero]}})
    layer = {"mediaType": f"{kind}.layer.v1.tar", "digest": zero, "size": 7}
    manifest = {"schemaVersion": 2, "config": {"mediaType": f"{kind}.config.v1+json", **config}, "layers": [layer]}
    tag = {"org.opencontainers.image.ref.name": "t"}
    entry = {"mediaType": f"{kind}.manifest.v1+json", **add(manifest), "annotations": tag}
    (path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (path / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    return path


def packages(path: Path, count: int, changed: str = "") -> Path:
    """A tree of many packages with a dpkg database; the files of one are other than without `changed`."""
    tree = tiny.tree(path)
    dice = random.Random(7)  # noqa: S311 (no secret)
    admin, status = tree / "usr/lib/sysimage/dpkg", []
    (admin / "info").mkdir()
    for number in range(count):
        name, version = f"package{number}", "1"
        paths = [f"/usr/lib/{name}/file{index}" for index in range(5)]
        for place in paths:
            data = dice.randbytes(int(dice.lognormvariate(9, 1.5)) + 1)
            if name == changed:
                data, version = data[::-1] + b"changed", "2"
            (tree / place[1:]).parent.mkdir(parents=True, exist_ok=True)
            (tree / place[1:]).write_bytes(data)
        (admin / f"info/{name}.list").write_text("\n".join(["/.", "/usr", *paths, ""]))
        status.append(f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n")
    (admin / "status").write_text("\n".join(status))
    tree.chmod(0o755)
    return tree


def checksum(repo: Path, ref: str = REF) -> str:
    """What a branch stands at."""
    return run(["ostree", "rev-parse", f"--repo={repo}", ref]).stdout.strip()


def fsck(repo: Path) -> None:
    """libostree finds nothing wrong with a repo."""
    run(["ostree", "fsck", f"--repo={repo}", "--quiet"])


def export(ground: Ground, repo: Path, image: str, *words: str | Path, check: int = 0) -> Done:
    """`oci export` of the toy commit."""
    return ground.apt_ostree("oci", "export", "--repo", repo, REF, image, *words, check=check)


def root_of(repo: Path, ref: str) -> str:
    """The tree of a commit, whatever the commit says besides."""
    return run(["ostree", "ls", f"--repo={repo}", "-d", "-C", ref, "/"]).stdout
