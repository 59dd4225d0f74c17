"""The only importer of typer.

Typer 0.15 (Debian 13) imports rich when it is imported itself; `--help` and TAB should not pay for that. While
typer is loaded here for the first time, rich looks as if it were not installed; Typer then uses its plain texts,
which we want anyway (`rich_markup_mode=None`). Newer versions import rich lazily and do not notice.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def rich_hidden() -> Iterator[None]:
    """While the block runs, `import rich` raises ImportError; nothing happens if rich is loaded already."""
    if "rich" in sys.modules:
        yield
        return
    # None in sys.modules is the import system's own way to say "not there" (Python reference, 5.3.1).
    sys.modules["rich"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["rich"]


with rich_hidden():
    import typer  # noqa: F401 (loaded for its side effect: later imports find it in sys.modules)
