"""`apt-ostree oci`: commits as container images and back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from apt_ostree.cli import oci_lint
from apt_ostree.cli.common import absolute, context, group, one_of, verb
from apt_ostree.cli.db import SBOMS
from apt_ostree.cli.options import Json, Repo, Settings, Unchanged, Wait, repeated
from apt_ostree.cli.registry import Registry, access
from apt_ostree.cli.repo import unchanged
from apt_ostree.errors import AptOstreeError, UsageError, VerificationError

if TYPE_CHECKING:
    from apt_ostree.oci.exporting import Recipe
    from apt_ostree.ops import oci_export
    from apt_ostree.tools.skopeo import Signer

FORMATS = "encapsulated|plain"
COMPRESSIONS = "gzip|zstd"


@dataclass(frozen=True, kw_only=True)
class MaxSize:
    max_size: Annotated[
        str,
        typer.Option(
            "--max-size", metavar="SIZE", help="What all layers together may decompress to; 64G if not given."
        ),
    ] = ""


@dataclass(frozen=True, kw_only=True)
class ExportOptions(Registry, Json, Unchanged):
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[REF] IMAGE",
            help="REF: the branch or checksum to export, with --repo. IMAGE: where it goes: docker://HOST/NAME:TAG, "
            "oci:DIR:TAG, oci-archive:FILE or containers-storage:NAME.",
        ),
    ]
    repo: Annotated[str, typer.Option("--repo", metavar="DIR", help="The OSTree repository that has the commit.")] = ""
    rootfs: Annotated[
        str, typer.Option("--rootfs", metavar="DIR", help="Export this directory, the root of a tree, and no commit.")
    ] = ""
    format: Annotated[
        str,
        typer.Option(
            "--format",
            metavar=FORMATS,
            help="encapsulated: the commit itself, which comes out again with its checksum. plain: a root file system; "
            "a directory is always exported so.",
        ),
    ] = ""
    max_layers: Annotated[
        str,
        typer.Option("--max-layers", metavar="N", help="Into how many layers the files go; 64 if not given, 1: one."),
    ] = ""
    previous: Annotated[
        str,
        typer.Option(
            "--previous",
            metavar="auto|FILE",
            help="Keep packages in the layers they had in an earlier image: auto: the one IMAGE names now; FILE: the "
            "one of this manifest.",
        ),
    ] = ""
    compression: Annotated[
        str, typer.Option("--compression", metavar=COMPRESSIONS, help="How layers are compressed.")
    ] = "gzip"
    label: Annotated[list[str], repeated("--label", "KEY=VALUE", "Add a label.")] = field(default_factory=list)
    cmd: Annotated[
        list[str],
        repeated("--cmd", "WORD", "What a container of the image runs, a word at a time; /sbin/init if not given."),
    ] = field(default_factory=list)
    image_config: Annotated[
        str,
        typer.Option(
            "--image-config",
            metavar="FILE",
            help="Start from this config: JSON with Env, Labels and so on, as 'skopeo inspect --config' shows it.",
        ),
    ] = ""
    sbom: Annotated[
        list[str],
        repeated(
            "--sbom", SBOMS, "Attach the bill of materials that 'apt-ostree db sbom' writes: SPDX 2.3 or CycloneDX 1.6."
        ),
    ] = field(default_factory=list)
    sigstore_key: Annotated[
        str,
        typer.Option(
            "--sign-by-sigstore-private-key",
            metavar="FILE",
            help="Sign the image in the registry with this key, as 'skopeo generate-sigstore-key' makes it; only its "
            "owner may be able to read FILE.",
        ),
    ] = ""
    sign_by: Annotated[
        str, typer.Option("--sign-by", metavar="FINGERPRINT", help="Sign the image with this key of your GPG keyring.")
    ] = ""
    passphrase_file: Annotated[
        str,
        typer.Option("--sign-passphrase-file", metavar="FILE", help="The passphrase of the key; of mode 0600 as well."),
    ] = ""


def export(settings: Settings, options: ExportOptions) -> int:
    """Make a container image of a commit or a directory.

    An encapsulated image has the commit inside: bootc, rpm-ostree and 'apt-ostree oci import' get it back with its
    checksum and its signatures, and podman can run it. A plain image is a root file system. Files are put into layers
    by source package, so that an update sends only the layers of what changed. What has the attribute user.component,
    or is in a directory that has it, is in a layer of its own for each of its values.

    Signatures of images are made when the image is pushed to a registry. Those of sigstore are kept there, where
    containers-registries.d(5) has use-sigstore-attachments; those of GPG where it has lookaside-staging. They are of
    the image. A signature of the commit, made with 'apt-ostree repo sign' before, is in an encapsulated image as well.

    A bill of materials is an artifact beside the image, whose subject is the image (OCI 1.1): the image and its digest
    are the same with it and without. An oci: directory lists it in index.json; some tools then want the tag of the
    image, oci:DIR:TAG. To a registry it is pushed by its
    digest, and listed under the tag 'sha256-DIGEST' of the image for registries without an API for referrers; the
    skopeo of Debian 12 brings such a list there only without artifactType. It is not signed. 'apt-ostree db sbom IMAGE'
    shows it.

    The same commit gives the same image, byte by byte, wherever the same zlib or zstd makes it. Layers that the
    directory of an oci: image has already are not compressed again. An oci-archive: is written anew each time: images
    that it has under other tags are not kept. A file that is no such archive is left alone.
    """
    from apt_ostree.cli import screen
    from apt_ostree.ops import oci_export as op
    from apt_ostree.ui import oci as view

    request = _export_request(options)
    with screen.reporting(settings, json=options.json) as reporter:
        done = op.export(context(settings, options, reporter), request)
    screen.show(settings, options.json, lambda: view.exported_json(done), lambda theme: view.exported_text(done, theme))
    return unchanged(options, done.changed)


def _export_request(options: ExportOptions) -> oci_export.Request:
    """What is to be exported. Raises UsageError for words that do not go together."""
    from apt_ostree.oci import names
    from apt_ostree.ops import oci_export as op

    if bool(options.repo) == bool(options.rootfs):
        raise UsageError("either --repo or --rootfs says what is exported", hint="apt-ostree oci export --help")
    if len(options.words) != (2 if options.repo else 1):
        wanted = "REF and IMAGE are" if options.repo else "with --rootfs, IMAGE alone is"
        raise UsageError(
            f"{wanted} needed, and {len(options.words)} words are given", hint="apt-ostree oci export --help"
        )
    for kind in options.sbom:
        one_of("--sbom", kind, SBOMS)
    if options.rootfs and options.format == "encapsulated":
        raise UsageError("only a commit can be encapsulated", hint="apt-ostree oci export --repo DIR REF IMAGE")
    return op.Request(
        destination=names.parse(options.words[-1]),
        repo=absolute(options.repo) if options.repo else None,
        ref=options.words[0] if options.repo else "",
        rootfs=absolute(options.rootfs) if options.rootfs else None,
        recipe=_recipe(options),
        previous=options.previous if options.previous in ("", op.AUTO) else str(absolute(options.previous)),
        image_config=absolute(options.image_config) if options.image_config else None,
        access=access(options),
        signer=_signer(options),
        sboms=tuple(options.sbom),
    )


def _signer(options: ExportOptions) -> Signer:
    from apt_ostree.tools.skopeo import Signer

    passphrase = options.passphrase_file or ("/dev/null" if options.sigstore_key else "")  # else skopeo would ask
    return Signer(
        sigstore_key=absolute(options.sigstore_key) if options.sigstore_key else None,
        gpg_key=options.sign_by,
        passphrase_file=absolute(passphrase) if passphrase else None,
    )


def _recipe(options: ExportOptions) -> Recipe:
    from apt_ostree.oci.config import Wanted
    from apt_ostree.oci.exporting import MAX_LAYERS, Recipe

    one_of("--compression", options.compression, COMPRESSIONS)
    one_of("--format", options.format or "plain", FORMATS)
    text = options.max_layers or str(MAX_LAYERS)
    if not (text.isascii() and text.isdigit() and 0 < int(text[:9]) <= 127 and len(text) < 9):
        raise UsageError(f"--max-layers: '{text}' is not a number from 1 to 127", hint="--max-layers=64")
    labels = {}
    for label in options.label:
        key, equals, value = label.partition("=")
        if not key or not equals:
            raise UsageError(f"--label: '{label}' is not KEY=VALUE", hint="--label org.example.key=value")
        labels[key] = value
    wanted = Wanted(labels=labels, command=tuple(options.cmd) if options.cmd else None)
    form = options.format or ("plain" if options.rootfs else "encapsulated")
    return Recipe(format=form, max_layers=int(text), compression=options.compression, wanted=wanted)


def _max_size(text: str) -> int:
    from apt_ostree import disk
    from apt_ostree.oci.importing import MAX_SIZE

    try:
        return disk.parse_size(text) if text else MAX_SIZE
    except AptOstreeError as error:
        raise UsageError(f"--max-size: '{text}' is not a size", hint="--max-size=64G") from error


@dataclass(frozen=True, kw_only=True)
class ImportOptions(Registry, MaxSize, Json, Unchanged, Wait, Repo):
    image: Annotated[
        str,
        typer.Argument(
            metavar="IMAGE", help="docker://HOST/NAME:TAG, oci:DIR:TAG, oci-archive:FILE or containers-storage:NAME."
        ),
    ]
    write_ref: Annotated[
        str, typer.Option("--write-ref", metavar="REF", help="Let this branch lead to the commit.")
    ] = ""


def import_(settings: Settings, options: ImportOptions) -> int:
    """Bring a container image into a repository as a commit.

    What comes of an encapsulated image is the commit that was exported. Layers on top of it, and plain images, become a
    commit whose tree is what a container of the image sees, with /etc in /usr/etc; what is in /dev, /proc, /run, /sys
    and /tmp is left out. What is in /var goes to /usr/share/factory/var where ostree is older than 2024.3, which brings
    no /var to a machine. Of layers on top of a commit, only /etc, /usr and /var are taken, unless its prepare-root.conf
    shows all of the tree (composefs, or a transient root). An image in the format of Docker (schema 2) is read as well.

    Every digest and every checksum is looked at, and nothing of an image that does not fit enters the repository.
    Layers are kept under refs of their own, so that of a newer image only those that changed are fetched. Root is
    needed for a repository of mode bare only.
    """
    from apt_ostree import requests
    from apt_ostree.cli import screen
    from apt_ostree.oci import names
    from apt_ostree.ops import oci_import as op
    from apt_ostree.ui import oci as view

    request = op.Request(
        source=names.parse(options.image),
        repo=absolute(options.repo),
        write_ref=requests.parse_branch(options.write_ref) if options.write_ref else "",
        access=access(options),
        max_size=_max_size(options.max_size),
    )
    with screen.reporting(settings, json=options.json) as reporter:
        done = op.run(context(settings, options, reporter), request)
    screen.show(settings, options.json, lambda: view.imported_json(done), lambda theme: view.imported_text(done, theme))
    return unchanged(options, done.changed)


@dataclass(frozen=True, kw_only=True)
class VerifyOptions(Registry, MaxSize, Json):
    image: Annotated[
        str,
        typer.Argument(
            metavar="IMAGE", help="docker://HOST/NAME:TAG, oci:DIR:TAG, oci-archive:FILE or containers-storage:NAME."
        ),
    ]


def verify(settings: Settings, options: VerifyOptions) -> int:
    """Check a container image.

    Reads all of it: digests, sizes and diff_ids of every layer, media types, history, architecture, dates, labels; of
    an encapsulated image the checksum of every object too, and that none is missing. Ends with 7 when something is
    wrong, and says what.
    """
    from apt_ostree.cli import screen
    from apt_ostree.oci import names
    from apt_ostree.ops import oci_verify as op
    from apt_ostree.ui import oci as view

    request = op.Request(image=names.parse(options.image), access=access(options), max_size=_max_size(options.max_size))
    with screen.reporting(settings, json=options.json) as reporter:
        done = op.run(context(settings, options, reporter), request)
    screen.show(settings, options.json, lambda: view.checked_json(done), lambda theme: view.checked_text(done, theme))
    return 0 if done.sound else VerificationError.exit_code


def register(app: typer.Typer) -> None:
    oci: Any = group(
        app,
        "oci",
        """Make container images of commits, and commits of container images.

        These commands need no running OSTree system. Registries and storages are reached through skopeo(1).
        """,
    )
    verb(
        oci,
        "export",
        ExportOptions,
        examples="""
        apt-ostree oci export --repo /srv/ostree debian/13/x86_64/minimal oci:img:13
        apt-ostree oci export --repo /srv/ostree debian/13/x86_64/minimal \\
            docker://registry.example.org/debian:13 --previous auto
        apt-ostree oci export --repo /srv/ostree --sbom spdx \\
            debian/13/x86_64/minimal oci:img:13
        apt-ostree oci export --rootfs /var/lib/machines/debian oci-archive:debian.tar
        """,
    )(export)
    verb(
        oci,
        "import",
        ImportOptions,
        examples="""
        apt-ostree oci import --repo /srv/ostree \\
            docker://registry.example.org/debian:13 --write-ref debian/13/x86_64/tiny
        apt-ostree oci import --repo /srv/ostree oci:img:13 --json
        """,
    )(import_)
    verb(
        oci,
        "verify",
        VerifyOptions,
        examples="""
        apt-ostree oci verify oci:img:13
        apt-ostree oci verify docker://127.0.0.1:5000/debian:13 --tls-verify=false
        """,
    )(verify)
    oci_lint.register(oci)
