"""The demo shows commands as they can be typed."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

DEMO = (Path(__file__).resolve().parents[1] / "demo/demo.sh").read_text()
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def test_what_is_shown_is_what_is_run() -> None:
    functions = "\n".join(re.findall(r"^\w+\(\) \{.*(?:\n  .*)*\n?\}?", DEMO, re.MULTILINE))
    script = f"{functions}\nTOOL=/bin/echo SYSROOT='/a b' times=()\nshow_ao status\nclock_ao name rollback"
    done = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, check=True)
    shown = [ESCAPE.sub("", line) for line in done.stdout.splitlines()]
    assert [shlex.split(line) for line in shown if line.startswith("$")] == [
        ["$", "/bin/echo", "--sysroot", "/a b", "status"],
        ["$", "/bin/echo", "--sysroot", "/a b", "rollback"],
    ]
    assert [line for line in shown if not line.startswith("$")] == ["--sysroot /a b status", "--sysroot /a b rollback"]


def test_no_function_of_the_script_is_shown_as_a_command() -> None:
    names = re.findall(r"^(\w+)\(\)", DEMO, re.MULTILINE)
    assert "ao" in names
    shown = re.findall(r'^\s*(?:show|clock "[^"]*") (\S+)', DEMO, re.MULTILINE)
    assert shown and not set(shown) & set(names)
