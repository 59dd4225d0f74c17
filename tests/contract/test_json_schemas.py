"""Real output is held to the JSON Schemas in the package, and to the keys scripts were promised."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from apt_ostree import commitmeta, sbom
from apt_ostree.containers import Checked, Exported, ExportedLayer, ExportedSbom, Finding, Imported
from apt_ostree.errors import AptOstreeError, BusyError
from apt_ostree.findings import PackageDiff, PackageList
from apt_ostree.lint import registry
from apt_ostree.model import KargsChange, LayerMeta, MadeCommit, Origin, Package, Result
from apt_ostree.ops import db as db_ops
from apt_ostree.ops import doctor as doctor_ops
from apt_ostree.ops import status as status_ops
from apt_ostree.paths import Paths
from apt_ostree.sbom import Inventory, System
from apt_ostree.states import StatusReport
from apt_ostree.ui import db, doctor, errors, history, image, initramfs, jsonshape, kargs, lint, oci, result, status
from apt_ostree.view.model import Kind, Node, build
from tests.support import samples, tiny
from tests.support.tiny import Tiny

FOLDER = resources.files("apt_ostree") / "data" / "schemas"
NAMES = sorted(path.name.removesuffix(".json") for path in FOLDER.iterdir() if path.name.endswith(".json"))

# what status.md promises for every deployment, always
ALWAYS = {
    "id", "osname", "checksum", "serial", "booted", "staged", "pinned", "unlocked", "regenerate-initramfs",
    "timestamp", "base-commit-meta", "requested-packages", "requested-local-packages", "requested-base-removals",
    "requested-base-local-replacements", "packages", "base-removals", "base-local-replacements",
}  # fmt: skip


def schema(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return found


def hold(name: str, value: object) -> Any:
    """Write the value as it goes to stdout, read it back, and hold it to the schema."""
    read = json.loads(jsonshape.dumps(value))
    Draft202012Validator(schema(name)).validate(read)
    return read


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Tiny]:
    root = tiny.sysroot(tmp_path / "sysroot")
    tree = tiny.tree(tmp_path / "tree")
    base = root.commit(tree, strings={"version": "13.1"})
    root.deploy()
    packages = (Package(name="foo", version="1:2-3", arch="amd64", source="foo", size=9),)
    layer = LayerMeta(base=base, packages=packages, removals=packages, state_digest="d" * 64)
    root.commit(tree, ref="layered", strings=commitmeta.encode(layer, pkglist=packages))
    root.deploy("layered")
    for origin in root.deploys.glob("*.origin"):  # without a request a commit is a base, whoever made it
        origin.write_text(f"{origin.read_text()}[packages]\nrequested=foo;\n")
    yield root
    tiny.remove(root)


def test_schemas_are_schemas() -> None:
    assert {"db-diff", "db-list", "doctor", "error", "result", "status"} <= set(NAMES)
    for name in NAMES:
        Draft202012Validator.check_schema(schema(name))


@pytest.mark.parametrize("report", [StatusReport(), samples.report()], ids=["empty", "full"])
def test_status(report: StatusReport) -> None:
    read = hold("status", status.as_json(report))
    assert set(read) == {"deployments", "transaction", "cached-update", "update-driver"}
    for deployment in read["deployments"]:
        assert set(deployment) >= ALWAYS


def test_the_types_are_those_of_rpm_ostree() -> None:
    first, second = hold("status", status.as_json(samples.report()))["deployments"]
    assert first["packages"] == ["htop"]
    assert set(first["requested-packages"]) - set(first["packages"]) >= {"nano"}
    assert first["base-removals"] == [["libnl-3-200_3.7.0-2_amd64", "libnl-3-200", 0, "3.7.0", "2", "amd64"]]
    ours, theirs = first["base-local-replacements"][0]
    assert ours == ["nano_1:8.5-1_amd64", "nano", 1, "8.5", "1", "amd64"] and theirs[3] == "8.4"
    assert first["base-checksum"] == samples.BASE and first["base-version"] == first["version"] == "13.7"
    assert second["pinned"] is True and "base-checksum" not in second and second["origin"] == "debian/13"


def test_status_of_a_sysroot(made: Tiny) -> None:
    read = hold("status", status.as_json(status_ops.report(Paths(made.path))))
    assert [d["serial"] for d in read["deployments"]] == [0, 0]
    assert read["deployments"][0]["base-checksum"] == read["deployments"][1]["checksum"]
    origin = Path(f"{status_ops.report(Paths(made.path)).deployments[0].path}.origin")
    origin.write_text("nonsense")
    assert hold("status", status.as_json(status_ops.report(Paths(made.path))))["deployments"][0]["origin-error"]


@pytest.mark.parametrize(
    "done",
    [
        Result(command="install htop", changed=False),
        Result(
            command="install htop", changed=True, deployment=samples.layered(), changes=samples.CHANGES,
            download_bytes=5, disk_bytes=-3, duration={"resolve": 0.5}, reboot_needed=True, warnings=("w",),
            message="m", commit=samples.LAYERED, kargs=KargsChange(old=("quiet",), new=("quiet", "debug")),
            commits=(
                MadeCommit(ref="a", checksum=samples.BASE, packages=5, fresh=True),
                MadeCommit(ref="b", layer="desktop", parent=samples.BASE, packages=9),
            ),
        ),
    ],
    ids=["unchanged", "changed"],
)  # fmt: skip
def test_result(done: Result) -> None:
    read = hold("result", result.as_json(done))
    assert set(read["packages"]) == {"added", "removed", "upgraded", "downgraded"}


def test_commits_of_a_compose() -> None:
    commits = (MadeCommit(ref="a", checksum=samples.BASE, packages=5), MadeCommit(ref="b", layer="x", fresh=True))
    base, layer = hold("result", result.as_json(Result(command="x", changed=True, commits=commits)))["commits"]
    assert (base["layer"], base["checksum"], base["new"]) == (None, samples.BASE, False)
    assert (layer["layer"], layer["checksum"], layer["parent"], layer["new"]) == ("x", None, None, True)


def test_changes_by_kind() -> None:
    read = hold("result", result.as_json(Result(command="x", changed=True, changes=samples.CHANGES)))["packages"]
    assert read["upgraded"] == [
        {"name": "nano", "arch": "amd64", "old": "1:8.4-1", "new": "1:8.5-1", "repo": "", "security": True}
    ]
    assert read["added"][0]["old"] is None and read["removed"][0]["new"] is None and read["downgraded"] == []


def _classes(kind: type[AptOstreeError]) -> list[type[AptOstreeError]]:
    return [kind, *(found for child in kind.__subclasses__() for found in _classes(child))]


@pytest.mark.parametrize("kind", _classes(AptOstreeError), ids=lambda kind: kind.__name__)
def test_every_error(kind: type[AptOstreeError]) -> None:
    read = hold("error", errors.as_json(kind("what", hint="next", details=("line",))))
    assert read["error"] == {"code": kind.code, "message": "what", "hint": "next", "details": ["line"]}


def test_db(made: Tiny) -> None:
    paths = Paths(made.path)
    read = hold("db-diff", db.diff_json(db_ops.db_diff(paths, "1", "0")))
    assert read["pkgdiff"][1] == ["foo", 0, {"NewPackage": ["foo", "1:2-3", "amd64"]}]
    read = hold("db-list", db.list_json(db_ops.db_list(paths, ["0", "1"])))
    assert [len(found["packages"]) for found in read["commits"]] == [1, 2]
    empty = PackageDiff(from_name="a", from_checksum=samples.BASE, to_name="b", to_checksum=samples.BASE)
    hold("db-diff", db.diff_json(empty))
    hold("db-list", db.list_json([PackageList(revision="a", checksum=samples.BASE)]))


def test_lint() -> None:
    view = build("x", [Node("var", Kind.DIRECTORY), Node("var/run", Kind.FILE)], lambda node: b"")
    read = hold("oci-lint", lint.as_json(registry.run(view, skip=["utf8"])))
    assert "var-run" in read["fatal"] and read["passed"] is False
    hold("oci-lint", lint.list_json(registry.descriptions()))


def test_sbom(made: Tiny) -> None:
    for kind, document in sbom_documents(made).items():
        read = hold("db-sbom", document)
        assert len(read["packages" if kind == "spdx" else "components"]) >= 2
    hold("db-sbom", sbom.spdx(EMPTY))


def sbom_documents(made: Tiny) -> dict[str, Any]:
    return {kind: db_ops.db_sbom(Paths(made.path), "1", kind=kind) for kind in ("spdx", "cyclonedx")}


def test_doctor(made: Tiny, tmp_path: Path) -> None:
    assert hold("doctor", doctor.as_json(doctor_ops.probes(Paths(made.path))))["probes"]
    assert hold("doctor", doctor.as_json(doctor_ops.probes(Paths(tmp_path))))["healthy"] is False


EMPTY = Inventory(checksum=samples.BASE, timestamp=0, name="x", version="", system=System(), components=())
DIGEST = f"sha256:{samples.BASE}"
LAYER = ExportedLayer(digest=DIGEST, size=5, uncompressed=9, components=("glibc",), reused=True)
EXPORTED = Exported(
    command="x", image="oci:/i:t", digest=DIGEST, format="encapsulated", architecture="amd64", commit=samples.BASE,
    layers=(LAYER, LAYER), sboms=(ExportedSbom(kind="spdx", digest=DIGEST),), duration={"layers": 1.5},
)  # fmt: skip
IMPORTED = Imported(command="x", image="oci:/i:t", digest=DIGEST, format="plain", commit=samples.BASE, warnings=("w",))
CHECKED = Checked(command="x", image="oci:/i:t", findings=(Finding(part="config", message="m"),))


def test_oci() -> None:
    read = hold("oci-export", oci.exported_json(EXPORTED))
    assert (read["bytes"], read["reused-bytes"]) == (10, 10) and "10 B of layers" in oci.exported_text(EXPORTED)
    assert hold("oci-import", oci.imported_json(IMPORTED))["base-commit"] is None
    assert "warning: w" in oci.imported_text(IMPORTED)
    assert hold("oci-verify", oci.checked_json(CHECKED))["sound"] is False
    assert oci.checked_text(CHECKED) == "config: m\n"


# the shortest answers there are
SAMPLES: dict[str, Any] = {
    "status": status.as_json(StatusReport()),
    "result": result.as_json(Result(command="x", changed=False)),
    "error": errors.as_json(BusyError("x")),
    "db-diff": {"ostree-commit-from": samples.BASE, "ostree-commit-to": samples.BASE, "pkgdiff": []},
    "db-list": db.list_json([]),
    "doctor": doctor.as_json([]),
    "history": history.as_json([]),
    "initramfs": initramfs.as_json(Origin()),
    "initramfs-etc": initramfs.as_json(Origin(initramfs_etc=("/etc/crypttab",))),
    "kargs": kargs.as_json("", ["quiet"]),
    "oci-export": oci.exported_json(EXPORTED),
    "oci-import": oci.imported_json(IMPORTED),
    "oci-verify": oci.checked_json(Checked(command="x", image="oci:/i:t")),
    "compose-image": image.as_json(samples.disk_image()),
    "oci-lint": lint.as_json(registry.run(build("x", [], lambda node: b""))),
    "db-sbom": sbom.cyclonedx(EMPTY),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_an_unknown_key_is_no_valid_output(name: str) -> None:
    value = SAMPLES[name]
    hold(name, value)
    with pytest.raises(ValidationError):
        hold(name, {**value, "surprise": 1})


def test_no_string_is_a_command_of_a_terminal() -> None:
    written = jsonshape.dumps({"x": "\x9b31m\x7fü"})
    assert json.loads(written) == {"x": "\x9b31m\x7fü"} and not {"\x9b", "\x7f"} & set(written) and "ü" in written
