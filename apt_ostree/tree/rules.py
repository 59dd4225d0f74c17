"""The tree rules in their order: from an unpacked, configured tree to one that ostree can commit.

Layering and composing both end here, so a package lands in the same places either way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from apt_ostree.tree import (
    accounts,
    dpkgdb,
    etc,
    fsops,
    homes,
    identity,
    kernel,
    layout,
    lint,
    opt,
    pyc,
    skeleton,
    tmpfiles,
    users,
    var,
)
from apt_ostree.tree.users import Identities, Removable


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Where the rules leave a choice. `opt_is_state`: /opt is copied to the machine once instead of being the image's;
    `local_is_state`: the same for /usr/local, which is refused otherwise."""

    opt_is_state: bool = False
    local_is_state: bool = False
    hostname: str = ""
    machine_id: str = ""  # what /etc/machine-id holds
    removable: Removable = field(default_factory=Removable)  # accounts that may be gone
    files: frozenset[str] = frozenset()  # paths that the treefile itself fills


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishJob:
    """A tree with a real /etc, and the directory with what is new in /var (whiteouts of an overlay are ignored).

    `policy`: what the treefile says of files that could go either way.
    `compose`: the tree comes from a bootstrap, its top is still that of an ordinary system and its files are
    its own. `known`: ids to keep (only looked at for a bootstrap: layering settles ids before it folds).
    """

    root: Path
    var: Path
    compose: bool = False
    known: Identities = field(default_factory=Identities)
    policy: Policy = field(default_factory=Policy)


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishReport:
    """What the rules found and did. `kernel` is the version of the tree's kernel, empty when it has none."""

    users: Mapping[str, int]
    groups: Mapping[str, int]
    kernel: str = ""
    dropped: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Arranged:
    """A tree that has everything in its place but /etc, which programs of the tree still need."""

    users: Mapping[str, int]
    groups: Mapping[str, int]
    kernel: str
    dropped: tuple[str, ...]


def finish(job: FinishJob) -> FinishReport:
    """Apply every rule; afterwards `job.root` is ready for `ostree commit`.

    Raises AptOstreeError naming path and package: `refused-path`, `refused-tree`, `unsafe-tree`, `id-drift`,
    `kernel`, `lint`.
    """
    return seal(job, arrange(job))


def arrange(job: FinishJob) -> Arranged:
    """All rules up to the move of /etc; between this and `seal` an initramfs can be built in the tree."""
    root = job.root
    skeleton.check(root, job.var)
    layout.check(root)
    if job.compose:
        layout.apply(root)
        users.refuse_changes(root, job.known, job.policy.removable)
        users.settle_ids(root, None, job.known)
        pyc.normalise(root / "usr")
    version, dropped = kernel.apply(root)
    dpkgdb.apply(root, job.var)
    identity.apply(root, compose=job.compose, machine_id=job.policy.machine_id, given=job.policy.files)
    if job.policy.hostname:
        fsops.write(root, "etc/hostname", f"{job.policy.hostname}\n")
    found_users, found_groups = users.apply(root)
    dropped += _var(job)
    return Arranged(users=found_users, groups=found_groups, kernel=version, dropped=tuple(sorted(dropped)))


def seal(job: FinishJob, arranged: Arranged) -> FinishReport:
    """/etc goes to /usr/etc, what the boot fills is emptied, and the tree gets its last look."""
    root = job.root
    homes.apply(root)
    dpkgdb.clean(root)  # of what dpkg was told since
    etc.apply(root)
    layout.empty_runtime(root)
    fsops.make_dir(root, "var")
    fsops.empty(root / "var")
    lint.check(root)
    return FinishReport(
        users=arranged.users,
        groups=arranged.groups,
        kernel=arranged.kernel,
        dropped=arranged.dropped,
        warnings=_warnings(job, arranged),
    )


def _var(job: FinishJob) -> list[str]:
    root = job.root
    owners = dpkgdb.owners(root)
    if not job.policy.local_is_state:
        opt.check_local(job.var, owners)
    lines = {} if job.policy.opt_is_state else opt.apply(root, job.var, owners)
    more, dropped = var.apply(root, job.var, owners, _names(root))
    for package, group in more.items():
        lines.setdefault(package, []).extend(group)
    var.write(root, lines)
    if job.compose:
        tmpfiles.write(root, "apt-ostree-layout", [layout.media_line()])
    return dropped


def _names(root: Path) -> var.Names:
    found = accounts.users(fsops.read(root / "etc/passwd")), accounts.groups(fsops.read(root / "etc/group"))
    return var.Names(
        users={user.uid: name for name, user in reversed(found[0].items())},
        groups={group.gid: name for name, group in reversed(found[1].items())},
    )


def _warnings(job: FinishJob, arranged: Arranged) -> tuple[str, ...]:
    """What a person should know. Of what was dropped that is what somebody named: nobody misses the rest."""
    named = {dpkgdb.canonical(path): path for path in job.policy.files}
    found = [
        f"'{named[path]}' of files is not in the image: a line in tmpfiles.d makes it on each machine instead"
        for path in arranged.dropped
        if path in named
    ]
    if job.compose and not arranged.kernel:
        found.append("the tree has no kernel: it can be layered on and exported, but not booted")
    return tuple(found)
