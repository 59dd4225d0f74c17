"""The bash completion."""

from __future__ import annotations

from collections.abc import Sequence

from apt_ostree.cli.pages import Entry, Page
from apt_ostree.cli.values import Kind, kind, spellings, valued

HEAD = """\
# bash completion for apt-ostree(1). Made from the command tree by "make docs"; do not edit.

_apt_ostree_ask() {
    # Words that only the program knows. It reads COMP_WORDS as one string and finds nothing when it fails.
    COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD _APT_OSTREE_COMPLETE=complete_bash apt-ostree 2>/dev/null
}

_apt_ostree_names() {
    # Without a ready cache (containers remove it) apt-cache needs a moment longer.
    apt-cache --no-generate pkgnames "$1" || apt-cache pkgnames "$1"
}

_apt_ostree_files() {
    # $1 is -f or -d; names with spaces stay one word.
    local IFS=$'\\n'
    compopt -o filenames 2>/dev/null
    COMPREPLY+=($(compgen "$1" -- "$cur"))
}

_apt_ostree_values() {
    case $1 in
        package)
            if [[ $cur == */* || $cur == .* ]]; then
                _apt_ostree_files -f
            elif [[ $cur ]]; then
                COMPREPLY=($(compgen -W "$(_apt_ostree_names "$cur" 2>/dev/null)" -- "$cur"))
            fi ;;
        directory) _apt_ostree_files -d ;;
        file) _apt_ostree_files -f ;;
        ask) COMPREPLY=($(compgen -W "$(_apt_ostree_ask)" -- "$cur")) ;;
        nothing) ;;
        *) COMPREPLY=($(compgen -W "$1" -- "$cur")) ;;
    esac
}

_apt_ostree() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb= word skip= i
    # bash splits --color=auto at the equals sign
    if [[ $cur == "=" ]]; then
        cur=
    elif [[ $prev == "=" ]]; then
        prev=${COMP_WORDS[COMP_CWORD-2]}
    fi
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $skip ]]; then
            skip=
            [[ $word == "=" ]] && skip=1
            continue
        fi
        case $word in
@SKIPPED@
            -*|=) ;;
            *) case "${verb:+$verb }$word" in @VERBS@) verb=${verb:+$verb }$word ;; esac ;;
        esac
    done
    case $verb:$prev in
@VALUES@
    esac
    if [[ $cur == -* ]]; then
        case $verb in
@OPTIONS@
        esac
        [[ ${COMPREPLY[0]-} == *= && ${#COMPREPLY[@]} -eq 1 ]] && compopt -o nospace 2>/dev/null
        return 0
    fi
    case $verb in
@POSITIONS@
    esac
    return 0
}

complete -F _apt_ostree apt-ostree
"""


def script(pages: Sequence[Page]) -> str:
    """The whole file."""
    root = pages[0]
    skipped = {name for page in pages for entry in valued(page.options) for name in entry.names}
    parts = {
        "SKIPPED": f"            {'|'.join(sorted(skipped))}) skip=1 ;;",
        "VERBS": "|".join(f'"{words}"' for page in pages[1:] for words in spellings(page)),
        "VALUES": "\n".join([_value("*", e) for e in valued(root.options)] + _verb_values(pages[1:])),
        "OPTIONS": "\n".join(_options(page, root) for page in pages),
        "POSITIONS": "\n".join(_positions(page) for page in pages if page.commands or page.arguments),
    }
    text = HEAD
    for name, part in parts.items():
        text = text.replace(f"@{name}@", part)
    return text


def _verb_values(pages: Sequence[Page]) -> list[str]:
    return [_value(f'"{words}"', e) for page in pages for words in spellings(page) for e in valued(page.options)]


def _value(verb: str, entry: Entry) -> str:
    patterns = "|".join(f"{verb}:{name}" for name in entry.names)
    return f"        {patterns}) _apt_ostree_values {_source(entry)}; return 0 ;;"


def _source(entry: Entry) -> str:
    found = kind(entry)
    return f'"{" ".join(entry.choices)}"' if found is Kind.CHOICES else found.value


def _pattern(page: Page) -> str:
    return "|".join(f'"{words}"' for words in spellings(page))


def _options(page: Page, root: Page) -> str:
    entries = page.options if page is root else (*page.options, *root.options)
    names = dict.fromkeys(name for entry in entries for name in entry.names)
    return f'            {_pattern(page)}) COMPREPLY=($(compgen -W "{" ".join(names)}" -- "$cur")) ;;'


def _positions(page: Page) -> str:
    words = " ".join(name for name, _summary in page.commands)
    source = f'"{words}"' if words else _source(page.arguments[-1])
    return f"        {_pattern(page)}) _apt_ostree_values {source} ;;"
