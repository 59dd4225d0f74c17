"""Fixtures of the tests on real trees."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import ocitrees


@pytest.fixture(scope="module")
def toy(big_folder: Callable[[str], Path]) -> Path:
    """A bare repo with the toy commit."""
    folder = big_folder("toy")
    made = ocitrees.repo(folder / "repo")
    ocitrees.commit(made, ocitrees.toy(folder / "tree"), *ocitrees.BOOTABLE)
    return made
