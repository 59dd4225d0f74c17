"""apply-live: the changes of the pending deployment in the running system, without a reboot."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from apt_ostree import commits, guarding, host, pkgdb, sysroot
from apt_ostree.context import Context
from apt_ostree.deploy import stages
from apt_ostree.errors import AptOstreeError, ToolError, ToolMissingError, UsageError
from apt_ostree.faults import point
from apt_ostree.live import etc, record, services
from apt_ostree.live.record import Live
from apt_ostree.model import Deployment, DiffKind, PackageChange, Result, Unlocked
from apt_ostree.paths import Paths
from apt_ostree.report import Reporter, Warned, phase
from apt_ostree.tools import coreutils, mount, ostree, systemctl, systemd
from apt_ostree.tools.mount import Outside

USR = Path("/usr")
ETC = Path("/etc")
MOUNTS = 32  # more than that on /usr are not ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`target`: checksum, empty for the pending deployment."""

    target: str = ""
    allow_replacement: bool = False
    reset: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a run has to do. `files`: those of /usr that are changed or gone in the target."""

    booted: Deployment
    live: Live
    target: str
    changes: tuple[PackageChange, ...] = ()
    files: frozenset[str] = frozenset()
    new_units: tuple[str, ...] = ()


def execute(context: Context, request: Request) -> Result:
    """Make a commit live, or go back. Raises UsageError, NotRootError, AptOstreeError (code `needs-replacement`)."""
    paths = context.paths
    host.require_ostree(paths)
    system = sysroot.load(paths)
    booted = system.booted
    if booted is None or not stages(paths, system):
        raise UsageError("only a booted system can be changed live", hint="leave --sysroot out")
    if booted.unlocked is not Unlocked.NONE:
        raise AptOstreeError(
            f"/usr is unlocked ({booted.unlocked}), so it cannot be switched",
            hint="reboot first: systemctl reboot",
            code="unlocked",
        )
    live = record.current(paths, booted)
    if request.reset:
        return _reset(context, booted, live)
    target = _target(system, booted, request.target)
    if not target or (target == live.replaced and not live.inprogress):
        message = f"{target[:12]} is live already." if target else "There is no pending deployment."
        return Result(command=context.options.command, changed=False, message=message)
    step = _plan(paths, booted, live, target)
    if not request.allow_replacement:
        _refuse_replacement(step)
    if context.options.dry_run:
        return _result(context, step, changed=False, message="Dry run: nothing was changed.")
    guarding.require_root(context.options.command)
    return _apply(context, step)


def _target(system: sysroot.Sysroot, booted: Deployment, wanted: str) -> str:
    if wanted:
        checksum = ostree.rev_parse(system.paths.repo, wanted)
        if checksum == booted.checksum:
            raise UsageError("that is the booted commit", hint="apt-ostree apply-live --reset")
        return checksum
    first = system.first(booted.osname)
    return first.checksum if first is not None and first.checksum != booted.checksum else ""


def _plan(paths: Paths, booted: Deployment, live: Live, target: str) -> Step:
    repo = paths.repo
    differ = ostree.diff(repo, booted.checksum, target)
    usr = [(kind, path) for kind, path in differ if path.startswith("/usr/") and not path.startswith("/usr/etc/")]
    lost = frozenset(path for kind, path in usr if kind != "A" and not path.startswith("/usr/lib/sysimage/"))
    kernels = sorted(path for path in lost if path.startswith("/usr/lib/modules/") and path.endswith("/vmlinuz"))
    if kernels:
        raise AptOstreeError(
            "the kernel differs, and the running one would lose its modules",
            details=kernels,
            hint="reboot into it: systemctl reboot",
            code="needs-reboot",
        )
    layer = commits.load(repo, target).commit.layer
    if (layer.base if layer else target) == booted.base_checksum:
        lost &= _owned(booted.path)  # of the same base, what no package has is made anew by triggers: caches
    return Step(
        booted=booted,
        live=live,
        target=target,
        changes=pkgdb.diff(pkgdb.packages(repo, booted.checksum), pkgdb.packages(repo, target)),
        files=lost,
        new_units=services.units(path for kind, path in usr if kind == "A"),
    )


def _owned(tree: Path) -> frozenset[str]:
    """Every path a package of a tree has, as it is called after the usrmerge."""
    found = set()
    for file in (tree / "usr/lib/sysimage/dpkg/info").glob("*.list"):
        for line in file.read_text(errors="surrogateescape").splitlines():
            found.add(line if line.startswith("/usr/") else f"/usr{line}")
    return frozenset(found)


def _refuse_replacement(step: Step) -> None:
    packages = [f"{c.kind}: {c.name}" for c in step.changes if c.kind is not DiffKind.ADDED]
    files = sorted(step.files)
    if packages or files:
        raise AptOstreeError(
            "this does not only add: programs that run would lose what they were started with",
            details=[*packages, *files[:20], *([f"and {len(files) - 20} files more"] if files[20:] else [])],
            hint="apt-ostree apply-live --allow-replacement",
            code="needs-replacement",
        )


def _apply(context: Context, step: Step) -> Result:
    paths, store = context.paths, context.paths.store
    with Outside() as outside, guarding.guarded(context, store, paths.log) as guard:
        reporter = guard.context.reporter
        _require_same(paths, step.booted, step.live)
        with guard.interrupts.shielded():
            live = replace(step.live, deployment=step.booted.id, boot_id=paths.boot_id, inprogress=step.target)
            record.write(paths, live)
            with phase(reporter, "checkout", "Checking out the tree"):
                tree = _checked_out(paths, step.target)
            point("live-checkout")
            with phase(reporter, "switch", "Switching /usr"):
                outside.run(lambda: _switch(tree))
            point("live-switch")
            live, kept = _follow_etc(paths, step.booted, live, tree)
            point("live-etc")
            with phase(reporter, "users", "Making users and directories"):
                outside.run(lambda: _settle(reporter))
            point("live-settle")
            record.write(paths, replace(live, replaced=step.target, inprogress=""))
        names = ", ".join(f"/etc/{rel}" for rel in kept)
        warnings = (f"changed here, so left alone: {names}",) if kept else ()
        for warning in warnings:
            reporter.event(Warned(message=warning))
        # asked outside: paths of mounts that our namespace does not have look different from here
        stale = outside.run(lambda: services.stale(Path("/proc"), step.files))
        message = f"{step.target[:12]} is live now; at reboot the pending deployment boots."
        return replace(
            _result(context, step, changed=True, message=message),
            duration=guard.durations.seconds,
            restart=stale,
            warnings=warnings,
        )


def _require_same(paths: Paths, booted: Deployment, live: Live) -> None:
    """What was planned is for what was live then; while we waited for the lock another run may have changed it."""
    now = sysroot.load(paths).booted
    if record.current(paths, booted) != live or now is None or now.unlocked is not Unlocked.NONE:
        raise AptOstreeError("what is live changed meanwhile", hint="repeat the command", code="live-changed")


def _result(context: Context, step: Step, *, changed: bool, message: str) -> Result:
    return Result(
        command=context.options.command,
        changed=changed,
        would_change=not changed,
        deployment=step.booted,
        changes=step.changes,
        start=step.new_units,
        message=message,
    )


def _checked_out(paths: Paths, checksum: str) -> Path:
    """The target's /usr as hard links of its own: a deployment may be undeployed while its files are in use."""
    tree = record.tree(paths.store, checksum)
    if not tree.is_dir():
        tree.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        fresh = tree.with_name("making")
        coreutils.remove(fresh)
        ostree.checkout(paths.repo, checksum, fresh, subpath="/usr")
        fresh.rename(tree)
    return tree


def _switch(tree: Path) -> None:
    if not os.path.samestat(USR.stat(), tree.stat()):
        mount.attach_read_only(tree, USR)


def _follow_etc(paths: Paths, booted: Deployment, live: Live, tree: Path) -> tuple[Live, tuple[str, ...]]:
    """The paths are written down before they are touched, so that an interrupted run can be taken back."""
    before = booted.path / "usr/etc"
    if live.replaced and live.replaced != live.inprogress:
        _unfollow(live, before, record.tree(paths.store, live.replaced) / "etc")
        live = replace(live, etc=())
    moves = etc.plan(before, tree / "etc", ETC)
    live = replace(live, etc=tuple(sorted({*live.etc, *moves.touched})))
    record.write(paths, live)
    etc.follow(moves.touched, tree / "etc", ETC)
    return live, moves.kept


def _unfollow(live: Live, before: Path, defaults: Path) -> None:
    """Back to the booted defaults, but for what was changed since."""
    moves = etc.plan(defaults, before, ETC)
    etc.follow(set(moves.touched) & set(live.etc), before, ETC)


def _settle(reporter: Reporter) -> None:
    """What the next boot would do for new packages: users, directories, units. Their trouble is a warning."""
    for work in (systemd.sysusers, lambda: systemd.tmpfiles("/run", "/var")):
        try:
            done = work()
        except ToolMissingError as error:
            reporter.event(Warned(message=error.message))
            continue
        if done.returncode not in (0, 65, 73):  # tmpfiles: lines it could not read, or could not carry out
            reporter.event(Warned(message="; ".join(done.stderr.splitlines()[-3:])))
    if Path("/run/systemd/system").is_dir():
        try:
            systemctl.daemon_reload()
        except (ToolError, ToolMissingError) as error:
            reporter.event(Warned(message=error.message))


def _reset(context: Context, booted: Deployment, live: Live) -> Result:
    if not (live.replaced or live.inprogress):
        return Result(command=context.options.command, changed=False, message="Nothing is live.")
    if context.options.dry_run:
        message = f"Would go back to {booted.checksum[:12]}."
        return Result(command=context.options.command, changed=False, would_change=True, message=message)
    guarding.require_root(context.options.command)
    paths = context.paths
    with Outside() as outside, guarding.guarded(context, paths.store, paths.log) as guard:
        _require_same(paths, booted, live)
        with guard.interrupts.shielded(), phase(guard.context.reporter, "switch", "Switching /usr back"):
            record.write(paths, replace(live, inprogress=live.inprogress or live.replaced))
            outside.run(lambda: _switch_back(booted.path / "usr"))
            take_back_etc(paths, booted, live)
            # its trees stay until the next boot: programs may still use them
            record.write(paths, replace(live, replaced="", inprogress="", etc=()))
        return Result(
            command=context.options.command,
            changed=True,
            deployment=booted,
            duration=guard.durations.seconds,
            message=f"The booted commit {booted.checksum[:12]} is live again.",
        )


def _switch_back(usr: Path) -> None:
    for _ in range(MOUNTS):
        if os.path.samestat(USR.stat(), usr.stat()):
            return
        mount.detach(USR)
    raise AptOstreeError("what is mounted on /usr is not ours", hint="reboot: systemctl reboot", code="live-reset")


def take_back_etc(paths: Paths, booted: Deployment, live: Live) -> None:
    """Take away from /etc what a live commit brought. Raises AptOstreeError, OSError."""
    defaults = record.tree(paths.store, live.inprogress or live.replaced) / "etc"
    if live.etc and defaults.is_dir():
        _unfollow(live, booted.path / "usr/etc", defaults)


def sweep(paths: Paths, system: sysroot.Sysroot) -> None:
    """After a reboot nothing of it is left: what an earlier boot had live goes, also from the /etc it was made in."""
    live = record.read(paths)
    booted = system.booted
    if not live.deployment or booted is None or live.boot_id == paths.boot_id:
        return
    if live.deployment == booted.id:
        take_back_etc(paths, booted, live)
    record.forget(paths)
