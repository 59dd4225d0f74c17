"""The fish completion."""

from __future__ import annotations

from collections.abc import Sequence

from apt_ostree.cli.pages import Entry, Page
from apt_ostree.cli.values import Kind, kind, spellings, valued

HEAD = """\
# fish completion for apt-ostree(1). Made from the command tree by "make docs"; do not edit.

# True when the words typed so far lead to exactly the command of the arguments; options and their values are skipped.
function __apt_ostree_at
    set -l found
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip = 1
            set skip 0
            continue
        end
        switch $word
            case @SKIPPED@
                set skip 1
            case '-*'
            case '*'
                if contains -- (string join ' ' $found $word) @VERBS@
                    set -a found $word
                end
        end
    end
    test "$found" = "$argv"
end

function __apt_ostree_packages
    set -l word (commandline -ct | string replace -r '^--[a-z-]+=' '')
    switch $word
        case ''
        case './*' '*/*'
            __fish_complete_path $word
        case '*'
            apt-cache --no-generate pkgnames $word 2>/dev/null; or apt-cache pkgnames $word 2>/dev/null
    end
end

# Words that only the program knows; it takes the line as bash would give it.
function __apt_ostree_ask
    set -l before (commandline -opc)
    set -l word (commandline -ct | string replace -r '^--[a-z-]+=' '')
    env COMP_WORDS="$before $word" COMP_CWORD=(count $before) _APT_OSTREE_COMPLETE=complete_bash apt-ostree 2>/dev/null
end

complete -c apt-ostree -f
"""


def script(pages: Sequence[Page]) -> str:
    """The whole file: global options everywhere, everything else under its command."""
    root = pages[0]
    skipped = sorted({name for page in pages for entry in valued(page.options) for name in entry.names})
    verbs = [f"'{words}'" for page in pages[1:] for words in spellings(page)]
    head = HEAD.replace("@SKIPPED@", " ".join(skipped)).replace("@VERBS@", " ".join(verbs))
    lines = [_line("", _option(entry)) for entry in root.options]
    for page in pages:
        for words in spellings(page):
            lines += _under(page, words, root)
    return head + "\n".join(lines) + "\n"


def _under(page: Page, words: str, root: Page) -> list[str]:
    condition = f" -n '__apt_ostree_at {words}'" if words else " -n __apt_ostree_at"
    lines = [_line(condition, f"-a {name} -d {_quoted(summary)}") for name, summary in page.commands]
    if page is not root:
        lines += [_line(condition, _option(entry)) for entry in page.options if "--help" not in entry.names]
    if page.arguments and (words_of := _values(page.arguments[-1])):
        lines.append(_line(condition, words_of))
    return lines


def _line(condition: str, rest: str) -> str:
    return f"complete -c apt-ostree{condition} {rest}"


def _option(entry: Entry) -> str:
    names = " ".join(f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in entry.names)
    value = ""
    if entry.metavar and not entry.optional_value:
        value = f" -x {_values(entry)}".rstrip() if kind(entry) is not Kind.FILE else " -r -F"
    return f"{names}{value} -d {_quoted(entry.help)}"


def _values(entry: Entry) -> str:
    if kind(entry) is Kind.CHOICES:
        return f"-a '{' '.join(entry.choices)}'"
    return {
        Kind.DIRECTORY: "-a '(__fish_complete_directories)'",
        Kind.FILE: "-F",
        Kind.PACKAGE: "-a '(__apt_ostree_packages)'",
        Kind.ASK: "-a '(__apt_ostree_ask)'",
    }.get(kind(entry), "")


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
