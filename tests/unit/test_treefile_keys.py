"""Keys of a treefile beyond packages: values, lines in complaints, what is included, names that are made of others."""

from __future__ import annotations

from pathlib import Path

import pytest

from apt_ostree import archives, treefile
from apt_ostree.compose import selection
from apt_ostree.compose.tree import next_version
from apt_ostree.errors import UsageError
from apt_ostree.treefile import Account, File, Layer, parse, resolved_ref

HEAD = 'suite = "trixie"\nref = "debian/${basearch}"\n'


def test_tables_and_lists() -> None:
    parsed = parse(
        HEAD
        + """
packages = ["vim"]
packages-arm64 = ["u-boot-tools"]
kargs = ["quiet", "console=ttyS0"]
snapshot = "2026-08-01"
[metadata]
"org.example.build" = "7"
[[users]]
name = "app"
id = 420
groups = ["video"]
[[files]]
path = "/etc/motd"
content = "hello\\n"
"""
    )
    assert parsed.chosen("amd64") == ("vim",) and parsed.chosen("arm64") == ("vim", "u-boot-tools")
    assert parsed.users == (Account(name="app", id=420, groups=("video",)),)
    assert parsed.files == (File(path="/etc/motd", content="hello\n"),)
    assert (parsed.snapshot, parsed.metadata) == ("20260801T000000Z", (("org.example.build", "7"),))


@pytest.mark.parametrize(
    ("more", "line", "words"),
    [
        ('[[users]]\nname = "a"\n[[users]]\nnane = "b"', 6, ("unknown key 'nane'",)),
        ('[[users]]\nname = "a"\n[[users]]\nid = 5', 5, ("'name' is missing",)),
        ('[[users]]\nname = "a"\n[[users]]\nname = "b b"', 6, ("'name'", "b b")),
        ('packages = [\n  "vim",\n  "a b",\n]', 5, ("'packages'", "a b")),
        ('[[users]]\nname = "a"\nid = -1', 5, ("'id' must be a number",)),
        ('packages-AMD64 = ["vim"]', 3, ("unknown key",)),
        ('enable-units = ["ssh"]', 3, ("'enable-units'", "ssh")),
        ('machineid = "full"', 3, ("unknown machineid 'full'",)),
        ("[metadata]\nx = 1", 4, ("'metadata' holds strings",)),
        ('version = "1"\nautomatic-version-prefix = "2"', 4, ("exclude each other",)),
        ('snapshot = "yesterday"', 3, ("'snapshot'",)),
        ('include = ["other.toml"]', 3, ("no file beside",)),
        ('include = ["a\\u0000b"]', 3, ("'include' cannot hold",)),
        ('[[files]]\npath = "/../etc/x"\ncontent = ""', 4, ("'path' cannot be '/../etc/x'",)),
        ('[[files]]\npath = "/usr/./x"\nlink = "y"', 4, ("'path' cannot be",)),
        ('[[files]]\npath = "/usr/.."\nlink = "y"', 4, ("'path' cannot be",)),
        ('remove-files = [\n"/usr/x",\n"/../etc/x"]', 5, ("'remove-files' cannot hold '/../etc/x'",)),
        ('remove-files = ["/usr/share/.."]', 3, ("'remove-files' cannot hold",)),
        ('remove-files = ["//"]', 3, ("'remove-files' cannot hold",)),
        ('remove-files = ["/usr//x"]', 3, ("'remove-files' cannot hold",)),
        ('remove-files = ["/."]', 3, ("'remove-files' cannot hold",)),
        ('remove-files = ["/**"]', 3, ("'remove-files' cannot hold",)),
        ('remove-files = ["/usr/share/doc/**.gz"]', 3, ("'remove-files' cannot hold",)),
        ('[[layers]]\nname = "a"\nref = "a"\npackages = ["a1"]\nunits = ["x"]', 7, ("unknown key 'units'",)),
        ('[[layers]]\nname = "a"\nref = "a"\n[[layers]]\nname = "b"\npakages = []', 8, ("unknown key 'pakages'",)),
        ('[[layers]]\nname = "a"\npackages = ["a1"]', 3, ("'ref' is missing",)),
        ('[[layers]]\nname = "a"\nref = "a b"\npackages = ["a1"]', 5, ("'ref'", "a b")),
        ('[[layers]]\nname = "A/b"\nref = "a"\npackages = ["a1"]', 4, ("'name'", "A/b")),
        ('[[layers]]\nname = "a"\nref = "a"\npackages = ["vim", "-y"]', 6, ("'packages'", "-y")),
        ('[[layers]]\nname = "a"\nref = "a"\n[layers.metadata]\nx = 1', 7, ("'metadata' holds strings",)),
        ('[[layers]]\nname = "a"\nref = "a"\n[layers.metadata]\nversion = "1"', 7, ("is set otherwise",)),
        ('[[layers]]\nname = "a"\nref = "a"', 4, ("the layer 'a' has no packages",)),
        ('layers = ["a"]', 3, ("'layers' holds tables",)),
        ('[metadata]\na = "1"\n"apt-ostree.kargs" = "[]"', 5, ("'apt-ostree.kargs' is set otherwise",)),
        ('[metadata]\n"ostree.bootable" = "x"', 4, ("'ostree.bootable' is set otherwise",)),
        ('[metadata]\nversion = "1"', 4, ("'version' is set otherwise",)),
        ('[metadata]\na = "b\\nc"', 4, ("'a'", "cannot be printed")),
        ('[metadata]\na = "1"\nb = "' + "x" * 140_000 + '"', 5, ("'b'", "32768 bytes")),
        ("[metadata]\n" + "".join(f'k{n} = "{"x" * 30_000}"\n' for n in range(9)), 3, ("262144 bytes",)),
        (f'version = "{"1" * 300}"', 3, ("version", "255 bytes")),
        (f'automatic-version-prefix = "{"1" * 300}"', 3, ("version", "255 bytes")),
        ('kargs = [\n"quiet",\n"ostree=/x",\n]', 5, ("'ostree='",)),
        ('kargs = [\n"quiet",\n"a\\"b",\n]', 5, ("double quote",)),
        ('kargs = ["=x"]', 3, ("no kernel argument",)),
        ('kargs = [" "]', 3, ("no kernel argument",)),
        (f'kargs = ["{"a" * 2000}", "{"b" * 2000}", "{"c" * 2000}"]', 3, ("'kargs'", "4096 bytes")),
    ],
)
def test_complaints_name_the_line(more: str, line: int, words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError) as caught:
        parse(HEAD + more, "my.toml")
    assert caught.value.message.startswith(f"my.toml, line {line}: ")
    assert all(word in caught.value.message for word in words)
    assert caught.value.hint and len(caught.value.message) < 400


def test_kernel_arguments_stay_as_they_are_written() -> None:
    assert parse(f"{HEAD}kargs = ['quiet', 'a=b c', 'note=\"x y\"']").kargs == ("quiet", "a=b c", 'note="x y"')


def test_includes(tmp_path: Path) -> None:
    (tmp_path / "common").mkdir()
    (tmp_path / "common/files.toml").write_text('[[files]]\npath = "/etc/issue"\nsource = "issue"\n')
    (tmp_path / "common/issue").write_text("a")
    (tmp_path / "common/base.toml").write_text(
        'include = ["files.toml"]\nsuite = "bookworm"\npackages = ["vim"]\ntimezone = "Europe/Berlin"\n'
    )
    (tmp_path / "my.toml").write_text(f'include = ["common/base.toml"]\n{HEAD}packages = ["htop"]\n')
    parsed = treefile.load(tmp_path / "my.toml")
    assert (parsed.suite, parsed.packages, parsed.timezone) == ("trixie", ("vim", "htop"), "Europe/Berlin")
    first = parsed.files[0]
    assert first.source == str(tmp_path / "common/issue")
    (tmp_path / "common/issue").write_text("b")
    assert treefile.load(tmp_path / "my.toml").files[0].sha256 != first.sha256
    (tmp_path / "common/files.toml").write_text('include = ["base.toml"]\n')
    with pytest.raises(UsageError, match="include one another"):
        treefile.load(tmp_path / "my.toml")
    (tmp_path / "common/files.toml").write_text('[[files]]\npath = "/etc/hostname"\ncontent = "x"\n')
    with pytest.raises(UsageError, match=r"files.toml, line 2: .* key of its own: hostname"):
        treefile.load(tmp_path / "my.toml")


def test_the_includer_says_how_the_version_comes(tmp_path: Path) -> None:
    for below, above in (("version", "automatic-version-prefix"), ("automatic-version-prefix", "version")):
        (tmp_path / "base.toml").write_text(f'{HEAD}{below} = "1"\n')
        (tmp_path / "my.toml").write_text(f'include = ["base.toml"]\n{above} = "2"\n')
        parsed = treefile.load(tmp_path / "my.toml")
        values = {"version": parsed.version, "automatic-version-prefix": parsed.automatic_version_prefix}
        assert values == {below: "", above: "2"}


LAYERS = """
[[layers]]
name = "desktop"
ref = "debian/${layer}"
packages = ["xfce4"]
packages-arm64 = ["u-boot-menu"]
version = "13-d"
[layers.metadata]
"org.example.kind" = "desktop"
[[layers]]
name = "kiosk"
ref = "debian/${basearch}/${layer}"
packages-amd64 = ["cage"]
"""


def test_layers(tmp_path: Path) -> None:
    desktop, kiosk = parse(HEAD + LAYERS).layers
    assert desktop.chosen("amd64") == ("xfce4",) and desktop.chosen("arm64") == ("xfce4", "u-boot-menu")
    assert (desktop.version, desktop.metadata) == ("13-d", (("org.example.kind", "desktop"),))
    assert kiosk == Layer(name="kiosk", ref="debian/${basearch}/${layer}", packages_of=(("amd64", ("cage",)),))
    assert resolved_ref(parse(HEAD), kiosk.ref, "amd64", layer="kiosk") == "debian/x86_64/kiosk"
    with pytest.raises(UsageError, match="means nothing"):
        resolved_ref(parse(HEAD), "x/${layer}", "amd64")  # the tree has none
    with pytest.raises(UsageError, match="two layers named 'desktop'"):
        parse(f"{HEAD}{LAYERS}{LAYERS}")
    (tmp_path / "base.toml").write_text(HEAD + LAYERS)  # those of an included treefile are below one's own
    (tmp_path / "my.toml").write_text(
        'include = ["base.toml"]\n[[layers]]\nname = "lab"\nref = "l"\npackages = ["vim"]'
    )
    assert [layer.name for layer in treefile.load(tmp_path / "my.toml").layers] == ["desktop", "kiosk", "lab"]


def test_refs_with_placeholders() -> None:
    parsed = parse(HEAD)
    assert resolved_ref(parsed, "debian/${suite}/${basearch}/${architecture}/${variant}", "amd64") == (
        "debian/trixie/x86_64/amd64/apt"
    )
    with pytest.raises(UsageError, match="means nothing"):
        resolved_ref(parsed, "x/${nothing}", "amd64")


@pytest.mark.parametrize(
    ("former", "found"),
    [("", "13"), ("12.4", "13"), ("13", "13.1"), ("13.1", "13.2"), ("13.9", "13.10"), ("130", "13")],
)
def test_versions_that_count_themselves(former: str, found: str) -> None:
    assert next_version("13", former) == found
    assert next_version("", former) == ""


def test_snapshots_of_archives() -> None:
    when = "20260801T000000Z"
    lines = selection.sources(parse(f'{HEAD}snapshot = "20260801"'), "amd64", keyrings=False)
    assert lines[2] == (
        f"deb [check-valid-until=no] https://snapshot.debian.org/archive/debian-security/{when} trixie-security main"
    )
    assert archives.known("noble", "amd64", when)[0][0] == f"https://snapshot.ubuntu.com/ubuntu/{when}"
    own = parse(f'{HEAD}snapshot = "{when}"\nmirrors = ["https://mirror.example.org/${{snapshot}}/debian"]')
    assert own.mirrors[0].line(own) == [
        f"deb [check-valid-until=no] https://mirror.example.org/{when}/debian trixie main"
    ]
    keyed = selection.sources(parse(f'{HEAD}snapshot = "20260801"'), "amd64")
    assert all(line.startswith("deb [signed-by=/") and "check-valid-until=no]" in line for line in keyed)


def test_what_may_be_removed() -> None:
    patterns = ["/usr/share/doc/**/*.gz", "/usr/..x", "/.a", "/etc/*.d/", "/usr/[ab]?/*"]
    assert parse(f"{HEAD}remove-files = {patterns}").remove_files == tuple(patterns)


@pytest.mark.parametrize("text", [f"x = {'[' * 3000}", f"x = {'9' * 5000}"], ids=["deep", "long"])
def test_what_python_cannot_read_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        parse(text)
