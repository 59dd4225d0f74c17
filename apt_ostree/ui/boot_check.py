"""`boot-check`: for people and for scripts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apt_ostree.states import BootCheck, CheckResult, HealthState
from apt_ostree.ui.jsonshape import health_json
from apt_ostree.ui.theme import PLAIN, Style, Theme, clean


def as_json(found: BootCheck) -> dict[str, Any]:
    """`boot-check --json`."""
    return {
        "deployment": found.deployment.id,
        "health": health_json(found.health),
        "checks": [
            {
                "name": check.name,
                "required": check.required,
                "passed": check.passed,
                "reason": check.reason,
                "seconds": check.seconds,
                "output": list(check.output),
            }
            for check in found.checks
        ],
        "rolled-back-to": found.rolled_back_to.id if found.rolled_back_to else None,
        "reboot": found.reboot,
        "message": found.message,
    }


def text(found: BootCheck, *, theme: Theme = PLAIN) -> str:
    """A line for each check, then the verdict. Ends with a newline."""
    return "".join(f"{line}\n" for line in _lines(found, theme))


def _lines(found: BootCheck, theme: Theme) -> Iterator[str]:
    width = max((len(check.name) for check in found.checks), default=0)
    for check in found.checks:
        word, style = _verdict(check)
        kind = "required" if check.required else "wanted"
        painted = theme.paint(f"{word:<7}", style)
        yield f"{painted}  {clean(check.name):<{width}}  {kind}  {clean(check.reason)}".rstrip()
    style = {HealthState.GOOD: Style.GREEN, HealthState.BAD: Style.RED}.get(found.health.state, Style.YELLOW)
    yield f"{clean(found.deployment.id)} is {theme.paint(str(found.health.state), style)}"
    if found.message:
        yield clean(found.message)


def _verdict(check: CheckResult) -> tuple[str, Style]:
    if check.passed is None:
        return "not run", Style.DIM
    if check.passed:
        return "passed", Style.GREEN
    return "failed", Style.RED if check.required else Style.YELLOW
