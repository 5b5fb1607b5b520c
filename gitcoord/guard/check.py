"""The guard: may these files be written, committed or pushed, for all that this clone knows of the claims of others?

It allows from the local view, without the network. Only what it would block is looked at once more, on a fetched view; where
that can't be had it warns instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from gitcoord.coordinator.branch import Branch
from gitcoord.core import guard
from gitcoord.core.guard import Remembered, Target, Work
from gitcoord.core.leases import LeaseRef
from gitcoord.core.names import Resource
from gitcoord.core.records import Claim
from gitcoord.core.state import State
from gitcoord.core.term import is_over
from gitcoord.core.times import read_instant
from gitcoord.errors import GitcoordError
from gitcoord.git import changes
from gitcoord.git.repo import Repository
from gitcoord.git.tip import LocalTip
from gitcoord.guard.cache import STALE_AFTER
from gitcoord.guard.targets import Ground, plain
from gitcoord.guard.targets import targets as find_targets
from gitcoord.settings import Settings

FETCH_SECONDS = 2.0
"""How long a would-be block may ask the remote."""

TRAILER = "Coord-Fence"
"""By this trailer a commit names the lease that it was made under: `Coord-Fence: 42 file:src/api.py`."""

Outcome = Literal["allowed", "warned", "asked", "blocked", "off"]
"""`asked`: who is at the agent may decide; only an agent is told so, to all others it is a warning."""


@dataclass(frozen=True)
class Asked:
    """What is guarded: paths (relative to `here`), what is staged in `index`, or what is pushed (`updates`: a pre-push hook's
    standard input; "": what `git push` would send). `can_ask`: whether a person can be asked.
    """

    paths: tuple[str, ...] = ()
    here: str = ""
    staged: bool = False
    index: str = ""
    push: bool = False
    updates: str = ""
    can_ask: bool = False


@dataclass(frozen=True)
class Hindrance:
    """A lease of another, and the paths that it covers. `new`: none of them is there yet, so it never blocks; `over`: it has ended,
    and only its grace keeps others away.
    """

    lease: Claim
    paths: tuple[str, ...]
    new: bool
    over: bool = False


@dataclass(frozen=True)
class GuardAnswer:
    """What the guard says. `view_age`: seconds since the branch was read, None if it never was; `doubt`: why what would be
    blocked could not be confirmed; `cut`: more commits are pushed than were looked at; `doubtful`: which claims somebody else seems
    to have made in their holders' names.
    """

    outcome: Outcome = "allowed"
    mode: str = ""
    hindrances: tuple[Hindrance, ...] = ()
    over: tuple[guard.Over, ...] = ()
    view_age: float | None = None
    doubt: str = ""
    cut: bool = False
    doubtful: tuple[str, ...] = ()
    state: State | None = None
    now: datetime | None = None
    good: str = ""

    @property
    def stale(self) -> bool:
        """Whether the view is so old that somebody should look."""
        return self.state is not None and (self.view_age is None or self.view_age > STALE_AFTER)


@dataclass(frozen=True)
class _Subject:
    """What is about to happen: the files, and the commits of a push."""

    targets: tuple[Target, ...]
    works: tuple[Work, ...] = ()
    cut: bool = False


def look(branch: Branch, repo: Repository, settings: Settings, asked: Asked) -> GuardAnswer:
    """The guard's answer. Raises NotInitialised where there is no branch."""
    if not repo.work_tree:
        return GuardAnswer()
    local = isinstance(branch.parts.log.tip, LocalTip)  # without a remote the truth is at hand
    view = branch.look_again(FETCH_SECONDS) if local else branch.view(fresh=False)
    mode = settings.guard or view.state.rules.settings.guard
    if mode == "off":
        return GuardAnswer("off", mode)
    subject = _subject(repo, settings, asked, branch.acting.actor.namespace)
    found = _judge(branch, view.state, subject)
    doubt = ""
    stops: Outcome | None = "blocked" if mode == "block" else "asked" if mode == "ask" and asked.can_ask else None
    if stops and not local and _forbids(*found):
        try:
            view = branch.look_again(FETCH_SECONDS)
            found = _judge(branch, view.state, subject)
        except GitcoordError as error:
            doubt = error.message
    hindrances, over = found
    outcome: Outcome = "allowed"
    if hindrances or over:
        outcome = stops if stops and not doubt and _forbids(*found) else "warned"
    read_at = branch.parts.log.memory.read_at()
    age = max(0.0, (branch.parts.now() - read_at).total_seconds()) if read_at else None
    return GuardAnswer(
        outcome, mode, hindrances, over, 0.0 if local else age, doubt, subject.cut, _doubtful(branch, hindrances),
        state=view.state, now=branch.time_now(), good=view.checked.good,
    )  # fmt: skip


def _doubtful(branch: Branch, hindrances: Sequence[Hindrance]) -> tuple[str, ...]:
    from gitcoord.coordinator.speakers import Speakers  # here: where nothing is in the way it isn't needed

    held = [(one.lease.fence, one.lease.claimed_by) for one in hindrances]
    return tuple(Speakers(branch.parts, branch).doubts(held)) if held else ()


def _forbids(hindrances: Sequence[Hindrance], over: Sequence[guard.Over]) -> bool:
    return bool(over) or any(not one.new for one in hindrances)


def _judge(branch: Branch, state: State, subject: _Subject) -> tuple[tuple[Hindrance, ...], tuple[guard.Over, ...]]:
    claims, me, now = state.claims.values(), branch.acting.actor.session, branch.time_now()
    found, fold = [], branch.folds(state)
    for lease, hit in guard.in_the_way(claims, subject.targets, session=me, now=now, grace=state.rules.grace, fold=fold):
        there = tuple(one.path for one in hit if not one.new)
        found.append(Hindrance(lease, there or tuple(one.path for one in hit), new=not there, over=is_over(lease, now)))
    over = (
        guard.over(claims, subject.works, remembered=_remembered(branch), session=me, now=now, fold=fold) if subject.works else []
    )
    return tuple(found), tuple(over)


def _remembered(branch: Branch) -> list[Remembered]:
    """The leases that the session has, as far as it knows, and those that it was seen to have lost."""
    me = branch.acting.actor.session
    entries: list[tuple[str, str]] = (
        [(entry, "") for entry in branch.parts.identity.held(me)] + branch.parts.identity.lost(me) if me else []
    )
    found = []
    for entry, until in entries:
        try:
            fence, resource = LeaseRef.parse(entry)
            found.append(Remembered(fence, resource, read_instant(until) if until else None))
        except ValueError:
            continue
    return found


# --- what is about to happen -------------------------------------------------------------------------------------------


def _subject(repo: Repository, settings: Settings, asked: Asked, within: str) -> _Subject:
    """`within`: what the names of this repository's files begin with, where several share the branch."""
    ground = Ground(tuple(repo.work_trees()), (repo.common_dir, repo.git_dir), within) if asked.paths else Ground(())
    targets = find_targets(ground, asked.paths, asked.here)
    if asked.staged:
        targets += [Target(plain(one.path, within), one.added) for one in changes.staged(repo, asked.index)]
    if not asked.push:
        return _Subject(tuple(targets))
    coordination = changes.branch_ref(settings.branch)
    lines = [one for one in changes.updates(asked.updates) if one.remote_ref != coordination] if asked.updates else None
    commits, cut = changes.pushed(repo, lines, trailer=TRAILER)
    first: dict[str, bool] = {}
    for commit in commits:
        for one in commit.changes:
            first.setdefault(plain(one.path, within), one.added)  # the oldest says whether the other side has it
    works = tuple(
        Work(one.commit, one.committed_at, tuple(plain(each.path, within) for each in one.changes), _fences(one.trailers))
        for one in commits
    )
    return _Subject((*targets, *(Target(path, new) for path, new in first.items())), works, cut)


def _fences(trailers: Iterable[str]) -> tuple[tuple[int, Resource], ...]:
    found = []
    for value in trailers:
        try:
            found.append(LeaseRef.parse(value.strip()))
        except ValueError:
            continue
    return tuple(found)
