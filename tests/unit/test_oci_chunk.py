"""Which files share a layer, and that it stays so."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import ClassVar

import pytest

from apt_ostree import gvariant
from apt_ostree.errors import AptOstreeError, UsageError
from apt_ostree.oci import chunk, components, config, names, owners
from apt_ostree.oci.chunk import Chunk, Component
from apt_ostree.oci.objects import Content, pack_xattrs
from apt_ostree.oci.source import Directory


def packages(count: int = 300, **sizes: int) -> dict[str, Component]:
    dice = random.Random(1)  # noqa: S311 (no secret)
    made = {f"p{number}": int(dice.lognormvariate(12, 2)) for number in range(count)} | sizes
    return {name: Component(name=name, size=size, keys=(f"{name}-1", f"{name}-2")) for name, size in made.items()}


def files(found: tuple[Chunk, ...]) -> list[str]:
    return sorted(key for one in found for key in one.keys)


def test_every_file_is_in_one_layer() -> None:
    found = chunk.chunks(packages().values(), 63)
    assert files(found) == sorted(key for one in packages().values() for key in one.keys)
    assert 50 < len(found) <= 63 and all(one.keys for one in found)
    assert chunk.chunks(reversed(packages().values()), 63) == found, "the order does not matter"


def test_few_components_have_layers_of_their_own() -> None:
    found = chunk.chunks(packages(5).values(), 63)
    assert [one.components for one in found] == [(f"p{number}",) for number in range(5)]
    assert found[0].title == "p0"


def test_a_package_that_changes_changes_its_layer_alone() -> None:
    old = chunk.chunks(packages().values(), 63)
    grown = packages() | {"p7": Component(name="p7", size=packages()["p7"].size + 10, keys=("p7-1", "p7-new"))}
    new = chunk.chunks(grown.values(), 63)
    assert len(set(old) - set(new)) == len(set(new) - set(old)) == 1


def test_a_new_package_disturbs_one_layer_and_with_the_image_before_none() -> None:
    old = chunk.chunks(packages().values(), 63)
    more = packages(new=1000)
    assert len(set(old) - set(chunk.chunks(more.values(), 63))) == 1
    kept = chunk.chunks(more.values(), 63, [one.components for one in old])
    assert len(kept) <= 63 and files(kept) == files(chunk.chunks(more.values(), 63))
    assert len(set(old) - set(kept)) <= 1
    room = chunk.chunks(more.values(), 70, [one.components for one in old])
    assert set(old) < set(room) and room[-1].components == ("new",)


def test_the_image_before_is_followed_where_it_fits() -> None:
    found = packages(100)
    bins = [[f"p{number}" for number in range(start, 100, 10)] for start in range(10)]
    kept = chunk.chunks(found.values(), 20, bins)
    assert [set(one.components) for one in kept] == [set(one) for one in bins]
    assert chunk.chunks(found.values(), 5, bins) == chunk.chunks(found.values(), 5), "too many layers"
    assert chunk.chunks(found.values(), 20, [["p1"], ["p1"]]) == chunk.chunks(found.values(), 20), "nonsense"
    gone = {name: one for name, one in found.items() if name not in bins[0]}
    assert len(chunk.chunks(gone.values(), 20, bins)) == 9


def test_exclusive_components_come_first_and_alone() -> None:
    found = packages(100)
    for name, size in (("p50", 1), ("app", 10), ("web", 20)):
        found[name] = Component(name=name, size=size, keys=(f"{name}-1", f"{name}-2"), exclusive=True)
    made = chunk.chunks(found.values(), 20)
    assert [one.components for one in made][:3] == [("app",), ("p50",), ("web",)] and len(made) <= 20
    assert files(made) == sorted(key for one in found.values() for key in one.keys)
    others = packages(100)
    del others["p50"]
    assert made[3:] == chunk.chunks(others.values(), 17), "the others are packed as if they were alone"
    bins = [["app", "p1", "p50"], [name for name in others if name != "p1"]]
    kept = chunk.chunks(found.values(), 20, bins)
    assert [one.components for one in kept][:4] == [("app",), ("p50",), ("web",), ("p1",)] and len(kept) == 5
    few = chunk.chunks(found.values(), 3)
    assert [one.components for one in few][:2] == [("app",), ("web",)] and "p50" in few[2].components
    assert len(chunk.chunks([one for one in found.values() if one.exclusive], 20)) == 3


def mark(value: bytes) -> bytes:
    return pack_xattrs([(components.ATTRIBUTE, value), (b"user.other", b"x")])


def test_marks_are_inherited_by_directories() -> None:
    class Marked:
        directories: ClassVar = [
            Directory(path=path, xattrs=mark(value) if value else b"")
            for path, value in {"": b"", "usr": b"", "usr/app": b"app\0", "usr/app/web": b"web", "opt": b"opt"}.items()
        ]

    marks = components.load(Marked())  # type: ignore[arg-type]
    told = {
        "usr/file": "", "usr/app/file": "app", "usr/app/bin/file": "app", "usr/app/web/x": "web", "usr/appx/file": "",
        "opt/x": "opt", "file": "",
    }  # fmt: skip
    assert {path: marks.of([path], b"") for path in told} == told
    assert marks.of(["usr/app/file"], mark(b"own")) == "own" and marks.of(["usr/app/file"], mark(b"")) == "app"
    assert marks.of(["bin/x", "usr/app/web/x"], b"") == "web"


@pytest.mark.parametrize("value", [b"a,b", b"a\nb", b"\xff", b"\xc2\x9b", b"n" * 256])
def test_marks_that_are_no_names(value: bytes) -> None:
    with pytest.raises(AptOstreeError, match="of /usr/x names no component"):
        components.Marks().of(["usr/x"], mark(value))


def test_what_a_manifest_says_of_its_layers() -> None:
    layers = [{"digest": "x"}, {"annotations": {names.COMPONENTS: "a,b"}}, {"annotations": {names.COMPONENTS: ""}}, {}]
    assert chunk.previous_of({"layers": layers}) == (("a", "b"), ())


STATUS = """Package: libc6
Status: install ok installed
Architecture: amd64
Multi-Arch: same
Source: glibc (2.41)
Version: 2.41-1

Package: dash
Status: install ok installed
Architecture: amd64
Version: 1

Package: dpkg
Status: install ok installed
Architecture: amd64
Version: 1

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1
"""


@dataclass
class Fake:
    """A tree of texts; a text that begins with `->` is a link."""

    texts: dict[str, str]
    directories: list[object] = field(default_factory=list)

    @property
    def groups(self) -> dict[str, list[str]]:
        return {path: [path] for path in self.texts}

    def content(self, key: str) -> Content:
        text = self.texts[key]
        return Content(uid=0, gid=0, mode=0, size=len(text), target=text[2:].encode() if text[:2] == "->" else b"")

    def chunks(self, key: str) -> list[bytes]:
        return [self.texts[key].encode()]


def test_owners_by_the_trees_own_database() -> None:
    admin = "usr/lib/sysimage/dpkg"
    tree = Fake({
        "bin": "->usr/bin", "opt": "->var/opt", f"{admin}/status": STATUS,
        f"{admin}/info/libc6:amd64.list": "/.\n/lib64/ld.so\n/usr/lib/libc.so\n/etc/ld.so.conf\n/opt/x",
        f"{admin}/info/dash.list": "/bin/sh\n/bin/dash\n/usr/lib/python3/a.py\n/boot/vmlinuz-6",
        f"{admin}/info/gone.list": "/usr/bin/gone",
        f"{admin}/diversions": "/bin/sh\n/bin/sh.distrib\nother\n",
    })  # fmt: skip
    found = owners.load(tree)  # type: ignore[arg-type]
    assert found.architecture == "amd64" and found.admin == admin and names.go_architecture("armhf") == "arm"
    wanted = {
        "usr/lib/libc.so": "glibc", "etc/ld.so.conf": "glibc", "var/opt/x": "glibc", "usr/bin/dash": "dash",
        "usr/bin/sh": "unpackaged", "usr/bin/sh.distrib": "dash", "usr/bin/gone": "unpackaged",
        "usr/lib/python3/__pycache__/a.cpython-313.pyc": "dash", "usr/lib/python3/__pycache__/b.pyc": "python-cache",
        "usr/lib/modules/6/vmlinuz": "dash", "usr/lib/modules/6/initramfs.img": "initramfs",
        f"{admin}/status": "dpkg-database", "etc/passwd": "configuration", "usr/lib/locale/C.utf8/x": "locale-cache",
    }  # fmt: skip
    assert {path: found.of([path]) for path in wanted} == wanted
    assert found.of(["usr/share/other", "usr/bin/dash"]) == "dash", "the first path that has an owner"
    assert owners.load(Fake({"usr/bin/x": ""})).of(["usr/bin/x"]) == "unpackaged"  # type: ignore[arg-type]


def test_names() -> None:
    assert names.blob_ref("sha256:ab") == "ostree/container/blob/sha256_3A_ab"
    assert names.escape("docker://quay.io/a_b/c:1-x/") == "docker_3A__2F__2F_quay_2E_io/a__b/c_3A_1-x_2F_"
    assert str(names.parse("registry:quay.io/x:1")) == "docker://quay.io/x:1"
    assert names.parse("oci:/a/b:tag") == names.Reference(transport="oci", path="/a/b", tag="tag")
    for text in ("quay.io/x", "docker://", "oci:", "dir:/x", "docker://-x"):
        with pytest.raises(UsageError):
            names.parse(text)


def test_a_config_to_start_from() -> None:
    assert config.container_config({"config": {"Env": ["A=1"], "Labels": None}}) == {"Env": ["A=1"]}
    for bad in ([], {"Env": "A=1"}, {"Labels": {"a": 1}}, {"Strange": "x"}, {"Cmd": [1]}):
        with pytest.raises(UsageError):
            config.container_config(bad)


def test_a_container_finds_dpkgs_database() -> None:
    wanted = config.Wanted(base={"Env": ["PATH=/bin", "A=1"]})
    there = "DPKG_ADMINDIR=/usr/lib/sysimage/dpkg"
    assert config.environment_of(wanted, "usr/lib/sysimage/dpkg") == ("PATH=/bin", "A=1", there)
    assert config.environment_of(wanted, "var/lib/dpkg") == config.environment_of(wanted, "") == ("PATH=/bin", "A=1")
    assert config.environment_of(config.Wanted(), "") == ()
    found = config.environment_of(config.Wanted(), "usr/lib/sysimage/dpkg")
    assert found[0].startswith("PATH=/usr/local/sbin:") and found[1:] == (there,)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("(a(say)a(sayay))", ([("a", b"x" * 32)], [("d", b"y" * 32, b"z" * 32)] * 9)),
        ("(a(say)a(sayay))", ([], [])),
        ("(uuuusa(ayay))", (1, 2, 3, 4, "target", [(b"n\0", b"v" * 300), (b"m\0", b"")])),
        ("(a{sv}aya(say)sstayay)", ({"k": ("s", "v"), "b": ("b", True)}, b"", [], "s", "", 1 << 60, b"r" * 32, b"m")),
        ("a(ayay)", [(b"name\0", bytes(70_000))]),
    ],
)
def test_gvariants_are_read_as_they_were_written(kind: str, value: object) -> None:
    read = gvariant.decode(gvariant.encode(value, kind), kind)
    if isinstance(value, tuple) and isinstance(value[0], dict):
        value = ({key: inner for key, (_, inner) in value[0].items()}, *value[1:])
    assert read == value
