"""The store of packages: what is kept, and for how long."""

from __future__ import annotations

import os
import time
from pathlib import Path

from apt_ostree import fetch
from apt_ostree.model import Commit, Deployment, LocalPackage, Origin, Package
from apt_ostree.paths import Store


def _deployment(*local: LocalPackage) -> Deployment:
    return Deployment(
        index=0, osname="debian", checksum="c", serial=0, path=Path("/"), commit=Commit(checksum="c"),
        origin=Origin(requested_local=local),
    )  # fmt: skip


def test_prune_drops_old_packages_but_never_a_local_one(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.debs.mkdir(parents=True)
    local = LocalPackage(sha256="1" * 64, package=Package(name="mine", version="1", arch="all"))
    for digit in "123":
        fetch.stored(store, digit * 64).write_bytes(b"x")
    long_ago = time.time() - fetch.UNUSED - 60
    for digit in "12":
        os.utime(fetch.stored(store, digit * 64), (long_ago, long_ago))
    assert fetch.prune(store, [_deployment(local)]) == 1
    assert sorted(path.name[0] for path in store.debs.iterdir()) == ["1", "3"]
