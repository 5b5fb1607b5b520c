"""A session asks for something about tasks: to add some, to change, close or reopen one; `decide` says what comes of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationError

from gitcoord.core import handoffs, leases, names, readiness
from gitcoord.core.entries import LeaseEntry, LeaseRef
from gitcoord.core.events import Clock, Command, Event
from gitcoord.core.readiness import closed_words, find, missing
from gitcoord.core.records import (
    CodeBranch,
    CommitId,
    Count,
    Line,
    Task,
    Text,
)
from gitcoord.core.sessions import acting, lapse
from gitcoord.core.task_cards import AT_ONCE, EVENT_BYTES, Card, For, NewTask, spelled, spelled_name, split_phase
from gitcoord.core.tasks import TaskAdded, TaskChanged, TaskClosed, TaskReopened, _holder
from gitcoord.core.values import is_whole
from gitcoord.errors import BadInput, GitcoordError, NoSession, NotHeld

if TYPE_CHECKING:
    from gitcoord.core.state import State


class AddTasks(Command):
    """Adds tasks; one whose key is known already is left as it is."""

    kind: ClassVar[str] = "task.add"
    deferrable: ClassVar[bool] = True

    tasks: Annotated[tuple[NewTask, ...], Field(min_length=1, max_length=AT_ONCE)]


class ChangeTask(Command):
    """Changes fields of an open task: those in `fields`; `needs`, `parent` and `found_in` name tasks as a new one does."""

    kind: ClassVar[str] = "task.change"
    deferrable: ClassVar[bool] = True

    task: Line
    fields: dict[str, Any]


class CloseTask(Command):
    """Says that a task is done or dropped, or that this phase of it is over.

    - `next_phase`, `to`: it goes on in that phase, for that session or group; without, as its line of phases says.
    - `fence`: of the lease on it as its session knows it; 0 where it knows none.
    - `also`: leases that are given back besides.
    """

    kind: ClassVar[str] = "task.close"
    deferrable: ClassVar[bool] = True

    task: Line
    status: Literal["done", "dropped"] = "done"
    fence: Count = 0
    note: Text | None = None
    tests: Literal["pass", "fail"] | None = None
    branch: CodeBranch | None = None
    commit: CommitId | None = None
    proof: Line | None = None
    proof_exit: Count | None = None
    proof_commit: CommitId | None = None
    proof_seconds: Count | None = None
    next_phase: Line | None = None
    to: For = None
    also: Annotated[tuple[LeaseEntry, ...], Field(max_length=leases.AT_ONCE)] = ()


class ReopenTask(Command):
    """Opens a task again that was done or dropped."""

    kind: ClassVar[str] = "task.reopen"
    deferrable: ClassVar[bool] = True

    task: Line
    note: Text | None = None


def _resolve(state: State, named: str, coming: Mapping[str, int]) -> int:
    """Return the number of the task of that name. Raises BadInput."""
    key = named.removeprefix("=")
    if key in coming:
        return coming[key]
    if named.startswith("=") and (known := state.task_keys.get(key)) is not None:
        return known.seq
    text = named.removeprefix("#")
    if is_whole(text) and 0 < int(text) <= state.rules.tasks.added:
        return int(text)
    task = find(state, key)
    if task is None:
        raise missing(state, key)
    return task.seq


def decide_add(state: State, command: AddTasks, clock: Clock) -> Event | None:
    """Adds those that aren't there yet; nothing where all are. Raises NoSession, and BadInput for a task that it names and that
    isn't there, a key that comes twice, and a circle.
    """
    if command.session not in state.sessions:
        raise NoSession(f"no session is called {command.session}", hint="gitcoord start")
    first = state.rules.tasks.added + 1
    wanted: list[NewTask] = []
    coming: dict[str, int] = {}
    for task in command.tasks:
        known = state.task_keys.get(task.key) if task.key is not None else None
        if known is not None:
            coming[known.key] = known.seq
            continue
        if task.key is not None and task.key in coming:
            raise BadInput(f"the key {names.show(task.key, 80)} comes twice")
        if task.key is not None:
            coming[task.key] = first + len(wanted)
        wanted.append(task)
    if not wanted:
        return None
    cards = []
    for task in wanted:
        needs = tuple(dict.fromkeys(_resolve(state, one, coming) for one in task.needs))
        card = Card(
            title=task.title, body=task.body or None, priority=task.priority, needs=needs, files=tuple(dict.fromkeys(task.files)),
            to=None if task.to == handoffs.ANYONE else task.to, phases=task.phases, key=task.key,
            parent=_resolve(state, task.parent, coming) if task.parent is not None else None,
            found_in=_resolve(state, task.found_in, coming) if task.found_in is not None else None,
        )  # fmt: skip
        cards.append(spelled(card.model_dump(mode="json", by_alias=True, exclude_defaults=True)))
    if sum(len(json.dumps(card)) for card in cards) > EVENT_BYTES:
        raise BadInput(f"{len(cards)} tasks with so much text are too much for one commit", hint="add them in several parts")
    event = TaskAdded(
        id=command.op, seq=state.seq + 1, session=command.session, run_id=command.run_id, at=command.at, first=first,
        cards=tuple(cards),
    )  # fmt: skip
    wrong = event.problem(state, clock.now)
    if wrong is not None:
        raise BadInput(wrong, hint="gitcoord tasks --tree")
    return event


def _asked_for(state: State, named: str) -> Task:
    task = find(state, named)
    if task is None:
        raise missing(state, named)
    return task


def decide_change(state: State, command: ChangeTask, clock: Clock) -> Event | None:
    """Changes what isn't so already. Raises BadInput for a closed task, one that isn't there, and a circle."""
    late = lapse(state, command)
    task = _asked_for(state, command.task)
    common: dict[str, Any] = {
        "id": command.op, "seq": state.seq + 1, "session": command.session, "run_id": command.run_id, "at": command.at,
        "lapsed": late, "task": task.seq,
    }  # fmt: skip
    if not task.is_open and not late:
        raise BadInput(f"{closed_words(task)}, so it can't be changed", hint=f"gitcoord task reopen {task.seq}")
    given = dict(command.fields)
    for key in ("parent", "found_in"):
        if given.get(key) is not None:
            given[key] = _resolve(state, str(given[key]), {})
    if "needs" in given:
        given["needs"] = list(dict.fromkeys(_resolve(state, str(one), {}) for one in given["needs"]))
    now = {spelled_name(key): value for key, value in task.model_dump(mode="json").items()}
    change = {key: value for key, value in given.items() if now.get(key) != value or key == "phases"}
    if not change:
        return None
    try:
        event = TaskChanged(change=spelled(change), **common)
    except ValidationError as error:
        raise BadInput(f"task #{task.seq} can't be changed so: {error.errors()[0]['msg']}") from None
    wrong = None if late else event.problem(state, clock.now)
    if wrong is not None:
        raise BadInput(wrong, hint="gitcoord tasks --tree")
    return event


def decide_close(state: State, command: CloseTask, clock: Clock) -> Event | None:
    """Closes the task, or puts it into its next phase; nothing where the session has closed it before. Raises NotHeld where
    somebody else holds it or closed it, BadInput for one that isn't there or has open parts.
    """
    late = lapse(state, command)
    task = _asked_for(state, command.task)
    if not late:
        refused = _not_closed_by(state, task, command, clock)
        if refused is not None:
            raise refused
        if not task.is_open:
            return None
    following, to = (command.next_phase, command.to) if command.status == "done" else (None, None)
    if command.status == "done" and following is None and to is None and task.phases:
        following, to = split_phase(task.phases[0])
    elif following is not None and to is None:
        to = next((who for name, who in map(split_phase, task.phases) if name == following), None)
    return TaskClosed(
        id=command.op, seq=state.seq + 1, session=command.session, run_id=command.run_id, at=command.at, lapsed=late,
        task=task.seq, status=command.status, released=() if late else _freed(state, task, command), note=command.note or None,
        tests=command.tests, branch=command.branch, commit=command.commit, proof=command.proof, proof_exit=command.proof_exit,
        proof_commit=command.proof_commit, proof_seconds=command.proof_seconds, next_phase=following, to=to,
    )  # fmt: skip


def _not_closed_by(state: State, task: Task, command: CloseTask, clock: Clock) -> GitcoordError | None:
    """Return why the session can't close that task now; None where it can, or has."""
    if not task.is_open:
        if task.done_by == command.session and task.status == command.status:
            return None
        return NotHeld(closed_words(task), hint=f"gitcoord task show {task.seq}")
    holder = _holder(state, task.seq, clock.now)
    if holder is not None and holder.claimed_by != command.session:
        return NotHeld(
            f"{leases.words(state, holder, clock.now)}; only who holds a task closes it",
            hint=f'gitcoord request task:{task.seq} "May I have it?"',
        )
    passes = command.next_phase is not None or command.to is not None
    if command.status == "done" and task.parts and not passes:
        return BadInput(
            f"task #{task.seq} has {task.parts} open part{'s' if task.parts > 1 else ''}; it is done when they are",
            hint="gitcoord tasks --tree",
        )
    return None


def _freed(state: State, task: Task, command: CloseTask) -> tuple[str, ...]:
    """Return the session's leases that go with the task: on it, on its files, and those that were named besides. A file of
    another task that the session holds stays.
    """
    own = leases.held_by(state, command.session)
    held = {seq for one in own if (seq := readiness.number(one.resource)) is not None and seq != task.seq}
    kept = {text for other in state.tasks.some(held) if other.is_open for text in other.files}
    named = {LeaseRef.parse(entry).resource for entry in command.also}
    going = {str(readiness.resource(task.seq)), *(text for text in task.files if text not in kept), *map(str, named)}
    return tuple(one.entry for one in own if str(one.resource) in going)


def decide_reopen(state: State, command: ReopenTask, clock: Clock) -> Event | None:
    """Opens it again; nothing where it is open. Raises BadInput."""
    late = lapse(state, command)
    task = _asked_for(state, command.task)
    if task.is_open and not late:
        acting(state, command)
        return None
    event = TaskReopened(
        id=command.op, seq=state.seq + 1, session=command.session, run_id=command.run_id, at=command.at, lapsed=late,
        task=task.seq, note=command.note or None,
    )  # fmt: skip
    wrong = None if late else event.problem(state, clock.now)
    if wrong is not None:
        raise BadInput(wrong, hint="gitcoord tasks --tree")
    return event
