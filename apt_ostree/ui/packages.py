"""`search`, `show`, `provides` and `why`: for people and for scripts."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

from apt_ostree.findings import Facts, Hit, Presence, Provided, Provider, Reason
from apt_ostree.ui.theme import PLAIN, Style, Theme, clean

# fields of a record that people want to see, in this order
_SHOWN = (
    "Section", "Priority", "Source", "Essential", "Multi-Arch", "Installed-Size", "Size", "Pre-Depends", "Depends",
    "Recommends", "Suggests", "Enhances", "Breaks", "Conflicts", "Replaces", "Provides", "Homepage",
)  # fmt: skip
_WRAP: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}


def _presence(presence: Presence) -> dict[str, Any]:
    return {
        "installed": presence.version or None,
        "where": presence.where or None,
        "requested": presence.requested,
    }


def _mark(presence: Presence) -> str:
    """`base`, `layered`, `layered, requested`; `requested` alone cannot be had now; empty for what is not there."""
    words = [presence.where] if presence.where else []
    return ", ".join([*words, "requested"] if presence.requested else words)


def search_json(hits: Iterable[Hit]) -> dict[str, Any]:
    """`search --json`."""
    return {"packages": [{"name": hit.name, "summary": hit.summary, **_presence(hit.presence)} for hit in hits]}


def search_text(hits: Iterable[Hit], *, theme: Theme = PLAIN) -> str:
    """One line a package: name, summary, and in brackets how it is there."""
    lines = []
    for hit in hits:
        mark = f" [{clean(hit.presence.version)} {_mark(hit.presence)}]" if hit.presence.where else ""
        lines.append(
            f"{theme.paint(clean(hit.name), Style.BOLD)} - {clean(hit.summary)}{theme.paint(mark, Style.GREEN)}"
        )
    return "\n".join(lines or ["No package fits."]) + "\n"


def show_json(packages: Iterable[Facts]) -> dict[str, Any]:
    """`show --json`."""
    return {
        "packages": [
            {
                "name": facts.name,
                "arch": facts.arch,
                "candidate": facts.candidate,
                **_presence(facts.presence),
                "versions": [{"version": offer.version, "source": offer.source} for offer in facts.offers],
                "fields": facts.fields,
            }
            for facts in packages
        ]
    }


def show_text(packages: Iterable[Facts], *, theme: Theme = PLAIN) -> str:
    """A block a package."""
    return "\n".join("\n".join(_facts(facts, theme)) + "\n" for facts in packages)


def _facts(facts: Facts, theme: Theme) -> Iterator[str]:
    there = facts.presence
    yield f"Package: {theme.paint(clean(facts.name), Style.BOLD)}"
    yield f"Version: {clean(facts.candidate)} {clean(facts.arch)}"
    yield f"Installed: {f'{clean(there.version)} ({_mark(there)})' if there.where else 'no'}"
    for key in _SHOWN:
        if value := clean(" ".join(facts.fields.get(key, "").split())):
            unit = {"Installed-Size": " KiB", "Size": " bytes"}.get(key, "")
            yield from textwrap.wrap(f"{key}: {value}{unit}", theme.width, subsequent_indent=" ", **_WRAP)
    if facts.offers:
        yield "Available:"
        yield from (f"  {clean(offer.version)} from {clean(offer.source)}" for offer in facts.offers)
    elif there.where:
        yield "Available: in no package source"
    for number, line in enumerate(facts.fields.get("Description", "").splitlines()):
        yield f"Description: {clean(line)}" if number == 0 else clean(line)


def provides_json(found: Provided) -> dict[str, Any]:
    """`provides --json`."""
    return {
        "query": found.query,
        "kind": "file" if found.is_file else "capability",
        "archive-searched": not found.is_file,
        "providers": [
            {
                "name": provider.name,
                "version": provider.version,
                "arch": provider.arch,
                "provides": provider.provides,
                "installed": provider.installed,
                "diverts": provider.diverts,
            }
            for provider in found.providers
        ],
    }


def provides_text(found: Provided, *, theme: Theme = PLAIN) -> str:
    """One line a package; for a file also that only installed packages were asked."""
    lines = [_provider(provider, theme) for provider in found.providers]
    if found.is_file:
        lines.append("(Only installed packages were asked: package sources do not list their files.)")
    return "\n".join(lines) + "\n"


def _provider(provider: Provider, theme: Theme) -> str:
    name = theme.paint(clean(" ".join(filter(None, (provider.name, provider.version, provider.arch)))), Style.BOLD)
    if provider.diverts:
        return f"{name} diverts {clean(provider.provides)}"
    return f"{name}: {clean(provider.provides)}{' [installed]' if provider.installed else ''}"


def why_json(reason: Reason) -> dict[str, Any]:
    """`why --json`."""
    return {
        "package": reason.package,
        "version": reason.version,
        "arch": reason.arch,
        "why": reason.why,
        "request": reason.request or None,
        "chain": [
            {"package": step.package, "relation": step.relation, "text": step.text, "needs": step.needs}
            for step in reason.chain
        ],
    }


def why_text(reason: Reason, *, theme: Theme = PLAIN) -> str:
    """The reason in a sentence, then the chain, a line a step."""
    name = theme.paint(clean(f"{reason.package} {reason.version}"), Style.BOLD)
    sentences = {
        "base": f"{name} is in the base"
        + (f"; the request '{clean(reason.request)}' is inactive" if reason.request else ""),
        "override": f"{name} is in the place of the base's, by an override",
        "requested": f"{name} is requested: {clean(reason.request)}",
        "dependency": f"{name} is needed by what is requested: {clean(reason.request)}",
        "layered": f"{name} is layered, but nothing that is requested leads to it now",
    }
    steps = [
        f"  {clean(step.package)} {step.relation}: {clean(step.text)}"
        + ("" if step.text.split(" ")[0] == step.needs else f" -> {clean(step.needs)}")
        for step in reason.chain
    ]
    return "\n".join([sentences[reason.why], *steps]) + "\n"
