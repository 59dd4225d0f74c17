"""What there is in a tree, path by path, and how to read it: the same for directories and commits."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

_LINKS = 40  # followed on one way, as the kernel does (path_resolution(7))


class Kind(StrEnum):
    """Types of files as far as anybody asks."""

    FILE = "file"
    DIRECTORY = "directory"
    LINK = "link"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Node:
    """One path, without a leading slash; undecodable bytes are surrogates. `mode` is the permission bits.

    `object` is the checksum of a file's object where the tree is a commit; `mounted`: another file system begins here.
    """

    path: str
    kind: Kind
    mode: int = 0
    uid: int = 0
    gid: int = 0
    size: int = 0
    target: str = ""  # of a link
    capable: bool = False  # it has file capabilities (capabilities(7))
    mounted: bool = False
    object: str = ""

    @property
    def name(self) -> str:
        return posixpath.basename(self.path)


@dataclass(frozen=True, slots=True)
class View:
    """A whole tree. `name` is what the user called it; `running`: it is the system that asks."""

    name: str
    nodes: Mapping[str, Node]
    kids: Mapping[str, tuple[str, ...]]
    reader: Callable[[Node], bytes]
    running: bool = False

    @property
    def etc(self) -> str:
        """Where the configuration is: a commit has it in /usr/etc."""
        return "etc" if "etc" in self.nodes else "usr/etc"

    def get(self, path: str) -> Node | None:
        """What is at a path; a link is the link itself, and no link on the way is followed."""
        return self.nodes.get(path.strip("/"))

    def children(self, path: str) -> list[Node]:
        """What is directly in a directory, sorted by name."""
        return [self.nodes[child] for child in self.kids.get(path.strip("/"), ())]

    def below(self, path: str) -> Iterator[Node]:
        """Everything below a directory, parents first."""
        waiting = self.children(path)[::-1]
        while waiting:
            node = waiting.pop()
            yield node
            waiting += self.children(node.path)[::-1]

    def resolve(self, path: str) -> Node | None:
        """What a path leads to inside of the tree, links followed; None where it leads nowhere."""
        names, here, links = path.strip("/").split("/")[::-1], "", 0
        while names:
            name = names.pop()
            if name in ("", "."):
                continue
            if name == "..":
                here = posixpath.dirname(here)
                continue
            node = self.nodes.get(f"{here}/{name}".lstrip("/"))
            if node is None or links > _LINKS:
                return None
            if node.kind is Kind.LINK:
                links += 1
                here = "" if node.target.startswith("/") else here
                names.extend(node.target.split("/")[::-1])
            else:
                here = node.path
        return self.nodes.get(here)

    def locate(self, path: str) -> Node | None:
        """What has this name in a Debian system: links above it are followed, and /etc is where `etc` says."""
        folder, _, name = path.strip("/").rpartition("/")
        if self.etc != "etc" and (folder == "etc" or folder.startswith("etc/")):
            folder = f"usr/{folder}"
        parent = self.resolve(folder) if folder else None
        if folder and parent is None:
            return None
        return self.nodes.get(f"{parent.path}/{name}" if parent else name)

    def read(self, path: str) -> bytes:
        """Content of a regular file, links followed; nothing when there is none. Raises AptOstreeError."""
        node = self.resolve(path)
        return self.reader(node) if node is not None and node.kind is Kind.FILE else b""

    def text(self, path: str) -> str:
        """The same as text, undecodable bytes kept as surrogates."""
        return self.read(path).decode(errors="surrogateescape")


def build(name: str, nodes: Iterable[Node], reader: Callable[[Node], bytes], *, running: bool = False) -> View:
    """A view of nodes, in whatever order they come; it has them sorted, so that parents come first."""
    found: dict[str, Node] = {}
    kids: dict[str, list[str]] = {}
    for node in sorted(nodes, key=lambda node: node.path):
        found[node.path] = node
        kids.setdefault(posixpath.dirname(node.path), []).append(node.path)
    return View(name, found, {path: tuple(sorted(listed)) for path, listed in kids.items()}, reader, running)
