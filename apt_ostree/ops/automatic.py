"""upgrade --automatic: what the timer starts. The policy decides how far it goes; without a network it stays quiet."""

from __future__ import annotations

import time
from dataclasses import replace

from apt_ostree import guarding, updates
from apt_ostree.config import Policy
from apt_ostree.context import Context
from apt_ostree.errors import AptOstreeError
from apt_ostree.model import Result
from apt_ostree.ops import reboot, upgrade
from apt_ostree.planning import situate
from apt_ostree.registry import UNREACHED
from apt_ostree.states import AutomaticUpdates

# codes of errors that pass by themselves: the next run tries again, nobody need be told but by status
PASSING = frozenset({UNREACHED, "refresh-failed", "download-failed", "busy"})


def run(context: Context) -> Result:
    """Check, stage or apply, as AutomaticUpdatePolicy in /etc/apt-ostree.conf has it.

    Raises what an upgrade raises, but for failures of the network: those are written down for status.
    """
    guarding.require_root(context.options.command)
    policy = situate(context).config.policy
    if policy is Policy.NONE:
        return _nothing(context, "Automatic updates are off: AutomaticUpdatePolicy=none.")
    before = updates.read_automatic(context.paths.automatic, policy)
    # what was rolled back would only be rolled back again
    context = replace(context, options=replace(context.options, avoid_bad=True))
    try:
        result = upgrade.run(context, upgrade.Request(check=policy is Policy.CHECK))
    except AptOstreeError as error:
        _note(context, before, error)
        if error.code not in PASSING:
            raise
        return _nothing(context, f"Not now: {error.message}")
    _note(context, before, None)
    if policy is Policy.CHECK and not context.options.dry_run:
        updates.write_update(context.paths.update, result.update)
    if policy is Policy.APPLY and result.changed and context.paths.is_running_root:
        reboot.run(context.paths)
    return result


def _note(context: Context, before: AutomaticUpdates, error: AptOstreeError | None) -> None:
    if context.options.dry_run:
        return
    now = time.time()
    state = AutomaticUpdates(last_run=now)
    if error is not None:
        state = replace(state, failing_since=before.failing_since or now, failure=error.message)
    updates.write_automatic(context.paths.automatic, state)


def _nothing(context: Context, message: str) -> Result:
    return Result(command=context.options.command, changed=False, message=message)
