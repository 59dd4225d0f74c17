"""`python -m apt_ostree` and the `apt-ostree` script."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line and return its exit code."""
    from apt_ostree.cli.app import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
