"""oci export and oci import of a tree with everything that is hard about images in it."""

from __future__ import annotations

import json
import os
import shutil
import stat
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path

import pytest

from tests.support import ocitrees
from tests.support.archive import SigningKey
from tests.support.ground import Ground
from tests.support.ocilayout import Layout
from tests.support.ocitrees import BOOTABLE, REF, checksum, export, fsck, root_of
from tests.support.process import CHECKOUT, Done, run
from tests.support.verbs import held_to

pytestmark = pytest.mark.real


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
    run(
        [
            "ostree",
            "pull-local",
            "--untrusted",
            f"--repo={target}",
            tree / "sysroot/ostree/repo",
            checksum(toy),
        ]
    )
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
    assert "there is no ref" in (told := refused("--repo", toy, REF[:-1], image, code=1))
    assert f"did you mean {REF}? See: ostree refs --repo={toy}" in told and "Refspec" not in told
    assert not (work / "i").exists()
    (work / "full").mkdir()
    (work / "full/file").touch()
    assert "has other things in it" in refused("--repo", toy, REF, f"oci:{work}/full:t", code=1)
    (work / "empty").mkdir()
    (work / "begun/blobs/sha256").mkdir(parents=True)  # as one leaves it that was killed
    (work / "begun/.new-x").touch()
    made = ground.apt_ostree("oci", "export", "--repo", toy, REF, f"oci:{work}/begun:t").stdout
    (work / "mine/blobs").mkdir(parents=True)
    (work / "mine/blobs/file").touch()
    assert "has other things in it" in refused("--repo", toy, REF, f"oci:{work}/mine:t", code=1)
    assert made and ground.apt_ostree("oci", "verify", f"oci:{work}/begun:t").stdout
    for place in (work / "i", work / "new/i", work / "empty", f"{work}/none/../empty"):
        assert "has no usr" in refused("--rootfs", work, f"oci:{place}:t", code=1)
    assert not (work / "i").exists() and not (work / "new").exists() and not list((work / "empty").iterdir())
    assert "there is no image" in ground.apt_ostree("oci", "verify", f"oci:{work}/none:t", check=1).stderr
    assert "not a size" in ground.apt_ostree("oci", "verify", image, "--max-size=many", check=2).stderr
    tree = work / "tree"
    (tree / "usr").mkdir(parents=True)
    (tree / "sysroot/ostree").mkdir(parents=True)
    made = ocitrees.repo(work / "repo")
    ocitrees.commit(made, tree)
    assert "--format plain" in refused("--repo", made, REF, image, code=1)
    assert ground.apt_ostree("oci", "export", "--repo", made, REF, image, "--format", "plain").stdout
    assert "has no usr" in refused("--rootfs", work / "full", image, code=1)
    told = ground.apt_ostree("oci", "verify", f"oci:{work}/i:x", check=1).stderr
    assert f"{work}/i/index.json has t\n" in told, "an image that is there stays, and is told of"


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
