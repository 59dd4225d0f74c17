"""What prepare-root.conf says of composefs."""

from __future__ import annotations

import pytest

from apt_ostree import composefs


@pytest.mark.parametrize("setting", composefs.SETTINGS)
def test_what_is_written_is_read(setting: str) -> None:
    assert composefs.setting(composefs.render(setting)) == setting


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ("", "no"),
        ("[sysroot]\nreadonly=true\n", "no"),
        ("[composefs]\nenabled=true\n", "yes"),
        ("[composefs]\nenabled = signed\n", "yes"),
        ("[composefs]\nenabled=0\n", "no"),
        ("[composefs]\nenabled=%x\n", "yes"),
        ("no keyfile at all", "no"),
    ],
)
def test_settings(text: str, setting: str) -> None:
    assert composefs.setting(text) == setting
