"""Tasks: what there is to do. Added (many at once), changed, closed and reopened; each part of a line of phases is the same task.

Working on a task is a lease on `task:<number>`, an ordinary one. Which task is next is in `readiness`, taking it in `next_task`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from gitcoord.core import handoffs, leases, names, queue, readiness, records
from gitcoord.core.entries import LeaseEntry, LeaseRef
from gitcoord.core.events import Clock, Command, Event
from gitcoord.core.readiness import Survey, circle_words, closed_words, find, missing
from gitcoord.core.records import (
    CodeBranch,
    CommitId,
    Count,
    Line,
    Priority,
    Proof,
    ResourceText,
    Subject,
    Task,
    TaskKey,
    TaskResult,
    TaskSeq,
    Text,
)
from gitcoord.core.sessions import acting, lapse
from gitcoord.core.state import Outline, outline
from gitcoord.core.term import is_over
from gitcoord.core.values import is_whole
from gitcoord.errors import BadInput, GitcoordError, NoSession, NotHeld

if TYPE_CHECKING:
    from gitcoord.core.state import Draft, State

AT_ONCE = 512  # tasks of one event
NEEDED = 64  # tasks that one needs
TOUCHED = 63  # files that a task names: they are claimed together with the task
PHASES = 16
_BYTES = 700_000  # of the cards of one event, in plain ASCII: so its commit stays below what a reader takes
_CARD = 600_000  # characters of one card
_M = TypeVar("_M", bound=BaseModel)

Needs = Annotated[tuple[TaskSeq, ...], Field(max_length=NEEDED)]
Files = Annotated[tuple[ResourceText, ...], Field(max_length=TOUCHED)]
Phases = Annotated[tuple[Line, ...], Field(max_length=PHASES)]


def _receiver(value: str | None) -> str | None:
    if value is not None and not handoffs.is_receiver(value):
        raise ValueError("is for nobody")
    return value


For = Annotated[Line | None, AfterValidator(_receiver)]


class Card(BaseModel):
    """A new task as its event has it. `phases`: the whole line, the first phase included."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True, populate_by_name=True)

    title: Subject
    body: Text | None = None
    priority: Priority = 2
    needs: Needs = ()
    files: Files = ()
    to: For = Field(default=None, alias="for")
    phases: Phases = ()
    parent: TaskSeq | None = None
    found_in: TaskSeq | None = None
    key: Line | None = None


class Change(BaseModel):
    """What changes of a task: the fields that are there, each with its new value."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True, populate_by_name=True)

    title: Subject = ""
    body: Text | None = None
    priority: Priority = 2
    needs: Needs = ()
    files: Files = ()
    to: For = Field(default=None, alias="for")
    phases: Phases = ()
    parent: TaskSeq | None = None
    found_in: TaskSeq | None = None


# A card is JSON of one level: an object of texts, numbers and lists of them. What is between the texts has these characters only.
_TEXTS = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BETWEEN = re.compile(r"\{[\[\],:a-z0-9]*\}", re.ASCII)
_LONG = re.compile(r"[0-9]{17}|\[[^\]]*\[", re.ASCII)


def spelled(values: Mapping[str, Any]) -> str:
    """Return the JSON of a card: the only spelling that counts."""
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def _read(text: str, kind: type[_M]) -> _M:
    """Return the card in that JSON. Raises ValueError for what is spelled in another way, or isn't one."""
    between = _TEXTS.sub("", text)
    if not _BETWEEN.fullmatch(between) or _LONG.search(between):
        raise ValueError("not a card")
    values = json.loads(text)
    if spelled(values) != text:
        raise ValueError("not spelled as a card is")
    try:
        return kind.model_validate(values, strict=False) if _is_plain(values) else _refuse()
    except ValidationError as error:
        raise ValueError(f"not a card: {'.'.join(map(str, error.errors()[0]['loc']))}") from None


def _refuse() -> Any:
    raise ValueError("not a card")


_KINDS: dict[str, type | tuple[type, ...]] = {
    "title": str, "body": (str, type(None)), "priority": int, "needs": list, "files": list, "for": (str, type(None)),
    "phases": list, "parent": (int, type(None)), "found_in": (int, type(None)), "key": (str, type(None)),
}  # fmt: skip


def _is_plain(values: Mapping[str, Any]) -> bool:
    """Return True if each field has the type of JSON that it must have: nothing is left to the library to convert."""
    for key, value in values.items():
        if key not in _KINDS:
            continue
        if isinstance(value, bool) or not isinstance(value, _KINDS[key]):
            return False
        if isinstance(value, list):
            item = int if key == "needs" else str
            if not all(isinstance(one, item) and not isinstance(one, bool) for one in value):
                return False
    return "to" not in values


@lru_cache(maxsize=2048)
def read_card(text: str) -> Card:
    """Return the new task in a card. Raises ValueError."""
    return _read(text, Card)


@lru_cache(maxsize=256)
def read_change(text: str) -> Change:
    """Return the changes in a card. Raises ValueError."""
    change = _read(text, Change)
    if not change.model_fields_set or ("title" in change.model_fields_set and not change.title):
        raise ValueError("changes nothing")
    return change


def _checked(value: str) -> str:
    read_card(value)
    return value


def _changing(value: str) -> str:
    read_change(value)
    return value


CardText = Annotated[str, Field(max_length=_CARD), AfterValidator(_checked)]
ChangeText = Annotated[str, Field(max_length=_CARD), AfterValidator(_changing)]


def split_phase(text: str) -> tuple[str, str | None]:
    """Return a phase and for whom it is: `BUILD@role:coder`; None for anyone."""
    name, at, to = text.rpartition("@")
    return (name, to) if at and name and handoffs.is_receiver(to) else (text, None)


def _begun(phases: Sequence[str], to: str | None) -> dict[str, Any]:
    """Return the fields of a task that stands at the beginning of that line."""
    if not phases:
        return {"phase": None, "phases": (), "to": to}
    name, own = split_phase(phases[0])
    return {"phase": name, "phases": tuple(phases[1:]), "to": own or to}


# --- commands ------------------------------------------------------------------------------------------------------------


class NewTask(BaseModel):
    """A task as it is asked for: other tasks are named by their number, id or key; `=KEY` is one that comes along."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    title: Subject
    body: Text | None = None
    priority: Priority = 2
    needs: tuple[Line, ...] = ()
    files: Files = ()
    to: For = None
    phases: Phases = ()
    parent: Line | None = None
    found_in: Line | None = None
    key: Line | None = None


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


# --- events --------------------------------------------------------------------------------------------------------------


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
                created_at=self.at, **_begun(card.phases, card.to),
            )
            for seq, card in zip(self.numbers(), map(read_card, self.cards), strict=True)
        ]  # fmt: skip

    def evolve(self, draft: Draft) -> None:
        """The tasks appear, with the keys that stand for them."""
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


def spelled_name(field: str) -> str:
    """Return the name of a task's field as records and commands have it."""
    return "for" if field == "to" else field


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
        given |= _begun(given["phases"], given.get("to", task.to if not given["phases"] else None))
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


# --- deciding ------------------------------------------------------------------------------------------------------------


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
    if sum(len(json.dumps(card)) for card in cards) > _BYTES:
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


def parted(cards: Iterable[NewTask]) -> list[list[NewTask]]:
    """Return the new tasks in groups that each fit into one commit, in their order."""
    found: list[list[NewTask]] = []
    size = 0
    for card in cards:
        own = 200 + sum(len(json.dumps(text)) for text in (card.title, card.body or "", *card.files, *card.phases)) + 20 * NEEDED
        if not found or size + own > _BYTES or len(found[-1]) == AT_ONCE:
            found.append([])
            size = 0
        found[-1].append(card)
        size += own
    return found
