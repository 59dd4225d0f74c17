"""How the test ground runs programs: always to the end, always with their output in the failure."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
TIMEOUT = 900.0  # seconds; a net under hanging tests, no measure of speed


@dataclass(frozen=True, slots=True)
class Done:
    """What a finished program left behind."""

    argv: tuple[str, ...]
    stdout: str
    stderr: str
    returncode: int

    @property
    def json(self) -> Any:
        """stdout as one JSON value."""
        return json.loads(self.stdout)

    @property
    def output(self) -> str:
        """stdout, then stderr."""
        return self.stdout + self.stderr

    def must(self, returncode: int = 0) -> Done:
        """This, when it ended with `returncode`; else an AssertionError that shows everything."""
        assert self.returncode == returncode, (
            f"{' '.join(self.argv)}\nended with {self.returncode}, not {returncode}\n"
            f"--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}"
        )
        return self


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of programs under test: small, with the caller's proxies."""
    kept = ("PATH", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
    env = {name: os.environ[name] for name in kept if name in os.environ}
    # the local archive of a test is on 127.0.0.1: no proxy can reach it
    env["no_proxy"] = ",".join(filter(None, (env.get("no_proxy", ""), "127.0.0.1")))
    env |= {"LC_ALL": "C.UTF-8", "HOME": "/root", "TERM": "dumb", "PYTHONDONTWRITEBYTECODE": "1"}
    return env | dict(extra or {})


def run(
    argv: Sequence[str | Path],
    *,
    check: bool = True,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str | None = None,
) -> Done:
    """Run a program to its end; with `check` it must end with 0."""
    words = tuple(str(word) for word in argv)
    done = subprocess.run(
        words,
        check=False,
        capture_output=True,
        text=True,
        errors="replace",
        env=environment(env),
        cwd=cwd,
        timeout=TIMEOUT,
        **({"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}),  # type: ignore[arg-type]
    )
    finished = Done(words, done.stdout, done.stderr, done.returncode)
    return finished.must() if check else finished
