"""dracut(8) and lsinitrd(1) of a tree, run in it by a sandbox's argv prefix."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from apt_ostree import run


def build(
    prefix: Sequence[str],
    version: str,
    target: str,
    on_line: Callable[[str], None],
    *,
    compress: str = "",
    arguments: Sequence[str] = (),
) -> list[str]:
    """`dracut` for a kernel of the tree: for any machine, reproducible, with ostree's module. Raises ToolError.

    Returns the last lines it said: it may fail to make an image and say so with 0.

    `compress` is the compressor's command line, empty for dracut's own choice; `arguments` are handed on as they are.
    """
    argv = [
        *prefix,
        "dracut",
        "--force",
        "--no-hostonly",
        "--reproducible",
        *("--add", "ostree"),
        *("--tmpdir", "/tmp"),  # noqa: S108  a path inside the sandbox
        *(["--compress", compress] if compress else []),
        *arguments,
        *("--kver", version),
        target,
    ]
    last: deque[str] = deque(maxlen=10)

    def line(text: str) -> None:
        last.append(text)
        on_line(text)

    run.stream(argv, line)
    return list(last)


def contents(prefix: Sequence[str], image: str) -> str:
    """`lsinitrd`: the listing of an initramfs."""
    return run.capture([*prefix, "lsinitrd", image]).stdout
