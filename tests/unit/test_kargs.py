"""Editing of kernel arguments, held to what rpm-ostree(1) kargs and OstreeKernelArgs say."""

from __future__ import annotations

import pytest

from apt_ostree.errors import UsageError
from apt_ostree.kargs import Edits, KargsError, checked, edit, from_cmdline, from_text, to_text, words

KARGS = ("root=LABEL=root", "console=tty0", "quiet", "console=ttyS0,115200", 'note="a b"', "rw")


def after(**edits: str) -> tuple[str, ...]:
    return edit(KARGS, checked(Edits(**{name: (value,) for name, value in edits.items()})))


@pytest.mark.parametrize(
    ("edits", "gone", "new"),
    [
        ({"append": "debug"}, [], ["debug"]),
        ({"append": "quiet"}, [], ["quiet"]),  # --append always appends
        ({"append": "empty="}, [], ["empty="]),
        ({"append": 'more="c d"'}, [], ['more="c d"']),
        ({"append": "a=1 b=2"}, [], ["a=1", "b=2"]),
        ({"append_if_missing": "quiet"}, [], []),
        ({"append_if_missing": "console=tty0"}, [], []),
        ({"append_if_missing": "console=tty1"}, [], ["console=tty1"]),  # another value of a key is missing
        ({"delete": "quiet"}, ["quiet"], []),
        ({"delete": "root"}, ["root=LABEL=root"], []),  # the only one of its key
        ({"delete": 'note="a b"'}, ['note="a b"'], []),
        ({"delete": "console=tty0"}, ["console=tty0"], []),
        ({"delete_if_present": "nothing"}, [], []),
        ({"delete_if_present": "console=tty9"}, [], []),
        ({"delete_if_present": "console=tty0"}, ["console=tty0"], []),
    ],
)
def test_adding_and_removing(edits: dict[str, str], gone: list[str], new: list[str]) -> None:
    assert after(**edits) == (*(karg for karg in KARGS if karg not in gone), *new)


@pytest.mark.parametrize(
    ("word", "old", "new"),
    [
        ("quiet=1", "quiet", "quiet=1"),
        ("root=UUID=1", None, None),  # rpm-ostree reads OLD=NEW here, and there is no root=UUID
        ("root=LABEL=other", "root=LABEL=root", "root=LABEL=other"),
        ("root=LABEL=root=UUID=1-2", "root=LABEL=root", "root=UUID=1-2"),
        ("console=tty0=tty1", "console=tty0", "console=tty1"),
        ("console=ttyS0,115200=ttyS1", "console=ttyS0,115200", "console=ttyS1"),
        ('note="a b"="c d"', 'note="a b"', 'note="c d"'),
        ('note="c d"', 'note="a b"', 'note="c d"'),
    ],
)
def test_replacing_keeps_the_place(word: str, old: str | None, new: str | None) -> None:
    if old is None:
        with pytest.raises(KargsError, match="root=UUID"):
            after(replace=word)
        return
    assert after(replace=word) == tuple(new if karg == old else karg for karg in KARGS)


@pytest.mark.parametrize(
    ("edits", "said", "hint"),
    [
        ({"delete": "console"}, ["console=tty0, console=ttyS0,115200", "2 times"], "--delete=console=tty0"),
        ({"delete_if_present": "console"}, ["2 times"], "--delete=console=tty0"),
        ({"replace": "console=tty1"}, ["console=tty0, console=ttyS0,115200"], "--replace=console=tty0=NEW"),
        ({"replace": "console=tty8=tty1"}, ["console=tty0, console=ttyS0,115200"], "--replace="),
        ({"delete": "nothing"}, ["'nothing'"], "apt-ostree kargs"),
        ({"delete": "console=tty9"}, ["'console=tty9'", "only console=tty0"], "apt-ostree kargs"),
        ({"replace": "nothing=1"}, ["'nothing'"], "apt-ostree kargs"),
    ],
)
def test_what_is_not_clear_is_refused_and_named(edits: dict[str, str], said: list[str], hint: str) -> None:
    with pytest.raises(KargsError) as caught:
        after(**edits)
    assert all(text in caught.value.message for text in said), caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "text", ["", " ", "=x", "ostree=/x", "a ostree=/x", 'a="b', "a\nb", 'a="b\nlinux /x"', "a\x00"]
)
@pytest.mark.parametrize("field", ["append", "delete", "replace", "append_if_missing", "delete_if_present"])
def test_what_is_no_argument_is_a_usage_error(field: str, text: str) -> None:
    with pytest.raises(UsageError):
        after(**{field: text})


def test_replace_takes_one_pair() -> None:
    for text in ("quiet", "a=1 b=2"):
        with pytest.raises(UsageError, match="--replace"):
            after(replace=text)


def test_all_at_once_in_their_order() -> None:
    edits = Edits(
        append=("debug", "splash"),
        append_if_missing=("debug", "rw"),
        replace=("quiet=2",),
        delete=("console=tty0", "rw"),
        delete_if_present=("nothing",),
    )
    expected = ("root=LABEL=root", "quiet=2", "console=ttyS0,115200", 'note="a b"', "debug", "splash", "rw")
    assert edit(KARGS, checked(edits)) == expected
    assert not Edits() and edits


def test_the_same_one_twice_goes_once() -> None:
    assert edit(("a", "b=1", "a", "b=1"), Edits(delete=("b=1", "a"))) == ("a", "b=1")


def test_the_boot_loader_s_own_are_not_imported() -> None:
    cmdline = 'BOOT_IMAGE=(hd0)/v root=LABEL=x initrd=\\i.img note="a b" ostree=/ostree/boot.1/d/c/0 rw\n'
    assert from_cmdline(cmdline) == ("root=LABEL=x", 'note="a b"', "rw")


def test_through_an_editor_and_back() -> None:
    text = to_text(KARGS)
    assert from_text(text) == KARGS and "ostree=" in text
    assert from_text('# a comment\n  a=1   b\n\nc="d e"\n#x\n') == ("a=1", "b", 'c="d e"')
    with pytest.raises(KargsError, match="no kernel arguments"):
        from_text("# all gone\n")
    with pytest.raises(UsageError, match="ostree"):
        from_text(text + "ostree=/other\n")


def test_words_of_an_option() -> None:
    assert words("--append", ('a="b c" d', "e")) == ('a="b c"', "d", "e")
