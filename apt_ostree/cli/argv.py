"""The command line before Typer sees it: options with optional values, global options behind the verb."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from apt_ostree.errors import UsageError

# GNU style optional values (getopt_long(3): only `--name=value` gives one); click has no such thing on all versions.
OPTIONAL_VALUES = {"--wait": "inf"}
CLUSTER = re.compile(r"-[A-Za-z]{2,}\Z")
NUMBER = re.compile(r"[0-9.]+\Z")


def normalize(argv: Sequence[str], flags: Collection[str], valued: Collection[str]) -> list[str]:
    """Move global options to the front and give `--wait` its default value.

    `flags` and `valued` are the global options without and with a value. `apt-ostree status -v` then means the
    same as `apt-ostree -v status`. Words after `--` are left alone. Raises UsageError for
    `--wait 5` and for a global option whose value is missing.
    """
    front: list[str] = []
    rest: list[str] = []
    words = list(argv)
    while words:
        word = words.pop(0)
        if word == "--":
            rest += [word, *words]
            break
        if word in valued:
            if not words:
                raise UsageError(f"{word} needs a value", hint="apt-ostree --help")
            front += [word, words.pop(0)]
        elif word in flags or word.partition("=")[0] in valued:
            front.append(word)
        elif CLUSTER.match(word):
            _split_cluster(word, flags, front, rest)
        else:
            rest.append(_with_value(word, words))
    return front + rest


def _split_cluster(word: str, flags: Collection[str], front: list[str], rest: list[str]) -> None:
    """`-nv` is `-n -v`: the global letters go to the front, the others stay together."""
    ours = "".join(letter for letter in word[1:] if f"-{letter}" in flags)
    others = "".join(letter for letter in word[1:] if f"-{letter}" not in flags)
    if ours:
        front.append(f"-{ours}")
    if others:
        rest.append(f"-{others}")


def _with_value(word: str, following: Sequence[str]) -> str:
    if word not in OPTIONAL_VALUES:
        return word
    if following and NUMBER.match(following[0]):
        raise UsageError(f"{word} takes its value after '='", hint=f"{word}={following[0]}")
    return f"{word}={OPTIONAL_VALUES[word]}"


def wants_json(argv: Sequence[str]) -> bool:
    """True when `--json` is among the options, even if the rest of the line is malformed."""
    words = list(argv)
    options = words[: words.index("--")] if "--" in words else words
    return "--json" in options


def value_of(argv: Sequence[str], name: str, default: str) -> str:
    """The value of a global option (the last one) on a line that may be malformed: for the message that says so."""
    found = default
    for number, word in enumerate(argv):
        if word == "--":
            break
        if word.startswith(f"{name}="):
            found = word.partition("=")[2]
        elif word == name and number + 1 < len(argv):
            found = argv[number + 1]
    return found
