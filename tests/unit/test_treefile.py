"""Treefiles: what parses, and that every complaint names key, line and what would be right."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from apt_ostree import treefile
from apt_ostree.errors import UsageError
from apt_ostree.treefile import Mirror, parse

GOOD = 'suite = "trixie"\nref = "debian/13"\n'
EXAMPLES = sorted(str(path.name) for path in (resources.files("apt_ostree") / "data/treefiles").iterdir())


def test_defaults() -> None:
    parsed = parse(GOOD)
    assert (parsed.suite, parsed.ref, parsed.variant, parsed.components) == ("trixie", "debian/13", "apt", ("main",))
    assert parsed.recommends is False
    assert parsed.architecture == ""


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_parses_and_names_no_host(name: str) -> None:
    with resources.as_file(resources.files("apt_ostree") / "data/treefiles" / name) as path:
        parsed = treefile.load(path)
        text = path.read_text()
    assert {"ostree", "ostree-boot", "dracut", "systemd-sysv", "apt"} <= set(parsed.packages)
    assert parsed.mirrors == ()
    assert all("example.org" in line for line in text.splitlines() if "://" in line)


def test_which_examples_there_are() -> None:
    minimal = ["debian-12-minimal.toml", "debian-13-minimal.toml", "ubuntu-24.04-minimal.toml"]
    assert sorted(EXAMPLES) == sorted(["debian-13-desktop.toml", "debian-13-server.toml", *minimal])
    with resources.as_file(resources.files("apt_ostree") / "data/treefiles/debian-13-desktop.toml") as path:
        (layer,) = treefile.load(path).layers
    assert layer.name == "desktop" and "task-xfce-desktop" in layer.packages


def test_a_bare_name_is_a_file_here_or_an_example(tmp_path: Path) -> None:
    mine, beside = tmp_path / "mine.toml", tmp_path / "debian-13-minimal"
    mine.write_text('include = ["debian-13-minimal"]\nref = "mine"\n')
    assert treefile.load(mine).suite == "trixie"
    beside.write_text('suite = "sid"\n')
    assert treefile.load(mine).suite == "sid"
    for name in ("debian-13-none", "./debian-12-minimal", "a" * 300):
        mine.write_text(f'include = ["{name}"]\nref = "mine"\n')
        with pytest.raises(UsageError) as caught:
            treefile.load(mine)
        assert "debian-13-server" in caught.value.hint
    with pytest.raises(UsageError) as caught:
        treefile.load(tmp_path / "debian-13-minimial")
    assert "did you mean debian-13-minimal?" in caught.value.hint


def test_mirrors_as_strings_and_tables() -> None:
    parsed = parse(
        GOOD
        + """
mirrors = [
  "https://mirror.example.org/debian",
  { uri = "file:/srv/apt", suites = ["a", "b"], components = ["x", "y"], signed-by = "/usr/share/keyrings/k.gpg" },
]
"""
    )
    assert parsed.mirrors[0] == Mirror(uri="https://mirror.example.org/debian")
    assert parsed.mirrors[0].line(parsed) == ["deb https://mirror.example.org/debian trixie main"]
    assert parsed.mirrors[1].line(parsed) == [
        "deb [signed-by=/usr/share/keyrings/k.gpg] file:/srv/apt a x y",
        "deb [signed-by=/usr/share/keyrings/k.gpg] file:/srv/apt b x y",
    ]


@pytest.mark.parametrize(
    ("more", "hint"),
    [
        ('packges = ["vim"]', "did you mean 'packages'?"),
        ('packges-arm64 = ["vim"]', "did you mean 'packages-arm64'?"),
        ('packages-AMD64 = ["vim"]', "did you mean 'packages-amd64'?"),
        ('mirrors = [{ url = "https://mirror.example.org" }]', "did you mean 'uri'?"),
    ],
)
def test_a_misspelt_key_is_told_the_one_that_was_meant(more: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(GOOD + more, "my.toml")
    assert "line 3: unknown key" in caught.value.message and caught.value.hint == hint


def test_a_key_like_no_other_is_told_all_there_are() -> None:
    with pytest.raises(UsageError) as caught:
        parse(GOOD + "xyzzy = 1", "my.toml")
    assert caught.value.hint.startswith("allowed keys: ") and "packages" in caught.value.hint


@pytest.mark.parametrize(
    ("more", "line", "words"),
    [
        ('packges = ["vim"]', 3, ("unknown key 'packges'",)),
        ("\n# a comment\n[apt]\nfoo = 1", 5, ("unknown key 'apt'",)),
        ('packages = "vim"', 3, ("'packages' must be a list of strings", "a string")),
        ("packages = [1]", 3, ("must hold strings only", "a number")),
        ('packages = ["vim", "--help"]', 3, ("'--help'",)),
        ('packages = ["a,b"]', 3, ("'a,b'",)),
        ('recommends = "yes"', 3, ("true or false",)),
        ("version = 13", 3, ("'version' must be a string", "a number")),
        ('variant = "small"', 3, ("unknown variant 'small'",)),
        ('mirrors = ["--option"]', 3, ("no archive address",)),
        ('mirrors = [{ url = "https://mirror.example.org" }]', 3, ("unknown key 'url'",)),
        ('mirrors = [{ uri = "https://x/", signed-by = "a b" }]', 3, ("'signed-by'",)),
        ('architecture = "x86 64"', 3, ("'architecture'",)),
        ('components = ["main contrib"]', 3, ("'components'",)),
    ],
)
def test_complaints_name_key_and_line(more: str, line: int, words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError) as caught:
        parse(GOOD + more, "my.toml")
    assert caught.value.message.startswith(f"my.toml, line {line}: ")
    assert all(word in caught.value.message for word in words)
    assert caught.value.hint
    assert caught.value.exit_code == 2


def test_unknown_key_lists_the_allowed_ones() -> None:
    with pytest.raises(UsageError) as caught:
        parse(GOOD + "foo = 1")
    for key in (
        "suite",
        "ref",
        "packages",
        "mirrors",
        "components",
        "architecture",
        "variant",
        "recommends",
        "version",
    ):
        assert key in caught.value.hint


@pytest.mark.parametrize("text", ['suite = "trixie"', 'ref = "x"', ""])
def test_what_is_missing_is_named(text: str) -> None:
    with pytest.raises(UsageError, match="is missing"):
        parse(text)


@pytest.mark.parametrize("ref", ["", "/x", "x//y", "x y", "../x", "-x", "x/"])
def test_refs_that_are_none(ref: str) -> None:
    with pytest.raises(UsageError):
        parse(f'suite = "trixie"\nref = "{ref}"\n')


def test_syntax_errors_have_their_line() -> None:
    with pytest.raises(UsageError, match="line 2"):
        parse('suite = "trixie"\nref = debian\n')


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        treefile.load(tmp_path / "none.toml")
    with pytest.raises(UsageError, match="cannot read"):
        treefile.load(tmp_path)
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="UTF-8"):
        treefile.load(tmp_path / "x.toml")
