"""The ordinary tree: mmdebstrap installs exactly the chosen packages, out of an archive that holds nothing else."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from apt_ostree import fetch
from apt_ostree.compose import selection
from apt_ostree.errors import AptOstreeError, ToolError
from apt_ostree.lockfile import Lock, Locked, require
from apt_ostree.paths import Store
from apt_ostree.report import Advanced, OutputLine, Reporter
from apt_ostree.requests import parse
from apt_ostree.tools import mmdebstrap
from apt_ostree.tree import customise, debcheck, fsops
from apt_ostree.treefile import Treefile

# Before any package: an initramfs for any machine, not for the one that composes (dracut.conf(5)).
_DRACUT_CONF = "/etc/dracut.conf.d/apt-ostree.conf"
_SETUP = (
    'mkdir -p "$1/etc/dracut.conf.d"',
    f"""printf '%s\\n' 'hostonly="no"' > "$1{_DRACUT_CONF}" """.strip(),
)
# INITRD=No: the kernel's hooks make no initramfs (/etc/kernel/postinst.d), it is made once at the end.
_ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "SYSTEMD_OFFLINE": "1", "INITRD": "No"}

_STEPS = ("Unpacking ", "Setting up ")  # of dpkg(1)


def job(treefile: Treefile, architecture: str, target: Path, archive: Path) -> mmdebstrap.Bootstrap:
    """What mmdebstrap is asked to do: `archive` is the directory `write_archive` makes."""
    wanted = (parse(package) for package in treefile.chosen(architecture))
    return mmdebstrap.Bootstrap(
        suite=treefile.suite,
        target=target,
        variant=treefile.variant,
        architectures=(architecture, *selection.foreign(treefile, architecture)),
        components=treefile.components,
        # each name has one version there
        packages=tuple(f"{item.name}:{item.arch}" if item.arch else item.name for item in wanted),
        sources=(f"deb [trusted=yes] copy://{quote(str(archive))} ./",),
        apt_options=(
            f'Apt::Install-Recommends "{str(treefile.recommends).lower()}"',
            'Acquire::Languages "none"',
        ),
        dpkg_options=("force-unsafe-io", *(() if treefile.documentation else customise.WITHOUT_DOCUMENTATION)),
        skip=(),
        setup_hooks=_SETUP,
        customize_hooks=(),
    )


def write_archive(folder: Path, store: Store, lock: Lock, suite: str) -> None:
    """A flat archive (sources.list(5)) of hard links to the stored packages.

    Raises ResolveError for one that is not the version the lock says.
    """
    folder.mkdir(mode=0o755)
    stanzas = []
    for number, package in enumerate(lock.packages):
        name = f"{number:05}.deb"
        (folder / name).hardlink_to(fetch.stored(store, package.sha256))
        stanzas.append(_stanza(folder, name, package))
    (folder / "Packages").write_text("\n".join(stanzas))
    (folder / "Release").write_text(
        f"Suite: {suite}\nCodename: {suite}\n"
        f"SHA256:\n {fetch.sha256(folder / 'Packages')} {(folder / 'Packages').stat().st_size} Packages\n"
    )


def _stanza(folder: Path, name: str, package: Locked) -> str:
    """The package's own control fields, with what only the archive says."""
    fields = debcheck.fields(folder / name)
    require(package, f"{fields['Package']}_{fields['Version']}_{fields['Architecture']}")
    fields["Priority"] = package.priority or fields.get("Priority", "optional")
    fields["Filename"], fields["Size"], fields["SHA256"] = f"./{name}", str(package.size), package.sha256
    return str(fields.dump())


class Progress:
    """Counts what dpkg says while mmdebstrap runs: a package is unpacked once and set up once."""

    def __init__(self, reporter: Reporter, packages: int) -> None:
        self._reporter, self._total, self._steps = reporter, packages, 0

    def line(self, line: str) -> None:
        """Take one line of mmdebstrap's output."""
        if line.startswith(_STEPS):
            self._steps += 1  # essential packages are unpacked a second time
            done = min(self._steps // 2, self._total)
            self._reporter.event(Advanced(done=done, total=self._total, unit="packages"))
        self._reporter.event(OutputLine(line=line))


def run(words: tuple[str, ...], lock: Lock, suite: str, reporter: Reporter) -> None:
    """Start mmdebstrap. Raises AptOstreeError (code `bootstrap-failed`)."""
    environment = {**_ENVIRONMENT, "SOURCE_DATE_EPOCH": str(lock.epoch)}
    try:
        mmdebstrap.bootstrap(words, Progress(reporter, len(lock.packages)).line, env=environment)
    except ToolError as error:
        wrong = [line[3:] for line in error.details if line.startswith("E: ") and "failed" not in line]
        raise AptOstreeError(
            f"bootstrapping {suite} failed{': ' if wrong else ''}{'; '.join(wrong)}",
            details=error.details,
            hint="look at the packages of the treefile; -v shows all that was said",
            code="bootstrap-failed",
        ) from error


def write_sources(tree: Path, treefile: Treefile, architecture: str) -> None:
    """What the tree itself will install from: the treefile's archives, not the one it was made of."""
    lines = selection.sources(treefile, architecture, keyrings=False)
    fsops.write(tree, "etc/apt/sources.list", "".join(f"{line}\n" for line in lines))
