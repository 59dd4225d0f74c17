"""Fixtures of the test ground, and the rules every test is held to."""

from __future__ import annotations

import compileall
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import basecache, leaks, sysroots
from tests.support.archive import HttpServer, LocalRepo, SigningKey
from tests.support.debs import DebBuilder
from tests.support.ground import Ground
from tests.support.nshost import NamespaceHost
from tests.support.process import CHECKOUT
from tests.support.remote import Remote
from tests.support.sysroots import Base, Sysroot

KEPT = "kept"
_WORKSPACE = pytest.StashKey[Path]()


def pytest_sessionstart() -> None:
    """Orphans of what tests start become ours, so that the check after each test sees them."""
    leaks.adopt_orphans()
    if "PYTEST_XDIST_WORKER" not in os.environ:  # thousands of runs that need not compile it (they write no .pyc)
        compileall.compile_dir(CHECKOUT / "apt_ostree", quiet=2)


def pytest_collection_finish(session: pytest.Session) -> None:
    """What needs root is refused elsewhere, not skipped: a run that looked at nothing must not look green."""
    if os.geteuid() != 0 and any(item.get_closest_marker(name) for item in session.items for name in ("real", "root")):
        raise pytest.UsageError("some of these tests need root: sudo make test; those that do not: make test-unit")


def _no_skips(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """In CI a test that is skipped has failed: something it needs is not there."""
    report: Any = yield
    _no_skips(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Iterator[None]:
    """The same for modules that skip themselves."""
    report: Any = yield
    _no_skips(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """In memory there is no room for what the fixtures of earlier modules made."""
    yield
    path = item.config.stash.get(_WORKSPACE, None)
    if path and os.path.ismount(path.parent) and nextitem and nextitem.path != item.path:
        for left in path.iterdir():
            if left.name != KEPT:
                sysroots.remove(left)


# --- of the session


@pytest.fixture(scope="session")
def workspace(pytestconfig: pytest.Config) -> Iterator[Path]:
    """The session's directory, on the file system of the bases. Only what is in `kept` outlives a module."""
    with basecache.workspace(in_memory=True) as path:
        (path / KEPT).mkdir()
        pytestconfig.stash[_WORKSPACE] = path
        yield path
        del pytestconfig.stash[_WORKSPACE]


@pytest.fixture(scope="session")
def ground(workspace: Path) -> Ground:
    """apt-ostree on bare repos."""
    return Ground(workspace)


@pytest.fixture(scope="session")
def signing_key() -> Iterator[SigningKey]:
    """The key of the local archives."""
    # not in the workspace: the path of the agent's socket must be short
    with tempfile.TemporaryDirectory(prefix="aot-gpg-", ignore_cleanup_errors=True) as folder:
        key = SigningKey.create(Path(folder) / "home")
        yield key
        key.close()


@pytest.fixture(scope="session")
def other_key() -> Iterator[SigningKey]:
    """A key nobody trusts."""
    with tempfile.TemporaryDirectory(prefix="aot-gpg-", ignore_cleanup_errors=True) as folder:
        key = SigningKey.create(Path(folder) / "home", "Somebody Else")
        yield key
        key.close()


@pytest.fixture(scope="session")
def base(workspace: Path) -> Base:
    """The composed minimal Debian 13."""
    return basecache.base()


@pytest.fixture(scope="session")
def host_base(workspace: Path) -> Base:
    """Debian 13 with what apt-ostree needs to run inside it."""
    return basecache.base(extra=basecache.HOST_PACKAGES)


@pytest.fixture(scope="session")
def template(workspace: Path, base: Base) -> Iterator[Sysroot]:
    """The sysroot that is copied for each test; it is never changed."""
    yield from _template(workspace / KEPT / "template", base)


@pytest.fixture(scope="session")
def host_template(workspace: Path, host_base: Base) -> Iterator[Sysroot]:
    """The same of `host_base`."""
    yield from _template(workspace / KEPT / "host-template", host_base)


def _template(path: Path, base: Base) -> Iterator[Sysroot]:
    made = sysroots.build(path, base)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="session")
def big_folder(workspace: Path) -> Callable[[str], Path]:
    """Makes named directories that live as long as the module, on the file system of the bases."""

    def make(name: str) -> Path:
        return Path(tempfile.mkdtemp(dir=workspace, prefix=f"{name}-"))

    return make


# --- of one test


@pytest.fixture(autouse=True)
def no_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """After a test on real trees nothing is left: no mount, no process, no loop device."""
    if request.node.get_closest_marker("real") is None:
        yield
        return
    before = leaks.Leaks.watch(request.getfixturevalue("workspace"))
    yield
    assert before.found() == []


@pytest.fixture
def work(request: pytest.FixtureRequest, workspace: Path) -> Iterator[Path]:
    """A directory of the test, on the file system of the bases."""
    name = re.sub(r"[^\w-]+", "-", request.node.name)[:60]
    path = Path(tempfile.mkdtemp(dir=workspace, prefix=f"{name}-"))
    yield path
    if os.path.ismount(workspace.parent):
        sysroots.remove(path)  # memory is dearer than a disk, on which all goes with the session


@pytest.fixture
def deb() -> Callable[..., DebBuilder]:
    """`deb("foo", version="2", files={...})`: a package to publish or to build."""

    def make(name: str, **fields: Any) -> DebBuilder:
        return DebBuilder(name=name, **fields)

    return make


@pytest.fixture
def repo(work: Path, signing_key: SigningKey) -> LocalRepo:
    """An empty signed archive over file:."""
    return LocalRepo(work / "archive", signing_key)


@pytest.fixture
def http_repo(work: Path, signing_key: SigningKey) -> Iterator[LocalRepo]:
    """An empty signed archive over http; `http_repo.server` counts and spoils."""
    archive = LocalRepo(work / "http-archive", signing_key, name="local-http")
    with HttpServer(archive.directory).running() as server:
        archive.base_uri, archive.server = server.uri, server
        yield archive


def _checked(made: Sysroot, base: Base) -> Iterator[Sysroot]:
    try:
        yield made
        if made.check:
            assert made.leftovers() == []
            try:
                made.fsck()
            except AssertionError:
                basecache.discard(base)  # objects are linked: what broke one broke the cached base
                raise
    finally:
        made.close()


@pytest.fixture
def sysroot(work: Path, template: Sysroot, base: Base, repo: LocalRepo) -> Iterator[Sysroot]:
    """A fresh offline sysroot whose only package source is `repo`."""
    made = sysroots.clone(template, work / "sysroot")
    made.use_sources({"local": repo.sources()})
    yield from _checked(made, base)


@pytest.fixture(scope="module")
def remote(big_folder: Callable[[str], Path], base: Base, signing_key: SigningKey) -> Iterator[Remote]:
    """An http remote with the base, signed; its folder is the module's own."""
    yield from _remote(big_folder, base, signing_key)


@pytest.fixture(scope="module")
def host_remote(big_folder: Callable[[str], Path], host_base: Base, signing_key: SigningKey) -> Iterator[Remote]:
    """The same for the booted machine."""
    yield from _remote(big_folder, host_base, signing_key)


def _remote(big_folder: Callable[[str], Path], base: Base, key: SigningKey) -> Iterator[Remote]:
    made = Remote(big_folder("remote"), base, key)
    with made.server.running():
        yield made


@pytest.fixture
def client(sysroot: Sysroot, remote: Remote) -> Sysroot:
    """An offline sysroot whose base comes from the remote, which starts anew."""
    remote.reset()
    remote.subscribe(sysroot)
    return sysroot


@pytest.fixture
def debian_sysroot(work: Path, template: Sysroot, base: Base) -> Iterator[Sysroot]:
    """A fresh offline sysroot with Debian's own sources, seeded with what earlier tests fetched."""
    made = sysroots.clone(template, work / "sysroot")
    basecache.seed(made)
    for checked in _checked(made, base):
        yield checked
        basecache.harvest(made)


@pytest.fixture
def host_sysroot(work: Path, host_template: Sysroot, host_base: Base, http_repo: LocalRepo) -> Iterator[Sysroot]:
    """The sysroot `host` runs on; its only package source is `http_repo`."""
    made = sysroots.clone(host_template, work / "host-sysroot")
    made.use_sources({"local": http_repo.sources()})
    yield from _checked(made, host_base)


@pytest.fixture
def host(host_sysroot: Sysroot) -> Iterator[NamespaceHost]:
    """A booted machine."""
    with NamespaceHost(host_sysroot) as machine:
        yield machine
