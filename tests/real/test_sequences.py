"""Random sequences of verbs against a model: after every step the first deployment is what its origin asks for,
the repo is clean, edits of /etc are kept, nothing is left behind, and what was refused changed nothing.

`make test` runs a few, `make test-sequences` two hundred. A failure names its seed and its steps.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests.support import lean, sysroots
from tests.support.archive import LocalRepo
from tests.support.debs import DebBuilder
from tests.support.ground import Ground
from tests.support.intent import Intent, Model
from tests.support.process import run
from tests.support.sysroots import KARGS, Base, Sysroot, changes
from tests.support.verbs import tool

pytestmark = pytest.mark.real

SEQUENCES = int(os.environ.get("APT_OSTREE_TEST_SEQUENCES", "12"))
BATCH = 6  # sequences on one sysroot, one after the other
BASES = {"one": {"core": "1.0", "extra": "1.0"}, "two": {"core": "1.0", "extra": "2.0"}}
ARCHIVE = {"foo": "1.0", "bar": "1.0", "extra": "2.0"}
LAYERS = ("foo", "bar")
KILLED_AT = ("lock", "resolve", "download", "checkout", "unpack", "configure", "fold", "commit", "deploy",
             "history", "cleanup")  # fmt: skip


def tools(packages: dict[str, str]) -> dict[str, DebBuilder]:
    return {name: tool(name, version) for name, version in packages.items()}


@dataclass
class Walk:
    """A sysroot, what it should be, and dice."""

    sysroot: Sysroot
    model: Model
    bases: dict[str, Base]
    dice: random.Random
    steps: list[str] = field(default_factory=list)

    def run(self, *words: str, code: int = 0, kept: bool | None = None, **options: Any) -> None:
        """Run a verb; with another code than 0 nothing may change (`kept` says otherwise)."""
        self.steps.append(" ".join((*words, *(f"({key}={value})" for key, value in options.items()))))
        kept = bool(code) if kept is None else kept
        before = self.sysroot.snapshot() if kept else {}
        done = self.sysroot.apt_ostree(*words, "--json", check=False, **options)
        assert done.returncode == code, f"{self.steps}\n{done.output}"
        if kept:
            assert changes(before, self.sysroot.snapshot()) == [], self.steps

    def deployed(self, *words: str, **intent: Any) -> None:
        """Run a verb that makes a deployment of this intent."""
        self.run(*words)
        self.model.deploy(replace(self.model.first, **intent))

    # --- verbs

    def install(self) -> None:
        name, first = self.dice.choice(LAYERS), self.model.first
        if name in first.requested:
            self.run("install", "-y", name, code=3)
        else:
            self.deployed("install", "-y", name, requested=first.requested | {name})

    def install_file(self) -> None:
        self.run("install", "-y", "bad", code=1)

    def install_unknown(self) -> None:
        self.run("install", "-y", "no-such-package", code=3)

    def uninstall(self) -> None:
        name, first = self.dice.choice(LAYERS), self.model.first
        if name in first.requested:
            self.deployed("uninstall", "-y", name, requested=first.requested - {name})
        else:
            self.run("uninstall", "-y", name, code=3)

    def swap(self) -> None:
        first = self.model.first
        gone = self.dice.choice(sorted(first.requested) or ["foo"])
        new = "bar" if gone == "foo" else "foo"
        if gone in first.requested and new not in first.requested:
            self.deployed("install", "-y", new, f"--uninstall={gone}", requested=first.requested - {gone} | {new})

    def deploy(self) -> None:
        first = self.model.first
        other = self.dice.choice(sorted(BASES))
        if other == first.base:
            self.run("deploy", "-y", "--skip-branch-check", self.bases[other].checksum)
        else:
            self.deployed("deploy", "-y", "--skip-branch-check", self.bases[other].checksum, base=other)

    def rollback(self) -> None:
        if len(self.model.deployments) < 2:
            self.run("rollback", code=1)
        else:
            self.run("rollback")
            self.model.rollback()

    def remove(self) -> None:
        first = self.model.first
        if "core" in first.removed:
            self.run("override", "remove", "-y", "core", code=3)
        else:
            self.deployed("override", "remove", "-y", "core", removed=first.removed | {"core"})

    def replace(self) -> None:
        first = self.model.first
        if first.replaced or BASES[first.base]["extra"] == "2.0":
            self.run("override", "replace", "-y", "extra=2.0", code=3)
        else:
            self.deployed("override", "replace", "-y", "extra=2.0", replaced=frozenset({("extra", "2.0")}))

    def restore(self) -> None:
        first = self.model.first
        if first.removed or first.replaced:
            self.deployed("override", "reset", "-y", "--all", removed=frozenset(), replaced=frozenset())
        else:
            self.run("override", "reset", "-y", "core", code=3)

    def reset(self) -> None:
        first = self.model.first
        if first.requested or first.removed or first.replaced:
            self.deployed("reset", "-y", requested=frozenset(), removed=frozenset(), replaced=frozenset())

    def kargs(self) -> None:
        first, karg = self.model.first, self.dice.choice(("quiet.level=2", 'note="a b"', "debug"))
        verb = "delete" if karg in first.kargs else "append"
        kargs = tuple(k for k in first.kargs if k != karg) if verb == "delete" else (*first.kargs, karg)
        self.deployed("kargs", f"--{verb}={karg}", kargs=kargs)

    def pin(self) -> None:
        at = self.dice.randrange(len(self.model.deployments))
        if at in self.model.pinned:
            self.run("unpin", str(at))
            self.model.pinned.remove(at)
        elif len(self.model.pinned) < 2:  # each keeps a deployment
            self.run("pin", str(at))
            self.model.pinned.add(at)

    def cleanup(self) -> None:
        self.run("cleanup", "--base", "--repomd")

    def edit_etc(self) -> None:
        name, content = self.dice.choice(("motd", "lab.conf")), f"edit {len(self.steps)}\n"
        self.steps.append(f"edit /etc/{name}")
        self.sysroot.write(f"etc/{name}", content)
        self.model.edit(name, content)

    def dry_run(self) -> None:
        words = self.dice.choice(
            (("deploy", "--skip-branch-check", self.bases["two"].checksum), ("reset",), ("kargs", "--append=x"))
        )
        self.run(*words, "--dry-run", kept=True)

    def killed(self) -> None:
        name, point, first = self.dice.choice(LAYERS), self.dice.choice(KILLED_AT), self.model.first
        if name in first.requested:
            return
        late = point in ("history", "cleanup")  # the new deployment stands by then
        self.run("install", "-y", name, code=-9, kept=not late, env={"APT_OSTREE_FAULT": f"{point}:kill"})
        if late:
            self.model.deploy(replace(first, requested=first.requested | {name}))
        self.run("cleanup", "--base")  # whatever is next takes away what the dead left

    # --- what holds after each

    def check(self) -> None:
        """Every invariant."""
        told = self.sysroot.apt_ostree("status", "--json").json["deployments"]
        assert len(told) == len(self.model.deployments), self.steps
        for deployment, intent, path in zip(told, self.model.deployments, self.sysroot.deployments(), strict=True):
            self._check(deployment, intent, path)
        assert {at for at, deployment in enumerate(told) if deployment["pinned"]} == self.model.pinned, self.steps
        assert self.sysroot.leftovers() == [], self.steps
        self.sysroot.fsck()

    def _check(self, told: Any, intent: Intent, path: Path) -> None:
        steps = self.steps
        assert told.get("base-checksum", told["checksum"]) == self.bases[intent.base].checksum, steps
        assert set(told["requested-packages"]) == intent.requested, steps
        assert set(told["requested-base-removals"]) == intent.removed, steps
        assert tuple(told["kargs"]) == (*KARGS, *intent.kargs), steps
        known = {*ARCHIVE, *BASES["one"]}
        have = {name: path / "usr/bin" / name for name in known if (path / "usr/bin" / name).exists()}
        assert {name: file.read_text().split()[-1] for name, file in have.items()} == self.model.tools(intent), steps
        for name, content in intent.etc:
            assert (path / "etc" / name).read_text() == content, steps


# the likelier, the more often it stands here
VERBS: tuple[Callable[[Walk], None], ...] = (
    *(Walk.install, Walk.install, Walk.install, Walk.uninstall, Walk.uninstall, Walk.deploy, Walk.deploy),
    *(Walk.rollback, Walk.rollback, Walk.remove, Walk.replace, Walk.restore, Walk.reset, Walk.kargs, Walk.kargs),
    *(Walk.pin, Walk.pin, Walk.cleanup, Walk.edit_etc, Walk.edit_etc, Walk.dry_run, Walk.swap, Walk.killed),
    *(Walk.install_file, Walk.install_unknown),
)


@dataclass(frozen=True)
class Lab:
    """Two lean bases and a sysroot of the first."""

    bases: dict[str, Base]
    template: Sysroot


@pytest.fixture(scope="module")
def lab(ground: Ground, base: Base, big_folder: Callable[[str], Path]) -> Iterator[Lab]:
    folder = big_folder("sequences")
    plain = lean.make(ground.copy(base, "sequences-repo"), folder)
    bases = {name: lean.with_packages(ground, plain, tools(BASES[name]), folder, name) for name in BASES}
    template = sysroots.build(folder / "template", bases["one"])
    run(["ostree", "pull-local", f"--repo={template.repo}", plain.repo, bases["two"].ref])
    yield Lab(bases, template)
    template.close()
    sysroots.remove(folder)


@pytest.mark.parametrize("batch", range(-(-SEQUENCES // BATCH)))
def test_random_sequences(lab: Lab, work: Path, repo: LocalRepo, batch: int) -> None:
    published = [tool(name, version) for name, version in ARCHIVE.items()]
    repo.publish(*published, DebBuilder(name="bad", scripts={"postinst": "exit 1"}))
    sysroot = sysroots.clone(lab.template, work / "sysroot")
    sysroot.use_sources({"local": repo.sources()})
    model = Model(BASES, ARCHIVE, [Intent(base="one")])
    try:
        for number in range(batch * BATCH, min((batch + 1) * BATCH, SEQUENCES)):
            dice = random.Random(number)  # noqa: S311 (the same walk each time)
            walk = Walk(sysroot, model, lab.bases, dice, [f"seed {number}:"])
            for _ in range(walk.dice.randint(2, 5)):
                walk.dice.choice(VERBS)(walk)
                walk.check()
    finally:
        sysroot.close()
