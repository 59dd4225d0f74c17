"""oci export and oci import of a tree with everything that is hard about images in it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import pytest

from apt_ostree.errors import InterruptedByUser, VerificationError
from apt_ostree.oci import fetch, importing, names
from apt_ostree.oci.layout import Descriptor, descriptor, digest_of
from apt_ostree.registry import machine, reference
from apt_ostree.report import NullReporter
from apt_ostree.tools import skopeo
from tests.support import ocilayout, ocitrees, registry
from tests.support.archive import SigningKey
from tests.support.ground import Ground
from tests.support.ocilayout import Layout
from tests.support.ocitrees import REF
from tests.support.process import CHECKOUT, Done, environment, run
from tests.support.verbs import held_to

pytestmark = pytest.mark.real

BOOTABLE = ("--bootable", "--add-metadata-string=version=13.1")


@pytest.fixture(scope="module")
def toy(big_folder: Any) -> Path:
    """A bare repo with the toy commit."""
    folder: Path = big_folder("toy")
    made = ocitrees.repo(folder / "repo")
    ocitrees.commit(made, ocitrees.toy(folder / "tree"), *BOOTABLE)
    return made


def checksum(repo: Path, ref: str = REF) -> str:
    return run(["ostree", "rev-parse", f"--repo={repo}", ref]).stdout.strip()


def fsck(repo: Path) -> None:
    run(["ostree", "fsck", f"--repo={repo}", "--quiet"])


def export(ground: Ground, repo: Path, image: str, *words: str | Path, check: int = 0) -> Done:
    return ground.apt_ostree("oci", "export", "--repo", repo, REF, image, *words, check=check)


def root_of(repo: Path, ref: str) -> str:
    """The tree of a commit, whatever the commit says besides."""
    return run(["ostree", "ls", f"--repo={repo}", "-d", "-C", ref, "/"]).stdout


@pytest.mark.parametrize("mode", ["bare", "bare-user", "archive"])
def test_a_commit_comes_back_as_it_was(mode: str, toy: Path, work: Path, ground: Ground) -> None:
    """From a repo of each mode into one of each mode; the image is the same byte by byte."""
    source, target = ocitrees.repo(work / "source", mode), ocitrees.repo(work / "target", mode)
    run(["ostree", "pull-local", f"--repo={source}", toy, REF])
    images = (f"oci:{work}/one:t", f"oci:{work}/two:t")
    told = [held_to("oci-export", export(ground, repo, image, "--json"))
            for repo, image in zip((toy, source), images, strict=True)]  # fmt: skip
    assert told[0]["digest"] == told[1]["digest"] and told[0]["commit"] == checksum(toy)
    assert (work / "one/index.json").read_bytes() == (work / "two/index.json").read_bytes()
    words = ("oci", "import", "--repo", target, images[0], "--write-ref", "back/again", "--json")
    done = held_to("oci-import", ground.apt_ostree(*words))
    assert done["commit"] == done["base-commit"] == checksum(toy) == checksum(target, "back/again")
    assert done["fetched-layers"] == done["layers"] > 2 and done["format"] == "encapsulated" and done["changed"]
    fsck(target)
    again = held_to("oci-import", ground.apt_ostree(*words, "--unchanged-exit-77", check=77))
    assert (again["fetched-layers"], again["fetched-bytes"], again["changed"]) == (0, 0, False)
    assert again["reused-bytes"] == done["fetched-bytes"]
    assert sorted(path.name for path in (target / "extensions/apt-ostree/work").iterdir()) == []


def test_what_is_in_the_image(toy: Path, work: Path, ground: Ground) -> None:
    """The format, by the tars themselves."""
    export(ground, toy, f"oci:{work}/image:t", "--label", "org.example=yes", "--cmd", "/bin/sh", "--cmd=-l")
    layout = Layout(work / "image")
    manifest, config = layout.manifest, layout.config
    labels = config["config"]["Labels"]
    assert labels["ostree.final-diffid"] == config["rootfs"]["diff_ids"][-1]
    assert labels["containers.bootc"] == "1" and labels["ostree.bootable"] == "true"
    assert labels["ostree.commit"] == checksum(toy) and labels["ostree.linux"] == "6.12.1"
    assert labels["org.opencontainers.image.version"] == "13.1" and labels["org.example"] == "yes"
    assert labels.items() <= manifest["annotations"].items()
    assert config["config"]["Cmd"] == ["/bin/sh", "-l"] and config["architecture"] in ("amd64", "arm64")
    assert config["created"] == "2026-01-02T03:04:05Z" and len(config["history"]) == len(manifest["layers"])
    names = [layer.get("annotations", {}).get("ostree.components") for layer in manifest["layers"]]
    assert names[0] is None and "dpkg-database" in names and "initramfs" in names
    for number in range(len(manifest["layers"])):
        with tarfile.open(fileobj=BytesIO(layout.layer(number))) as tar:
            found = tar.getmembers()
        paths = [info.name for info in found]
        assert len(paths) == len(set(paths)) and all(info.mtime == 0 for info in found)
        assert not any(path.startswith(("./", "/", "usr/etc")) for path in paths)
        assert ("etc/owned" in paths) <= ("etc" in paths), "parents come first"
        if number == 0:
            commit = paths.index(f"sysroot/ostree/repo/objects/{checksum(toy)[:2]}/{checksum(toy)[2:]}.commit")
            assert paths[0] == "." and paths[commit + 1].endswith(".dirmeta") and "var/tmp" in paths


def test_libostree_reads_the_layers_itself(toy: Path, work: Path, ground: Ground) -> None:
    export(ground, toy, f"oci:{work}/image:t")
    layout, tree, target = Layout(work / "image"), work / "tree", ocitrees.repo(work / "target")
    tree.mkdir()
    for number in range(len(layout.manifest["layers"])):
        (work / "layer.tar").write_bytes(layout.layer(number))
        run(["tar", "--extract", "--same-owner", "-p", "--file", work / "layer.tar", "--directory", tree])
    run(["ostree", "pull-local", "--untrusted", f"--repo={target}", tree / "sysroot/ostree/repo", checksum(toy)])
    fsck(target)
    assert (tree / "usr/bin/one").stat().st_ino == (tree / "usr/bin/two").stat().st_ino
    assert stat.S_IMODE((tree / "usr/bin/su").stat().st_mode) == 0o4755
    assert (tree / "etc/owned").stat().st_uid == 1234


def test_a_signature_travels_along(toy: Path, work: Path, ground: Ground, signing_key: SigningKey) -> None:
    source, target = ocitrees.repo(work / "source"), ocitrees.repo(work / "target", "archive")
    run(["ostree", "pull-local", f"--repo={source}", toy, REF])
    key = ("--gpg-sign", signing_key.fingerprint, "--gpg-homedir", signing_key.home)
    ground.apt_ostree("repo", "sign", "--repo", source, *key)
    export(ground, source, f"oci:{work}/image:t")
    done = ground.apt_ostree("oci", "import", "--repo", target, f"oci:{work}/image:t", "--json").json
    name = f"objects/{done['commit'][:2]}/{done['commit'][2:]}.commitmeta"
    assert (target / name).read_bytes() == (source / name).read_bytes()


def test_one_layer_zstd_and_other_forms(toy: Path, work: Path, ground: Ground) -> None:
    one = held_to("oci-export", export(ground, toy, f"oci:{work}/one:t", "--max-layers=1", "--json"))
    assert [layer["components"] for layer in one["layers"]] == [[]]
    other = held_to("oci-export", export(ground, toy, f"oci:{work}/zstd:t", "--compression=zstd", "--json"))
    for name, told in (("one", one), ("zstd", other)):
        target = ocitrees.repo(work / f"repo-{name}", "archive")
        done = ground.apt_ostree("oci", "import", "--repo", target, f"oci:{work}/{name}:t", "--json").json
        assert done["commit"] == checksum(toy) and done["digest"] == told["digest"]
        ground.apt_ostree("oci", "verify", f"oci:{work}/{name}:t")
    settings = work / "config.json"
    settings.write_text(json.dumps({"config": {"Env": ["A=1"], "Labels": {"old": "1"}, "Cmd": ["/bin/x"]}}))
    export(ground, toy, f"oci:{work}/form:t", "--image-config", settings)
    inner = Layout(work / "form").config["config"]
    path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    assert inner["Env"] == ["A=1", path, "DPKG_ADMINDIR=/usr/lib/sysimage/dpkg"]
    assert inner["Cmd"] == ["/bin/x"] and inner["Labels"]["old"] == "1"


def test_blobs_that_are_there_are_not_written_again(toy: Path, work: Path, ground: Ground) -> None:
    image = f"oci:{work}/image:t"
    export(ground, toy, image)
    before = {path: path.stat().st_mtime_ns for path in (work / "image/blobs").rglob("*")}
    told = held_to("oci-export", export(ground, toy, image, "--json", "--unchanged-exit-77", check=77))
    assert not told["changed"] and told["reused-bytes"] == told["bytes"]
    assert {path: path.stat().st_mtime_ns for path in (work / "image/blobs").rglob("*") if path.is_file()} == {
        path: time for path, time in before.items() if path.is_file()
    }
    other = held_to("oci-export", export(ground, toy, f"oci:{work}/image:other", "--format=plain", "--json"))
    tags = [
        entry["annotations"]["org.opencontainers.image.ref.name"] for entry in Layout(work / "image").index["manifests"]
    ]
    assert tags == ["t", "other"] and other["changed"]


def test_a_plain_image_has_the_same_tree(toy: Path, work: Path, ground: Ground) -> None:
    told = held_to("oci-export", export(ground, toy, f"oci:{work}/image:t", "--format=plain", "--json"))
    labels = Layout(work / "image").config["config"]["Labels"]
    assert labels["containers.bootc"] == "1" and "ostree.final-diffid" not in labels and "ostree.commit" not in labels
    assert told["format"] == "plain"
    for mode in ("bare", "archive"):
        target = ocitrees.repo(work / mode, mode)
        done = held_to(
            "oci-import", ground.apt_ostree("oci", "import", "--repo", target, f"oci:{work}/image:t", "--json")
        )
        assert (done["format"], done["base-commit"]) == ("plain", None) and done["commit"] != checksum(toy)
        assert root_of(target, done["commit"]) == root_of(toy, REF)
        fsck(target)
    metadata = run(["ostree", "show", f"--repo={target}", "--print-metadata-key=ostree.linux", done["commit"]]).stdout
    assert "6.12.1" in metadata
    again = ground.apt_ostree("oci", "import", "--repo", target, f"oci:{work}/image:t", "--json").json
    assert again["commit"] == done["commit"] and again["fetched-layers"] == 0 and not again["changed"]


def test_a_directory_becomes_a_plain_image(toy: Path, work: Path, ground: Ground) -> None:
    root = work / "root"
    run(["ostree", "checkout", f"--repo={toy}", "--force-copy", REF, root])
    assert "usr/etc" in ground.apt_ostree("oci", "export", "--rootfs", root, f"oci:{work}/i:t", check=1).stderr
    (root / "usr/etc").rename(root / "etc")
    (root / "tmp/left").write_text("not in the image")
    os.link(root / "usr/bin/su", root / "usr/bin/sudo")
    words = ("oci", "export", "--rootfs", root, "--json")
    one = held_to("oci-export", ground.apt_ostree(*words, f"oci:{work}/one:t"))
    two = held_to("oci-export", ground.apt_ostree(*words, f"oci:{work}/two:t"))
    assert one["digest"] == two["digest"] and one["commit"] is None
    target = ocitrees.repo(work / "target")
    done = ground.apt_ostree("oci", "import", "--repo", target, f"oci:{work}/one:t", "--json").json
    os.unlink(root / "tmp/left")
    (root / "etc").rename(root / "usr/etc")
    again = run(["ostree", "commit", f"--repo={target}", "--branch=again", f"--tree=dir={root}"]).stdout.strip()
    assert root_of(target, done["commit"]) == root_of(target, again)
    os.mkfifo(root / "usr/pipe")
    (root / "usr/etc").rename(root / "etc")
    assert "a device or a pipe" in ground.apt_ostree(*words, f"oci:{work}/three:t", check=1).stdout


@pytest.fixture
def host(work: Path) -> Iterator[str]:
    with registry.serving(work / "registry") as address:
        yield address


def test_through_a_registry(toy: Path, work: Path, ground: Ground, host: str) -> None:
    image, insecure, spare = f"docker://{host}/toy:1", "--tls-verify=false", work / "spare"
    spare.mkdir()
    env = {"TMPDIR": str(spare)}
    words = ("oci", "export", "--repo", toy, REF, image, insecure, "--json")
    told = held_to("oci-export", ground.apt_ostree(*words, env=env))
    shown = run(["skopeo", "inspect", "--tls-verify=false", image]).json
    assert shown["Digest"] == told["digest"] and shown["Labels"]["ostree.commit"] == checksum(toy)
    target = ocitrees.repo(work / "target", "archive")
    words = ("oci", "import", "--repo", target, image, insecure, "--json")
    done = held_to("oci-import", ground.apt_ostree(*words, "--write-ref=r/x", env=env))
    assert done["commit"] == checksum(toy) and done["digest"] == told["digest"]
    fsck(target)
    assert ground.apt_ostree(*words).json["fetched-layers"] == 0
    held_to("oci-verify", ground.apt_ostree("oci", "verify", image, insecure, "--json", env=env))
    refused = held_to("error", ground.apt_ostree(*words[:5], "--json", check=1))["error"]
    assert "--tls-verify=false" in refused["hint"]
    assert "manifest unknown" in ground.apt_ostree(*words[:4], f"docker://{host}/no:1", insecure, check=1).stderr
    assert list(spare.iterdir()) == [], "nothing is left of what was on its way"


def test_a_registry_with_a_password(toy: Path, work: Path, ground: Ground) -> None:
    with registry.serving(work / "registry", htpasswd=registry.HTPASSWD) as host:
        image, auth = f"docker://{host}/toy:1", registry.auth(work / "auth.json", host)
        export(ground, toy, image, "--tls-verify=false", check=1)
        done = ground.apt_ostree(
            "-vv", "oci", "export", "--repo", toy, REF, image, "--tls-verify=false", "--authfile", auth
        )
        assert registry.PASSWORD not in done.output and json.loads(auth.read_text())["auths"]
        target = ocitrees.repo(work / "target", "archive")
        words = ("oci", "import", "--repo", target, image, "--tls-verify=false")
        ground.apt_ostree(*words, check=1)
        ground.apt_ostree(*words, "--authfile", auth)
        assert "no file" in ground.apt_ostree(*words, "--authfile", work / "none", check=2).stderr


def test_archives_and_storages(toy: Path, work: Path, ground: Ground) -> None:
    run_root = Path(tempfile.mkdtemp(prefix="aot-"))  # its path must be short
    archive, storage = work / "image.tar", f"[vfs@{work}/storage+{run_root}]"
    target, spare = ocitrees.repo(work / "target", "bare-user"), work / "spare"
    spare.mkdir()
    try:
        for image in (f"oci-archive:{archive}", f"containers-storage:{storage}localhost/toy:1"):
            told = export(ground, toy, image, "--json").json
            done = held_to("oci-import", ground.apt_ostree("oci", "import", "--repo", target, image, "--json"))
            assert done["commit"] == checksum(toy)
            ground.apt_ostree("oci", "verify", image, env={"TMPDIR": str(spare)})
        assert list(spare.iterdir()) == [], "what skopeo unpacked is gone"
        podman = ("podman", "--root", work / "storage", "--runroot", run_root, "--storage-driver=vfs")
        shown = run([*podman, "image", "inspect", "localhost/toy:1"]).json
        assert shown[0]["Digest"] == told["digest"] and shown[0]["Labels"]["ostree.commit"] == checksum(toy)
    finally:
        shutil.rmtree(work / "storage", ignore_errors=True)
        shutil.rmtree(run_root, ignore_errors=True)
    fsck(target)
    assert archive.stat().st_size > 1000


def test_a_container_build_on_top(toy: Path, work: Path, ground: Ground) -> None:
    """umoci stands for a container build: what is changed in the unpacked image comes out as a commit."""
    export(ground, toy, f"oci:{work}/image:t")
    bundle = work / "bundle"
    run(["umoci", "unpack", "--image", f"{work}/image:t", bundle])
    root = bundle / "rootfs"
    (root / "usr/bin/ping").unlink()
    (root / "usr/bin/added").write_text("added")
    (root / "etc/owned").write_text("changed")
    shutil.rmtree(root / "usr/share" / ocitrees.DEEP.split("/")[0])
    (root / "run").mkdir()
    (root / "run/left").write_text("left out")
    (root / "data").mkdir()
    (root / "data/x").write_text("not of a system")
    run(["umoci", "repack", "--image", f"{work}/image:derived", bundle])
    run(["umoci", "tag", "--image", f"{work}/image:derived", "d"])
    target = ocitrees.repo(work / "target")
    done = held_to(
        "oci-import", ground.apt_ostree("oci", "import", "--repo", target, f"oci:{work}/image:derived", "--json")
    )
    assert done["format"] == "derived" and done["base-commit"] == checksum(toy) != done["commit"]
    assert any("/data" in warning for warning in done["warnings"])
    changes = run(["ostree", "diff", f"--repo={target}", done["base-commit"], done["commit"]]).stdout.split("\n")
    assert {"D    /usr/bin/ping", "A    /usr/bin/added", "M    /usr/etc/owned"} <= set(changes)
    assert f"D    /usr/share/{ocitrees.DEEP.split('/')[0]}" in changes
    assert not any("/run/" in line or "/data" in line for line in changes)
    parent = run(["ostree", "rev-parse", f"--repo={target}", f"{done['commit']}^"]).stdout.strip()
    assert parent == checksum(toy)
    fsck(target)
    again = ground.apt_ostree("oci", "import", "--repo", target, f"oci:{work}/image:derived", "--json").json
    assert again["fetched-layers"] == 0 and again["commit"] == done["commit"]


def test_layers_of_an_image_that_moved_on_go(toy: Path, work: Path, ground: Ground) -> None:
    source, image = ocitrees.repo(work / "source"), f"oci:{work}/image:t"
    target = ocitrees.repo(work / "target", "archive")
    run(["ostree", "pull-local", f"--repo={source}", toy, REF])
    export(ground, source, image)
    ground.apt_ostree("oci", "import", "--repo", target, image)
    before = set(run(["ostree", "refs", f"--repo={target}"]).stdout.split())
    tree = work / "tree"
    run(["ostree", "checkout", f"--repo={source}", "--force-copy", REF, tree])
    (tree / "usr/etc/owned").write_text("another")
    ocitrees.commit(source, tree, *BOOTABLE)
    export(ground, source, image, "--previous=auto")
    done = ground.apt_ostree("oci", "import", "--repo", target, image, "--json").json
    after = set(run(["ostree", "refs", f"--repo={target}"]).stdout.split())
    assert done["commit"] == checksum(source) and done["fetched-layers"] == len(after - before) == 2
    assert len(before - after) == 2, "layers that no image has are forgotten"
    fsck(target)


def test_plain_users(toy: Path, ground: Ground) -> None:
    """Import without root: into bare-user and archive repos, not into bare ones."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="aot-oci-") as name:
        folder = Path(name)
        export(ground, toy, f"oci:{folder}/image:t")
        run(["chown", "-R", "65534:65534", folder])
        user = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env", f"HOME={folder}")
        env = {"PYTHONPATH": str(CHECKOUT)}

        def as_user(*words: str | Path, check: int = 0) -> Done:
            argv = [*user, *ground.argv(*words)]
            return run(argv, env=env, check=False, cwd=folder).must(check)

        for mode in ("bare-user", "archive"):
            run([*user, "ostree", "init", f"--mode={mode}", f"--repo={folder}/{mode}"])
            done = as_user("oci", "import", "--repo", folder / mode, f"oci:{folder}/image:t", "--json").json
            assert done["commit"] == checksum(toy)
            fsck(folder / mode)
            as_user("oci", "export", "--repo", folder / mode, done["commit"], f"oci:{folder}/{mode}-image:t")
            assert Layout(folder / f"{mode}-image").index == Layout(folder / "image").index
        run(["ostree", "init", f"--repo={folder}/bare"])
        run(["chown", "-R", "65534:65534", folder / "bare"])
        assert (
            "only root" in as_user("oci", "import", "--repo", folder / "bare", f"oci:{folder}/image:t", check=6).stderr
        )


def test_commands_that_make_no_sense(toy: Path, work: Path, ground: Ground) -> None:
    def refused(*words: str | Path, code: int = 2) -> str:
        return ground.apt_ostree("oci", "export", *words, check=code).stderr

    image = f"oci:{work}/i:t"
    assert "either --repo or --rootfs" in refused(REF, image)
    assert "REF and IMAGE are needed" in refused("--repo", toy, image)
    assert "only a commit can be encapsulated" in refused("--rootfs", work, image, "--format=encapsulated")
    assert "no image reference" in refused("--repo", toy, REF, "quay.io/x")
    assert "not a number from" in refused("--repo", toy, REF, image, "--max-layers=0")
    assert "is not KEY=VALUE" in refused("--repo", toy, REF, image, "--label=x")
    assert "--compression is one of" in refused("--repo", toy, REF, image, "--compression=lz4")
    assert "cannot be read as JSON" in refused("--repo", toy, REF, image, "--image-config=/nowhere")
    (work / "no.json").write_text("{}")
    assert "is no manifest" in refused("--repo", toy, REF, image, "--previous", work / "no.json")
    assert "there is no ref" in refused("--repo", toy, "no/ref", image, code=1)
    assert not (work / "i").exists()
    (work / "full").mkdir()
    (work / "full/file").touch()
    assert "has other things in it" in refused("--repo", toy, REF, f"oci:{work}/full:t", code=1)
    assert "has no usr" in refused("--rootfs", work, image, code=1)
    assert "there is no image" in ground.apt_ostree("oci", "verify", f"oci:{work}/none:t", check=1).stderr
    assert "not a size" in ground.apt_ostree("oci", "verify", image, "--max-size=many", check=2).stderr
    tree = work / "tree"
    (tree / "usr").mkdir(parents=True)
    (tree / "sysroot/ostree").mkdir(parents=True)
    made = ocitrees.repo(work / "repo")
    ocitrees.commit(made, tree)
    assert "--format plain" in refused("--repo", made, REF, image, code=1)
    assert ground.apt_ostree("oci", "export", "--repo", made, REF, image, "--format", "plain").stdout


def test_a_bill_of_materials_in_a_layout(toy: Path, work: Path, ground: Ground) -> None:
    """The image is the same with it and without; others read the layout as before."""
    plain = export(ground, toy, f"oci:{work}/plain:t", "--json").json
    words = (f"oci:{work}/image:t", "--sbom=spdx", "--sbom=cyclonedx", "--json", "--unchanged-exit-77")
    told = held_to("oci-export", export(ground, toy, *words))
    assert told["digest"] == plain["digest"] and [one["format"] for one in told["sboms"]] == ["cyclonedx", "spdx"]
    assert held_to("oci-export", export(ground, toy, *words, check=77))["sboms"] == told["sboms"]
    for form in ("spdx", "cyclonedx"):
        wanted = ("db", "sbom", "--format", form)
        of_commit = held_to("db-sbom", ground.apt_ostree(*wanted, "--repo", toy, REF))
        for image in (f"oci:{work}/image:t", f"oci:{work}/image"):
            assert held_to("db-sbom", ground.apt_ostree(*wanted, image)) == of_commit
        error = held_to("error", ground.apt_ostree(*wanted, f"oci:{work}/plain:t", "--json", check=1))["error"]
        assert error["code"] == "no-sbom"
    assert "is sound" in ground.apt_ostree("oci", "verify", f"oci:{work}/image:t").stdout
    run(["umoci", "unpack", "--image", f"{work}/image:t", work / "bundle"])
    run(["skopeo", "--insecure-policy", "copy", f"oci:{work}/image:t", f"oci:{work}/copied:t"])
    target = ocitrees.repo(work / "target", "archive")
    ground.apt_ostree("oci", "import", "--repo", target, f"oci:{work}/image:t")
    spoiled = Layout(work / "image").place(json.loads(Layout(work / "image").blob(told["sboms"][1]["digest"]))
                                           ["layers"][0]["digest"])  # fmt: skip
    spoiled.write_bytes(spoiled.read_bytes().replace(b"libc6", b"libc7"))
    assert "not what its descriptor says" in ground.apt_ostree("db", "sbom", f"oci:{work}/image:t", check=7).stderr
    for words, hint in (
        ((f"oci-archive:{work}/i.tar",), "docker://"),
        (("--rootfs", work, f"oci:{work}/i:t"), "commit"),
    ):
        source = ("--repo", toy, REF) if len(words) == 1 else ()
        assert hint in ground.apt_ostree("oci", "export", *source, *words, "--sbom=spdx", check=2).stderr
    assert "--sbom is one of" in export(ground, toy, f"oci:{work}/i:t", "--sbom=swid", check=2).stderr


def test_a_bill_of_materials_in_a_registry(toy: Path, work: Path, ground: Ground, host: str) -> None:
    image, insecure = f"docker://{host}/toy:1", "--tls-verify=false"
    missing = ground.apt_ostree("db", "sbom", image, insecure, "--json", check=1)
    export(ground, toy, image, insecure)
    missing = held_to("error", ground.apt_ostree("db", "sbom", image, insecure, "--json", check=1))["error"]
    assert missing["code"] == "no-sbom"
    told = held_to("oci-export", export(ground, toy, image, insecure, "--sbom=spdx", "--json"))
    export(ground, toy, image, insecure, "--sbom=cyclonedx")
    for form in ("spdx", "cyclonedx"):
        wanted = ("db", "sbom", "--format", form)
        of_commit = ground.apt_ostree(*wanted, "--repo", toy, REF).json
        assert ground.apt_ostree(*wanted, image, insecure).json == of_commit
    assert run(["skopeo", "inspect", insecure, image]).json["Digest"] == told["digest"]
    listed = run(["skopeo", "inspect", "--raw", insecure, f"{image[:-2]}:{told['digest'].replace(':', '-')}"]).json
    assert listed["mediaType"] == "application/vnd.oci.image.index.v1+json"
    assert listed["manifests"][0]["digest"] == told["sboms"][0]["digest"] and len(listed["manifests"]) == 2
    artifact = run(["skopeo", "inspect", "--raw", insecure, f"{image[:-2]}@{told['sboms'][0]['digest']}"]).json
    assert artifact["subject"]["digest"] == told["digest"] and artifact["artifactType"] == "application/spdx+json"
    assert set(run(["skopeo", "list-tags", insecure, image[:-2]]).json["Tags"]) == {
        "1",
        told["digest"].replace(":", "-"),
    }


def test_what_a_tree_marks_has_layers_of_its_own(work: Path, ground: Ground) -> None:
    """user.component of files and directories, in a commit and in a directory; the image has it as it was."""
    tree, repo = ocitrees.toy(work / "tree"), ocitrees.repo(work / "repo")
    os.setxattr(tree / "usr/bin", "user.component", b"binaries")
    os.setxattr(tree / "usr/bin/ping", "user.component", b"ping")
    commit = ocitrees.commit(repo, tree, *BOOTABLE)
    export(ground, repo, f"oci:{work}/commit:t")
    export(ground, repo, f"oci:{work}/plain:t", "--format=plain")
    (tree / "usr/etc").rename(tree / "etc")
    ground.apt_ostree("oci", "export", "--rootfs", tree, f"oci:{work}/directory:t")
    for name in ("commit", "plain", "directory"):
        layout = Layout(work / name)
        listed = [layer.get("annotations", {}).get("ostree.components") for layer in layout.manifest["layers"]]
        assert listed[:3] == [None, "binaries", "ping"] and len(listed) > 4
        with tarfile.open(fileobj=BytesIO(layout.layer(2))) as tar:
            paths = {info.name for info in tar.getmembers() if not info.isdir()}
            marked = [info.pax_headers.get("SCHILY.xattr.user.component") for info in tar.getmembers()]
        assert "usr/bin/ping" in paths and "usr/bin/su" not in paths and "ping" in marked
        with tarfile.open(fileobj=BytesIO(layout.layer(1))) as tar:
            paths = {info.name for info in tar.getmembers()}
        assert {"usr/bin/su", "usr/bin/odd", "usr/bin/one"} <= paths and "usr/bin/ping" not in paths
    target = ocitrees.repo(work / "target", "archive")
    assert (
        ground.apt_ostree("oci", "import", "--repo", target, f"oci:{work}/commit:t", "--json").json["commit"] == commit
    )
    done = ground.apt_ostree("oci", "import", "--repo", target, f"oci:{work}/plain:t", "--json").json
    assert root_of(target, done["commit"]) == root_of(repo, REF)


def as_docker(layout: Path, host: str, work: Path, *, many: bool = False) -> tuple[str, str]:
    """An image in the format of Docker in a registry, or a list of them: its name, and the digest of the image."""
    image, words = f"docker://{host}/docker:1", ("skopeo", "--insecure-policy", "copy", "--quiet", "--format=v2s2")
    run([*words, "--dest-tls-verify=false", f"oci:{layout}:t", image])
    raw = run(["skopeo", "inspect", "--raw", "--tls-verify=false", image]).stdout
    manifest = json.loads(raw)
    assert manifest["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    digest = digest_of(raw.encode())
    if many:
        run([*words, f"oci:{layout}:t", f"dir:{work}/list"])
        here = run(["skopeo", "inspect", "--config", "--tls-verify=false", image]).json["architecture"]
        entry = {"mediaType": manifest["mediaType"], "digest": digest, "size": len(raw)}
        run([*words[:4], "--dest-tls-verify=false", f"oci:{layout}:t", f"docker://{host}/docker:oci"])
        other = {**entry, **Layout(layout).index["manifests"][0], "platform": {"architecture": "mips", "os": "linux"}}
        entries = [other, {**entry, "platform": {"architecture": here, "os": "linux"}}]
        kind = "application/vnd.docker.distribution.manifest.list.v2+json"
        listed = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": entries}, separators=(",", ":"))
        (work / "list/manifest.json").write_text(listed)
        image = f"docker://{host}/docker:list"
        run(["skopeo", "--insecure-policy", "copy", "--quiet", "--multi-arch=index-only", "--dest-tls-verify=false",
             f"dir:{work}/list", image])  # fmt: skip
    return image, digest


@pytest.mark.parametrize("many", [False, True], ids=["image", "list"])
def test_the_format_of_docker(many: bool, toy: Path, work: Path, ground: Ground, host: str) -> None:
    export(ground, toy, f"oci:{work}/image:t")
    image, digest = as_docker(work / "image", host, work, many=many)
    target = ocitrees.repo(work / "target", "archive")
    words = ("oci", "import", "--repo", target, image, "--tls-verify=false", "--json")
    done = held_to("oci-import", ground.apt_ostree(*words))
    assert (done["commit"], done["digest"], done["format"]) == (checksum(toy), digest, "encapsulated")
    fsck(target)
    again = held_to("oci-import", ground.apt_ostree(*words))
    assert again["fetched-layers"] == 0 and not again["changed"]
    told = held_to("oci-verify", ground.apt_ostree("oci", "verify", image, "--tls-verify=false", "--json"))
    assert told["sound"] and told["digest"] == digest


def test_the_policy_of_a_machine_and_the_format_of_docker(toy: Path, work: Path, ground: Ground, host: str) -> None:
    """What skopeo judges is a copy in another format; it must be of the image that is open."""
    export(ground, toy, f"oci:{work}/image:t")
    digest = as_docker(work / "image", host, work)[1]
    etc = work / "root/etc/containers"
    (etc / "registries.conf.d").mkdir(parents=True)
    (etc / "registries.conf.d/test.conf").write_text(f'[[registry]]\nlocation = "{host}"\ninsecure = true\n')
    wanted = reference.parse(f"ostree-unverified-registry:{host}/docker:1")
    other = Layout(work / "image")
    other.change(lambda manifest, config: config["config"]["Labels"].update(another="one"))
    for kind in ("insecureAcceptAnything", "reject"):
        policy = {"default": [{"type": "reject"}], "transports": {"docker": {host: [{"type": kind}]}}}
        (etc / "policy.json").write_text(json.dumps(policy))
        if kind == "reject":
            with pytest.raises(VerificationError), machine.opened(wanted, work / "root"):
                pass
            continue
        with machine.opened(wanted, work / "root") as opened:
            assert opened.digest == digest and opened.is_docker
            assert not machine._is_judged(opened, retagged(fetch.Layout(other.path)))


def retagged(layout: fetch.Layout) -> fetch.Layout:
    entry = layout.manifests()[0]
    layout.tag(descriptor(entry), machine._TAG, {})
    return layout


def interrupted(ground: Ground, words: tuple[str | Path, ...], blob: Path, number: signal.Signals) -> Done:
    """A command that reads a blob which never comes, and gets a signal."""
    data = blob.read_bytes()
    blob.unlink()
    os.mkfifo(blob)
    argv, env = ground.argv(*words), {**environment(), "PYTHONPATH": str(CHECKOUT)}
    with subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for _ in range(600):
            assert process.poll() is None, process.communicate()
            with contextlib.suppress(OSError):  # nobody reads it yet
                fd = os.open(blob, os.O_WRONLY | os.O_NONBLOCK)
                break
            time.sleep(0.1)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    os.close(fd)
    blob.unlink()
    blob.write_bytes(data)
    return Done(tuple(argv), out, err, process.returncode)


@pytest.mark.parametrize("form", ["encapsulated", "plain", "derived"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_layers_that_came_before_a_signal_are_kept(
    form: str, number: signal.Signals, toy: Path, work: Path, ground: Ground
) -> None:
    export(ground, toy, f"oci:{work}/image:t", f"--format={'plain' if form == 'plain' else 'encapsulated'}")
    layout, target = Layout(work / "image"), ocitrees.repo(work / "target", "archive")
    if form == "derived":
        layout.append(ocilayout.packed([ocilayout.file("usr/on-top", b"x")]))
        layout.append(ocilayout.packed([ocilayout.file("usr/last", b"y")]))
    layers = layout.manifest["layers"]
    words = ("oci", "import", "--repo", target, f"oci:{work}/image:t", "--json")
    done = interrupted(ground, words, layout.place(layers[-1]["digest"]), number)
    assert held_to("error", done.must(130))["error"]["code"] == "interrupted"
    assert list((target / "extensions/apt-ostree/work").iterdir()) == []
    there = run(["ostree", "refs", f"--repo={target}"]).stdout.split()
    assert there and all(ref.startswith("ostree/container/blob/") for ref in there)
    fsck(target)
    # of a commit the first layer is read last, for it is whole only with the others
    assert len(there) == len(layers) - (2 if form == "encapsulated" else 1)
    done = held_to("oci-import", ground.apt_ostree(*words))
    # and again, for no image of the repo says yet which diff_id it has
    assert done["fetched-layers"] == (1 if form == "plain" else 2)
    fsck(target)


def test_a_registry_that_does_not_answer(toy: Path, work: Path, ground: Ground, host: str) -> None:
    """It is told before anything is packed."""
    with socket.socket() as nobody:  # it does not listen
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        for place, words, told in (
            (f"127.0.0.1:{port}", ("--tls-verify=false",), "connection refused"),
            ("nobody.invalid", (), "dial tcp"),
            (host, (), "HTTP response to HTTPS client"),
        ):
            done = export(ground, toy, f"docker://{place}/toy:1", *words, "--json", "-v", check=1)
            error = held_to("error", done)["error"]
            assert error["code"] == "unreached" and any(told in line for line in error["details"])
            assert "Writing the layers" not in done.stderr and "cannot be reached" in error["message"]
            assert ("--tls-verify=false" in error["hint"]) == (place == host)


@dataclass(frozen=True)
class Cut:
    """The layers of an image, until a signal comes with this one."""

    blobs: fetch.Blobs
    digest: str

    @contextlib.contextmanager
    def stream(self, blob: Descriptor) -> Iterator[IO[bytes]]:
        if blob.digest == self.digest:
            raise InterruptedByUser("interrupted")
        with self.blobs.stream(blob) as stream:
            yield stream


@pytest.mark.parametrize("keep", [True, False])
def test_a_look_that_is_interrupted_keeps_layers(keep: bool, toy: Path, work: Path, ground: Ground) -> None:
    """As a rebase looks at an image; one that only asks (--dry-run, --check) leaves the repo as it is."""
    export(ground, toy, f"oci:{work}/image:t")
    repo, place = ocitrees.repo(work / "repo"), ocitrees.repo(work / "place")
    way = importing.Look(place=place, wanted=("usr/bin/su", "usr/bin/ping"), judge=lambda commit: None, keep=keep)
    with fetch.opened(names.parse(f"oci:{work}/image:t"), skopeo.Access()) as image:
        layers = [layer.digest for layer in image.layers()]
        with pytest.raises(InterruptedByUser):
            importing.look(replace(image, blobs=Cut(image.blobs, layers[-1])), repo, way, NullReporter())
    refs = run(["ostree", "refs", f"--repo={repo}"]).stdout.split()
    assert sorted(refs) == (sorted(map(names.blob_ref, layers[1:-1])) if keep else [])
    fsck(repo)
