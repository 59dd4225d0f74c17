"""Overrides without apt: which apply, which a base has outgrown, how apt's answer is read, what a refusal says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from apt_ostree import origin as origins
from apt_ostree import overrides, refusals
from apt_ostree.commitmeta import decode_layer, encode
from apt_ostree.errors import ResolveError, UsageError
from apt_ostree.installed import Installed, installed, is_kernel
from apt_ostree.layer import state_digest
from apt_ostree.model import LayerMeta, LocalPackage, Origin, Package, PlannedPackage, Resolution, StepKind
from apt_ostree.ops import override
from apt_ostree.requests import parse
from apt_ostree.resolve import parse_actions, steps
from apt_ostree.ui import jsonshape, status
from tests.support import samples

STATUS = """Package: dpkg
Status: install ok installed
Essential: yes
Architecture: amd64
Version: 1.22

Package: foo
Status: install ok installed
Architecture: amd64
Version: 2.0
Provides: virtual (= 1), other

Package: foo
Status: install ok installed
Architecture: i386
Version: 2.0

Package: bar
Status: install ok installed
Architecture: all
Version: 1:1.0-1

Package: init
Status: install ok installed
Architecture: amd64
Version: 1
Protected: yes

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1
"""
BASE = installed(STATUS)
FOO, BAR = Package(name="foo", version="2.0", arch="amd64"), Package(name="bar", version="1:1.0-1", arch="all")


def local(name: str, version: str, arch: str = "amd64") -> LocalPackage:
    return LocalPackage(sha256="a" * 64, package=Package(name=name, version=version, arch=arch))


def test_what_a_base_has() -> None:
    assert BASE.native == "amd64" and BASE.find("foo") == FOO and BASE.find("gone") is None
    foreign = BASE.find("foo:i386")
    assert foreign is not None and foreign.arch == "i386"
    assert BASE.find("bar:amd64") == BAR and BASE.find("foo:arm64") is None
    assert BASE.provider(parse("virtual")) == FOO.nevra
    left = BASE.without([FOO])
    assert left.provider(parse("virtual")) == "" and left.provider(parse("foo")) == "foo_2.0_i386"
    kept = ("dpkg", "init", "systemd", "ostree", "linux-image-6.12.1-amd64")
    assert all(BASE.why_kept(name) for name in kept)
    assert not BASE.why_kept("foo") and not BASE.why_kept("linux-image-amd64")


# what was asked for, what the base had then, what it has now -> over?
@pytest.mark.parametrize(
    ("wanted", "asked", "now", "over"),
    [
        ("2.0", "1.0", "1.0", False), ("2.0", "1.0", "1.5", False), ("2.0", "1.0", "2.0", True),
        ("2.0", "1.0", "1:0.1", True), ("2.0~rc1", "1.0", "2.0", True),
        ("1.0", "2.0", "2.0", False), ("1.0", "2.0", "3.0", False), ("1.0", "2.0", "1.0", True),
        ("1.0", "2.0", "0.9", False),
        ("1.0", "1.0", "1.0", False), ("1.0", "1.0", "1.1", True), ("1.0", "1.0", "0.9", False),
        ("2.0", "", "1.0", False), ("2.0", "", "2.0", True), ("2.0", "", "3.0", True),
    ],
)  # fmt: skip
def test_when_a_replacement_is_over(wanted: str, asked: str, now: str, over: bool) -> None:
    assert overrides.caught_up(wanted, asked, now) is over


def test_settling_on_a_base() -> None:
    origin = Origin(
        overrides_remove=("bar", "nothing"),
        overrides_replace=(parse("foo=1.5"), parse("absent=3"), parse("bar/backports")),
        overrides_replace_local=(local("foo", "2.1", "i386"),),
        overrides_base=(parse("foo=1.0"), parse("foo:i386=1.0"), parse("absent=1")),
    )
    settled, said = overrides.settle(origin, BASE)
    assert settled.overrides_replace == (parse("absent=3"), parse("bar/backports"))
    assert settled.overrides_replace_local == origin.overrides_replace_local
    assert settled.overrides_base == (parse("foo:i386=1.0"), parse("absent=1"))
    assert len(said) == 3 and "nothing is inactive" in said[0] and "absent=3 is inactive" in said[2]
    assert said[1] == "the replacement foo=1.5 is no longer needed and was dropped: base has foo 2.0"
    found = overrides.active(settled.overrides_remove, overrides.replacements(settled), BASE)
    assert found.removals == (BAR,) and [p.arch for p in found.replaced] == ["all", "i386"]
    untouched = Origin(overrides_replace=(parse("foo=3.0"),), overrides_base=(parse("foo=2.0"),))
    assert overrides.settle(untouched, BASE) == (untouched, ())


def test_a_suite_becomes_a_version() -> None:
    new = replace(BAR, version="9")
    resolution = Resolution(packages=(PlannedPackage(package=new, replaces=BAR),))
    assert overrides.pinned(Origin(overrides_replace=(parse("bar/sid"),)), resolution).overrides_replace == (
        parse("bar=9"),
    )
    absent = Origin(overrides_replace=(parse("absent/sid"),))
    assert overrides.pinned(absent, resolution) == absent


def test_the_origin_file_keeps_them() -> None:
    text = (
        "[origin]\nbaserefspec=x\n\n[overrides]\nremove=bar;foo:i386;\nreplace=foo=1:2.0-1;\n"
        f"replace-local={'a' * 64}:baz_1_all;\n\n[apt-ostree]\noverrides-base=baz=0.9;foo=3;\n"
    )
    origin = origins.parse(text)
    assert origin.layered and origin.local_debs == (local("baz", "1", "all"),)
    assert origins.render(origin) == text
    for bad in ("remove=-o;", "remove=foo=1;", "replace=a b;", "replace-local=foo;"):
        with pytest.raises(UsageError):
            origins.parse(f"[overrides]\n{bad}\n")


def test_apt_s_answer() -> None:
    actions = parse_actions(
        "Purg b [1]\nPurg foo:i386 [2.0] [x:amd64 ]\nInst a [1] (2 local:stable [all]) []\n"
        "Inst new (2 Debian:13.1/stable, Debian-Security:13/stable-security [amd64])\nConf a (2 local:stable [all])\n"
        "Conf new (2 Debian:13.1/stable [amd64])\nRemv c [3]\n"
    )
    assert [(a.verb, a.name, a.of, a.old, a.new) for a in actions[:3]] == [
        ("Purg", "b", "", "1", ""), ("Purg", "foo", "i386", "2.0", ""), ("Inst", "a", "", "1", "2"),
    ]  # fmt: skip
    order = [(step.kind, [name for name, _ in step.keys]) for step in steps(actions)]
    assert order == [
        (StepKind.REMOVE, ["b", "foo"]), (StepKind.UNPACK, ["a", "new"]), (StepKind.CONFIGURE, ["a", "new"]),
        (StepKind.REMOVE, ["c"]),
    ]  # fmt: skip


def test_a_refusal_names_the_command() -> None:
    asked = refusals.Asked(install=("x",), remove=("foo",), replace=("bar=2", "./a b.deb"))
    assert str(asked) == "install x and remove foo and replace bar=2 ./a b.deb"
    fresh = replace(asked, install=(), remove=())
    foreign = Package(name="foo", version="2.0", arch="i386")
    beyond = refusals.Beyond(removed=(foreign,), changed=((BAR, "3"),))
    error = refusals.base_would_change(asked, fresh, beyond, BASE)
    assert error.exit_code == 3 and error.details == ("foo 2.0 would be removed", "bar 1:1.0-1 would become 3")
    assert error.hint.endswith("override replace bar=2 './a b.deb' bar=3 --remove=foo:i386")
    kept = refusals.base_would_change(asked, fresh, refusals.Beyond(removed=(BASE.packages["init"][0],)), BASE)
    assert "and it is essential" in kept.details[0] and "leave init" in kept.hint
    many = refusals.Beyond(changed=tuple((BAR, str(n)) for n in range(20)))
    assert "override" not in refusals.base_would_change(asked, fresh, many, BASE).hint


def test_equal_digests_mean_equal_removals() -> None:
    digests = {
        state_digest("base", resolution)
        for resolution in (Resolution(), Resolution(removals=(FOO,)), Resolution(removals=(FOO, BAR)))
    }
    assert len(digests) == 3


def test_what_a_commit_says() -> None:
    resolution = Resolution(
        packages=(
            PlannedPackage(package=replace(BAR, version="2"), replaces=BAR),
            PlannedPackage(package=Package(name="new", version="1", arch="all")),
        ),
        removals=(FOO,),
    )
    meta = LayerMeta(
        base="b" * 64, packages=resolution.added, removals=resolution.removals, replacements=resolution.replacements
    )
    assert [p.name for p in meta.packages] == ["new"] and not resolution.keeps_base
    assert decode_layer(encode(meta)) == meta


def test_status_tells_effect_and_intent() -> None:
    shown = samples.layered()
    assert jsonshape.inactive_overrides(shown) == []
    assert [pair[0][0] for pair in jsonshape.deployment_json(shown)["base-local-replacements"]] == [samples.NEWER.nevra]
    asleep = replace(
        shown,
        origin=replace(
            shown.origin,
            overrides_remove=("libnl-3-200", "nothing"),
            overrides_replace=(parse("nano=1:8.5-1"), parse("absent=2")),
            overrides_replace_local=(local("other", "1", "all"),),
        ),
    )
    assert jsonshape.inactive_overrides(asleep) == ["remove nothing", "replace absent=2", "replace other_1_all"]
    found = jsonshape.deployment_json(asleep)
    assert found["base-local-replacements"] == []
    assert [pair[0][1] for pair in found["base-remote-replacements"]["archive"]] == ["nano"]
    text = status.text(replace(samples.report(), deployments=(asleep,)), verbose=True)
    assert "InactiveOverrides: remove nothing" in text and "Overrides: nano 1:8.4-1 -> 1:8.5-1" in text


def test_each_architecture_has_its_own_override() -> None:
    both = (parse("foo=3"), parse("foo:i386=3"))
    edit = override.edited(Origin(), BASE, replacing=both)
    assert edit.origin.overrides_replace == both and not edit.idle
    assert edit.origin.overrides_base == (parse("foo=2.0"), parse("foo:i386=2.0"))
    edit = override.edited(edit.origin, BASE, remove=("foo:amd64",), replacing=(local("foo", "4", "i386"),))
    assert edit.origin.overrides_remove == ("foo:amd64",) and edit.origin.overrides_replace == ()
    assert edit.origin.overrides_base == (parse("foo:i386=2.0"),)
    edit = override.edited(edit.origin, BASE, remove=("foo", "absent"), replacing=(local("foo", "4", "arm64"),))
    assert [line.split(": ")[1].split(";")[0] for line in edit.idle] == [
        "foo is removed already", "absent is not in the base", "foo:arm64 is not in the base",
    ]  # fmt: skip
    edit = override.edited(Origin(), BASE, replacing=(parse("bar=1:1.0-1"),))
    assert edit.idle == ("no effect: the base has bar 1:1.0-1 already",) and edit.origin == Origin()
    with pytest.raises(ResolveError, match="cannot remove init"):
        override.edited(Origin(), BASE, remove=("init",))


def test_nothing_is_kept_in_an_empty_base() -> None:
    assert Installed({}, {}).native == "" and Installed({}, {}).find("foo") is None


def test_a_removed_kernel_stands_for_whichever_the_base_has() -> None:
    def kernel(version: str) -> Package:
        return Package(name=f"linux-image-{version}-amd64", version="1", arch="amd64")

    def having(*found: Package) -> Installed:
        return Installed({package.name: (package,) for package in found}, {})

    old, new, other = kernel("6.12.1"), kernel("6.12.2"), kernel("9.9")
    assert overrides.active([old.name], (), having(old)).removals == (old,)
    assert overrides.active([old.name], (), having(new), {other.name}).removals == (new,)
    assert overrides.active([old.name], (), having(new, other), {other.name}).removals == (new,)
    assert overrides.active(["foo"], (), having(new)).removals == ()
    origin = Origin(overrides_remove=(old.name,))
    assert overrides.settle(origin, having(new)) == (origin, ())
    assert "is inactive" in overrides.settle(origin, having())[1][0]


@pytest.mark.parametrize(
    ("name", "yes"),
    [
        ("linux-image-6.12.1+deb13-amd64", True),
        ("linux-image-6.12.1-amd64-unsigned", True),
        ("linux-image-amd64", False),
        ("linux-image-6.12.1+deb13-amd64-dbg", False),
        ("linux-image-6.8.0-31-generic-dbgsym", False),
        ("linux-headers-6.12.1-amd64", False),
    ],
)
def test_which_packages_are_kernels(name: str, yes: bool) -> None:
    assert is_kernel(name) is yes
