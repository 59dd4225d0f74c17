"""Ordinary layers, read: a layer becomes a tree of its own, and trees are laid on top of each other.

Whiteouts stay in the tree of a layer as the empty files they are (image-spec, layer.md), so that a layer is kept in
the repo once and may be laid on any base. /etc becomes /usr/etc; what is below /dev, /proc, /run, /sys and /tmp is the
container's and is left out.
"""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from apt_ostree.oci.decompress import Tar
from apt_ostree.oci.encapsulate import REPO
from apt_ostree.oci.layout import BadImageError
from apt_ostree.oci.objects import Content, pack_xattrs
from apt_ostree.oci.source import API
from apt_ostree.oci.staging import MAX_XATTRS, Directories, Stage, dirmeta, dirtree
from apt_ostree.oci.tarreader import Member, Reader, normal
from apt_ostree.oci.tarwriter import DIRECTORY, FILE, LINK, SYMLINK
from apt_ostree.trees import MAX_DEPTH, MAX_PATH, Tree, parse

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
_INJECTED = ("hostname", "resolv.conf")  # what container engines leave in /etc, empty
_TREE = ("etc", "usr", "var")  # what a derived layer may change of a booted system


@dataclass(slots=True)
class Node:
    """A directory of a layer; `meta` is empty for one that is only implied by what lies below it."""

    meta: str = ""
    files: dict[str, str] = field(default_factory=dict)
    dirs: dict[str, Node] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What is kept. `whole`: all top directories, not only those of a system; `factory`: /var goes there."""

    whole: bool = True
    factory: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerTree:
    """The tree of a layer: checksums of its root; `implied`: directories it has no entries for; what was left out."""

    root: str
    meta: str
    implied: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(slots=True)
class _State:
    stage: Stage
    rules: Rules
    root: Node = field(default_factory=Node)
    originals: dict[str, str] = field(default_factory=dict)  # path in the tar -> object, for hard links
    left_out: dict[str, int] = field(default_factory=dict)


def read(tar: Tar, stage: Stage, rules: Rules) -> LayerTree:
    """Read one layer into the stage. Raises BadImageError."""
    reader, state = Reader(tar), _State(stage, rules)
    for member in reader:
        _take(state, reader, member)
    implied: list[str] = []
    root, meta = _store(state.root, stage, "", implied)
    told = tuple(f"/{name} ({count} entries)" for name, count in sorted(state.left_out.items()))
    return LayerTree(root=root, meta=meta, implied=tuple(implied), left_out=told)


def _take(state: _State, reader: Reader, member: Member) -> None:
    place = place_of(member.path, state.rules)
    if place is not None and len(place.encode()) > MAX_PATH:
        raise BadImageError(f"'{place[:100]}...' is too long a path for a commit")
    checksum = ""
    if member.kind in (FILE, SYMLINK):
        if place is None and not member.path.startswith(f"{REPO}/"):
            _leave_out(state, member)
            return
        checksum = state.stage.content(_content(member), reader.data())
    elif member.kind == LINK:
        checksum = state.originals.get(normal(member.link), "")
        if not checksum and place is not None:
            raise BadImageError(f"'{member.path}' is a link to '{member.link}', which is no file of the layer")
    if checksum:
        state.originals[member.path] = checksum
    if place is None:
        _leave_out(state, member)
    elif member.kind == DIRECTORY:
        _directory(state, place, member)
    else:
        _put(state, place, checksum)


def _leave_out(state: _State, member: Member) -> None:
    top = member.path.partition("/")[0]
    state.left_out[top] = state.left_out.get(top, 0) + 1


def place_of(path: str, rules: Rules) -> str | None:
    """Where a path of an image is in a commit, None for nowhere."""
    top, _, below = path.partition("/")
    if top in API and below:
        return None
    if path == "sysroot/ostree" or path.startswith("sysroot/ostree/"):
        return None
    if not rules.whole and top not in _TREE and top:
        return None
    if top == "etc":
        return f"usr/{path}"
    if top == "var" and below and rules.factory:
        return f"usr/share/factory/{path}"
    return path


def _content(member: Member) -> Content:
    kind = stat.S_IFREG if member.kind == FILE else stat.S_IFLNK
    return Content(
        uid=member.uid,
        gid=member.gid,
        mode=kind | member.mode,
        size=member.size,
        target=member.link.encode() if member.kind == SYMLINK else b"",
        xattrs=_xattrs(member),
    )


def _xattrs(member: Member) -> bytes:
    packed = pack_xattrs(list(member.xattrs))
    if len(packed) > MAX_XATTRS:
        raise BadImageError(f"'{member.path}' has {len(packed)} bytes of attributes")
    return packed


def _parent(state: _State, place: str) -> tuple[Node, str]:
    """The directory of a path, made as far as it is not there, and the last name. Raises BadImageError."""
    *above, name = place.split("/")
    node = state.root
    for part in above:
        if part in node.files:
            raise BadImageError(f"'{place}' lies below a file or a link of the same layer")
        node = node.dirs.setdefault(part, Node())
    return node, name


def _directory(state: _State, place: str, member: Member) -> None:
    node = state.root
    if place:
        parent, name = _parent(state, place)
        if name in parent.files:
            raise BadImageError(f"'{place}' is twice in a layer")
        node = parent.dirs.setdefault(name, Node())
    node.meta = state.stage.add("dirmeta", dirmeta(member.uid, member.gid, member.mode, _xattrs(member)))


def _put(state: _State, place: str, checksum: str) -> None:
    if not place:
        raise BadImageError("the root of a layer is no directory")
    parent, name = _parent(state, place)
    if name in parent.files or name in parent.dirs:
        raise BadImageError(f"'{place}' is twice in a layer")
    if name in (WHITEOUT, f"{WHITEOUT}.", f"{WHITEOUT}.."):
        raise BadImageError(f"'{place}' is a whiteout of nothing")
    parent.files[name] = checksum


def _store(node: Node, stage: Stage, path: str, implied: list[str]) -> tuple[str, str]:
    """Write a directory's objects, those below it first."""
    dirs = {}
    for name, below in node.dirs.items():
        dirs[name] = _store(below, stage, f"{path}/{name}" if path else name, implied)
    if not node.meta:
        implied.append(path)
    meta = node.meta or stage.add("dirmeta", dirmeta(0, 0, 0o755))
    return stage.add("dirtree", dirtree(node.files, dirs)), meta


@dataclass(slots=True)
class Merge:
    """Lays trees on top of each other; directories that only one of them has stay the objects they are."""

    stage: Directories
    known: dict[str, Tree] = field(default_factory=dict)

    def _tree(self, checksum: str) -> Tree:
        if checksum not in self.known:
            self.known[checksum] = parse(self.stage.load(checksum, "dirtree"), checksum)
        return self.known[checksum]

    def _add(self, files: dict[str, str], dirs: dict[str, tuple[str, str]]) -> str:
        return self.stage.add("dirtree", dirtree(files, dirs))

    def lay(self, lower: tuple[str, str] | None, upper: LayerTree) -> tuple[str, str]:
        """A layer's tree on a tree (None: on nothing); each is the checksums of its root. Raises BadImageError."""
        implied = frozenset(upper.implied)
        return self._lay(lower, (upper.root, upper.meta), "", implied)

    def _lay(
        self, lower: tuple[str, str] | None, upper: tuple[str, str], path: str, implied: frozenset[str]
    ) -> tuple[str, str]:
        if path.count("/") > MAX_DEPTH:
            raise BadImageError(f"the directories of a layer are too deep: {path[:100]}")
        above = self._tree(upper[0])
        below = Tree({}, {}) if lower is None or OPAQUE in above.files else self._tree(lower[0])
        files, dirs = dict(below.files), dict(below.dirs)
        for name in above.files:
            if name.startswith(WHITEOUT):
                files.pop(name[len(WHITEOUT) :], None)
                dirs.pop(name[len(WHITEOUT) :], None)
        for name, checksum in above.files.items():
            if not name.startswith(WHITEOUT):
                dirs.pop(name, None)
                files[name] = checksum
        for name, found in above.dirs.items():
            files.pop(name, None)
            dirs[name] = self._lay(dirs.get(name), found, f"{path}/{name}" if path else name, implied)
        meta = lower[1] if lower is not None and path in implied else upper[1]
        return self._add(files, dirs), meta

    def edit(self, root: tuple[str, str], path: str, change: Callable[[Tree], Tree]) -> tuple[str, str]:
        """A tree with one directory changed; as it is when there is no such directory."""
        name, _, rest = path.partition("/")
        tree = self._tree(root[0])
        if not name:
            changed = change(tree)
            return self._add(changed.files, changed.dirs), root[1]
        if name not in tree.dirs:
            return root
        return self._add(tree.files, {**tree.dirs, name: self.edit(tree.dirs[name], rest, change)}), root[1]

    def file(self, root: tuple[str, str], path: str) -> str:
        """The object at a path, empty for none."""
        *above, name = path.split("/")
        tree = self._tree(root[0])
        for part in above:
            if part not in tree.dirs:
                return ""
            tree = self._tree(tree.dirs[part][0])
        return tree.files.get(name, "")

    def kernel(self, root: tuple[str, str]) -> str:
        """The version of the one kernel of a tree, empty for none or several."""
        tree = self._tree(root[0])
        for part in ("usr", "lib", "modules"):
            if part not in tree.dirs:
                return ""
            tree = self._tree(tree.dirs[part][0])
        found = [name for name, (below, _) in tree.dirs.items() if "vmlinuz" in self._tree(below).files]
        return found[0] if len(found) == 1 else ""

    def without_injected(self, root: tuple[str, str], is_empty: Callable[[str], bool]) -> tuple[str, str]:
        """Without the empty files that container engines bind their own over."""

        def change(tree: Tree) -> Tree:
            gone = [name for name in _INJECTED if name in tree.files and is_empty(tree.files[name])]
            return replace(tree, files={name: one for name, one in tree.files.items() if name not in gone})

        return self.edit(root, "usr/etc", change)
