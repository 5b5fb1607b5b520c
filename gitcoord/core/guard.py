"""The guard's one rule: whose claims stand in the way of writing these files, and which work was done under a lease that is over.

Pure, and of the standard library alone: a hook that has only a short list of leases at hand decides by the same rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from gitcoord.core.names import Resource
from gitcoord.core.overlap import covers
from gitcoord.core.term import is_over


class GuardedLease(Protocol):
    """What the guard needs to know of a lease."""

    @property
    def claimed_by(self) -> str:
        """The holder."""
        ...

    @property
    def mode(self) -> str:
        """`exclusive` or `shared`."""
        ...

    @property
    def fence(self) -> int:
        """Its number."""
        ...

    @property
    def expires_at(self) -> datetime:
        """When it ends."""
        ...

    @property
    def resource(self) -> Resource:
        """What is held."""
        ...


L = TypeVar("L", bound=GuardedLease)


@dataclass(frozen=True)
class Target:
    """A file that is about to be written, relative to the root. `new`: it isn't there yet; creating it takes nothing away."""

    path: str
    new: bool = False


@dataclass(frozen=True)
class Work:
    """A commit that is about to be pushed: its files, and the leases (fence, resource) that it names."""

    commit: str
    committed_at: datetime
    paths: tuple[str, ...]
    fences: tuple[tuple[int, Resource], ...] = ()


@dataclass(frozen=True)
class Remembered:
    """A lease that the session had, and until when its commits may have been made under it (None: until now)."""

    fence: int
    resource: Resource
    until: datetime | None = None


@dataclass(frozen=True)
class Over:
    """A lease that is over, and the commits that were made under it."""

    fence: int
    resource: Resource
    commits: tuple[str, ...]


def in_the_way(
    leases: Iterable[L], targets: Sequence[Target], *, session: str, now: datetime, grace: timedelta, fold: bool = False
) -> list[tuple[L, tuple[Target, ...]]]:
    """The live leases of others that cover a target, each with those targets.

    `fold`: capital and small letters name one file. A lease counts until the grace after its end is over. A shared one is no
    hindrance to who holds a shared one of the same file.
    """
    live = [one for one in leases if not is_over(one, now, grace)]
    own = [one.resource for one in live if one.claimed_by == session and one.mode == "shared"]
    found = []
    for lease in sorted((one for one in live if one.claimed_by != session), key=lambda one: (one.fence, one.resource)):
        hit = tuple(
            one
            for one in targets
            if covers(lease.resource, one.path, fold=fold)
            and not (lease.mode == "shared" and any(covers(resource, one.path, fold=fold) for resource in own))
        )
        if hit:
            found.append((lease, hit))
    return found


def over(
    leases: Iterable[GuardedLease],
    works: Sequence[Work],
    *,
    remembered: Iterable[Remembered],
    session: str,
    now: datetime,
    fold: bool = False,
) -> list[Over]:
    """The leases that are over and under which a commit was made: those that commits name, and those that the session had.

    The holder has no grace: it must know that it holds.
    """
    live = [one for one in leases if not is_over(one, now)]
    known = {(one.fence, one.resource) for one in live}
    mine = [one.resource for one in live if one.claimed_by == session and one.resource.type == "file"]
    found: dict[tuple[int, Resource], list[str]] = {}
    for work in works:
        for named in work.fences:
            if named not in known:
                found.setdefault(named, []).append(work.commit)
        for one in remembered:
            late = one.until is not None and work.committed_at > one.until
            if late or (one.fence, one.resource) in known:
                continue
            # What the session has claimed anew since is its own again.
            made_under = [path for path in work.paths if covers(one.resource, path, fold=fold)]
            if any(not any(covers(held, path, fold=fold) for held in mine) for path in made_under):
                commits = found.setdefault((one.fence, one.resource), [])
                if work.commit not in commits:
                    commits.append(work.commit)
    return [Over(fence, resource, tuple(commits)) for (fence, resource), commits in sorted(found.items())]
