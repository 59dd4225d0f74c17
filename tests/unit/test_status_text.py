"""`status` for people."""

from __future__ import annotations

import re
from dataclasses import replace

from apt_ostree.model import Origin
from apt_ostree.states import StatusReport
from apt_ostree.ui import status
from apt_ostree.ui.theme import Theme
from tests.support import samples

IDLE = f"""State: idle
Deployments:
● debian/13
  Version: 13.7 (2023-11-14T22:13:20Z)
   Commit: {samples.BASE}
   Pinned: yes
"""


def test_one_booted_deployment() -> None:
    assert status.text(StatusReport(deployments=(samples.plain(),))) == IDLE


def test_no_deployment() -> None:
    assert status.text(StatusReport()) == "State: idle\nNo deployments.\n"


def rows(text: str) -> dict[str, str]:
    """First line of each key of the first deployment."""
    first = text.split("Deployments:\n")[1].split("\n\n")[0]
    return dict(re.findall(r"^ +([A-Za-z]+): (.*)$", first, re.MULTILINE))


def test_a_pending_layered_deployment() -> None:
    text = status.text(samples.report())
    assert text.startswith("State: busy\nWarning: the last staged deployment was not finalised: No space left")
    assert "Transaction: apt-ostree install htop (pid 42, configure, since " in text
    found = rows(text)
    assert found["Version"].startswith("13.7 (")
    assert found["BaseCommit"] == samples.BASE
    assert "Commit" not in found
    assert found["Diff"] == "1 upgraded, 1 removed, 1 added"
    assert found["LayeredPackages"] == "htop"
    assert found["LocalPackages"] == "mine_1.0_all"
    assert found["RemovedBasePackages"] == "libnl-3-200 3.7.0-2"
    assert found["Overrides"] == "nano 1:8.4-1 -> 1:8.5-1"
    assert found["Initramfs"] == "regenerate --add lvm"
    assert found["InitramfsEtc"] == "/etc/crypttab"
    assert found["Finalization"] == "locked"
    assert found["Unlocked"] == "hotfix"
    assert "InactiveRequests" not in found and "Kargs" not in found


def test_verbose_adds_index_stateroot_kargs_names() -> None:
    text = status.text(samples.report(), verbose=True)
    found = rows(text)
    assert "  debian/13 (index: 0)" in text and "● debian/13 (index: 1)" in text
    assert found["StateRoot"] == "debian" and found["Staged"] == "yes"
    assert found["Commit"] == samples.LAYERED
    assert found["Upgraded"] == "nano" and found["Added"] == "htop"
    assert found["InactiveRequests"].startswith("nano package-0")
    assert found["Kargs"] == 'root=LABEL=root note="a b"'


def test_keys_end_in_one_column() -> None:
    text = status.text(samples.report(), verbose=True)
    ends = {line.index(":") for line in text.splitlines() if re.match(r" +[A-Z][A-Za-z]+:", line)}
    assert len(ends) == 1


def test_80_columns_are_enough_on_a_terminal() -> None:
    text = status.text(samples.report(), verbose=True, theme=Theme(terminal=True, width=80))
    body = text.split("Deployments:\n")[1]
    assert max(len(line) for line in body.splitlines()) <= 80
    assert samples.BASE[:40] in text
    assert "package-11" in text


def test_elsewhere_checksums_are_whole_and_nothing_is_coloured() -> None:
    text = status.text(samples.report())
    assert samples.BASE in text
    assert "\x1b" not in text


def test_colour_is_only_added() -> None:
    plain = status.text(samples.report())
    painted = status.text(samples.report(), theme=Theme(colour=True))
    assert "\x1b[31;1m" in painted
    assert re.sub(r"\x1b\[[0-9;]*m", "", painted) == plain


def test_origins_cannot_steer_the_terminal() -> None:
    hostile = replace(samples.plain(), origin=Origin(refspec="x\x1b]0;owned\x07"), origin_error="bad\r\nline")
    text = status.text(StatusReport(deployments=(hostile,)))
    assert "\x1b" not in text and "\x07" not in text and "\r" not in text


def test_a_terminal_without_unicode_gets_a_star() -> None:
    text = status.text(StatusReport(deployments=(samples.plain(),)), theme=Theme(unicode=False))
    assert text == IDLE.replace("●", "*")
