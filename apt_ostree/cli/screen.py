"""Stand-in."""

from __future__ import annotations

import sys


def show_error(error, *, json):
    print(error.message, error.hint, *error.details, sep="\n", file=sys.stderr)
