"""The person's editor: $VISUAL, $EDITOR, else editor(1), Debian's alternative."""

from __future__ import annotations

import os
import shlex
import tempfile
from pathlib import Path

from apt_ostree import run


def command() -> list[str]:
    """The editor and its options, as environ(7) has it."""
    for name in ("VISUAL", "EDITOR"):
        if words := shlex.split(os.environ.get(name, "")):
            return words
    return ["editor"]


def edit(text: str, name: str) -> str:
    """Let the person edit a text in a file called `name`; returns it as it was saved. Raises ToolError."""
    with tempfile.TemporaryDirectory(prefix="apt-ostree-") as folder:
        file = Path(folder) / name
        file.write_text(text)
        run.interactive([*command(), file])
        return file.read_text(errors="replace")
