"""Directory objects of a repo: which object lies at which path of a commit, without a checkout.

A directory is stored uncompressed as `objects/xx/yyyy.dirtree` in every repo mode; its type is `(a(say)a(sayay))`
(OSTREE_TREE_GVARIANT_STRING). It is decoded here by hand, five times faster than by `gvariant`: a tree has thousands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from apt_ostree.commits import CommitError, metadata_object
from apt_ostree.errors import NotRootError

MAX_PATHS = 5_000_000  # of a tree; a system has a tenth of it
MAX_PATH, MAX_NAME = 4095, 255  # bytes, as the kernel has it (limits.h: PATH_MAX counts a zero at the end)
MAX_DEPTH = 200  # directories in directories


class TreeError(CommitError):
    """A directory of a commit is not in the repo, or cannot be read."""

    code = "bad-tree"


@dataclass(frozen=True, slots=True)
class Tree:
    """One directory: file name -> object, directory name -> (its tree, its metadata object). All are checksums."""

    files: dict[str, str]
    dirs: dict[str, tuple[str, str]]


@dataclass(slots=True)
class Trees:
    """The directories of one repo, each read once."""

    repo: Path
    known: dict[str, Tree]
    counted: dict[str, Size]

    def __init__(self, repo: Path) -> None:
        self.repo, self.known, self.counted = repo, {}, {}

    def tree(self, checksum: str) -> Tree:
        """One directory. Raises TreeError, NotRootError."""
        if checksum not in self.known:
            self.known[checksum] = parse(self._read(checksum), checksum)
        return self.known[checksum]

    def _read(self, checksum: str) -> bytes:
        path = object_path(self.repo, checksum, "dirtree")
        try:
            return metadata_object(path)
        except PermissionError as error:
            raise NotRootError(f"the repo {self.repo} may be read by root only", hint="sudo apt-ostree ...") from error
        except OSError as error:
            raise TreeError(f"the directory {checksum} is not in the repo {self.repo}") from error

    def walk(self, checksum: str, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Tree]]:
        """A directory and all below it, each with its path; the top one is "". Raises TreeError."""
        hold(checksum, depth, _bytes(prefix))
        if not depth:
            self.check(checksum)
        tree = self.tree(checksum)
        yield prefix, tree
        for name, (below, _) in tree.dirs.items():
            yield from self.walk(below, f"{prefix}/{name}" if prefix else name, depth + 1)

    def check(self, checksum: str) -> None:
        """Raise TreeError for a tree that nobody could walk to its end."""
        count(checksum, self.tree, self.counted)

    def own(self, checksum: str, others: Sequence[str]) -> Iterator[str]:
        """Objects of a tree that lie at paths where none of the `others` has the same object. Raises TreeError.

        Directories that another tree has as they are need not be looked into, so this costs what differs.
        """
        waiting, paths = [(checksum, others, 0, 0)], 0
        while waiting:
            top, there, depth, length = waiting.pop()
            if top in there:
                continue
            hold(top, depth, length)
            tree, rest = self.tree(top), [self.tree(other) for other in there]
            paths += len(tree.files) + len(tree.dirs)
            if paths > MAX_PATHS:
                raise TreeError(f"the tree {checksum} has more than {MAX_PATHS} paths", code="bad-image")
            for name, found in tree.files.items():
                if not any(other.files.get(name) == found for other in rest):
                    yield found
            for name, (below, _) in tree.dirs.items():
                same = [other.dirs[name][0] for other in rest if name in other.dirs]
                waiting.append((below, same, depth + 1, length + 1 + _bytes(name)))


def hold(checksum: str, depth: int, length: int) -> None:
    """Raise TreeError for a directory whose path has too many directories, or too many bytes."""
    if depth > MAX_DEPTH:
        raise TreeError(f"the directories of {checksum} are too deep")
    if length > MAX_PATH:
        raise TreeError(f"the directory {checksum} is at, or has, a path of more than {MAX_PATH} bytes")


def _bytes(name: str) -> int:
    return len(name) if name.isascii() else len(name.encode("utf-8", "surrogateescape"))


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is in a tree: paths, the bytes of the longest, directories in directories."""

    paths: int = 0
    longest: int = 0
    depth: int = 0


def count(checksum: str, load: Callable[[str], Tree], known: dict[str, Size] | None = None, depth: int = 0) -> Size:
    """The size of a tree, each directory measured once: a directory may be in many others, and those in many again.

    Raises TreeError for more than MAX_PATHS, MAX_PATH or MAX_DEPTH.
    """
    known = {} if known is None else known
    if checksum not in known:
        hold(checksum, depth, 0)
        tree = load(checksum)
        sizes = {name: count(below, load, known, depth + 1) for name, (below, _) in tree.dirs.items()}
        total = len(tree.files) + len(tree.dirs) + sum(one.paths for one in sizes.values())
        if total > MAX_PATHS:
            raise TreeError(f"the tree {checksum} has more than {MAX_PATHS} paths", code="bad-image")
        longest = [_bytes(name) + (one.longest + 1 if one.longest else 0) for name, one in sizes.items()]
        longest += [_bytes(name) for name in tree.files]
        found = Size(total, max(longest, default=0), max((one.depth + 1 for one in sizes.values()), default=0))
        hold(checksum, found.depth, found.longest)
        known[checksum] = found
    return known[checksum]


def object_path(repo: Path, checksum: str, kind: str) -> Path:
    """Where an object is; the kinds of a bare repo are `file`, `dirtree`, `dirmeta` and `commit`."""
    return repo / "objects" / checksum[:2] / f"{checksum[2:]}.{kind}"


def parse(data: bytes, checksum: str = "") -> Tree:
    """Bytes of a directory object -> Tree. Raises TreeError for what is none: the data may be hostile."""
    try:
        width = _width(len(data))
        middle = int.from_bytes(data[-width:], "little") if data else 0
        last = len(data) - width if data else 0
        if middle > last:
            raise ValueError("an offset is out of bounds")
        files = {_name(e[0]): _checksum(e[1]) for e in _elements(data[:middle], 1)}
        dirs = {_name(e[0]): (_checksum(e[1]), _checksum(e[2])) for e in _elements(data[middle:last], 2)}
    except (ValueError, IndexError) as error:
        raise TreeError(f"the directory {checksum} is damaged: {error}") from error
    return Tree(files, dirs)


def _width(size: int) -> int:
    """Bytes of a framing offset in a container of `size` bytes (GVariant specification, 2.3.6)."""
    return 1 if size < 1 << 8 else 2 if size < 1 << 16 else 4


def _elements(data: bytes, offsets: int) -> Iterator[list[bytes]]:
    """The members of each tuple of an array; `offsets` of them have a framing offset, the last one has none."""
    if not data:
        return
    width = _width(len(data))
    table = int.from_bytes(data[-width:], "little")
    if table > len(data) - width or (len(data) - table) % width:
        raise ValueError("an offset is out of bounds")
    start = 0
    for at in range(table, len(data), width):
        end = int.from_bytes(data[at : at + width], "little")
        if not start <= end <= table:
            raise ValueError("an offset is out of bounds")
        yield _split(data[start:end], offsets)
        start = end


def _split(element: bytes, offsets: int) -> list[bytes]:
    width, size = _width(len(element)), len(element)
    found, start = [], 0
    for number in range(1, offsets + 1):
        end = int.from_bytes(element[size - number * width : size - (number - 1) * width], "little")
        if not start <= end <= size - offsets * width:
            raise ValueError("an offset is out of bounds")
        found.append(element[start:end])
        start = end
    return [*found, element[start : size - offsets * width]]


def _name(data: bytes) -> str:
    name = data[:-1].decode("utf-8", "surrogateescape")
    if data[-1:] != b"\0" or len(data) > MAX_NAME + 1 or name in ("", ".", "..") or "/" in name or "\0" in name:
        raise ValueError(f"a name that cannot be: {name!r}")
    return name


def _checksum(data: bytes) -> str:
    if len(data) != 32:
        raise ValueError("a checksum of the wrong length")
    return data.hex()
