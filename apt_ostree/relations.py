"""Which installed package needs which: the relations of a dpkg status file (Policy 7.2, 7.5), and ways through them."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from debian.deb822 import Deb822, PkgRelation

from apt_ostree.findings import Step
from apt_ostree.pkgdb import compare

# what makes apt bring another package along, the strongest first
FIELDS = ("Pre-Depends", "Depends", "Recommends")
_READ = ("Package", "Version", "Architecture", "Status", "Provides", *FIELDS)
_ORDER = {
    "<<": lambda order: order < 0,
    "<=": lambda order: order <= 0,
    "=": lambda order: order == 0,
    ">=": lambda order: order >= 0,
    ">>": lambda order: order > 0,
}


@dataclass(frozen=True, slots=True)
class Node:
    """An installed package: `provides` is name -> version (empty: none is said)."""

    name: str
    version: str
    arch: str
    provides: Mapping[str, str]
    needs: tuple[tuple[str, str], ...]  # field, one relation of it


@dataclass(slots=True)
class Graph:
    """All installed packages by name, and who is there under which name."""

    nodes: dict[str, Node] = field(default_factory=dict)
    by_name: dict[str, list[Node]] = field(default_factory=dict)

    def satisfiers(self, relation: str) -> Iterator[Node]:
        """Installed packages that satisfy one relation (`a (>= 1) | b`), in the order of its alternatives."""
        for alternatives in PkgRelation.parse_relations(relation):
            for wanted in alternatives:
                for node in self.by_name.get(wanted["name"], ()):
                    version = node.version if node.name == wanted["name"] else node.provides.get(wanted["name"], "")
                    if fits(version, wanted.get("version")):
                        yield node


def read(status: str) -> Graph:
    """A dpkg status text -> graph; of a package with several architectures, the first stands for all."""
    graph = Graph()
    for stanza in Deb822.iter_paragraphs(status.splitlines(keepends=True), fields=list(_READ), use_apt_pkg=False):
        if stanza.get("Status", "").endswith(" installed") and stanza.get("Package", "") not in graph.nodes:
            node = _node(stanza)
            graph.nodes[node.name] = node
            for name in (node.name, *node.provides):
                graph.by_name.setdefault(name, []).append(node)
    return graph


def provided(text: str) -> dict[str, str]:
    """A Provides field -> version by name, empty where none is said."""
    found = {}
    for alternatives in PkgRelation.parse_relations(text) if text.strip() else ():
        for item in alternatives:
            found[item["name"]] = (item.get("version") or ("", ""))[1]
    return found


def _node(stanza: Deb822) -> Node:
    needs = [
        (key, " ".join(relation.split()))
        for key in FIELDS
        for relation in stanza.get(key, "").split(",")
        if relation.strip()
    ]
    return Node(
        stanza["Package"],
        stanza.get("Version", ""),
        stanza.get("Architecture", ""),
        provided(stanza.get("Provides", "")),
        tuple(needs),
    )


def fits(version: str, constraint: tuple[str, str] | None) -> bool:
    """A versioned relation is satisfied by a version; a Provides without one does not do (Policy 7.5)."""
    if constraint is None:
        return True
    check = _ORDER.get(constraint[0])
    return bool(version) and check is not None and check(compare(version, constraint[1]))


def chain(graph: Graph, starts: Collection[str], goal: str, through: Collection[str]) -> tuple[Step, ...]:
    """The shortest chain of relations from one of `starts` to `goal`, all of it in `through`; empty: there is none.

    Of chains of one length, the one whose first steps are the strongest wins.
    """
    seen = {name for name in starts if name in graph.nodes}
    queue: deque[tuple[str, tuple[Step, ...]]] = deque((name, ()) for name in starts if name in graph.nodes)
    while queue:
        name, steps = queue.popleft()
        for key, relation in graph.nodes[name].needs:
            for node in graph.satisfiers(relation):
                if node.name in seen or (node.name not in through and node.name != goal):
                    continue
                way = (*steps, Step(package=name, relation=key, text=relation, needs=node.name))
                if node.name == goal:
                    return way
                seen.add(node.name)
                queue.append((node.name, way))
    return ()
