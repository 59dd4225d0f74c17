"""What a treefile says, as values. Empty means: not said."""

from __future__ import annotations

from dataclasses import dataclass

Choice = tuple[str, ...]
ChoiceOf = tuple[tuple[str, Choice], ...]  # architecture -> more packages

VARIANTS = ("essential", "apt", "required", "minbase", "buildd", "important", "standard", "-")  # mmdebstrap(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """One archive. Empty `suites` and `components`: those of the treefile."""

    uri: str
    suites: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    signed_by: str = ""  # path of a keyring on the machine that composes
    check_valid_until: bool = True

    def line(self, treefile: Treefile) -> list[str]:
        """sources.list(5) lines."""
        options = [f"arch={','.join(self.architectures)}"] if self.architectures else []
        options += [f"signed-by={self.signed_by}"] if self.signed_by else []
        options += [] if self.check_valid_until and not treefile.snapshot else ["check-valid-until=no"]
        option = f" [{' '.join(options)}]" if options else ""
        uri = self.uri.replace("${snapshot}", treefile.snapshot)
        components = " ".join(self.components or treefile.components)
        return [f"deb{option} {uri} {suite} {components}" for suite in self.suites or (treefile.suite,)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user or, without what only users have, a group. `id` -1: the next free one."""

    name: str
    id: int = -1
    comment: str = ""
    home: str = ""
    shell: str = ""
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file to add: `content`, what `source` holds (`sha256` when the treefile was read), or a link."""

    path: str
    content: str = ""
    source: str = ""
    sha256: str = ""
    mode: str = "0644"
    link: str = ""


def _on(architecture: str, packages: Choice, packages_of: ChoiceOf) -> Choice:
    return (*packages, *(name for arch, names in packages_of if arch == architecture for name in names))


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """Packages on top of the tree, or of the layer before, committed to a ref of its own. No `version`: the tree's."""

    name: str
    ref: str
    packages: Choice = ()
    packages_of: ChoiceOf = ()
    version: str = ""
    metadata: tuple[tuple[str, str], ...] = ()

    def chosen(self, architecture: str) -> Choice:
        """The packages that are asked for on an architecture."""
        return _on(architecture, self.packages, self.packages_of)


@dataclass(frozen=True, slots=True, kw_only=True)
class Treefile:
    """A parsed treefile. No `architecture`: the machine's own. No mirrors: the archive known for the suite."""

    suite: str
    ref: str
    mirrors: tuple[Mirror, ...] = ()
    components: tuple[str, ...] = ("main",)
    snapshot: str = ""
    architecture: str = ""
    variant: str = "apt"
    packages: Choice = ()
    packages_of: ChoiceOf = ()
    exclude: tuple[str, ...] = ()
    recommends: bool = False
    documentation: bool = True
    version: str = ""
    automatic_version_prefix: str = ""
    enable_units: tuple[str, ...] = ()
    disable_units: tuple[str, ...] = ()
    mask_units: tuple[str, ...] = ()
    default_target: str = ""
    users: tuple[Account, ...] = ()
    groups: tuple[Account, ...] = ()
    ignore_removed_users: tuple[str, ...] = ()
    ignore_removed_groups: tuple[str, ...] = ()
    files: tuple[File, ...] = ()
    remove_files: tuple[str, ...] = ()
    hostname: str = ""
    locale: str = ""
    timezone: str = ""
    kargs: tuple[str, ...] = ()
    initramfs_args: tuple[str, ...] = ()
    postprocess: tuple[str, ...] = ()
    machineid: str = "empty"
    opt: str = "image"
    usr_local: str = "refuse"
    composefs: str = "no"
    metadata: tuple[tuple[str, str], ...] = ()
    layers: tuple[Layer, ...] = ()

    def chosen(self, architecture: str) -> Choice:
        """The packages that are asked for on an architecture, without those of the layers."""
        return _on(architecture, self.packages, self.packages_of)
