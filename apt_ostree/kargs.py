"""Editing of kernel arguments: pure functions with the rules of rpm-ostree-kargs and OstreeKernelArgs.

An argument is one word of the command line, `KEY` or `KEY=VALUE`; double quotes hold spaces together and stay
(The kernel's command-line parameters, admin-guide/kernel-parameters). A key may be there several times, and order
matters to some of them (console=), so arguments are a tuple and keep their places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from apt_ostree import bls
from apt_ostree.errors import AptOstreeError, UsageError

Kargs = tuple[str, ...]

ADDRESS = "ostree"  # tells which deployment boots: libostree's, not a setting
# What the boot loader adds by itself; importing it would make it permanent (ostree_kernel_args_append_proc_cmdline).
_LOADERS = frozenset({ADDRESS, "BOOT_IMAGE", "initrd"})
_COMMENT = "#"


class KargsError(AptOstreeError):
    """The kernel arguments cannot be edited as asked; nothing was changed."""

    code = "kargs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edits:
    """What to do, each a tuple of words as typed; it is done in the order of the fields, as rpm-ostree does it."""

    delete: Kargs = ()
    delete_if_present: Kargs = ()
    replace: Kargs = ()
    append: Kargs = ()
    append_if_missing: Kargs = ()

    def __bool__(self) -> bool:
        return any((self.delete, self.delete_if_present, self.replace, self.append, self.append_if_missing))


def key_of(karg: str) -> str:
    """What stands before the first `=`."""
    return karg.partition("=")[0]


def words(option: str, typed: Sequence[str]) -> Kargs:
    """The arguments in the values of an option; one value may hold several, as in `--append="a=1 b=2"`.

    Raises UsageError for what is none: empty, without a key, an open quote, control characters, or `ostree=`.
    """
    return tuple(word for text in typed for word in _words(option, text))


def _words(option: str, text: str) -> Kargs:
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise UsageError(f"{option}: there is a control character in {text!r}", hint=f"{option}=KEY=VALUE")
    if text.count('"') % 2:
        raise UsageError(f"{option}: a double quote is not closed in '{text}'", hint=f"{option}='KEY=\"A B\"'")
    found = bls.split(text)
    if not found or any(not key_of(word) for word in found):
        raise UsageError(f"{option}: '{text}' is no kernel argument", hint=f"{option}=KEY or {option}=KEY=VALUE")
    if any(key_of(word) == ADDRESS for word in found):
        raise UsageError(
            f"{option}: 'ostree=' says which deployment boots, it is not to be edited",
            hint="to boot another deployment: apt-ostree rollback",
        )
    return found


def checked(edits: Edits) -> Edits:
    """The same edits word by word. Raises UsageError for what is no kernel argument."""
    for text in edits.replace:
        if len(words("--replace", (text,))) > 1 or "=" not in text:
            raise UsageError(f"--replace: '{text}' is not KEY=VALUE", hint="--replace=KEY=VALUE or KEY=OLD=NEW")
    return Edits(
        delete=words("--delete", edits.delete),
        delete_if_present=words("--delete-if-present", edits.delete_if_present),
        replace=words("--replace", edits.replace),
        append=words("--append", edits.append),
        append_if_missing=words("--append-if-missing", edits.append_if_missing),
    )


def edit(kargs: Kargs, edits: Edits) -> Kargs:
    """Apply checked edits. Raises KargsError for what is not there, or is there more than once."""
    for word in edits.delete:
        kargs = _delete(kargs, word)
    for word in edits.delete_if_present:
        kargs = _delete(kargs, word) if _meant(kargs, word) else kargs
    for word in edits.replace:
        kargs = _replace(kargs, word)
    kargs += edits.append
    for word in edits.append_if_missing:
        kargs += () if word in kargs else (word,)
    return kargs


def _with_key(kargs: Kargs, key: str) -> list[int]:
    return [index for index, karg in enumerate(kargs) if key_of(karg) == key]


def _meant(kargs: Kargs, word: str) -> list[int]:
    """Where the arguments are that `word` may mean: exactly this one, else (for a key alone) all of that key."""
    exact = [index for index, karg in enumerate(kargs) if karg == word]
    return exact[:1] or ([] if "=" in word else _with_key(kargs, word))


def _delete(kargs: Kargs, word: str) -> Kargs:
    """`KEY=VALUE` removes this one, `KEY` the only one there is (ostree_kernel_args_delete)."""
    places = _meant(kargs, word)
    if not places:
        raise _absent(kargs, word)
    if len(places) > 1:
        raise _several(kargs, word, "--delete")
    return kargs[: places[0]] + kargs[places[0] + 1 :]


def _replace(kargs: Kargs, word: str) -> Kargs:
    """`KEY=NEW` changes the only value, `KEY=OLD=NEW` one of several (ostree_kernel_args_new_replace).

    Values may have `=` in them (root=UUID=...): then the longest OLD that is there is taken, and
    `root=UUID=NEW` changes the only `root=UUID=...`.
    """
    key, _, rest = word.partition("=")
    places = _with_key(kargs, key)
    if not places:
        raise _absent(kargs, key)
    cuts = [at for at, character in enumerate(rest) if character == "="]
    for at in reversed(cuts):
        for place in places:
            if kargs[place] == f"{key}={rest[:at]}":
                return _put(kargs, place, f"{key}={rest[at + 1 :]}")
    if len(places) > 1:
        raise _several(kargs, key, "--replace")
    only = kargs[places[0]].partition("=")[2]
    if cuts and not only.startswith(rest[: cuts[0] + 1]):
        raise _absent(kargs, f"{key}={rest[: cuts[0]]}")
    return _put(kargs, places[0], word)


def _put(kargs: Kargs, place: int, word: str) -> Kargs:
    return (*kargs[:place], word, *kargs[place + 1 :])


def _absent(kargs: Kargs, word: str) -> KargsError:
    near = [kargs[index] for index in _with_key(kargs, key_of(word))]
    return KargsError(
        f"there is no kernel argument '{word}'" + (f", only {', '.join(near)}" if near else ""),
        hint="see what there is: apt-ostree kargs",
    )


def _several(kargs: Kargs, word: str, option: str) -> KargsError:
    found = [kargs[index] for index in _with_key(kargs, key_of(word))]
    values = ", ".join(found)
    example = f"{found[0]}=NEW" if option == "--replace" else found[0]
    return KargsError(f"'{key_of(word)}' is there {len(found)} times: {values}", hint=f"say which: {option}={example}")


def from_cmdline(cmdline: str) -> Kargs:
    """The arguments in the text of /proc/cmdline, without those that the boot loader adds at every boot."""
    return tuple(karg for karg in bls.split(cmdline) if key_of(karg) not in _LOADERS)


def to_text(kargs: Kargs) -> str:
    """What --editor opens: one argument a line."""
    help_text = (
        "# The kernel arguments, one a line; several on one line are fine too.\n"
        "# Lines that begin with # are left out. 'ostree=' is not among them, it cannot be changed.\n"
    )
    return help_text + "".join(f"{karg}\n" for karg in kargs)


def from_text(text: str) -> Kargs:
    """What --editor made of it. Raises UsageError for what is no kernel argument, KargsError when none is left."""
    lines = [line.strip() for line in text.splitlines()]
    found = words("--editor", [line for line in lines if line and not line.startswith(_COMMENT)])
    if not found:
        raise KargsError("no kernel arguments were left in the editor", hint="to change nothing, leave it as it was")
    return found
