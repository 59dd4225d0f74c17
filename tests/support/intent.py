"""A simple model of what a sysroot should be after a sequence of verbs: intents of deployments, nothing of how."""

from __future__ import annotations

from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What one deployment is to be: its base, what is layered and overridden, its kernel arguments and /etc edits."""

    base: str
    requested: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()
    replaced: frozenset[tuple[str, str]] = frozenset()  # (name, version)
    kargs: tuple[str, ...] = ()
    etc: frozenset[tuple[str, str]] = frozenset()  # (file, content)


@dataclass(slots=True)
class Model:
    """The deployments in boot order. `bases`: base -> its packages of ours, name -> version."""

    bases: dict[str, dict[str, str]]
    archive: dict[str, str]  # what can be layered, name -> version
    deployments: list[Intent] = field(default_factory=list)
    pinned: set[int] = field(default_factory=set)  # indices

    @property
    def first(self) -> Intent:
        return self.deployments[0]

    def deploy(self, intent: Intent) -> None:
        """A new deployment in front: the former first stays as rollback, others only when they are pinned."""
        kept = [(0, self.first), *((at, self.deployments[at]) for at in sorted(self.pinned) if at)]
        self.pinned = {place for place, (at, _) in enumerate(kept, 1) if at in self.pinned}
        self.deployments = [self._retired(intent), *(item for _, item in kept)]

    def rollback(self) -> None:
        """The second becomes the first; ostree without set-default puts the former first behind all others."""
        count = len(self.deployments)
        self.pinned = {(at - 1) % count for at in self.pinned}
        self.deployments = [*self.deployments[1:], self.first]

    def edit(self, name: str, content: str) -> None:
        """A file of /etc of the first deployment."""
        kept = frozenset((file, text) for file, text in self.first.etc if file != name)
        self.deployments[0] = replace(self.first, etc=kept | {(name, content)})

    def tools(self, intent: Intent) -> dict[str, str]:
        """Which of our packages that deployment has, name -> version."""
        have = {name: version for name, version in self.bases[intent.base].items() if name not in intent.removed}
        layered = {name: self.archive[name] for name in intent.requested if name not in have}
        return {**have, **layered, **dict(intent.replaced)}

    def _retired(self, intent: Intent) -> Intent:
        """A replacement that the base has caught up with is over."""
        base = self.bases[intent.base]
        return replace(
            intent, replaced=frozenset((name, version) for name, version in intent.replaced if base[name] < version)
        )
