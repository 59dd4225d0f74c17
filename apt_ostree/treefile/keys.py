"""Every key of a treefile, described once: the parser and apt-ostree-treefile(5) are made from this table."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from apt_ostree import kargs, requests
from apt_ostree.errors import UsageError
from apt_ostree.treefile import places
from apt_ostree.treefile.model import VARIANTS

SUITE = re.compile(r"[a-z0-9][a-z0-9.+-]*(/[a-z0-9.+-]+)*")
COMPONENT = re.compile(r"[a-z0-9][a-z0-9./+-]*")
ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9-]*")
PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+(:[a-z0-9-]+)?([=/][A-Za-z0-9.+~:/-]+)?")
NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+(:[a-z0-9-]+)?")
MIRROR = re.compile(r"[a-z][a-z0-9+-]*:/\S*")
KEYRING = re.compile(r"/[^\s,\[\]]+")
# no `.` or `..`: it is followed in a tree by root, and would lead out of it
_NO_DOTS = r"(?!\.\.?(?:/|\Z))"
PATH = re.compile(rf"(/{_NO_DOTS}[^/\0]+)+")
# what Path.glob takes: `**` only as a whole name, and the tree itself is not meant by any
GLOB = re.compile(rf"(?!(?:/\*\*)+/?\Z)(/(?:\*\*(?=/|\Z)|{_NO_DOTS}(?:(?!\*\*)[^/\0])+))+/?")
# ostree's own rule for refs (ostree_validate_rev), with ${...} in it
_PLACE = r"\$\{[a-z]+\}"
REF = re.compile(rf"([A-Za-z0-9]|{_PLACE})([\w.-]|{_PLACE})*(/([A-Za-z0-9_]|{_PLACE})([\w.-]|{_PLACE})*)*")
UNIT = re.compile(r"[\w:.@\\-]+\.(service|socket|timer|path|target|mount|automount|slice|swap)")
ACCOUNT = re.compile(r"[a-z_][a-z0-9_-]{0,30}")
HOSTNAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,62}[A-Za-z0-9])?")
LOCALE = re.compile(r"[A-Za-z]{1,3}(_[A-Z]{2})?(\.[A-Za-z0-9-]+)?(@\w+)?")
ZONE = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")
SNAPSHOT = re.compile(r"\d{8}(T\d{6}Z)?|\d{4}-\d\d-\d\d")
MODE = re.compile(r"[0-7]{3,4}")
WORD = re.compile(r"[^\x00-\x1f\x7f]+")
LAYER = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")
META = re.compile(r"[A-Za-z0-9][\w.-]*")
_NAME_BYTES, _PATH_BYTES = 255, 2048  # of the 4096 of a whole path the tree's own place needs some (path_resolution(7))


def _check_path(text: str) -> None:
    if any(len(name.encode()) > _NAME_BYTES for name in text.split("/")):
        raise UsageError(f"a name in the path is longer than {_NAME_BYTES} bytes", hint="no file can be called so")
    _check_length(text)


def _check_length(text: str) -> None:
    if len(text.encode()) > _PATH_BYTES:
        raise UsageError(f"the path is longer than {_PATH_BYTES} bytes", hint="shorten it")


def _check_pattern(text: str) -> None:
    _check_path(text)
    places.check_links(text)


def _check_karg(text: str) -> None:
    try:
        kargs.words("kargs", (text,))
    except UsageError as error:  # its hint is about a command line
        raise UsageError(error.message.removeprefix("kargs: "), hint="like quiet or console=ttyS0, each") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key. `kind`: string, number, boolean, strings, table (of strings), tables.

    `pattern` holds for a string or each of several, `choices` are the only ones allowed; `keys` are those of a table.
    `check` has what no pattern says: it is called with a string, or with name and string of a table, and raises
    UsageError.
    """

    name: str
    kind: str
    text: str
    pattern: re.Pattern[str] | None = None
    check: Callable[..., None] | None = None
    choices: tuple[str, ...] = ()
    keys: tuple[Key, ...] = ()
    required: bool = False
    by_architecture: bool = False  # also as NAME-ARCHITECTURE
    section: str = ""  # where the manual page begins a new section


MIRROR_KEYS = (
    Key(name="uri", kind="string", pattern=MIRROR, required=True,
        text="The archive's address; ${snapshot} in it stands for the snapshot."),
    Key(name="suites", kind="strings", pattern=SUITE, text="Suites to take from it; the treefile's if not given."),
    Key(name="components", kind="strings", pattern=COMPONENT, text="Components; the treefile's if not given."),
    Key(name="architectures", kind="strings", pattern=ARCHITECTURE, text="Only these architectures."),
    Key(name="signed-by", kind="string", pattern=KEYRING,
        text="Path of the keyring that vouches for it, on the machine that composes and in the tree."),
    Key(name="check-valid-until", kind="boolean", text="Whether an archive that has expired is refused; true."),
)  # fmt: skip

USER_KEYS = (
    Key(name="name", kind="string", pattern=ACCOUNT, required=True, text="The account's name."),
    Key(name="id", kind="number", text="Its uid; the next free one if not given."),
    Key(name="comment", kind="string", text="What it is for (GECOS)."),
    Key(name="home", kind="string", pattern=PATH, check=_check_path, text="Its home directory."),
    Key(name="shell", kind="string", pattern=PATH, check=_check_path,
        text="Its shell; none to log in with if not given."),
    Key(name="groups", kind="strings", pattern=ACCOUNT, text="Groups it is a member of as well."),
)  # fmt: skip

GROUP_KEYS = (
    Key(name="name", kind="string", pattern=ACCOUNT, required=True, text="The group's name."),
    Key(name="id", kind="number", text="Its gid; the next free one if not given."),
)

FILE_KEYS = (
    Key(name="path", kind="string", pattern=PATH, check=_check_path, required=True,
        text="Where it is to be in the tree. What no image carries is refused: /boot, /run, /tmp, /var/log and the "
             "like, /usr/local without usr-local, and paths through links: /usr/bin/x is the path of what is in /bin."),
    Key(name="content", kind="string", text="What it holds."),
    Key(name="source", kind="string", text="A file with what it holds, relative to the treefile."),
    Key(name="link", kind="string", pattern=WORD, check=_check_length, text="It is a symbolic link, leading there."),
    Key(name="mode", kind="string", pattern=MODE, text="Its permissions, octal; 0644 if not given."),
)  # fmt: skip

LAYER_KEYS = (
    Key(name="name", kind="string", pattern=LAYER, required=True, text="Its name: letters, digits, dot, dash."),
    Key(name="ref", kind="string", pattern=REF, required=True,
        text="The branch it is committed to; ${layer} in it stands for its name, the others for what they stand for "
             "in the tree's ref."),
    Key(name="packages", kind="strings", pattern=PACKAGE, by_architecture=True,
        text="What it adds, written as the tree's packages are. Nothing below it is removed or becomes another "
             "version; a kernel belongs into the tree."),
    Key(name="version", kind="string", check=requests.check_version,
        text="The version its commit carries; that of the tree if not given."),
    Key(name="metadata", kind="table", pattern=META, check=requests.check_metadata,
        text="More strings for its commit's metadata, by key."),
)  # fmt: skip

KEYS = (
    Key(name="include", kind="strings", pattern=WORD, section="The tree",
        text="Treefiles whose keys hold here too, relative to this one, or names of those that come along. Lists are "
             "put one after the other, those of the included file first; of everything else the including file has "
             "the last word."),
    Key(name="ref", kind="string", pattern=REF, required=True,
        text="The branch the tree is committed to. ${suite}, ${architecture} (amd64), ${basearch} (x86_64) and "
             "${variant} in it stand for what the treefile says."),
    Key(name="version", kind="string", check=requests.check_version, text="The version the commit carries."),
    Key(name="automatic-version-prefix", kind="string", check=requests.check_version,
        text="Instead of version: the commit has it alone, or with .1, .2 and so on where its parent has it already."),
    Key(name="metadata", kind="table", pattern=META, check=requests.check_metadata,
        text="Strings to store in the commit's metadata, by key; version and the keys that begin with apt-ostree. or "
             "ostree. say something already."),
    Key(name="suite", kind="string", pattern=SUITE, required=True, section="Packages",
        text="The suite or codename to install, such as trixie or noble."),
    Key(name="components", kind="strings", pattern=COMPONENT, text="Components of the archive; main if not given."),
    Key(name="mirrors", kind="tables", keys=MIRROR_KEYS,
        text="Where packages come from: addresses, or tables. If not given, the archives of Debian or Ubuntu for the "
             "suite with their updates. They become the tree's own sources."),
    Key(name="snapshot", kind="string", pattern=SNAPSHOT,
        text="Take the archives as they were then: 20260801T000000Z, 20260801 or 2026-08-01. Debian's and Ubuntu's "
             "snapshot archives are used, and mirrors whose uri has ${snapshot} in it."),
    Key(name="architecture", kind="string", pattern=ARCHITECTURE,
        text="Debian's name for the tree's architecture; that of the machine if not given."),
    Key(name="variant", kind="string", choices=VARIANTS,
        text="Which packages there are in any case (mmdebstrap(1)); apt if not given."),
    Key(name="packages", kind="strings", pattern=PACKAGE, by_architecture=True,
        text="Packages to install, also as NAME:ARCHITECTURE, NAME=VERSION or NAME/SUITE. packages-amd64 and the "
             "like hold for one architecture only."),
    Key(name="exclude", kind="strings", pattern=NAME, text="Packages that must not come along."),
    Key(name="recommends", kind="boolean", text="Whether recommended packages come along; false if not given."),
    Key(name="documentation", kind="boolean",
        text="Whether manuals and other documentation are installed; true if not given. Copyright files always are."),
    Key(name="enable-units", kind="strings", pattern=UNIT, section="The system",
        text="Units of systemd to enable."),
    Key(name="disable-units", kind="strings", pattern=UNIT, text="Units to disable that packages enable."),
    Key(name="mask-units", kind="strings", pattern=UNIT, text="Units that cannot be started at all."),
    Key(name="default-target", kind="string", pattern=UNIT, text="What is booted into, such as graphical.target."),
    Key(name="users", kind="tables", keys=USER_KEYS, text="System users to make."),
    Key(name="groups", kind="tables", keys=GROUP_KEYS, text="System groups to make."),
    Key(name="ignore-removed-users", kind="strings", pattern=ACCOUNT,
        text="Users of the branch's last commit that may be gone; any other that is fails the build."),
    Key(name="ignore-removed-groups", kind="strings", pattern=ACCOUNT, text="The same for groups."),
    Key(name="hostname", kind="string", pattern=HOSTNAME, text="The name in /etc/hostname; none if not given."),
    Key(name="locale", kind="string", pattern=LOCALE,
        text="The system's language, such as de_DE.UTF-8; it is made when the tree has the package locales."),
    Key(name="timezone", kind="string", pattern=ZONE, check=_check_path, text="The time zone, such as Europe/Berlin."),
    Key(name="kargs", kind="strings", pattern=WORD, check=_check_karg,
        text="Kernel arguments the tree wants, written as for apt-ostree kargs; they are in its /usr/lib/bootc/kargs.d "
             "and in the commit's metadata. compose image puts them on the command line of the disk it makes. Changes "
             "of them do not reach machines that exist: apt-ostree kargs is for these. It refuses what GRUB does not "
             "hand to the kernel as it is."),
    Key(name="initramfs-args", kind="strings", pattern=WORD, text="Arguments for dracut(8)."),
    Key(name="machineid", kind="string", choices=("empty", "uninitialized"),
        text="What /etc/machine-id holds: with 'uninitialized' the first boot also applies systemd's presets; empty "
             "if not given (machine-id(5))."),
    Key(name="composefs", kind="string", choices=("no", "maybe", "yes"),
        text="Whether a deployment is mounted by composefs; the tree's ostree must be able to. no if not given."),
    Key(name="opt", kind="string", choices=("image", "state"), section="Files",
        text="What packages have in /opt: part of the image (image, if not given), or copied once to the machine's "
             "own /var/opt (state)."),
    Key(name="usr-local", kind="string", choices=("refuse", "state"),
        text="What packages have in /usr/local: refused, or copied once to the machine's own (state)."),
    Key(name="files", kind="tables", keys=FILE_KEYS, text="Files to add, when all packages are installed."),
    Key(name="remove-files", kind="strings", pattern=GLOB, check=_check_pattern,
        text="Files and directories to remove; *, ? and [] stand for what they do in a shell. Nothing is removed "
             "through a link: /usr/bin/x is the path of what is in /bin."),
    Key(name="postprocess", kind="strings",
        text="Shell scripts to run in the tree at the end, each begins with #!. They see the tree as /, without a "
             "network and nothing of the machine."),
    Key(name="layers", kind="tables", keys=LAYER_KEYS, section="Layers",
        text="Trees with more packages, in their order: the first on top of this tree, each other on top of the one "
             "before, whose commit is its parent. recommends, exclude, opt, usr-local, documentation, kargs and "
             "metadata of the tree hold for them too; units, users, files and scripts are the tree's own."),
)  # fmt: skip
