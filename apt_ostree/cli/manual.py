"""Man pages and shell completions, written from the command tree: `python -m apt_ostree.cli.manual man completions`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from apt_ostree import __version__
from apt_ostree.cli import completion, conf_page, treefile_page
from apt_ostree.cli.pages import PROGRAM, Entry, Page, pages
from apt_ostree.cli.roff import escape, paragraphs
from apt_ostree.errors import EXIT_BUG, EXIT_UNCHANGED, AptOstreeError

FILES = (
    ("/etc/apt-ostree.conf", "Settings: apt-ostree.conf(5)."),
    ("/etc/apt-ostree/health.d/", "Checks of a new deployment: apt-ostree-boot-check(1)."),
    ("/ostree/repo/extensions/apt-ostree/", "Downloaded packages, package lists, the lock and work directories."),
    ("/ostree/deploy/STATEROOT/deploy/CHECKSUM.SERIAL.origin", "What was requested for a deployment."),
    ("/var/log/apt-ostree/", "The log of each run, with all output of the packages' scripts."),
)
ENVIRONMENT = (
    ("http_proxy, https_proxy, ftp_proxy, no_proxy", "Passed on to the programs that download."),
    ("APT_OSTREE_DEBUG", "When not empty, an internal error shows where it happened, as -vv does."),
    ("NO_COLOR", "When not empty, --color=auto means never."),
)
SEE_ALSO = (
    "apt-ostree.conf(5)",
    "apt-ostree-treefile(5)",
    "ostree(1)",
    "rpm-ostree(1)",
    "apt-get(8)",
    "dpkg(1)",
    "bwrap(1)",
)


def manuals(all_pages: Sequence[Page]) -> dict[str, str]:
    """File name -> roff text, for every command, every alias and every format."""
    root = all_pages[0]
    found = {f"{one.manual}.1": roff(one, root, all_pages) for one in all_pages}
    for one in all_pages:
        for alias in one.aliases:
            found[f"{PROGRAM}-{alias}.1"] = f".so man1/{one.manual}.1\n"
    return {**found, treefile_page.NAME: treefile_page.roff(), conf_page.NAME: conf_page.roff()}


def roff(one: Page, root: Page, all_pages: Sequence[Page]) -> str:
    """One page in the man macros (groff_man(7)); no date, so that the same tree gives the same bytes."""
    lines = ['.\\" Made from the command tree by "make docs"; do not edit.']
    lines.append(f'.TH {escape(one.manual.upper())} 1 "" "{PROGRAM} {__version__}" "User Commands"')
    lines += [".SH NAME", f"{escape(one.manual)} \\- {escape(_lower(one.summary))}"]
    lines += [".SH SYNOPSIS", *_synopsis(one)]
    lines += [".SH DESCRIPTION", *paragraphs((one.summary, *one.description))]
    if one.aliases:
        names = ", ".join(f"{PROGRAM} {alias}" for alias in one.aliases)
        lines += paragraphs((f"The same under another name: {names}.",))[1:]
    lines += _commands(one)
    lines += _entries("ARGUMENTS", tuple(entry for entry in one.arguments if entry.help))
    lines += _entries("OPTIONS", one.options)
    if one.words and not one.commands:
        lines += _entries("GLOBAL OPTIONS", tuple(e for e in root.options if "--help" not in e.names))
    lines += [".SH EXIT STATUS", *_pairs(exit_status())]
    if not one.words:
        lines += [".SH FILES", *_pairs(FILES), ".SH ENVIRONMENT", *_pairs(ENVIRONMENT)]
    if one.examples:
        lines += [".SH EXAMPLES", ".nf", *(escape(line) for line in one.examples), ".fi"]
    lines += [".SH SEE ALSO", _see_also(one, all_pages)]
    return "\n".join(lines) + "\n"


def exit_status() -> tuple[tuple[str, str], ...]:
    """Exit codes and what they mean, from the error classes themselves."""
    codes = {0: "Done, or there was nothing to do."}
    for kind in _kinds(AptOstreeError):
        codes.setdefault(kind.exit_code, " ".join((kind.__doc__ or "").split()))
    codes[EXIT_BUG] = "A bug of apt-ostree."
    codes[EXIT_UNCHANGED] = "There was nothing to do; only with --unchanged-exit-77, --check or --preview."
    return tuple((str(code), text) for code, text in sorted(codes.items()))


def _kinds(kind: type[AptOstreeError]) -> Iterator[type[AptOstreeError]]:
    """A class before its subclasses, so that the general text of an exit code wins; ours only, not a test's."""
    yield kind
    for child in kind.__subclasses__():
        if child.__module__ == AptOstreeError.__module__:
            yield from _kinds(child)


def _synopsis(one: Page) -> list[str]:
    """The command in bold, what is to be replaced in italics."""
    words = [f"\\fB{escape(one.command)}\\fR"]
    words += [_term(entry, entry.names[-1]) for entry in one.needed]
    words.append("[\\fIOPTION\\fR...]")
    for entry in one.arguments:
        words.append(escape(entry.usage).replace(escape(entry.metavar), f"\\fI{escape(entry.metavar)}\\fR"))
    if one.commands:
        words.append("\\fICOMMAND\\fR")
    return [" ".join(words)]


def _commands(one: Page) -> list[str]:
    if not one.commands:
        return []
    lines = [".SH COMMANDS"]
    for name, summary in one.commands:
        lines += [".TP", f"\\fB{escape(name)}\\fR", escape(summary)]
    return lines


def _entries(title: str, entries: Sequence[Entry]) -> list[str]:
    lines = [f".SH {title}"] if entries else []
    for entry in entries:
        lines += [".TP", ", ".join(_term(entry, name) for name in entry.names), escape(entry.help)]
    return lines


def _term(entry: Entry, name: str) -> str:
    if not name.startswith("-"):
        return f"\\fI{escape(entry.metavar)}\\fR"
    return f"\\fB{escape(name)}\\fR" + escape(entry.spelled(name).removeprefix(name))


def _pairs(pairs: Sequence[tuple[str, str]]) -> list[str]:
    return [line for name, text in pairs for line in (".TP", f"\\fB{escape(name)}\\fR", escape(text))]


def _see_also(one: Page, all_pages: Sequence[Page]) -> str:
    """The page above, those below or beside it, and the programs this one rests on."""
    above = [p.manual for p in all_pages if p.words == one.words[:-1] and one.words]
    below = [p.manual for p in all_pages if p.words[:-1] == one.words and p.words]
    names = [f"{name}(1)" for name in (*above, *below)] + ([] if one.words else list(SEE_ALSO))
    names += ["apt-ostree-treefile(5)"] if one.words[:1] == ("compose",) else []
    return ",\n".join(f"\\fB{escape(name[:-3])}\\fR{name[-3:]}" for name in names)


def _lower(sentence: str) -> str:
    """A summary as NAME has it: no capital (man-pages(7)), no full stop."""
    return sentence[:1].lower() + sentence[1:].rstrip(".")


def write(man: Path, completions: Path) -> None:
    """Make both directories what the command tree says; pages of commands that are gone are removed."""
    from apt_ostree.cli.app import command

    all_pages = tuple(pages(command()))
    for directory, texts in ((man, manuals(all_pages)), (completions, completion.scripts(all_pages))):
        directory.mkdir(parents=True, exist_ok=True)
        for old in directory.iterdir():
            if old.name not in texts:
                old.unlink()
        for name, text in texts.items():
            (directory / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m apt_ostree.cli.manual MAN-DIRECTORY COMPLETIONS-DIRECTORY")
    write(Path(sys.argv[1]), Path(sys.argv[2]))
