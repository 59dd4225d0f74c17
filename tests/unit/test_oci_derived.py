"""Ordinary layers, laid on each other as a container engine does it, and layers that are refused."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from apt_ostree.oci import derived, staging
from apt_ostree.oci.decompress import Budget, reading
from apt_ostree.oci.derived import LayerTree, Merge, Rules
from apt_ostree.oci.layout import BadImageError, Descriptor, digest_of
from apt_ostree.oci.names import LAYER
from apt_ostree.oci.objects import Objects
from apt_ostree.oci.staging import Stage
from apt_ostree.trees import parse
from tests.support import ocitrees

Spec = str | tuple[str, str]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    there = Objects(ocitrees.repo(tmp_path / "there", "archive"))
    return Stage(ocitrees.repo(tmp_path / "stage", "archive"), "archive", there)


def layer(*entries: Spec) -> bytes:
    """`a/` a directory, `a` an empty file, ("a", text) a file, ("a", "->b") a link, ("a", "=b") a hard link."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for spec in entries:
            name, text = spec if isinstance(spec, tuple) else (spec, "")
            info = tarfile.TarInfo(name)
            info.mode = 0o755 if name.endswith("/") else 0o644
            if name.endswith("/"):
                info.type = tarfile.DIRTYPE
                info.uid = len(text)
            elif text[:2] == "->":
                info.type, info.linkname = tarfile.SYMTYPE, text[2:]
            elif text[:1] == "=":
                info.type, info.linkname = tarfile.LNKTYPE, text[1:]
            else:
                info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()) if info.isreg() else None)
    return out.getvalue()


def read(stage: Stage, *entries: Spec, rules: Rules | None = None) -> LayerTree:
    data = layer(*entries)
    blob = Descriptor(media_type=LAYER, digest=digest_of(data), size=len(data))
    with reading(io.BytesIO(data), blob, "", Budget(1 << 30)) as tar:
        return derived.read(tar, stage, rules or Rules())


def shown(stage: Stage, root: tuple[str, str]) -> dict[str, str]:
    """Every path of a tree: the text of a file, `->` of a link, the owner of a directory."""
    found: dict[str, str] = {}

    def walk(tree: str, path: str) -> None:
        one = parse(stage.load(tree, "dirtree"))
        for name, checksum in one.files.items():
            objects = Objects(stage.path)
            content = objects.content(checksum)
            text = b"".join(objects.chunks(checksum)).decode() if not content.is_link else ""
            found[path + name] = f"->{content.target.decode()}" if content.is_link else text
        for name, (below, meta) in one.dirs.items():
            found[f"{path}{name}/"] = str(int.from_bytes(stage.load(meta, "dirmeta")[:4], "big"))
            walk(below, f"{path}{name}/")

    walk(root[0], "")
    return found


def laid(stage: Stage, *layers: tuple[Spec, ...]) -> dict[str, str]:
    root: tuple[str, str] | None = None
    for entries in layers:
        root = Merge(stage).lay(root, read(stage, *entries))
    assert root is not None
    return shown(stage, root)


def test_layers_on_each_other(stage: Stage) -> None:
    base: tuple[Spec, ...] = ("usr/", ("usr/a", "1"), ("usr/b", "1"), "usr/d/", ("usr/d/x", "1"), ("usr/l", "->a"))
    upper: tuple[Spec, ...] = ("usr/", ("usr/a", "2"), "usr/.wh.b", "usr/d/", ("usr/d/y", "2"), ("usr/h", "=usr/a"))
    assert laid(stage, base, upper) == {
        "usr/": "0", "usr/a": "2", "usr/h": "2", "usr/l": "->a", "usr/d/": "0", "usr/d/x": "1", "usr/d/y": "2",
    }  # fmt: skip


def test_whiteouts(stage: Stage) -> None:
    base: tuple[Spec, ...] = ("usr/d/", ("usr/d/x", "1"), ("usr/d/e/z", "1"), ("usr/f", "1"))
    opaque = laid(stage, base, ("usr/d/", ("usr/d/y", "2"), "usr/d/.wh..wh..opq"))
    assert opaque == {"usr/": "0", "usr/d/": "0", "usr/d/y": "2", "usr/f": "1"}
    gone = laid(stage, base, ("usr/.wh.d", "usr/.wh.nothing"))
    assert gone == {"usr/": "0", "usr/f": "1"}
    anew = laid(stage, base, ("usr/.wh.d",), (("usr/d/new", "3"),))
    assert anew == {"usr/": "0", "usr/f": "1", "usr/d/": "0", "usr/d/new": "3"}
    both = laid(stage, base, ("usr/.wh.f", ("usr/f", "2"), "usr/.wh.d", ("usr/d/only", "2")))
    assert both["usr/f"] == "2" and both["usr/d/only"] == "2"


def test_kinds_change(stage: Stage) -> None:
    assert laid(stage, (("usr/x", "file"),), ("usr/x/", ("usr/x/y", "1")))["usr/x/y"] == "1"
    assert laid(stage, ("usr/x/", ("usr/x/y", "1")), (("usr/x", "file"),)) == {"usr/": "0", "usr/x": "file"}
    assert laid(stage, (("bin", "->usr/bin"),), ("bin/", ("bin/y", "1"))) == {"bin/": "0", "bin/y": "1"}


def test_owners_of_directories(stage: Stage) -> None:
    base: tuple[Spec, ...] = (("usr/", "12345"), ("usr/d/", "123"))
    assert laid(stage, base, (("usr/d/x", "1"),))["usr/d/"] == "3", "a directory that is only implied"
    assert laid(stage, base, ("usr/d/", ("usr/d/x", "1")))["usr/d/"] == "0", "one that is said"


def test_where_things_go(stage: Stage) -> None:
    entries: tuple[Spec, ...] = (
        "./etc/", ("/etc/conf", "1"), "dev/", "dev/x", "run/", ("tmp/left", "x"), ("usr/etc/other", "2"),
        ("var/lib/x", "v"), ("opt/tool", "t"), ("etc/hostname", ""), ("etc/resolv.conf", "nameserver"), "sysroot/",
    )  # fmt: skip
    tree = read(stage, *entries)
    merge = Merge(stage)
    root = merge.lay(None, tree)
    root = merge.without_injected(root, lambda one: Objects(stage.path).content(one).size == 0)
    found = shown(stage, root)
    assert found["usr/etc/conf"] == "1" and found["usr/etc/other"] == "2" and "etc/" not in found
    assert "usr/etc/hostname" not in found and found["usr/etc/resolv.conf"] == "nameserver"
    assert {"dev/", "run/", "sysroot/"} <= set(found) and not {"dev/x", "tmp/left"} & set(found)
    assert found["var/lib/x"] == "v" and found["opt/tool"] == "t"
    strict = read(stage, *entries, rules=Rules(whole=False, factory=True))
    found = shown(stage, Merge(stage).lay(None, strict))
    assert found["usr/share/factory/var/lib/x"] == "v" and "opt/tool" not in found
    assert "/opt (1 entries)" in strict.left_out


def test_files_a_container_changed_in_the_commits_repo(stage: Stage) -> None:
    """Storage without hard links copies an object up; the path is then a link to the copy."""
    place = "sysroot/ostree/repo/objects/ab/cd.file"
    found = laid(stage, ((place, "changed"), ("usr/a", f"={place}")))
    assert found == {"usr/": "0", "usr/a": "changed"}


REFUSED: dict[str, tuple[tuple[Spec, ...], str]] = {
    "leads out": (("a/../../x",), "leads out"),
    "link leads out": ((("x", "=../../etc/shadow"),), "leads out"),
    "link to nothing": ((("x", "=usr/nothing"),), "no file of the layer"),
    "link to what is left out": (("dev/secret", ("x", "=dev/secret")), "no file of the layer"),
    "through a link": ((("usr/l", "->/etc"), ("usr/l/passwd", "root")), "below a file or a link"),
    "directory through a link": ((("usr/l", "->/etc"), "usr/l/d/"), "below a file or a link"),
    "directory on a link": ((("usr/l", "->/etc"), "usr/l/"), "twice"),
    "twice": (("usr/a", ("usr/a", "other")), "twice"),
    "file on a directory": ((("usr/a/x", "1"), "usr/a"), "twice"),
    "whiteout of dots": (("usr/.wh...",), "whiteout of nothing"),
    "root": ((("./", ""), (".", "x")), "root of a layer"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_layers_that_are_refused(name: str, stage: Stage) -> None:
    entries, words = REFUSED[name]
    with pytest.raises(BadImageError, match=words):
        read(stage, *entries)


def test_objects_have_the_checksums_of_libostree(tmp_path: Path) -> None:
    """Of a tree with everything in it: what we write of what we read has the same name."""
    there = ocitrees.repo(tmp_path / "there", "bare-user")
    ocitrees.commit(there, ocitrees.tiny.tree(tmp_path / "tree"))
    objects = Objects(there)
    made = Stage(ocitrees.repo(tmp_path / "made", "archive"), "archive", Objects(ocitrees.repo(tmp_path / "no")))
    for path in there.glob("objects/??/*.file"):
        name = path.parent.name + path.stem
        assert made.content(objects.content(name), objects.chunks(name)) == name
    for path in there.glob("objects/??/*.dirtree"):
        tree = parse(path.read_bytes())
        assert staging.dirtree(tree.files, tree.dirs) == path.read_bytes()
