"""The nouns of a host's state: what status, doctor and boot-check tell. Standard library only, no I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from apt_ostree.model import Commit, Deployment, PackageChange, Update


class HealthState(StrEnum):
    GOOD = "good"
    BAD = "bad"
    UNTESTED = "untested"


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What the checks after a boot said of a deployment. `when` is seconds since the epoch, 0 for never."""

    state: HealthState = HealthState.UNTESTED
    failed: tuple[str, ...] = ()  # required checks that failed
    when: int = 0
    tries: int = 0  # how often the checks were started without coming to an end


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One check of health.d. `passed` None: it was not run."""

    name: str
    required: bool
    passed: bool | None
    reason: str = ""  # why it failed
    seconds: float = 0.0
    output: tuple[str, ...] = ()  # its last lines


@dataclass(frozen=True, slots=True, kw_only=True)
class BootCheck:
    """What `boot-check` found and did."""

    deployment: Deployment
    health: Health
    checks: tuple[CheckResult, ...] = ()
    rolled_back_to: Deployment | None = None
    reboot: bool = False
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AutomaticUpdates:
    """The policy, and how the last automatic run went. Times in seconds since the epoch, 0 for never."""

    policy: str = "none"
    last_run: float = 0.0
    failing_since: float = 0.0
    failure: str = ""


class ProbeState(StrEnum):
    OK = "ok"
    FAILED = "failed"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One line of `doctor`: a thing that was looked at, and what was seen."""

    name: str
    state: ProbeState
    detail: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionOwner:
    """Who holds the transaction lock, as the owner record says. `since` is seconds since the epoch."""

    pid: int
    command: str
    phase: str
    since: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One signature of a commit, as ostree judged it. `made` is seconds since the epoch."""

    valid: bool
    key_missing: bool = False
    expired: bool = False  # with neither of these it is a bad one: the commit is not what was signed
    key_id: str = ""
    algorithm: str = ""
    made: int = 0
    name: str = ""
    email: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseState:
    """What the repo knows of a deployment's base beyond its commit."""

    pending: Commit | None = None  # a newer commit the branch stands at
    gpg_enabled: bool | None = None  # None: there is no remote
    signatures: tuple[Signature, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusReport:
    """What `status` tells. `changes` are those of the next boot against the booted deployment."""

    deployments: tuple[Deployment, ...] = ()
    transaction: TransactionOwner | None = None
    changes: tuple[PackageChange, ...] = ()
    last_failure: str = ""  # why the last staged deployment was not finalised
    etc_conflicts: tuple[str, ...] = ()  # of the deployment that boots next: changed here and in its defaults
    disk: dict[str, int] = field(default_factory=dict)  # deployment id -> bytes only it has; empty: not asked for
    update: Update | None = None
    automatic: AutomaticUpdates = field(default_factory=AutomaticUpdates)
    bases: dict[str, BaseState] = field(default_factory=dict)  # by deployment id
    health: dict[str, Health] = field(default_factory=dict)  # by deployment id
    live_replaced: str = ""  # the commit that is live in the booted deployment
    live_inprogress: str = ""  # the one an interrupted apply-live was about
    live_changes: tuple[PackageChange, ...] = ()  # of the live commit against the booted one
    problems: tuple[str, ...] = ()  # what could not be read
    booted_only: bool = False  # others were not asked for
