"""A real machine without KVM: boots a disk, runs a script when it is up, hands over what the script said.

Nothing of it is in the guest's tree: the unit and the script come as SMBIOS credentials
(systemd.system-credentials(7); Debian 13's systemd takes units that way), answers leave by the second serial port.

    guest = Guest(disk, folder)
    seen = guest.run("ostree admin status").must()   # boots, runs, reboots
    seen = guest.run("apt-ostree status").must()     # boots what the first one left

Each boot writes to an overlay of its own: one that broke is thrown away and tried once more from where it began.
"""

from __future__ import annotations

import base64
import os
import re
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from tests.support.process import environment, run

# Boots of a guest whose kernel has these are quicker, and a fault ends them at once.
KARGS = ("console=ttyS0", "mitigations=off", "audit=0", "nokaslr", "oops=panic", "panic=1")
BOOT_SECONDS = 180.0  # until the script begins
SCRIPT_SECONDS = 300.0
# Other work on this machine makes a guest slow: this many times the seconds are allowed.
PATIENCE = float(os.environ.get("APT_OSTREE_TEST_PATIENCE", "1"))

_BEGIN, _END = "@@ground-begin@@", "@@ground-end@@"
_UNIT = "apt-ostree-ground.service"
_MAIN, _SCRIPT = "ground.main", "ground.script"
_CREDENTIALS = "/run/credentials/@system"
_UNIT_TEXT = f"""\
[Unit]
Description=The script of a test
After=multi-user.target
[Service]
Type=exec
Environment=TERM=dumb SYSTEMD_COLORS=0
ExecStart=/bin/bash {_CREDENTIALS}/{_MAIN}
TTYPath=/dev/ttyS1
StandardOutput=tty
StandardError=tty
TimeoutStopSec=10
"""
_MAIN_TEXT = f"""\
stty -F /dev/ttyS1 raw -echo || :
echo {_BEGIN}
/bin/bash {_CREDENTIALS}/{_SCRIPT} 2>&1 < /dev/null | cat
echo {_END}${{PIPESTATUS[0]}}
systemctl --no-block %s
"""
_DROPIN_TEXT = f"[Unit]\nWants={_UNIT}\n"
# For trees whose systemd is older than 256 and takes no units as credentials: files to commit with them.
UNIT_FILES = {
    f"usr/lib/systemd/system/{_UNIT}": _UNIT_TEXT,
    "usr/lib/systemd/system/multi-user.target.d/ground.conf": _DROPIN_TEXT,
}
_PANIC = re.compile(r"Kernel panic|Oops: |BUG: unable to handle")
_OVMF = Path("/usr/share/OVMF")


class Firmware(StrEnum):
    """What the machine starts with."""

    BIOS = "bios"  # SeaBIOS
    UEFI = "uefi"  # OVMF, without Secure Boot


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of one boot. `returncode` is the script's, None when it did not come to its end."""

    output: str
    returncode: int | None
    console: str

    @property
    def sections(self) -> dict[str, str]:
        """The output after each line `== NAME`, by name."""
        parts = re.split(r"^== (.*)$", self.output, flags=re.MULTILINE)
        return {name.strip(): text.strip("\n") for name, text in zip(parts[1::2], parts[2::2], strict=True)}

    def must(self, returncode: int = 0) -> Seen:
        """This, when the script ended with `returncode`; else an AssertionError with all there is to see."""
        assert self.returncode == returncode, self._story(f"the script ended with {self.returncode}, not {returncode}")
        return self

    def _story(self, what: str) -> str:
        tail = "\n".join(self.console.splitlines()[-40:])
        return f"{what}\n--- script\n{self.output}\n--- end of the console\n{tail}"


class GuestError(AssertionError):
    """The guest did not do what it was started for."""


@dataclass(slots=True)
class Guest:
    """A machine with a disk that is never changed itself; what boots write is kept in `folder`, boot after boot.

    `extra` are more raw disks, read-only for the guest: see `data_disk`. `durable`: flushes reach the file, as a
    test that cuts the power needs it. `credentials` are more of systemd's, by name; `nic` as QEMU's option has it.
    """

    disk: Path
    folder: Path
    extra: tuple[Path, ...] = ()
    firmware: Firmware = Firmware.BIOS
    cpus: int = 2
    memory: int = 2048  # MiB
    durable: bool = False
    credentials: Mapping[str, str] = field(default_factory=dict)
    nic: str = "none"
    boots: int = 0
    _top: Path | None = field(default=None)

    def run(self, script: str, *, end: str = "reboot", seconds: float = SCRIPT_SECONDS) -> Seen:
        """Boot, run a bash script as root, end by `systemctl END`, and wait until the machine is off.

        A panic, or a boot without an end, is tried once more. Raises GuestError when it fails again.
        """
        self.folder.mkdir(exist_ok=True)
        story = ""
        for attempt in (1, 2):
            machine = self._power_on(script, end)
            try:
                seen = machine.wait(seconds)
            finally:
                machine.kill()
            if seen.returncode is not None:
                self._top = machine.overlay
                return seen
            story = seen._story(f"boot {self.boots}, attempt {attempt}: {machine.verdict(seen)}")
        raise GuestError(story)

    def cut(self, script: str, at: str, *, end: str = "reboot", seconds: float = SCRIPT_SECONDS) -> Seen:
        """Boot, run a script, and cut the power when a line that matches `at` is on the console or in the output."""
        self.folder.mkdir(exist_ok=True)
        machine = self._power_on(script, end)
        try:
            seen = machine.wait(seconds, until=re.compile(at, re.MULTILINE))
            running = machine.process.poll() is None
        finally:
            machine.kill()
        if not running:
            raise GuestError(seen._story(f"boot {self.boots} ended before '{at}' was seen"))
        self._top = machine.overlay
        return seen

    def until_off(self, *, seconds: float = SCRIPT_SECONDS) -> Seen:
        """Boot and leave the machine alone until it reboots by itself. Raises GuestError when it does not."""
        self.folder.mkdir(exist_ok=True)
        machine = self._power_on("sleep infinity", "reboot")
        try:
            seen = machine.wait(seconds)
            running = machine.process.poll() is None
        finally:
            machine.kill()
        if running or _PANIC.search(seen.console):
            raise GuestError(seen._story(f"boot {self.boots} did not end by itself"))
        self._top = machine.overlay
        return seen

    def _power_on(self, script: str, end: str) -> _Machine:
        self.boots += 1
        name = f"boot-{self.boots}"
        overlay, inputs = self.folder / f"{name}.qcow2", self.folder / f"{name}.in"
        inputs.mkdir()
        backing, kind = (self._top, "qcow2") if self._top else (self.disk, _format(self.disk))
        run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", kind, "-b", backing, overlay])
        console, result = self.folder / f"{name}.console", self.folder / f"{name}.result"
        argv = [
            *self._hardware(overlay),
            *self._firmware(inputs),
            *_credentials({**self.credentials, **_ours(script, end)}, inputs),
            *(word for path in (console, result) for word in ("-serial", f"file:{path}")),
        ]
        with (self.folder / f"{name}.qemu").open("wb") as log:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment(), process_group=0
            )
        return _Machine(process, overlay, console, result, self.folder / f"{name}.qemu")

    def _hardware(self, overlay: Path) -> list[str]:
        cache = "writeback" if self.durable else "unsafe"
        threads = "multi" if self.cpus > 1 else "single"
        disks = [f"file={overlay},format=qcow2,cache={cache}"]
        disks += [f"file={path},format={_format(path)},readonly=on" for path in self.extra]
        words = [
            "qemu-system-x86_64",
            "-accel", f"tcg,thread={threads}",
            "-cpu", "Nehalem,-cx16",  # with cx16, QEMU 7.2's emulation makes kernels oops
            "-smp", str(self.cpus),
            "-m", str(self.memory),
            "-display", "none",
            "-monitor", "none",
            "-nic", self.nic,
            "-no-reboot",
            "-device", "virtio-rng-pci",
        ]  # fmt: skip
        for number, options in enumerate(disks):
            first = ",bootindex=1" if number == 0 else ""  # SeaBIOS tries one disk only
            words += ["-drive", f"if=none,id=disk{number},{options}"]
            words += ["-device", f"virtio-blk-pci,drive=disk{number}{first}"]
        return words

    def _firmware(self, inputs: Path) -> list[str]:
        if self.firmware is Firmware.BIOS:
            return []
        variables = inputs / "OVMF_VARS_4M.fd"
        variables.write_bytes((_OVMF / variables.name).read_bytes())
        code = f"if=pflash,format=raw,readonly=on,file={_OVMF / 'OVMF_CODE_4M.fd'}"
        return ["-drive", code, "-drive", f"if=pflash,format=raw,file={variables}"]


@dataclass(frozen=True, slots=True)
class _Machine:
    """QEMU while it runs."""

    process: subprocess.Popen[bytes]
    overlay: Path
    console: Path
    result: Path
    log: Path

    def wait(self, seconds: float, *, until: re.Pattern[str] | None = None) -> Seen:
        """Wait until the machine is off, it takes too long, or `until` is to be read somewhere."""
        start, began = time.monotonic(), 0.0
        while self.process.poll() is None:
            time.sleep(0.1)
            now, seen = time.monotonic(), self.seen()
            if until and (until.search(seen.output) or until.search(seen.console)):
                return seen
            if not began and _BEGIN in _text(self.result):
                began = now
            limit = seconds if began else BOOT_SECONDS
            if now - (began or start) > limit * PATIENCE:
                return seen
        return self.seen()

    def seen(self) -> Seen:
        """What is there so far."""
        text = _text(self.result).partition(_BEGIN)[2]
        output, _, end = text.partition(_END)
        number = re.match(r"(\d+)\n", end)
        return Seen(output.lstrip("\n"), int(number[1]) if number else None, _text(self.console))

    def verdict(self, seen: Seen) -> str:
        """Why there is no end, as far as can be told."""
        panic = _PANIC.search(seen.console)
        if panic:
            return f"the kernel failed: {panic[0]}"
        said = _text(self.log).strip()
        return "the script did not come to its end" + (f"; QEMU says: {said}" if said else "")

    def kill(self) -> None:
        """End it for certain."""
        self.process.kill()
        self.process.wait()


def _ours(script: str, end: str) -> dict[str, str]:
    return {
        f"systemd.extra-unit.{_UNIT}": _UNIT_TEXT,
        "systemd.unit-dropin.multi-user.target": _DROPIN_TEXT,
        _MAIN: _MAIN_TEXT % end,
        _SCRIPT: script,
    }


def _credentials(texts: Mapping[str, str], inputs: Path) -> list[str]:
    """Options for QEMU; each credential is read from a file of its own, so no argument list gets long."""
    words: list[str] = []
    for number, (name, text) in enumerate(texts.items()):
        path = inputs / f"credential-{number}"
        path.write_text(f"io.systemd.credential.binary:{name}={base64.b64encode(text.encode()).decode()}")
        words += ["-smbios", f"type=11,path={path}"]
    return words


def _text(path: Path) -> str:
    if not path.exists():
        return ""
    return path.read_bytes().decode(errors="replace").replace("\r", "")


def _format(path: Path) -> str:
    with path.open("rb") as stream:
        return "qcow2" if stream.read(4) == b"QFI\xfb" else "raw"


def data_disk(path: Path, source: Path, *, label: str = "ground", spare: int = 64) -> Path:
    """A disk with the files of a directory, `spare` MiB left; a guest mounts /dev/disk/by-label/LABEL."""
    used = int(run(["du", "--summarize", "--block-size=1M", source]).stdout.split()[0])
    size = f"{used + used // 8 + spare}m"
    run(["mke2fs", "-q", "-F", "-t", "ext4", "-L", label, "-d", source, path, size])
    return path
