"""What tests of verbs share: a package that says its version, JSON held to its schema, a sysroot as a whole."""

from __future__ import annotations

import json
import os
import stat
from importlib import resources
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from tests.support.debs import DebBuilder
from tests.support.process import Done
from tests.support.sysroots import Sysroot


def tool(name: str, version: str = "1.0", **fields: Any) -> DebBuilder:
    """A package with one program, which says its version."""
    path = f"/usr/bin/{name}"
    return DebBuilder(
        name=name, version=version, files={path: f"#!/bin/sh\necho {version}\n"}, modes={path: 0o755}, **fields
    )


def says(sysroot: Sysroot, name: str) -> str:
    """The version a tool of ours has in the deployment that boots next; empty when it is not there."""
    path = sysroot.default / "usr/bin" / name
    return path.read_text().split()[-1] if path.exists() else ""


def held_to(schema: str, done: Done) -> Any:
    """The JSON of a run, once it is what the schema says."""
    text = (resources.files("apt_ostree") / "data/schemas" / f"{schema}.json").read_text()
    Draft202012Validator(json.loads(text)).validate(done.json)
    return done.json


def requested(sysroot: Sysroot) -> list[str]:
    """What the origin of the deployment that boots next asks for."""
    found: list[str] = sysroot.apt_ostree("status", "--json").json["deployments"][0]["requested-packages"]
    return found


def whole(sysroot: Sysroot) -> dict[str, str]:
    """Every path of the sysroot but the usr trees, whose files are objects of the repo; objects by name."""
    found = {}
    for path in (sysroot.path / "boot", sysroot.repo, sysroot.var, sysroot.stateroot / "deploy"):
        for folder, directories, files in os.walk(path):
            if Path(folder).name == "objects":
                # by name: that they are what they are named after is looked at by fsck, at the end of the test
                found[folder] = str(sorted(f"{below}/{name}" for below, _, some in os.walk(folder) for name in some))
                directories.clear()
                continue
            if Path(folder).parent == sysroot.stateroot / "deploy":
                directories.remove("usr")
            for name in directories + files:
                entry = Path(folder, name)
                info = entry.lstat()
                content = entry.read_bytes() if stat.S_ISREG(info.st_mode) else b""
                found[str(entry)] = f"{info.st_mode:o} {info.st_uid}:{info.st_gid} {info.st_mtime_ns} {hash(content)}"
    return found
