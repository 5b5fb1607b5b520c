"""Tasks: what there is to do. Added (many at once), changed, closed and reopened; each part of a line of phases is the same task.

Working on a task is a lease on `task:<number>`, an ordinary one. Which task is next is in `readiness`, taking it in `next_task`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from gitcoord.core import handoffs, leases, names, queue, readiness, records
from gitcoord.core.entries import LeaseEntry, LeaseRef
from gitcoord.core.events import Event
from gitcoord.core.readiness import Survey, circle_words
from gitcoord.core.records import (
    CodeBranch,
    CommitId,
    Count,
    Line,
    Proof,
    Task,
    TaskKey,
    TaskResult,
    TaskSeq,
    Text,
)
from gitcoord.core.tables import Outline, outline
from gitcoord.core.task_cards import (
    AT_ONCE,
    CardText,
    Change,
    ChangeText,
    For,
    begun,
    read_card,
    read_change,
    spelled_name,
    split_phase,
)
from gitcoord.core.term import is_over

if TYPE_CHECKING:
    from gitcoord.core.state import Draft, State


class TaskAdded(Event):
    """Tasks are there; the first of them has the number `first`."""

    kind: ClassVar[str] = "task.added"
    needs_session: ClassVar[bool] = False
    trailers: ClassVar[dict[str, str]] = {"cards": "Card"}

    first: Count
    cards: Annotated[tuple[CardText, ...], Field(min_length=1, max_length=AT_ONCE)]

    @property
    def makes(self) -> bool:
        """Nothing under its id but tasks, which have numbers."""
        return False

    def headline(self) -> str:
        """The commit's subject."""
        if len(self.cards) == 1:
            return f"task: #{self.first} {read_card(self.cards[0]).title}, by {self.session}"
        return f"tasks: #{self.first} to #{self.first + len(self.cards) - 1} are added by {self.session}"

    def numbers(self) -> range:
        """Return the numbers of the tasks."""
        return range(self.first, self.first + len(self.cards))

    def id_of(self, seq: int) -> str:
        """Return the id of the task with that number."""
        return self.id if len(self.cards) == 1 else f"{self.id}.{seq - self.first}"

    def _made(self, repo: str | None) -> list[Task]:
        return [
            Task(
                id=self.id_of(seq), seq=seq, title=card.title, body=card.body or None, priority=card.priority, needs=card.needs,
                files=card.files, parent=card.parent, found_in=card.found_in, key=card.key, repo=repo, created_by=self.session,
                created_at=self.at, **begun(card.phases, card.to),
            )
            for seq, card in zip(self.numbers(), map(read_card, self.cards), strict=True)
        ]  # fmt: skip

    def evolve(self, draft: Draft) -> None:
        """The tasks appear, with the keys that stand for them. Nothing, where it names no first number: no such event is valid."""
        if not self.first:
            return
        known = draft.session(self.session)
        for task in self._made(known.repo if known else None):
            draft.put("tasks", task.seq, task)
            if task.key is not None:
                draft.put("task_keys", task.key, TaskKey(key=task.key, seq=task.seq))
            if task.parent is not None:
                _count_part(draft, task.parent, 1)
        _count(draft, added=len(self.cards))

    def problem(self, state: State, committed_at: datetime) -> str | None:
        """The next numbers, keys that nobody has, tasks that there are, and no circle. An ended session's tasks harm nobody."""
        if self.session not in state.sessions:
            return f"{self.session} is not a session"
        if self.first != state.rules.tasks.added + 1:
            return f"its first task is #{self.first}, the next one is #{state.rules.tasks.added + 1}"
        last = self.first + len(self.cards) - 1
        cards = [read_card(text) for text in self.cards]
        keys = [card.key for card in cards if card.key is not None]
        twice = next((key for key in keys if key in state.task_keys), None)
        if twice is not None or len(set(keys)) < len(keys):
            return f"the key {names.show(twice or keys[0], 80)} stands for a task already"
        fresh = {task.seq: outline(task) for task in self._made(None)}
        for seq, card in zip(self.numbers(), cards, strict=True):
            if any(other > last or other == seq for other in (*card.needs, card.parent or 0, card.found_in or 0)):
                return f"#{seq} names a task that isn't there"
            if card.parent is not None and card.parent not in fresh and not _is_open(state, card.parent):
                return f"#{card.parent} is not open, so it can have no new part"
        # Tasks that need older ones only, and are part of none, can close no circle: nobody waits for them yet.
        back = all(
            card.parent is None and max(card.needs, default=0) < seq for seq, card in zip(self.numbers(), cards, strict=True)
        )
        return None if back else _circle_problem(state, fresh)


class TaskChanged(Event):
    """An open task is another one now."""

    kind: ClassVar[str] = "task.changed"
    trailers: ClassVar[dict[str, str]] = {"change": "Card"}

    task: TaskSeq
    change: ChangeText

    @property
    def makes(self) -> bool:
        """Nothing under its id."""
        return False

    def headline(self) -> str:
        """The commit's subject."""
        if self.lapsed:
            return f"task: #{self.task} (too late: {self.lapsed})"
        what = ", ".join(spelled_name(name) for name in Change.model_fields if name in read_change(self.change).model_fields_set)
        return f"task: #{self.task} has another {what}, by {self.session}"

    def evolve(self, draft: Draft) -> None:
        """The fields change; a task that changes its place counts there."""
        task = draft.task(self.task)
        if task is None:
            return
        changed = _changed(task, read_change(self.change))
        draft.put("tasks", task.seq, changed)
        if changed.parent != task.parent and task.is_open:
            for parent, step in ((task.parent, -1), (changed.parent, 1)):
                if parent is not None:
                    _count_part(draft, parent, step)

    def problem(self, state: State, committed_at: datetime) -> str | None:
        """An open task, tasks that there are, and no circle."""
        task = state.tasks.get(self.task)
        if task is None or not task.is_open:
            return f"#{self.task} is no open task"
        changed = _changed(task, read_change(self.change))
        named = (*changed.needs, *(one for one in (changed.parent, changed.found_in) if one is not None))
        if any(other > state.rules.tasks.added or other == task.seq for other in named):
            return f"#{task.seq} names a task that isn't there"
        if changed.parent is not None and changed.parent != task.parent and not _is_open(state, changed.parent):
            return f"#{changed.parent} is not open, so it can have no new part"
        if (changed.needs, changed.parent) == (task.needs, task.parent):
            return None
        return _circle_problem(state, {task.seq: outline(changed)})


class TaskClosed(Event):
    """A task is done or dropped, or (`next_phase`, `to`) goes on in another phase or with another worker. Its leases are free."""

    kind: ClassVar[str] = "task.closed"
    text: ClassVar[str] = "note"
    trailers: ClassVar[dict[str, str]] = {"next_phase": "Next-Phase", "released": "Released"}

    task: TaskSeq
    status: Literal["done", "dropped"] = "done"
    released: Annotated[tuple[LeaseEntry, ...], Field(max_length=4096)] = ()
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

    @property
    def makes(self) -> bool:
        """Nothing under its id."""
        return False

    @property
    def goes_on(self) -> bool:
        """Return True if the task is open again."""
        return self.status == "done" and (self.next_phase is not None or self.to is not None)

    def headline(self) -> str:
        """The commit's subject."""
        if self.lapsed:
            return f"task: #{self.task} (too late: {self.lapsed})"
        if self.goes_on:
            phase = f" for {self.next_phase}" if self.next_phase else ""
            return f"pass on: task #{self.task} is ready{phase}{f' ({self.to})' if self.to else ''}, by {self.session}"
        proof = (
            "" if self.proof_exit is None else ", proof passed" if self.proof_exit == 0 else f", proof failed ({self.proof_exit})"
        )
        return f"{'done' if self.status == 'done' else 'drop'}: task #{self.task} by {self.session}{proof}"

    def _result(self) -> TaskResult | None:
        proof = None
        if self.proof is not None:
            proof = Proof(
                command=self.proof, exit_code=self.proof_exit or 0, commit=self.proof_commit, seconds=self.proof_seconds or 0
            )
        made = TaskResult(commit=self.commit, branch=self.branch, tests=self.tests, proof=proof)
        return made if made != TaskResult() else None

    def evolve(self, draft: Draft) -> None:
        """The task closes, or stands in its next phase; the leases go, and a larger task is done with its last part."""
        task = draft.task(self.task)
        if task is None or not task.is_open:
            return
        for entry in self.released:
            fence, resource = LeaseRef.parse(entry)
            leases.drop(draft, self.session, fence, resource)
        _free(draft, task.seq)
        _withdraw(draft, task.seq, self)
        said: dict[str, Any] = {"result": self._result(), "note": self.note, "done_by": self.session, "done_at": self.at}
        if self.goes_on:
            phases = task.phases
            at = next((n for n, text in enumerate(phases) if split_phase(text)[0] == self.next_phase), None)
            left = phases if at is None else phases[at + 1 :]
            said |= {"phase": self.next_phase or task.phase, "phases": left}
            said["to"] = None if self.to == handoffs.ANYONE else self.to
            draft.put("tasks", task.seq, task.model_copy(update=said))
            return
        _leave_line(draft, task.seq)
        draft.put("tasks", task.seq, task.model_copy(update={**said, "status": self.status}))
        _count(draft, **{self.status: 1})
        if task.parent is not None:
            _part_is_over(draft, task.parent, self)

    def problem(self, state: State, committed_at: datetime) -> str | None:
        """An open task that nobody else holds, and own leases, by their fences."""
        task = state.tasks.get(self.task)
        if task is None or not task.is_open:
            return f"#{self.task} is no open task"
        if self.status == "done" and not self.goes_on and task.parts:
            return f"#{self.task} has open parts"
        holder = _holder(state, self.task, committed_at)
        if holder is not None and holder.claimed_by != self.session:
            return f"{holder.claimed_by} holds task:{self.task}"
        for entry in self.released:
            fence, resource = LeaseRef.parse(entry)
            if leases.find(state.claims.get, self.session, fence, resource) is None:
                return f"{self.session} doesn't hold {resource} with fence {fence}"
        return None


class TaskReopened(Event):
    """A task that was done or dropped is open again."""

    kind: ClassVar[str] = "task.reopened"
    text: ClassVar[str] = "note"

    task: TaskSeq
    note: Text | None = None

    @property
    def makes(self) -> bool:
        """Nothing under its id."""
        return False

    def headline(self) -> str:
        """The commit's subject."""
        return f"reopen: task #{self.task} by {self.session}" + (f" (too late: {self.lapsed})" if self.lapsed else "")

    def evolve(self, draft: Draft) -> None:
        """It is open, and so is the larger task that was done with it."""
        _reopen(draft, self.task, self.note)

    def problem(self, state: State, committed_at: datetime) -> str | None:
        """A closed task that lies in the tree, and no circle with what is open now."""
        task = state.tasks.get(self.task)
        if task is None or task.is_open:
            return f"#{self.task} is no closed task"
        fresh: dict[int, Outline] = {}
        again: Task | None = task
        while again is not None and again.seq not in fresh:
            fresh[again.seq] = outline(again)
            larger = state.tasks.get(again.parent) if again.parent is not None else None
            again = larger if larger is not None and larger.status == "done" else None
        return _circle_problem(state, fresh)


def _holder(state: State, seq: int, now: datetime) -> records.Claim | None:
    """Return the lease of who works on the task; None where nobody does."""
    what = readiness.resource(seq)
    return next((one for one in state.claims.values() if one.resource == what and not is_over(one, now)), None)


def _is_open(state: State, seq: int) -> bool:
    task = state.tasks.get(seq)
    return task is not None and task.is_open


def _circle_problem(state: State, fresh: Mapping[int, Outline]) -> str | None:
    circle = Survey({**state.tasks.open(), **fresh}).circle(fresh)
    return f"tasks would wait for each other for ever: {circle_words(circle)}" if circle else None


def _changed(task: Task, change: Change) -> Task:
    """Return the task with those changes. A new line of phases begins at its first one."""
    given = {name: getattr(change, name) for name in change.model_fields_set}
    if "phases" in given:
        given |= begun(given["phases"], given.get("to", task.to if not given["phases"] else None))
    return task.model_copy(update=given)


def _count(draft: Draft, **steps: int) -> None:
    if draft.branch is not None:
        counts = draft.branch.tasks
        draft.change_branch(
            tasks=counts.model_copy(update={key: max(0, getattr(counts, key) + step) for key, step in steps.items()})
        )


def _count_part(draft: Draft, parent: int, step: int) -> Task | None:
    task = draft.task(parent)
    if task is None:
        return None
    task = task.model_copy(update={"parts": max(0, task.parts + step)})
    draft.put("tasks", parent, task)
    return task


def _part_is_over(draft: Draft, parent: int, event: Event) -> None:
    """A part was closed: with the last one the larger task is done, and perhaps the one above it."""
    task = _count_part(draft, parent, -1)
    if task is None or not task.is_open or task.parts:
        return
    _leave_line(draft, parent)  # a lease on it stays its holder's, and is of no use any more
    draft.put("tasks", parent, task.model_copy(update={"status": "done", "done_by": event.session, "done_at": event.at}))
    _count(draft, done=1)
    if task.parent is not None:
        _part_is_over(draft, task.parent, event)


def _reopen(draft: Draft, seq: int, note: str | None) -> None:
    task = draft.task(seq)
    if task is None or task.is_open:
        return
    update: dict[str, Any] = {"status": "open", "done_by": None, "done_at": None}
    draft.put("tasks", seq, task.model_copy(update=update | ({"note": note} if note else {})))
    _count(draft, **{task.status: -1})
    if task.parent is not None:
        larger = _count_part(draft, task.parent, 1)
        if larger is not None and larger.status == "done":
            _reopen(draft, task.parent, None)


def _free(draft: Draft, seq: int) -> None:
    """Takes away the leases on a task: who closes it holds it, and what others had is over."""
    what = readiness.resource(seq)
    for key, lease in draft.claims().items():
        if lease.resource == what:
            draft.put("claims", key, None)


def _withdraw(draft: Draft, seq: int, event: Event) -> None:
    """Takes back what the session had handed over of a task: it is over, or goes on as its line says."""
    what = str(readiness.resource(seq))
    for offer in draft.handoffs().values():
        if offer.status == "open" and offer.sender == event.session and what in offer.resources:
            handoffs.take(draft, offer, event.session, event.at)


def _leave_line(draft: Draft, seq: int) -> None:
    """Takes away the tickets of who waits for a task that is over."""
    what = str(readiness.resource(seq))
    for ticket_seq, ticket in draft.waiting().items():
        if what in ticket.resources and (not ticket.any_of or len(ticket.resources) == 1):
            draft.put("waiting", ticket_seq, None)
            queue.show_waiting(draft, ticket.session_id)
