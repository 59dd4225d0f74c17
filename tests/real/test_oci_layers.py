"""Layers that a repo keeps: of imports that did not come to their end, and of images that moved on."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import pytest

from apt_ostree.errors import InterruptedByUser
from apt_ostree.oci import fetch, importing, names
from apt_ostree.oci.layout import Descriptor
from apt_ostree.report import NullReporter
from apt_ostree.tools import skopeo
from tests.support import ocilayout, ocitrees
from tests.support.ground import Ground
from tests.support.ocilayout import Layout
from tests.support.ocitrees import BOOTABLE, REF, checksum, export, fsck
from tests.support.process import CHECKOUT, Done, environment, run
from tests.support.verbs import held_to

pytestmark = pytest.mark.real


def interrupted(ground: Ground, words: tuple[str | Path, ...], blob: Path, number: signal.Signals) -> Done:
    """A command that reads a blob which never comes, and gets a signal."""
    data = blob.read_bytes()
    blob.unlink()
    os.mkfifo(blob)
    argv, env = ground.argv(*words), {**environment(), "PYTHONPATH": str(CHECKOUT)}
    with subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for _ in range(600):
            assert process.poll() is None, process.communicate()
            with contextlib.suppress(OSError):  # nobody reads it yet
                fd = os.open(blob, os.O_WRONLY | os.O_NONBLOCK)
                break
            time.sleep(0.1)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    os.close(fd)
    blob.unlink()
    blob.write_bytes(data)
    return Done(tuple(argv), out, err, process.returncode)


@pytest.mark.parametrize("form", ["encapsulated", "plain", "derived"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_layers_that_came_before_a_signal_are_kept(
    form: str, number: signal.Signals, toy: Path, work: Path, ground: Ground
) -> None:
    export(ground, toy, f"oci:{work}/image:t", f"--format={'plain' if form == 'plain' else 'encapsulated'}")
    layout, target = Layout(work / "image"), ocitrees.repo(work / "target", "archive")
    if form == "derived":
        layout.append(ocilayout.packed([ocilayout.file("usr/on-top", b"x")]))
        layout.append(ocilayout.packed([ocilayout.file("usr/last", b"y")]))
    layers = layout.manifest["layers"]
    words = ("oci", "import", "--repo", target, f"oci:{work}/image:t", "--json")
    done = interrupted(ground, words, layout.place(layers[-1]["digest"]), number)
    assert held_to("error", done.must(130))["error"]["code"] == "interrupted"
    assert list((target / "extensions/apt-ostree/work").iterdir()) == []
    there = run(["ostree", "refs", f"--repo={target}"]).stdout.split()
    assert there and all(ref.startswith("ostree/container/blob/") for ref in there)
    fsck(target)
    # of a commit the first layer is read last, for it is whole only with the others
    assert len(there) == len(layers) - (2 if form == "encapsulated" else 1)
    done = held_to("oci-import", ground.apt_ostree(*words))
    # and again, for no image of the repo says yet which diff_id it has
    assert done["fetched-layers"] == (1 if form == "plain" else 2)
    fsck(target)


@dataclass(frozen=True)
class Cut:
    """The layers of an image, until a signal comes with this one."""

    blobs: fetch.Blobs
    digest: str

    @contextlib.contextmanager
    def stream(self, blob: Descriptor) -> Iterator[IO[bytes]]:
        if blob.digest == self.digest:
            raise InterruptedByUser("interrupted")
        with self.blobs.stream(blob) as stream:
            yield stream


@pytest.mark.parametrize("keep", [True, False])
def test_a_look_that_is_interrupted_keeps_layers(keep: bool, toy: Path, work: Path, ground: Ground) -> None:
    """As a rebase looks at an image; one that only asks (--dry-run, --check) leaves the repo as it is."""
    export(ground, toy, f"oci:{work}/image:t")
    repo, place = ocitrees.repo(work / "repo"), ocitrees.repo(work / "place")
    way = importing.Look(place=place, wanted=("usr/bin/su", "usr/bin/ping"), judge=lambda commit: None, keep=keep)
    with fetch.opened(names.parse(f"oci:{work}/image:t"), skopeo.Access()) as image:
        layers = [layer.digest for layer in image.layers()]
        with pytest.raises(InterruptedByUser):
            importing.look(replace(image, blobs=Cut(image.blobs, layers[-1])), repo, way, NullReporter())
    refs = run(["ostree", "refs", f"--repo={repo}"]).stdout.split()
    assert sorted(refs) == (sorted(map(names.blob_ref, layers[1:-1])) if keep else [])
    fsck(repo)


def test_layers_of_an_image_that_moved_on_go(toy: Path, work: Path, ground: Ground) -> None:
    source, image = ocitrees.repo(work / "source"), f"oci:{work}/image:t"
    target = ocitrees.repo(work / "target", "archive")
    run(["ostree", "pull-local", f"--repo={source}", toy, REF])
    export(ground, source, image)
    ground.apt_ostree("oci", "import", "--repo", target, image)
    before = set(run(["ostree", "refs", f"--repo={target}"]).stdout.split())
    tree = work / "tree"
    run(["ostree", "checkout", f"--repo={source}", "--force-copy", REF, tree])
    (tree / "usr/etc/owned").write_text("another")
    ocitrees.commit(source, tree, *BOOTABLE)
    export(ground, source, image, "--previous=auto")
    done = ground.apt_ostree("oci", "import", "--repo", target, image, "--json").json
    after = set(run(["ostree", "refs", f"--repo={target}"]).stdout.split())
    assert done["commit"] == checksum(source) and done["fetched-layers"] == len(after - before) == 2
    assert len(before - after) == 2, "layers that no image has are forgotten"
    fsck(target)
