"""Results, errors, progress, doctor and db as people and programs see them."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from apt_ostree.compose import bootstrap
from apt_ostree.errors import ResolveError
from apt_ostree.findings import PackageDiff, PackageList
from apt_ostree.model import Package, Result
from apt_ostree.report import Advanced, OutputLine, PhaseDone, PhaseStarted, Reporter, Warned
from apt_ostree.states import Probe, ProbeState
from apt_ostree.ui import db, doctor, errors, jsonshape, progress, result
from tests.support import samples

DIFF = PackageDiff(
    from_name="booted", from_checksum=samples.BASE, to_name="x\x1b[1m", to_checksum=samples.LAYERED,
    changes=samples.CHANGES,
)  # fmt: skip


def test_importing_ui_loads_no_rich() -> None:
    code = (
        "import pkgutil, importlib, sys, apt_ostree.ui as ui\n"
        "[importlib.import_module('apt_ostree.ui.' + m.name) for m in pkgutil.iter_modules(ui.__path__)]\n"
        "print(*sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert "apt_ostree.ui.progress" in out
    assert not {"rich", "typer", "sh", "debian"} & set(out)


@pytest.mark.parametrize(
    ("version", "parts"),
    [
        ("1.0", (0, "1.0", "")),
        ("1:2.0-1", (1, "2.0", "1")),
        ("2.41-12-3+b1", (0, "2.41-12", "3+b1")),
        ("0:1", (0, "1", "")),
    ],
)
def test_package_tuples(version: str, parts: tuple[int, str, str]) -> None:
    found = jsonshape.package_tuple(Package(name="a", version=version, arch="all"))
    assert found == (f"a_{version}_all", "a", *parts, "all")


def test_an_error_has_message_details_hint() -> None:
    error = ResolveError("no package 'htpo'", hint="apt-ostree search htpo", details=["E: one\nE: two\x1b[2J"])
    assert errors.text(error) == (
        "error: no package 'htpo'\n  E: one\n  E: two\\x1b[2J\nhint: apt-ostree search htpo\n"
    )
    assert errors.as_json(error)["error"]["code"] == "unresolvable"


def test_result_text() -> None:
    done = Result(command="install htop", changed=True, changes=samples.CHANGES, message="Changes queued.")
    text = result.text(done)
    assert text.startswith("Upgraded:\n  nano 1:8.4-1 -> 1:8.5-1 amd64 security\nRemoved:\n")
    assert "Added:\n  htop 3.4.1-5 amd64 (Debian:13.7/stable)\n" in text
    assert text.endswith("Changes queued.\n")
    assert result.text(Result(command="x", changed=False)) == ""
    verbose = result.text(replace(done, duration={"resolve": 1.25}, download_bytes=1500), verbose=True)
    assert "resolve: 1.2 s" in verbose and "downloaded: 1.5 kB" in verbose


def test_db_diff_shapes() -> None:
    shape = db.diff_json(DIFF)
    assert [(name, kind) for name, kind, _ in shape["pkgdiff"]] == [("htop", 0), ("libnl-3-200", 1), ("nano", 2)]
    assert shape["pkgdiff"][2][2] == {
        "PreviousPackage": ("nano", "1:8.4-1", "amd64"),
        "NewPackage": ("nano", "1:8.5-1", "amd64"),
    }
    text = db.diff_text(DIFF)
    assert text.startswith(f"ostree diff commit from: booted ({samples.BASE})\n") and "\x1b" not in text
    assert db.diff_text(DIFF, style="diff") == (
        "+htop_3.4.1-5_amd64\n-libnl-3-200_3.7.0-2_amd64\n!nano_1:8.4-1_amd64\n=nano_1:8.5-1_amd64\n"
    )
    assert db.diff_text(replace(DIFF, changes=())).endswith("No package changes.\n")


def test_db_list_text() -> None:
    found = PackageList(revision="booted", checksum=samples.BASE, packages=(samples.HTOP,))
    assert db.list_text([found]) == f"ostree commit: booted ({samples.BASE})\n htop 3.4.1-5 amd64\n"


def test_doctor_text() -> None:
    probes = (
        Probe(name="one", state=ProbeState.OK, detail="fine"),
        Probe(name="second", state=ProbeState.FAILED, detail="gone", hint="sudo it"),
    )
    assert doctor.text(probes) == (
        "ok       one     fine\nfailed   second  gone\n                 hint: sudo it\n"
        "1 well, 0 to know about, 1 failed\n"
    )
    assert not doctor.healthy(probes) and doctor.healthy(probes[:1])


def events(reporter: Reporter) -> None:
    reporter.event(PhaseStarted(name="resolve", title="Resolving dependencies"))
    reporter.event(PhaseDone(name="resolve", title="Resolving dependencies", seconds=0.1234))
    reporter.event(PhaseStarted(name="download", title="Downloading packages"))
    reporter.event(Advanced(done=1_200_000, total=34_000_000, unit="bytes"))
    reporter.event(OutputLine(line="foo.postinst: \x1b[31mhello"))
    reporter.event(Warned(message="careful"))
    reporter.event(PhaseDone(name="download", title="Downloading packages", seconds=2.0))
    reporter.event(PhaseStarted(name="layer", title="Layering"))


def test_progress_in_a_log_is_one_line_a_phase() -> None:
    stream = io.StringIO()
    with progress.reporting(stream) as reporter:
        events(reporter)
    assert stream.getvalue() == (
        "Resolving dependencies... done\nDownloading packages...\nwarning: careful\nDownloading packages... done\n"
        "Layering...\n"
    )


def test_a_long_phase_gives_a_sign_of_life_in_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, now = io.StringIO(), [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with progress.reporting(stream) as reporter:
        reporter.event(PhaseStarted(name="bootstrap", title="Bootstrapping trixie"))
        for seconds, event in (
            (5, OutputLine(line="I: automatically chosen mode: root")),
            (31, OutputLine(line="I: installing essential packages...")),
            (40, Advanced(done=1, total=300, unit="packages")),
            (62, Advanced(done=2, total=300, unit="packages")),
            (63, OutputLine(line="Setting up foo (1.0) ...")),
            (93, OutputLine(line="Setting up foo (1.0) ...")),
        ):
            now[0] = 100.0 + seconds
            reporter.event(event)
        reporter.event(PhaseDone(name="bootstrap", title="Bootstrapping trixie", seconds=94.0))
    assert stream.getvalue() == (
        "Bootstrapping trixie...\n  I: installing essential packages..., after 31 s\n  2/300 packages, after 62 s\n"
        "  2/300 packages, after 93 s\nBootstrapping trixie... done\n"
    )


def test_bootstrapping_counts_packages() -> None:
    seen: list[Any] = []
    reporter: Any = SimpleNamespace(event=seen.append)
    listener = bootstrap.Progress(reporter, 2)
    for line in ("I: extracting archives...", "Unpacking a (1) ...", "Unpacking a (1) over (1) ...",
                 "Setting up a (1) ...", "Unpacking b:amd64 (1) ...", "Setting up b:amd64 (1) ..."):  # fmt: skip
        listener.line(line)
    assert [event.done for event in seen if isinstance(event, Advanced)] == [0, 1, 1, 2, 2]
    assert sum(isinstance(event, OutputLine) for event in seen) == 6


def test_progress_verbose_has_the_output() -> None:
    stream = io.StringIO()
    with progress.reporting(stream, mode="plain", verbose=True) as reporter:
        events(reporter)
    assert "  foo.postinst: \\x1b[31mhello\n" in stream.getvalue()


def test_progress_for_programs_is_json_lines() -> None:
    stream = io.StringIO()
    with progress.reporting(stream, mode="json") as reporter:
        events(reporter)
    found = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [item["event"] for item in found] == [
        "phase-started", "phase-done", "phase-started", "advanced", "output", "warning", "phase-done", "phase-started",
    ]  # fmt: skip
    assert found[1] == {"event": "phase-done", "name": "resolve", "title": "Resolving dependencies", "seconds": 0.123}
    assert found[3] == {"event": "advanced", "done": 1200000, "total": 34000000, "unit": "bytes"}


@pytest.mark.parametrize("mode", ["plain", "json"])
def test_a_reader_that_went_away_stops_nothing(mode: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    stream = os.fdopen(writer, "w")
    with progress.reporting(stream, mode=mode) as reporter:
        events(reporter)
    with pytest.raises(BrokenPipeError):
        stream.close()


def test_progress_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as stream:
        with progress.reporting(stream, phases=3) as reporter:
            assert isinstance(reporter, progress.LiveReporter)
            events(reporter)
            reporter.event(OutputLine(line="Setting up foo"))
            time.sleep(0.4)
        stream.flush()
        os.set_blocking(master, False)
        shown = os.read(master, 65536).decode()
    os.close(master)
    assert "Resolving dependencies... done (0.1 s)" in shown
    assert "[3/3] Layering" in shown and "Setting up foo" in shown
    assert "warning: careful" in shown


def test_amounts() -> None:
    assert progress.amount(1_200_000, 34_000_000, "bytes") == "1.2 MB/34.0 MB"
    assert progress.amount(999, 0, "bytes") == "999 B"
    assert progress.amount(3, 12, "packages") == "3/12 packages"
