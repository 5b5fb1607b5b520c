"""A branch in the small with tasks on it: what sessions do with tasks, and which are ready by a rule said once more, slowly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pure_branch import Story, resource

from gitcoord.core.next_task import TakeNext
from gitcoord.core.readiness import Look
from gitcoord.core.records import Task
from gitcoord.core.state import State
from gitcoord.core.task_cards import NewTask
from gitcoord.core.task_commands import AddTasks, ChangeTask, CloseTask, ReopenTask


def new_task(title: str, **given: Any) -> NewTask:
    """A task to add; files may be given as paths, tasks by number."""
    for key in ("needs", "files"):
        given[key] = tuple(resource(one) if key == "files" else str(one) for one in given.get(key, ()))
    for key in ("parent", "found_in"):
        given[key] = None if given.get(key) is None else str(given[key])
    return NewTask(title=title, **given)


@dataclass
class PlanStory(Story):
    """A story with tasks."""

    def add(self, session: str, title: str = "work", **given: Any) -> Any:
        """A session adds one task."""
        return self.ask(self.command(AddTasks, session, tasks=(new_task(title, **given),)))

    def add_many(self, session: str, *cards: NewTask) -> Any:
        """A session adds those tasks at once."""
        return self.ask(self.command(AddTasks, session, tasks=cards))

    def edit(self, session: str, seq: int, **fields: Any) -> Any:
        """A session changes a task."""
        return self.ask(self.command(ChangeTask, session, task=str(seq), fields=fields))

    def close(self, session: str, seq: int, status: str = "done", **given: Any) -> Any:
        """A session closes a task."""
        return self.ask(self.command(CloseTask, session, task=str(seq), status=status, **given))

    def reopen(self, session: str, seq: int) -> Any:
        """A session opens a task again."""
        return self.ask(self.command(ReopenTask, session, task=str(seq)))

    def next(self, session: str, **given: Any) -> Any:
        """A session takes the next task."""
        return self.ask(self.command(TakeNext, session, **given))

    def task(self, seq: int) -> Task:
        """The task of that number."""
        return self.state.tasks[seq]

    def ready(self, session: str) -> list[int]:
        """The numbers of the tasks that the session could take, the next one first."""
        look = Look(self.state, self.state.sessions[session], self.now)
        return [one.task.seq for one in look.ready()]


def ready_slowly(state: State, session: str, now: Any) -> set[int]:
    """Which tasks the session could take, by the words of the protocol, one task and one lease after the other.

    For tasks without receivers and files.
    """
    every = dict(state.tasks.items())

    def undone(seq: int) -> bool:
        return seq in every and every[seq].status == "open"

    found = set()
    for seq, task in every.items():
        if task.status != "open" or any(undone(one.seq) and one.parent == seq for one in every.values()):
            continue
        larger: Task | None = task
        while larger is not None and larger.status == "open" and not any(undone(one) for one in larger.needs):
            larger = every.get(larger.parent) if larger.parent is not None else None
        if larger is not None and larger.status == "open":
            continue
        held = [one for one in state.claims.values() if str(one.resource) == f"task:{seq}" and one.expires_at > now]
        if all(one.claimed_by == session for one in held):
            found.add(seq)
    return found
