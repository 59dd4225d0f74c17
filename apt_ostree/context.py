"""Where a transaction happens, who listens, and how the command line wants it done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from apt_ostree.model import Plan
from apt_ostree.paths import Paths
from apt_ostree.report import Reporter


def _always(_plan: Plan) -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says about how, not what. Times in seconds."""

    dry_run: bool = False
    download_only: bool = False
    cache_only: bool = False
    wait: float | None = None  # None: fail at once when another transaction runs
    stateroot: str = ""
    idempotent: bool = False
    allow_inactive: bool = False
    recommends: bool | None = None
    lock_finalization: bool = False  # stage, and let no shutdown finalise it until finalize-deployment
    refresh_age: float | None = None  # seconds lists are good enough; None: as the configuration has it
    script_timeout: float = 600.0
    disable_repos: tuple[str, ...] = ()
    lenient: bool = False  # a configuration that makes no sense does not stop it: what runs at boot
    avoid_bad: bool = False  # refuse a commit that failed its checks when it was booted, not only warn
    command: str = "apt-ostree"  # as it was typed
    verb: str = ""
    confirm: Callable[[Plan], bool] = _always


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Where a transaction happens and who listens."""

    paths: Paths
    reporter: Reporter
    options: Options = Options()
