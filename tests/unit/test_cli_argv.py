"""The command line before Typer: hoisted global options and optional values."""

from __future__ import annotations

import pytest

from apt_ostree.cli import app, pages
from apt_ostree.cli.argv import normalize, wants_json
from apt_ostree.errors import UsageError

FLAGS = {"-v", "--verbose", "-q", "--quiet"}
VALUED = {"--sysroot", "--color"}


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("status -v", "-v status"),
        ("status --sysroot /s --json", "--sysroot /s status --json"),
        ("status --sysroot=/s", "--sysroot=/s status"),
        ("install -nvv htop", "-vv install -n htop"),
        ("install -ny htop", "install -ny htop"),
        ("install --wait htop", "install --wait=inf htop"),
        ("install --wait=3 htop", "install --wait=3 htop"),
        ("install -- -v --wait", "install -- -v --wait"),
        ("", ""),
    ],
)
def test_normalize(typed: str, meant: str) -> None:
    assert normalize(typed.split(), FLAGS, VALUED) == meant.split()


def test_a_number_behind_wait_is_a_mistake_and_not_a_package() -> None:
    with pytest.raises(UsageError) as caught:
        normalize(["install", "--wait", "5", "htop"], FLAGS, VALUED)
    assert caught.value.hint == "--wait=5"


def test_a_global_option_without_its_value() -> None:
    with pytest.raises(UsageError):
        normalize(["status", "--sysroot"], FLAGS, VALUED)


def test_json_counts_only_before_the_double_dash() -> None:
    assert wants_json(["install", "--json"])
    assert not wants_json(["install", "--", "--json"])


def test_short_options_have_no_values_but_numbers() -> None:
    """`normalize` takes the global letters out of a cluster, so the rest of one must never be a word; -n5 is none."""
    for page in pages.pages(app.command()):
        for entry in page.options:
            assert entry.metavar in ("", "N") or all(name.startswith("--") for name in entry.names)
