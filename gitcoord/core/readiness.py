"""When a task can be worked on, by whom, and which one is next. Pure: who knows the same state gets the same answer.

A task waits for what it needs, for what the larger tasks need of which it is a part, and for its own parts. Of the tasks that
wait for nothing, a session may take those that are for it, that nobody else holds, and whose files nobody else holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from gitcoord.core import addresses, handoffs, leases, names, queue
from gitcoord.core.names import Resource
from gitcoord.core.tables import Outline
from gitcoord.core.times import spell
from gitcoord.core.values import is_whole
from gitcoord.errors import BadInput, Held

if TYPE_CHECKING:
    from gitcoord.core.overlap import Nearby
    from gitcoord.core.records import Claim, Handoff, Session, Task
    from gitcoord.core.state import State
    from gitcoord.core.tables import TaskTable

TASK = "task"
"""The type of the resource that a task's worker holds: `task:42`."""

_FIRST = 64  # tasks that a summary lists: more than a board shows


def resource(seq: int) -> Resource:
    """Return what the session holds that works on that task."""
    return names.resource_named(TASK, str(seq))


def number(what: Resource) -> int | None:
    """Return the number of the task for which the resource stands; None where it stands for none."""
    return int(what.name) if what.type == TASK and is_whole(what.name) else None


# --- who waits for whom --------------------------------------------------------------------------------------------------


class Survey:
    """The open tasks of a branch, and which of them wait for which."""

    def __init__(self, tasks: Mapping[int, Outline]) -> None:
        self.tasks = tasks
        self._reach: dict[int, int] = {}

    @cached_property
    def _parts(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for seq, task in self.tasks.items():
            if task.parent is not None:
                found.setdefault(task.parent, []).append(seq)
        return found

    def blocked_by(self, task: Outline) -> tuple[int, ...]:
        """Return the open tasks that must be done before it, each once: needs first, then its own parts."""
        return self._blocked.get(task.seq, ())

    @cached_property
    def _blocked(self) -> dict[int, tuple[int, ...]]:
        """Return what each task waits for that waits for anything."""
        found = {}
        for seq, task in self.tasks.items():
            if task.needs or task.parent is not None or seq in self._parts:
                first = dict.fromkeys((*self._needs(task), *sorted(self._parts.get(seq, ()))))
                if first:
                    found[seq] = tuple(first)
        return found

    def unblocked(self) -> list[Outline]:
        """Return the open tasks that wait for no other one."""
        return [task for seq, task in self.tasks.items() if seq not in self._blocked]

    def _needs(self, task: Outline) -> Iterator[int]:
        seen = set()
        larger: Outline | None = task
        while larger is not None and larger.seq not in seen:
            seen.add(larger.seq)
            yield from (seq for seq in larger.needs if seq in self.tasks)
            larger = self.tasks.get(larger.parent) if larger.parent is not None else None

    @cached_property
    def waiting_for(self) -> dict[int, list[int]]:
        """Return, for each task that others wait for, the numbers of those that wait for it and nothing between."""
        found: dict[int, list[int]] = {}
        for seq, others in self._blocked.items():
            for other in others:
                found.setdefault(other, []).append(seq)
        return found

    def waiters(self, seq: int) -> int:
        """Return how many open tasks wait for that one, in all."""
        return self._reached(seq).bit_count()

    def _reached(self, start: int) -> int:
        """Return the set of the tasks that wait for that one, as the bits of a number."""
        todo = [start]
        while todo:
            seq = todo[-1]
            direct = self.waiting_for.get(seq, ()) if seq not in self._reach else ()
            missing = [other for other in direct if other not in self._reach]
            if missing and len(todo) <= len(self.tasks):  # no circle is ever there; a longer way than there are tasks would be one
                todo += missing
                continue
            bits = 0
            for other in direct:
                bits |= self._reach.get(other, 0) | 1 << other
            self._reach.setdefault(seq, bits)
            todo.pop()
        return self._reach[start]

    def circle(self, starts: Iterable[int]) -> tuple[int, ...]:
        """Return tasks that wait for each other in a circle, the first one once more at the end; () where these reach none."""
        over: set[int] = set()
        for start in starts:
            way: list[int] = []
            on_way: set[int] = set()
            todo: list[tuple[int, bool]] = [(start, False)]
            while todo:
                seq, left = todo.pop()
                if left:
                    over.add(seq)
                    on_way.discard(way.pop())
                elif seq in on_way:
                    return (*way[way.index(seq) :], seq)
                elif seq not in over and seq in self.tasks:
                    way.append(seq)
                    on_way.add(seq)
                    todo.append((seq, True))
                    todo += [(other, False) for other in self.blocked_by(self.tasks[seq])]
        return ()

    def ordered(self, tasks: Iterable[Outline]) -> Iterator[Outline]:
        """Yield those tasks in the order of their ranks. How many wait for one is counted only of those that are asked for."""
        groups: dict[int, list[Outline]] = {}
        for task in tasks:
            groups.setdefault(task.priority, []).append(task)
        for _, group in sorted(groups.items()):
            yield from sorted(group, key=self.rank)

    def rank(self, task: Outline) -> tuple[int, int, int]:
        """Return by what tasks are ordered: the most urgent first, then the one for which most wait, then the oldest."""
        return (task.priority, -self.waiters(task.seq), task.seq)


def circle_words(circle: tuple[int, ...]) -> str:
    """Say which tasks would wait for each other."""
    return ", ".join(f"#{one} waits for #{other}" for one, other in pairwise(circle))


# --- whose turn it is ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Standing:
    """An open task stands so for a session, or for anybody where there is none.

    - `blocked_by`: the open tasks that must be done first.
    - `lease`: the live lease on it; `mine`: it is the session's own.
    - `offered`: it is offered to the session, by the line or (`handoff`) by its holder.
    - `files`: the leases of others on its files; `first`: the sessions that stand in line for it or its files.
    """

    task: Outline
    blocked_by: tuple[int, ...] = ()
    lease: Claim | None = None
    mine: bool = False
    offered: bool = False
    handoff: Handoff | None = None
    for_me: bool = True
    files: tuple[Claim, ...] = ()
    first: tuple[str, ...] = ()

    @property
    def free(self) -> bool:
        """Return True if all but its files is as it must be."""
        given = self.mine or self.handoff is not None  # who gave it decided for whom it is
        return not self.blocked_by and (given or (self.for_me and self.lease is None))

    @property
    def ready(self) -> bool:
        """Return True if the session can work on it now."""
        return self.free and (self.mine or self.handoff is not None or not (self.files or self.first))

    @property
    def held_by(self) -> str | None:
        """Return who works on it."""
        return self.lease.claimed_by if self.lease is not None else None

    def why(self) -> str:
        """Say why it is not ready, in a line; "" where it is."""
        if self.ready:
            return ""
        if self.lease is not None and not self.mine and self.handoff is None:
            return f"{self.lease.claimed_by} works on it until {spell(self.lease.expires_at)}"
        if self.blocked_by:
            return "waits for " + _few([f"#{seq}" for seq in self.blocked_by])
        if not self.for_me:
            return f"is for {self.task.to}"
        if self.files:
            return "; ".join(dict.fromkeys(f"{one.claimed_by} holds {one.resource}" for one in self.files[:3]))
        return f"{_few(self.first)} waits in line for it"


def _few(items: Iterable[str], limit: int = 5) -> str:
    every = list(dict.fromkeys(items))
    more = f" and {len(every) - limit} more" if len(every) > limit else ""
    return ", ".join(every[:limit]) + more


class Look:
    """The tasks of a state as a session sees them at that time. `me`: None for nobody in particular."""

    def __init__(self, state: State, me: Session | None, now: datetime, *, role: str = "", files: bool = True) -> None:
        self._state, self._now, self._files = state, now, files
        self.me = me.model_copy(update={"role": role}) if me is not None and role else me
        self.survey = Survey(state.tasks.open())

    @cached_property
    def _live(self) -> list[Claim]:
        return leases.live(self._state, self._now)

    @cached_property
    def held(self) -> dict[int, Claim]:
        """Return the live leases on tasks, by the task's number."""
        return {seq: lease for lease in self._live if (seq := number(lease.resource)) is not None}

    @cached_property
    def _others(self) -> Nearby[Claim]:
        name = self._name
        others = [one for one in self._live if one.claimed_by != name and one.resource.type != TASK]
        return leases.nearby(self._state.rules.settings, others)

    @property
    def _name(self) -> str:
        return self.me.session_id if self.me is not None else ""

    @cached_property
    def _handed(self) -> dict[int, Handoff]:
        """Return the open handoffs that the session could take, by the task that goes along."""
        found: dict[int, Handoff] = {}
        for offer in handoffs.open_for(self._state, self._name) if self.me is not None else ():
            for text in offer.resources:
                seq = number(names.resource_of(text))
                if seq is not None and offer.sender != self._name:
                    found.setdefault(seq, offer)
        return found

    def is_for_me(self, to: str | None) -> bool:
        """Return True if what is for `to` is for the session: to it, to a group it is in, or to one that is not there any more."""
        if to is None or self.me is None or to == handoffs.ANYONE or addresses.reaches(to, self.me):
            return True
        if not names.is_session_name(to):
            return False
        known = self._state.sessions.get(to)
        return known is None or not known.live

    def standing(self, task: Outline) -> Standing:
        """Return how that open task stands."""
        lease, name = self.held.get(task.seq), self._name
        mine = lease is not None and lease.claimed_by == name
        kept = lease is not None and mine and lease.offered_until is not None
        handoff = self._handed.get(task.seq)
        if handoff is not None and lease is not None and lease.claimed_by != handoff.sender:
            handoff = None
        wanted = [names.resource_of(text) for text in task.files] if self._files else []
        settings = self._state.rules.settings
        files: dict[object, Claim] = {}
        first: list[str] = []
        for what in wanted:
            files |= {one.key: one for one in leases.blocking(settings, self._others, what, "exclusive", name)}
        for what in (resource(task.seq), *wanted) if self._state.waiting else ():
            first += [ticket.session_id for ticket in queue.ahead(self._state, what, "exclusive", name, self._now)]
        return Standing(
            task, self.survey.blocked_by(task), lease, mine, handoff is not None or kept,
            handoff, self.is_for_me(task.to), tuple(files.values()), tuple(dict.fromkeys(first)),
        )  # fmt: skip

    def standings(self) -> list[Standing]:
        """Return the tasks that wait for no other one, as they stand: those that can be taken first, in the order in which they
        are taken.
        """
        ready = list(self.in_turn())
        taken = {one.task.seq for one in ready}
        others = [one for one in self.survey.unblocked() if one.seq not in taken]
        return ready + [self.standing(task) for task in self.survey.ordered(others)]

    def ready(self) -> list[Standing]:
        """Return what the session can work on now, the next one first."""
        return list(self.in_turn())

    def in_turn(self) -> Iterator[Standing]:
        """Yield what the session can work on now, the next one first: what it holds, what is offered to it, then by rank. Who asks
        for the first one does not pay for the others.
        """
        tasks = self.survey.tasks
        near = {seq for seq, one in self.held.items() if one.claimed_by == self._name} | self._handed.keys()
        first = [self.standing(tasks[seq]) for seq in near if seq in tasks]
        first = [one for one in first if one.ready and (one.mine or one.offered)]
        yield from sorted(first, key=lambda one: (one.offered, self.survey.rank(one.task)))
        taken = {one.task.seq for one in first}
        for task in self.survey.ordered(self.survey.unblocked()):
            if task.seq not in taken:
                standing = self.standing(task)
                if standing.ready:
                    yield standing


# --- one task ------------------------------------------------------------------------------------------------------------


def find(state: State, named: str) -> Task | None:
    """Return the task of that number (`42`, `#42`), key or id; None where the tree has none."""
    text = named.removeprefix("#")
    if is_whole(text):
        return state.tasks.get(int(text))
    known = state.task_keys.get(named)
    if known is not None:
        return state.tasks.get(known.seq)
    seq = next((one.seq for one in state.tasks.open().values() if one.id == named), None)
    if seq is not None:
        return state.tasks.get(seq)
    return next((one for one in state.tasks.closed() if one.id == named), None)


def missing(state: State, named: str) -> BadInput:
    """Return the error for a task that isn't there, or has left the tree."""
    text = named.removeprefix("#")
    if is_whole(text) and 0 < int(text) <= state.rules.tasks.added:
        return BadInput(
            f"task #{text} was closed long ago and has left the tree; its history stays",
            hint=f"gitcoord log --resource task:{text}",
        )
    return BadInput(f"there is no task {names.show(named, 80)}", hint="gitcoord tasks")


def is_blocked(plan: TaskTable, task: Task | Outline) -> bool:
    """Return True if it waits for another task. Only what is in its way is read."""
    seen: set[int] = set()
    larger: Task | Outline | None = task
    while larger is not None and larger.seq not in seen:
        seen.add(larger.seq)
        if any((need := plan.get(seq)) is not None and need.is_open for seq in larger.needs):
            return True
        larger = plan.get(larger.parent) if larger.parent is not None else None
        if larger is not None and not larger.is_open:
            return task.parts > 0
    return task.parts > 0


def is_to_do(state: State, what: Resource) -> bool:
    """Return False for what stands for a task that is closed."""
    seq = number(what)
    task = state.tasks.get(seq) if seq is not None and state.rules.tasks.added else None
    return task is None or task.is_open


def check_claimable(state: State, wanted: Iterable[Resource]) -> None:
    """Raise Held where one of those stands for a task that is done or dropped, BadInput where there is no such task. A branch
    without tasks lets anybody claim anything.
    """
    for what in wanted:
        seq = number(what)
        if seq is None or not state.rules.tasks.added:
            continue
        task = state.tasks.get(seq)
        if task is None:
            raise missing(state, what.name)
        if not task.is_open:
            raise Held(f"{closed_words(task)}; nobody works on it any more", hint="gitcoord tasks", data=BLOCKED)


BLOCKED = {"outcome": "blocked", "blocked_by": []}
"""What the answer to a claim says where no lease is in the way."""


def closed_words(task: Task) -> str:
    """Say who closed a task, and when."""
    when = f" {spell(task.done_at)}" if task.done_at else ""
    return f"task #{task.seq} was {task.status} by {task.done_by}{when}"


# --- in all --------------------------------------------------------------------------------------------------------------


class Summary(NamedTuple):
    """The open tasks in all: how many wait for another one, and the first of those that don't, in the order of their ranks."""

    blocked: int
    first: tuple[Outline, ...]


def summary(plan: TaskTable) -> Summary:
    """Return the summary of the open tasks. Where the same tasks were summed up before, that is read again."""
    noted = plan.recall()
    if noted is not None:
        blocked, rows = json.loads(noted)
        return Summary(blocked, tuple(as_outline(row) for row in rows))
    survey = Survey(plan.open())
    free = survey.unblocked()
    found = Summary(len(survey.tasks) - len(free), tuple(islice(survey.ordered(free), _FIRST)))
    plan.note(json.dumps([found.blocked, found.first]))
    return found


def as_outline(row: list[Any]) -> Outline:
    """Return the outline that was noted as a list of JSON. Raises ValueError, TypeError."""
    seq, title, priority, needs, files, to, phase, phases, parent, parts, key, id_ = row
    return Outline(
        seq, title, priority, tuple(needs) if needs else (), tuple(files) if files else (), to, phase,
        tuple(phases) if phases else (), parent, parts, key, id_,
    )  # fmt: skip


@dataclass(frozen=True)
class Overview:
    """All tasks at a glance. `ready` counts also what only waits for a file; `work`: the tasks in work, each with its lease;
    `first`: those that are ready and come first.
    """

    done: int
    total: int
    ready: int
    blocked: int
    work: tuple[tuple[Task, Claim], ...]
    first: tuple[Outline, ...]

    def words(self) -> str:
        """Return the sums in a line."""
        sums = f"{self.done} of {self.total} done"
        return f"{sums} · {len(self.work)} in work · {self.ready} ready · {self.blocked} blocked"


def overview(state: State, now: datetime) -> Overview:
    """Return the tasks at a glance. What is read of them: those in work, and what the summary has of the others."""
    counts = state.rules.tasks
    held = {seq: one for one in leases.live(state, now) if (seq := number(one.resource)) is not None}
    if not counts.open:
        return Overview(counts.done, counts.added - counts.dropped, 0, 0, (), ())
    work = sorted((task for task in state.tasks.some(held) if task.is_open), key=lambda one: one.seq)
    found = summary(state.tasks)
    blocked = found.blocked - sum(is_blocked(state.tasks, task) for task in work)
    taken = {task.seq for task in work}
    return Overview(
        counts.done, counts.added - counts.dropped, max(0, counts.open - len(work) - blocked), max(0, blocked),
        tuple((task, held[task.seq]) for task in work), tuple(one for one in found.first if one.seq not in taken),
    )  # fmt: skip
