"""search and show: what the package sources have, and how it is in the deployment that boots next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from debian.deb822 import Deb822

from apt_ostree import aptroot, pkgdb, refusals
from apt_ostree.context import Context
from apt_ostree.errors import ResolveError, ToolError, UsageError
from apt_ostree.findings import Facts, Hit, Offer
from apt_ostree.ops import ask
from apt_ostree.tools import apt


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`words` are regular expressions that must all fit."""

    words: tuple[str, ...]
    names_only: bool = False


def search(context: Context, request: Request) -> tuple[Hit, ...]:
    """Packages whose name or summary fits, by name. Raises UsageError, AptOstreeError."""
    if not all(word.strip() for word in request.words) or not request.words:
        raise UsageError("no words to search for were given", hint="apt-ostree search WORD...")
    with ask.archive(context) as (subject, root):
        try:
            found = apt.search(root.config, request.words, names_only=request.names_only)
        except ToolError as error:
            raise UsageError(
                f"cannot search for {' '.join(request.words)}: {error.details[-1] if error.details else error.message}",
                hint="words are regular expressions (regex(7)); write a '+' as '[+]'",
            ) from error
        return tuple(Hit(name=name, summary=text, presence=subject.presence(name)) for name, text in sorted(set(found)))


def show(context: Context, names: Sequence[str]) -> tuple[Facts, ...]:
    """Facts of packages by name, as they were asked for. Raises ResolveError naming all that are not known."""
    asked = tuple(dict.fromkeys(names))
    if not asked or not all(name and not name.startswith("-") for name in asked):
        raise UsageError("no packages were named", hint="apt-ostree show NAME...")
    with ask.archive(context) as (subject, root):
        known = {record["Package"]: record for record in apt.show_candidates(root.config, asked)}
        known |= {name: record for name, record in _own(subject, asked) if name not in known}
        missing = [name for name in asked if name.partition(":")[0] not in known]
        if missing:
            raise _missing(root, missing)
        offers = apt.madison(root.config, asked)
        plain = dict.fromkeys(name.partition(":")[0] for name in asked)
        return tuple(_facts(subject, known[name], offers) for name in plain)


def _missing(root: aptroot.AptRoot, missing: Sequence[str]) -> ResolveError:
    names = apt.package_names(root.config)
    virtual = [name for name in missing if apt.reverse_provides(root.config, name)]
    if virtual:
        return ResolveError(
            f"no package itself, but provided by others: {', '.join(virtual)}",
            hint=f"apt-ostree provides {virtual[0]}",
            code="virtual",
        )
    return refusals.not_found(missing, names - set(missing), root.advice)


def _own(subject: ask.Subject, names: Sequence[str]) -> Iterator[tuple[str, Deb822]]:
    """Records of layered packages that no source has: local files."""
    wanted = subject.layered & {name.partition(":")[0] for name in names}
    if wanted:
        text = pkgdb.status(subject.repo, subject.deployment.checksum)
        for record in Deb822.iter_paragraphs(text.splitlines(keepends=True), use_apt_pkg=False):
            if record.get("Package") in wanted:
                yield record["Package"], record


def _facts(subject: ask.Subject, record: Deb822, offers: Sequence[tuple[str, str, str]]) -> Facts:
    name = record["Package"]
    return Facts(
        name=name,
        candidate=record["Version"],
        arch=record.get("Architecture", ""),
        presence=subject.presence(name),
        fields={key: value for key, value in record.items() if key not in ("Status", "Conffiles")},
        offers=tuple(Offer(version=version, source=source) for named, version, source in offers if named == name),
    )
