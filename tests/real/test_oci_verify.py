"""Images that are wrong somewhere: oci verify says where, oci import takes nothing of them."""

from __future__ import annotations

import gzip
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support import ocilayout, ocitrees
from tests.support.ground import Ground
from tests.support.ocilayout import Entry, Layout, file
from tests.support.ocitrees import REF
from tests.support.process import run
from tests.support.verbs import held_to

pytestmark = pytest.mark.real

DOCUMENTS: dict[str, tuple[Callable[[dict[str, Any], dict[str, Any]], object], str, str]] = {
    "history is short": (lambda m, c: c["history"].pop(), "config", "history has"),
    "history is long": (lambda m, c: c["history"].append({"created_by": "x"}), "config", "history has"),
    "no history": (lambda m, c: c.pop("history"), "config", "no history"),
    "history of empty layers": (lambda m, c: c["history"][0].update(empty_layer=True), "config", "history has"),
    "architecture": (lambda m, c: c.update(architecture="x86_64"), "config", "architecture"),
    "architectures": (lambda m, c: c.update(architecture=["amd64"]), "config", "architecture"),
    "no architecture": (lambda m, c: c.pop("architecture"), "config", "architecture"),
    "os": (lambda m, c: c.pop("os"), "config", "os is"),
    "created": (lambda m, c: c.update(created="2026-01-02 03:04:05"), "config", "RFC 3339"),
    "no such day": (lambda m, c: c.update(created="2026-02-31T03:04:05Z"), "config", "RFC 3339"),
    "date in history": (lambda m, c: c["history"][0].update(created="today"), "config", "RFC 3339"),
    "label": (lambda m, c: c["config"]["Labels"].update(number=1), "config", "Labels"),
    "annotation": (lambda m, c: m["annotations"].update(number=1), "manifest", "annotation"),
    "ref name": (
        lambda m, c: m["annotations"].update({"org.opencontainers.image.ref.name": "t"}), "manifest", "in the index",
    ),
    "rootfs type": (lambda m, c: c["rootfs"].pop("type"), "config", "rootfs.type"),
    "schemaVersion": (lambda m, c: m.update(schemaVersion=1), "manifest", "schemaVersion"),
    "mediaType": (lambda m, c: m.update(mediaType="text/plain"), "manifest", "mediaType"),
    "config mediaType": (lambda m, c: m["config"].update(mediaType="text/plain"), "manifest", "mediaType"),
    "Cmd": (lambda m, c: c["config"].update(Cmd="/sbin/init"), "config", "Cmd"),
    "final diff_id": (
        lambda m, c: c["config"]["Labels"].update({"ostree.final-diffid": f"sha256:{'0' * 64}"}), "config", "none of",
    ),
    "stale commit label": (lambda m, c: c["config"]["Labels"].pop("ostree.final-diffid"), "config", "without"),
    "other commit label": (
        lambda m, c: c["config"]["Labels"].update({"ostree.commit": "0" * 64}), "config", "the layers have",
    ),
    "bootc label": (lambda m, c: c["config"]["Labels"].pop("containers.bootc"), "config", "bootable"),
    "a diff_id more": (lambda m, c: c["rootfs"]["diff_ids"].append(f"sha256:{'0' * 64}"), "config", "diff_ids"),
    "diff_id": (lambda m, c: c["rootfs"]["diff_ids"].__setitem__(1, f"sha256:{'0' * 64}"), "sha256", "its diff_id is"),
    "size": (lambda m, c: m["layers"][1].update(size=m["layers"][1]["size"] + 1), "sha256", "bytes, not"),
    "layer type": (
        lambda m, c: m["layers"][1].update(mediaType="application/vnd.oci.image.layer.v1.tar"), "sha256", "damaged",
    ),
    "zstd that is gzip": (
        lambda m, c: m["layers"][1].update(mediaType="application/vnd.oci.image.layer.v1.tar+zstd"), "sha256", "zstd",
    ),
    "strange layer type": (lambda m, c: m["layers"][1].update(mediaType="text/plain"), "sha256", "media type"),
}  # fmt: skip
# what an import, too, must not pass over
IMPORT = ("final diff_id", "a diff_id more", "diff_id", "size", "layer type", "zstd that is gzip", "strange layer type")


@pytest.fixture(scope="module")
def image(big_folder: Any, ground: Ground) -> Path:
    """A sound image of the toy commit."""
    folder: Path = big_folder("sound")
    repo = ocitrees.repo(folder / "repo")
    ocitrees.commit(repo, ocitrees.toy(folder / "tree"), "--bootable")
    ground.apt_ostree("oci", "export", "--repo", repo, REF, f"oci:{folder}/image:t")
    return folder / "image"


@pytest.fixture
def target(work: Path) -> Path:
    """An empty repo."""
    return ocitrees.repo(work / "target", "archive")


@pytest.fixture
def layout(image: Path, work: Path) -> Layout:
    shutil.copytree(image, work / "image")
    return Layout(work / "image")


def findings(ground: Ground, layout: Layout, code: int = 7) -> list[dict[str, str]]:
    done = ground.apt_ostree("oci", "verify", f"oci:{layout.path}:t", "--json", check=code)
    told = held_to("oci-verify", done)
    assert told["sound"] is (code == 0)
    found: list[dict[str, str]] = told["findings"]
    return found


def refused(ground: Ground, layout: Layout, target: Path, words: str, *options: str) -> None:
    """The import ends with 7 and says why; nothing has entered the repo."""
    before = sorted(path for path in target.rglob("*") if path.is_file())
    done = ground.apt_ostree("oci", "import", "--repo", target, f"oci:{layout.path}:t", "--json", *options, check=7)
    error = held_to("error", done)["error"]
    assert words in error["message"], error
    after = sorted(path for path in target.rglob("*") if path.is_file() and not path.name.endswith("lock"))
    assert [path for path in after if path not in before] == []


def test_a_sound_image(image: Path, ground: Ground) -> None:
    assert findings(ground, Layout(image), 0) == []
    assert "is sound" in ground.apt_ostree("oci", "verify", f"oci:{image}:t").stdout


@pytest.mark.parametrize("name", DOCUMENTS)
def test_mistakes_are_found(name: str, layout: Layout, target: Path, ground: Ground) -> None:
    edit, part, words = DOCUMENTS[name]
    layout.change(lambda manifest, config: edit(manifest, config) and None)
    found = findings(ground, layout)
    assert any(one["part"].startswith(part) and words in one["message"] for one in found), found
    if name in IMPORT:
        ground.apt_ostree("oci", "import", "--repo", target, f"oci:{layout.path}:t", check=7)


def test_bytes_that_changed(layout: Layout, target: Path, ground: Ground) -> None:
    place = layout.place(layout.manifest["layers"][2]["digest"])
    data = bytearray(place.read_bytes())
    data[len(data) // 2] ^= 1
    place.write_bytes(data)
    assert findings(ground, layout)
    ground.apt_ostree("oci", "import", "--repo", target, f"oci:{layout.path}:t", check=7)
    place.unlink()
    assert "is not in" in findings(ground, layout)[0]["message"]
    place = layout.place(layout.manifest["config"]["digest"])
    place.write_bytes(place.read_bytes() + b" ")
    assert "not what its descriptor says" in findings(ground, layout)[0]["message"]
    (layout.path / "index.json").write_text("{")
    assert "not JSON" in findings(ground, layout)[0]["message"]


def test_the_index(layout: Layout, ground: Ground) -> None:
    index = layout.index
    index["manifests"][0]["platform"]["architecture"] = "s390x"
    (layout.path / "index.json").write_text(json.dumps(index))
    assert findings(ground, layout)[0]["part"] == "index"
    index["manifests"].append(index["manifests"][0])
    (layout.path / "index.json").write_text(json.dumps(index))
    assert "2 times" in findings(ground, layout)[0]["message"]


def named(found: list[Entry], end: str) -> int:
    return next(number for number, (info, _) in enumerate(found) if info.name.endswith(end))


def without(end: str) -> Callable[[list[Entry]], list[Entry]]:
    return lambda found: [one for number, one in enumerate(found) if number != named(found, end)]


def spoil(end: str) -> Callable[[list[Entry]], list[Entry]]:
    """Another byte in an object; its name stays."""

    def change(found: list[Entry]) -> list[Entry]:
        number = next(n for n, (info, data) in enumerate(found) if info.name.endswith(end) and data)
        info, data = found[number]
        return [*found[:number], (info, bytes([data[0] ^ 1]) + data[1:]), *found[number + 1 :]]

    return change


def swap_owner(found: list[Entry]) -> list[Entry]:
    info, _ = found[named(found, ".file")]
    info.uid = 4321
    return found


def retarget(found: list[Entry]) -> list[Entry]:
    info, _ = next(one for one in found if one[0].islnk())
    info.linkname = "../../../etc/shadow"
    return found


def only_links(found: list[Entry]) -> list[Entry]:
    """What an object's attributes are a link to is not there."""
    info, _ = found[named(found, ".file-xattrs-link")]
    info.type, info.linkname = tarfile.LNKTYPE, "sysroot/ostree/repo/objects/00/nothing.file-xattrs"
    return [(one, b"" if one is info else data) for one, data in found]


ZERO = "sysroot/ostree/repo/objects/00/" + "0" * 62
LAYERS: dict[str, tuple[int, Callable[[list[Entry]], list[Entry]], str]] = {
    "no attributes": (1, without(".file-xattrs-link"), "without its attributes"),
    "attributes alone": (1, without(".file"), "no object of the layer"),
    "attributes by a dead link": (1, only_links, "not there"),
    "other attributes": (1, lambda f: [*f, file(f"{ZERO}.file-xattrs-link", b"\xff\xff")], "cannot be read"),
    "another owner": (1, swap_owner, "not what its name says"),
    "another byte": (1, spoil(".file"), "not what its name says"),
    "another byte in a directory": (0, spoil(".dirtree"), "not what its name says"),
    "another byte in the commit": (0, spoil(".commit"), "not what its name says"),
    "an object twice": (1, lambda f: [*f, f[named(f, ".file")]], "twice"),
    "a directory among files": (1, lambda f: [*f, file(f"{ZERO}.dirtree", b"\0")], "a layer of files has"),
    "two commits": (0, lambda f: [*f, file(f"{ZERO}.commit", b"x")], "two commits"),
    "no commit": (0, without(".commit"), "in front of it"),
    "no object": (1, lambda f: [*f, file("sysroot/ostree/repo/objects/00/x", b"x")], "is no object"),
    "out of the tree": (1, lambda f: [*f, file("../../etc/passwd", b"x")], "leads out"),
    "a link out of the tree": (1, retarget, "no object of the layer"),
    "a device": (1, lambda f: [*f, file("usr/x", type=tarfile.CHRTYPE)], "character device"),
    "a directory is missing": (0, without(".dirtree"), "lacks"),
    "a file is missing": (
        1, lambda f: [one for one in f if ".file" not in one[0].name and not one[0].islnk()], "lacks",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_hostile_layers_of_a_commit(name: str, layout: Layout, target: Path, ground: Ground) -> None:
    number, change, words = LAYERS[name]
    layout.edit(number, change)
    refused(ground, layout, target, words)
    found = findings(ground, layout)
    assert any(words.replace("lacks", "missing") in one["message"] for one in found), found


def test_a_bomb(layout: Layout, target: Path, ground: Ground) -> None:
    layout.replace(1, ocilayout.packed([file("zeros", bytes(40 << 20))]))
    assert len(gzip.compress(bytes(40 << 20), 1)) < 1 << 20
    refused(ground, layout, target, "more than is allowed", "--max-size=16M")
    done = ground.apt_ostree("oci", "verify", f"oci:{layout.path}:t", "--max-size=16M", check=7)
    assert "more than is allowed" in done.stdout


HOSTILE: dict[str, tuple[Entry, str]] = {
    "out of the tree": (file("../x", b"x"), "leads out"),
    "a device": (file("usr/null", type=tarfile.CHRTYPE), "character device"),
    "a link to nothing": (file("usr/x", type=tarfile.LNKTYPE, linkname="../../etc/shadow"), "leads out"),
    "through a link": (file("usr/odd/passwd", b"root"), "below a file or a link"),
    "twice": (file("usr/odd", b"x"), "twice"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_layers_on_top(name: str, layout: Layout, target: Path, ground: Ground) -> None:
    entry, words = HOSTILE[name]
    layout.append(ocilayout.packed([file("usr/odd", type=tarfile.SYMTYPE, linkname="/etc"), entry]))
    refused(ground, layout, target, words)


def test_old_shared_attributes_are_read(layout: Layout, work: Path, ground: Ground) -> None:
    """As bootc wrote them before 1.8: one file for equal attributes, and hard links to it."""
    import hashlib

    def change(found: list[Entry]) -> list[Entry]:
        made, known = [], set()
        for info, data in found:
            if info.name.endswith(".file-xattrs-link"):
                name = hashlib.sha256(data).hexdigest()
                place = f"sysroot/ostree/repo/objects/{name[:2]}/{name[2:]}.file-xattrs"
                if place not in known:
                    made.append(file(place, data))
                known.add(place)
                info.type, info.linkname, data = tarfile.LNKTYPE, place, b""
            made.append((info, data))
        return made

    for number in range(1, len(layout.manifest["layers"])):
        layout.edit(number, change)
    repo = ocitrees.repo(work / "repo", "bare-user")
    ground.apt_ostree("oci", "import", "--repo", repo, f"oci:{layout.path}:t")
    run(["ostree", "fsck", f"--repo={repo}", "--quiet"])
    assert findings(ground, layout, 0) == []


def test_a_blob_that_was_something_else(layout: Layout, target: Path, ground: Ground, work: Path) -> None:
    """The layers of a commit, imported as those of a plain image, are not taken for the commit's later on."""
    words = ("oci", "import", "--repo", target, "--json")
    commit = ground.apt_ostree(*words, f"oci:{layout.path}:t").json["commit"]
    shutil.copytree(layout.path, work / "plain")
    plain = Layout(work / "plain")
    plain.change(lambda manifest, config: config["config"]["Labels"].clear())
    for first, second in ((plain, layout), (layout, plain)):
        repo = ocitrees.repo(work / f"{first.path.name}-first", "archive")
        told = [
            ground.apt_ostree("oci", "import", "--repo", repo, f"oci:{one.path}:t", "--json").json
            for one in (first, second, first)
        ]
        assert {one["format"]: one["commit"] == commit for one in told} == {"encapsulated": True, "plain": False}
        run(["ostree", "fsck", f"--repo={repo}", "--quiet"])


def test_a_layer_that_is_here_is_held_to_its_diff_id(layout: Layout, target: Path, ground: Ground) -> None:
    """Of each kind: the first of a commit, one of its files, and one on top."""
    layout.append(ocilayout.packed([file("usr/on-top", b"x")]))
    ground.apt_ostree("oci", "import", "--repo", target, f"oci:{layout.path}:t")
    good = layout.config
    for number in (0, 1, len(good["rootfs"]["diff_ids"]) - 1):
        wrong = json.loads(json.dumps(good))
        wrong["rootfs"]["diff_ids"][number] = f"sha256:{'0' * 64}"
        layout.write(layout.manifest, wrong)
        refused(ground, layout, target, "its diff_id is")
    layout.write(layout.manifest, good)
    again = ground.apt_ostree("oci", "import", "--repo", target, f"oci:{layout.path}:t", "--json").json
    assert again["fetched-layers"] == 0 and not again["changed"]


def test_a_link_is_no_empty_file(layout: Layout, target: Path, ground: Ground) -> None:
    """What engines leave in /etc is empty; a link to systemd-resolved is what somebody wants there."""
    link = file("etc/resolv.conf", type=tarfile.SYMTYPE, linkname="../run/systemd/resolve/stub-resolv.conf")
    layout.append(ocilayout.packed([link, file("etc/hostname", b"")]))
    commit = ground.apt_ostree("oci", "import", "--repo", target, f"oci:{layout.path}:t", "--json").json["commit"]
    shown = run(["ostree", "ls", f"--repo={target}", commit, "/usr/etc"]).stdout
    assert "resolv.conf -> ../run/systemd" in shown and "hostname" not in shown


def test_a_version_has_no_zero_in_it(layout: Layout, target: Path, ground: Ground) -> None:
    layout.append(ocilayout.packed([file("usr/x", b"x")]))
    key = "org.opencontainers.image.version"
    layout.change(lambda manifest, config: config["config"]["Labels"].update({key: "1\0\0002"}))
    refused(ground, layout, target, "has a zero in it")


def test_the_corner_of_a_repo_leads_nowhere_else(layout: Layout, target: Path, work: Path, ground: Ground) -> None:
    (work / "outside/oci").mkdir(parents=True)
    (work / "outside/oci/precious").write_text("x")
    ours = target / "extensions/apt-ostree"
    ours.mkdir(parents=True)
    (ours / "work").symlink_to(work / "outside")
    done = ground.apt_ostree("oci", "import", "--repo", target, f"oci:{layout.path}:t", "--json", check=1)
    assert done.json["error"]["code"] == "unsafe" and (work / "outside/oci/precious").exists()


def test_images_whose_refs_collide(layout: Layout, target: Path, work: Path, ground: Ground) -> None:
    ground.apt_ostree("oci", "import", "--repo", target, f"oci:{layout.path}:t", "--write-ref", "app")
    words = ("oci", "import", "--repo", target, f"oci:{layout.path}:t", "--json")
    done = ground.apt_ostree(*words, "--write-ref", "app/debug", check=1)
    assert "there is 'app'" in done.json["error"]["message"]


def test_a_blob_that_changed_is_written_again(layout: Layout, ground: Ground, image: Path) -> None:
    """An export into a layout where somebody has put something else under a layer's name."""
    place = layout.place(layout.manifest["layers"][1]["digest"])
    data = place.read_bytes()
    place.write_bytes(bytes(len(data)))
    ground.apt_ostree("oci", "export", "--repo", image.parent / "repo", REF, f"oci:{layout.path}:t")
    assert place.read_bytes() == data


def test_an_archive_replaces_only_an_archive(image: Path, work: Path, ground: Ground) -> None:
    (work / "home/.config/containers").mkdir(parents=True)
    policy = {"default": [{"type": "insecureAcceptAnything"}]}
    (work / "home/.config/containers/policy.json").write_text(json.dumps(policy))
    place, home = work / "image.tar", {"HOME": str(work / "home")}
    words = ("oci", "export", "--repo", image.parent / "repo", REF, f"oci-archive:{place}:t", "--unchanged-exit-77")
    place.write_text("a letter")
    done = ground.apt_ostree(*words, "--json", check=1, env=home)
    assert done.json["error"]["code"] == "exists" and place.read_text() == "a letter"
    place.unlink()
    ground.apt_ostree(*words, env=home)
    ground.apt_ostree(*words, check=77, env=home)
    ground.apt_ostree(*words, "--label", "a=b", env=home)
    assert sorted(path.name for path in work.iterdir()) == ["home", "image.tar"]
