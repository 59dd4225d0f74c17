"""What strangers hand us: it is refused soon, it leads nowhere, and it is not taken for what it is not."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from apt_ostree import commits, trees
from apt_ostree.commits import CommitError
from apt_ostree.errors import AptOstreeError
from apt_ostree.oci import archive, chunk, decapsulate, exporting, fetch, kept, names, staging
from apt_ostree.oci import source as sources
from apt_ostree.oci.decompress import Budget, reading
from apt_ostree.oci.layout import BadImageError, Descriptor, Layout, digest_of, loads
from apt_ostree.oci.objects import Content, ObjectError, Objects, pack_xattrs
from apt_ostree.oci.staging import Stage
from apt_ostree.oci.tarreader import Reader
from apt_ostree.oci.tarwriter import END, padding
from apt_ostree.trees import Tree, TreeError
from apt_ostree.view.commit import open_commit
from tests.support import ocitrees
from tests.support.ocilayout import file, packed


def raw(kind: bytes, data: bytes, size: bytes = b"") -> bytes:
    """An entry by hand; `size` as the field has it."""
    block = bytearray(512)
    block[:1], block[100:107], block[108:115], block[116:123] = b"x", b"0000644", b"0000000", b"0000000"
    block[124:136], block[136:147], block[156:157] = size or b"%011o\0" % len(data), b"0" * 11, kind
    block[148:156] = b"%06o\0 " % (sum(block) + 8 * 32)
    return bytes(block) + data + padding(len(data))


def pax(key: bytes, value: bytes) -> bytes:
    length = len(key) + len(value) + 3
    while len(str(length)) + len(key) + len(value) + 3 != length:
        length = len(str(length)) + len(key) + len(value) + 3
    return b"%d %s=%s\n" % (length, key, value)


def walked(data: bytes) -> int:
    blob = Descriptor(media_type=names.LAYER, digest=digest_of(data), size=len(data))
    with reading(io.BytesIO(data), blob, "", Budget(1 << 30)) as tar:
        return len(list(Reader(tar)))


NEGATIVE = b"\xff" * 10 + b"\xfe\x00"
TARS = {
    "a negative size of a header": (raw(b"x", b"", NEGATIVE) + raw(b"0", b""), "has -1 bytes"),
    "a negative size of a file": (raw(b"0", b"", NEGATIVE), "a size or an owner"),
    "headers without end": (raw(b"x", pax(b"a", b"b" * 1_500_000)) * 3 + raw(b"0", b""), "too many"),
    "a number with two signs": (raw(b"x", pax(b"uid", b"--5")) + raw(b"0", b""), "a number that is none"),
    "a record that is too short": (raw(b"x", b"3 a=b\n") + raw(b"0", b""), "damaged"),
    "a record of nothing": (raw(b"x", b"0 a=b\n") + raw(b"0", b""), "damaged"),
}


@pytest.mark.parametrize("name", TARS)
def test_tars_are_refused(name: str) -> None:
    data, words = TARS[name]
    with pytest.raises(BadImageError, match=words):
        walked(data + END)


def test_many_records_are_read_in_no_time() -> None:
    records = pax(b"a", b"b") * 500_000
    begun = time.process_time()
    assert walked(raw(b"x", records) + raw(b"0", b"") + END) == 1
    assert time.process_time() - begun < 10


def test_json_with_half_a_character_is_refused() -> None:
    for data in (b'{"a": "\\ud800"}', b'{"a": "\xed\xa0\x80"}'):
        with pytest.raises(BadImageError, match="not JSON"):
            loads(data, "the config")
    assert loads(b'{"a": "\\ud83d\\ude00"}', "the config") == {"a": "\U0001f600"}


def test_a_name_of_an_attribute_has_no_zero_in_it() -> None:
    place = "sysroot/ostree/repo/objects/00/" + "0" * 62 + ".file-xattrs-link"
    for name in (b"user.a\0b", b""):
        data = packed([file(place, pack_xattrs([(name, b"")]))])
        blob = Descriptor(media_type=names.LAYER, digest=digest_of(data), size=len(data))
        with (
            pytest.raises(BadImageError, match="a name that cannot be"),
            reading(io.BytesIO(data), blob, "", Budget(1 << 20)) as tar,
        ):
            decapsulate.read(tar, staging.Checking(), first=False)


@pytest.mark.parametrize("layers", [{"a": 1}, "text", [1, 2], [{}, {"annotations": [1]}]])
def test_a_malformed_manifest_before_is_refused(layers: Any) -> None:
    with pytest.raises(BadImageError, match="of the image before"):
        chunk.previous_of({"layers": layers})
    assert chunk.previous_of({"layers": None}) == ()


def test_an_index_of_an_index_lists_manifests(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "image")
    layout.create()
    for value in (5, None, {"a": 1}):
        index = layout.add(json.dumps({"manifests": value}).encode(), names.INDEX)
        layout.tag(index, "t", {})
        with (
            pytest.raises(BadImageError, match="lists no manifests"),
            fetch.opened(
                names.parse(f"oci:{layout.path}:t"),
                None,  # type: ignore[arg-type]
            ),
        ):
            pass


def test_configs_with_nothing_in_them_have_no_layers(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "image")
    layout.create()
    for number, (layers, rootfs) in enumerate([(None, {}), ([], None), (5, {"diff_ids": 5}), ([1], {"diff_ids": [1]})]):
        config = layout.add(json.dumps({"rootfs": rootfs, "n": number}).encode(), names.CONFIG)
        manifest = {"config": config.as_json(), "layers": layers}
        layout.tag(layout.add(json.dumps(manifest).encode(), names.MANIFEST), str(number), {})
    assert exporting.known_layers(layout, "gzip") == {}


def test_a_blob_that_is_not_what_its_name_says_is_replaced(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "image")
    layout.create()
    made = layout.add(b"right", names.CONFIG)
    layout.blob(made.digest).write_bytes(b"wrong")
    assert layout.add(b"right", names.CONFIG) == made and layout.blob(made.digest).read_bytes() == b"right"
    layout.blob(made.digest).write_bytes(b"wrong")
    with layout.new_blob() as new:
        new.write(b"right")
        assert layout.keep(new, made)
    with layout.new_blob() as new:
        new.write(b"right")
        assert not layout.keep(new, made)
    assert layout.blob(made.digest).read_bytes() == b"right"


def test_what_a_killed_export_left_is_swept(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "image")
    layout.create()
    left, young = layout.blobs / ".new-left", layout.blobs / ".new-young"
    for path in (left, young, layout.path / ".new-index"):
        path.write_bytes(b"x")
    with layout.new_blob() as living:
        for path in (left, layout.path / ".new-index", Path(living.name)):
            os.utime(path, (0, 0))
        layout.create()
        assert sorted(path.name for path in layout.blobs.iterdir()) == sorted([Path(living.name).name, young.name])
        assert not (layout.path / ".new-index").exists()


def test_few_directories_at_many_paths() -> None:
    """Each has the one below it ten times: a commit of a few kilobytes."""
    made = {"0": Tree({"file": "x"}, {})}
    for number in range(1, 9):
        made[str(number)] = Tree({}, {f"d{name}": (str(number - 1), "m") for name in range(10)})
    assert trees.count("3", made.__getitem__).paths == 10 + 100 + 1000 + 1000
    with pytest.raises(TreeError, match="more than 5000000 paths") as caught:
        trees.count("8", made.__getitem__)
    assert caught.value.code == "bad-image"


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return ocitrees.repo(tmp_path / "repo", "archive")


def test_objects_may_be_read_whatever_the_umask(tmp_path: Path, repo: Path) -> None:
    stage = Stage(ocitrees.repo(tmp_path / "stage", "archive"), "archive", Objects(repo))
    before = os.umask(0o077)
    try:
        meta = stage.add("dirmeta", staging.dirmeta(0, 0, 0o755))
        data = stage.content(Content(uid=0, gid=0, mode=0o100644, size=1), [b"x"])
    finally:
        os.umask(before)
    for checksum, kind in ((meta, "dirmeta"), (data, "filez")):
        path = stage.path / "objects" / checksum[:2] / f"{checksum[2:]}.{kind}"
        assert path.stat().st_mode & 0o777 == 0o644


def test_a_file_is_its_owners_alone_until_it_has_its_mode(tmp_path: Path, repo: Path) -> None:
    stage = Stage(ocitrees.repo(tmp_path / "stage", "bare-user"), "bare-user", Objects(repo))

    def data() -> Any:
        (new,) = (stage.path / "tmp").glob("new-*")
        assert new.stat().st_mode & 0o777 == 0o600
        yield b"secret"

    stage.content(Content(uid=0, gid=0, mode=0o104755, size=6), data())


@pytest.mark.parametrize(("mode", "suffix"), [("bare-user-only", "file"), ("archive", "filez")])
def test_links_of_a_repo_are_not_followed(mode: str, suffix: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    objects = Objects(ocitrees.repo(tmp_path / "there", mode))
    place = objects.path("0" * 64, suffix)
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(tmp_path / "secret")
    with pytest.raises(ObjectError, match="symbolic link"):
        list(objects.chunks("0" * 64))
    if mode == "archive":
        with pytest.raises(ObjectError, match="symbolic link"):
            objects.content("0" * 64)


@pytest.mark.parametrize("kind", ["commit", "commitmeta", "dirtree", "dirmeta"])
def test_metadata_of_a_repo_are_files_of_it(kind: str, tmp_path: Path, repo: Path) -> None:
    """A link would put what it leads to into an image; a pipe would never end."""
    (tmp_path / "secret").write_text("secret")
    checksum, objects = "0" * 64, Objects(repo)
    place = objects.path(checksum, kind)
    place.parent.mkdir(exist_ok=True)
    for make, words in (
        (lambda: place.symlink_to(tmp_path / "secret"), "symbolic link"),
        (lambda: os.mkfifo(place), "not a regular file"),
        (lambda: place.mkdir(), "not a regular file"),
        (lambda: os.truncate(os.open(place, os.O_CREAT | os.O_WRONLY), 1 << 40), "more than"),
    ):
        make()
        with pytest.raises(CommitError, match=words):
            objects.metadata(checksum, kind)
        if kind == "commit":
            with pytest.raises(CommitError, match=words):
                commits.load(repo, checksum)
        if kind == "dirtree":
            with pytest.raises(CommitError, match=words):
                trees.Trees(repo).tree(checksum)
        place.rmdir() if place.is_dir() else place.unlink()


@pytest.mark.parametrize(("mode", "suffix"), [("bare-user", "file"), ("archive", "filez")])
def test_a_commit_is_looked_at_without_links_of_its_repo(mode: str, suffix: str, tmp_path: Path) -> None:
    made = ocitrees.repo(tmp_path / "made", mode)
    (tmp_path / "tree/usr").mkdir(parents=True)
    (tmp_path / "tree/usr/file").write_text("content")
    checksum = ocitrees.commit(made, tmp_path / "tree")
    looked = open_commit(made, checksum)
    node = looked.nodes["usr/file"]
    place = trees.object_path(made, node.object, suffix)
    (tmp_path / "moved").write_bytes(place.read_bytes())
    place.unlink()
    place.symlink_to(tmp_path / "moved")
    with pytest.raises(CommitError):
        looked.read("usr/file")
    with pytest.raises(CommitError):
        open_commit(made, checksum)
    with pytest.raises(CommitError):
        sources.commit(made, checksum).content(node.object)


def test_links_of_a_tree_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("VERSION_ID=secret\n")
    root = tmp_path / "root"
    (root / "usr/lib").mkdir(parents=True)
    (root / "usr/lib/os-release").symlink_to(tmp_path / "secret")
    found = sources.rootfs(root, 0)
    assert sources.read(found, "/usr/lib/os-release") == b"" and exporting._version(found) == ""
    with pytest.raises(ObjectError, match="symbolic link"):
        list(found.chunks("/usr/lib/os-release"))
    (root / "usr/lib/os-release").unlink()
    with (root / "usr/lib/os-release").open("wb") as big:
        big.truncate(65 << 20)
    with pytest.raises(ObjectError, match="has more than"):
        sources.read(sources.rootfs(root, 0), "/usr/lib/os-release")


@pytest.mark.parametrize(("there", "wanted"), [("a/app", "a/app/debug"), ("a/app/debug", "a/app")])
def test_refs_that_collide(there: str, wanted: str, repo: Path) -> None:
    (repo / "refs/heads" / there).parent.mkdir(parents=True, exist_ok=True)
    (repo / "refs/heads" / there).write_text("0" * 64)
    with pytest.raises(AptOstreeError, match=f"'{wanted}' cannot be made: there is '{there}'"):
        kept.check_ref(repo, wanted)
    kept.check_ref(repo, there)
    kept.check_ref(repo, "a/other")


def test_only_an_archive_is_overwritten(tmp_path: Path) -> None:
    place = tmp_path / "image.tar"
    archive.check(place)
    place.touch()
    archive.check(place)
    for data in (b"a letter", packed([file("letter", b"x")])):
        place.write_bytes(data)
        with pytest.raises(AptOstreeError, match="no OCI archive"):
            archive.check(place)
        assert archive.digests(place) == {}
    index = {"manifests": [{"digest": "sha256:1", "annotations": {names.REF_NAME: "t"}}, {"digest": "sha256:2"}]}
    place.write_bytes(packed([file("index.json", json.dumps(index).encode()), file("oci-layout", b"{}")]))
    archive.check(place)
    assert archive.digests(place) == {"t": "sha256:1", "": "sha256:2"}
    with pytest.raises(AptOstreeError, match="no OCI archive"):
        archive.check(tmp_path)


def test_a_blob_is_looked_at_before_it_is_used_again(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "image")
    layout.create()
    tar, other = packed([file("a", b"a")]), packed([file("b", b"b")])
    blob = layout.add(gzip.compress(tar), f"{names.LAYER}+gzip")
    diff_id = f"sha256:{hashlib.sha256(tar).hexdigest()}"
    assert exporting._is(layout, blob, diff_id, len(tar))
    assert not exporting._is(layout, blob, digest_of(other), len(tar))
    layout.blob(blob.digest).write_bytes(gzip.compress(other))
    assert not exporting._is(layout, blob, diff_id, len(tar))
