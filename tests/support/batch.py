"""Many command lines for the price of one start of Python: each runs in a fork of one that has apt-ostree loaded."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.process import CHECKOUT, Done, run

NOBODY = 65534

# given to `python3 -c`, so that it also runs where the tests are not: inside a namespace host
SOURCE = """
import importlib, json, os, pkgutil, sys, tempfile
from apt_ostree import ops, ui
from apt_ostree.cli import app

def call(uid, argv):
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as error:
        child = os.fork()
        if child == 0:
            os.dup2(out.fileno(), 1)
            os.dup2(error.fileno(), 2)
            if uid:
                os.setgroups([])
                os.setgid(uid)
                os.setuid(uid)
            code = app.run(argv)
            sys.stderr.flush()
            os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        texts = []
        for stream in (out, error):
            stream.seek(0)
            texts.append(stream.read().decode(errors="replace"))
        return argv, *texts, code

for package in (ops, ui):  # once here, not in every child
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
tree = app.command()
app.command = lambda **_: tree
print(json.dumps([call(*line) for line in json.loads(sys.stdin.read())]))
"""


@dataclass(frozen=True, slots=True)
class Line:
    """One command line, and as whom it runs."""

    words: tuple[str | Path, ...]
    uid: int = 0


def encoded(lines: Sequence[Line]) -> str:
    """What SOURCE reads from its stdin."""
    return json.dumps([[line.uid, [str(word) for word in line.words]] for line in lines])


def decoded(done: Done) -> list[Done]:
    """How each line ended."""
    return [Done(tuple(argv), out, error, code) for argv, out, error, code in done.json]


def here(lines: Sequence[Line]) -> list[Done]:
    """Run them one after the other on this machine."""
    return decoded(run([sys.executable, "-c", SOURCE], env={"PYTHONPATH": str(CHECKOUT)}, stdin=encoded(lines)))
