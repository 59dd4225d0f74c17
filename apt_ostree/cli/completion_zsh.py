"""The zsh completion."""

from __future__ import annotations

from collections.abc import Sequence

from apt_ostree.cli.pages import Entry, Page
from apt_ostree.cli.values import Kind, kind, single_quoted, spellings

HEAD = """\
#compdef apt-ostree
# zsh completion for apt-ostree(1). Made from the command tree by "make docs"; do not edit.

_apt_ostree_packages() {
    if [[ $PREFIX == */* || $PREFIX == .* ]]; then
        _files
    elif [[ -n $PREFIX ]]; then
        local -a names
        names=(${(f)"$({ apt-cache --no-generate pkgnames "$PREFIX" || apt-cache pkgnames "$PREFIX" } 2>/dev/null)"})
        compadd -a names
    fi
}

_apt_ostree_ask() {
    # Words that only the program knows; it takes the line as bash would give it. `words` may have been shortened by
    # _arguments, so the whole line is kept in $line_words.
    local -a found
    found=(${(f)"$(COMP_WORDS="${(j: :)line_words}" COMP_CWORD=$((line_current - 1)) \\
        _APT_OSTREE_COMPLETE=complete_bash apt-ostree 2>/dev/null)"})
    compadd -a found
}

"""
TAIL = """\
_apt-ostree() {
    local -a line_words=("${words[@]}")
    local line_current=$CURRENT curcontext=$curcontext state line
    typeset -A opt_args
    _apt_ostree__
}

_apt-ostree "$@"
"""


def script(pages: Sequence[Page]) -> str:
    """The whole file: one function a page."""
    return HEAD + "\n".join(_function(page, pages) for page in pages) + "\n" + TAIL


def _name(page: Page) -> str:
    return "_apt_ostree__" + "__".join(word.replace("-", "_") for word in page.words)


def _function(page: Page, pages: Sequence[Page]) -> str:
    root = pages[0]
    entries = page.options if page is root else (*page.options, *(e for e in root.options if "--help" not in e.names))
    specs = [spec for entry in entries for spec in _specs(entry)]
    if page.commands:
        specs += [single_quoted("1:command:->command"), single_quoted("*::argument:->argument")]
    else:
        specs += [_argument(entry, number) for number, entry in enumerate(page.arguments, 1)]
    lines = [f"{_name(page)}() {{", "    _arguments -C -s \\"]
    lines += [f"        {spec} \\" for spec in specs[:-1]]
    lines += [f"        {specs[-1]}", *(_states(page, pages) if page.commands else []), "}"]
    return "\n".join(lines) + "\n"


def _specs(entry: Entry) -> list[str]:
    """One spec for all names of an option: they exclude each other unless it may be repeated."""
    names = entry.names
    exclusion = "(*)" if "--help" in names or "--version" in names else f"({' '.join(names)})"
    prefix = "*" if entry.multiple else exclusion
    text = entry.help.replace("[", "(").replace("]", ")").replace(":", "\\:")
    found = []
    for name in names:
        value = f":{entry.metavar}:{_action(entry)}" if entry.metavar else ""
        if entry.optional_value:
            value = ":" + value
        equals = ("=-" if entry.optional_value else "=") if entry.metavar and name.startswith("--") else ""
        found.append(single_quoted(f"{prefix}{name}{equals}[{text}]{value}"))
    return found


def _argument(entry: Entry, number: int) -> str:
    place = "*" if entry.multiple else str(number) + ("" if entry.required else ":")
    colon = ":" if entry.multiple or entry.required else ""
    return single_quoted(f"{place}{colon}{entry.metavar}:{_action(entry)}")


def _action(entry: Entry) -> str:
    if kind(entry) is Kind.CHOICES:
        return f"({' '.join(entry.choices)})"
    return {
        Kind.DIRECTORY: "_files -/",
        Kind.FILE: "_files",
        Kind.PACKAGE: "_apt_ostree_packages",
        Kind.ASK: "_apt_ostree_ask",
    }.get(kind(entry), " ")


def _states(page: Page, pages: Sequence[Page]) -> list[str]:
    lines = ["    case $state in", "        command)", "            local -a commands=("]
    for name, summary in page.commands:
        lines.append("                " + single_quoted(f"{name}:{summary}"))
    lines += ["            )", "            _describe -t commands command commands ;;", "        argument)"]
    lines.append("            case $words[1] in")
    for child in pages:
        if child.words and child.words[:-1] == page.words:
            typed = "|".join(words.split(" ")[-1] for words in spellings(child))
            lines.append(f"                {typed}) {_name(child)} ;;")
    return [*lines, "            esac ;;", "    esac"]
