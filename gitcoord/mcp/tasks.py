"""Tasks, for an agent: the list, new ones, what is done, and the next one; built on what the coordinator offers of them."""

from __future__ import annotations

from typing import Any

from gitcoord.connection.connect import Connection
from gitcoord.core import handoffs, names
from gitcoord.core.events import Receipt
from gitcoord.core.names import Resource, branch_or_none, counted, show
from gitcoord.core.task_cards import NewTask
from gitcoord.core.values import oid_or_none
from gitcoord.errors import BadInput, NothingReady
from gitcoord.mcp import answers
from gitcoord.mcp.answers import ToolAnswer
from gitcoord.mcp.schemas import NextGiven, TasksGiven
from gitcoord.views import as_json, worksheet

_LISTED = 50  # tasks of one answer


def take(found: Connection, given: NextGiven, wait: float | None) -> ToolAnswer:
    """Takes the next task, or says why there is none."""
    tasks = found.coordinator.tasks
    try:
        taken = tasks.next(role=given.role or "", files=given.files, wait=wait)
    except NothingReady as error:
        record = {"outcome": "nothing", "task": None, "claims": [], **error.data, "origin": answers.ORIGIN}
        lines = [f"#{one['seq']} {show(one['title'], 100)}: {show(one['reason'], 200)}" for one in error.data.get("why", ())]
        return ToolAnswer(record, ["no task is ready for you", "do something else, or call it again with wait_seconds"], lines)
    record = {
        **answers.receipt(taken.receipt), "outcome": "held", "task": as_json.task(taken.task, None, taken.needs),
        "claims": [answers.lease(one) for one in taken.leases], "why": [], "origin": answers.ORIGIN,
    }  # fmt: skip
    ours = [f"task #{taken.task.seq} is yours", *answers.held(taken.leases), "when it is done: tasks with action done"]
    return ToolAnswer(record, ours, worksheet.lines(taken.task, taken.needs))


def carry_out(found: Connection, given: TasksGiven, files: list[Resource]) -> ToolAnswer:
    """Lists, shows, adds or closes."""
    tasks = found.coordinator.tasks
    if given.action == "list":
        every = [as_json.entry(*one) for one in tasks.listed()]
        lines = [f"#{one['seq']} {show(one['title'], 100)}: {show(one['why'] or 'ready', 200)}" for one in every[:_LISTED]]
        record = {"tasks": every[:_LISTED], "more": max(0, len(every) - _LISTED), "origin": answers.ORIGIN}
        return ToolAnswer(record, [counted(len(every), "open task")], lines)
    if given.action == "add":
        return _add(found, given, files)
    if given.id is None:
        raise BadInput(f"{given.action} needs the task's id: its number", hint="tasks lists them")
    if given.action == "show":
        task, standing, needs = tasks.find(given.id)
        record = {"tasks": [as_json.task(task, standing, needs)], "more": 0, "origin": answers.ORIGIN}
        return ToolAnswer(record, [], worksheet.lines(task, needs, standing))
    if given.action == "reopen":
        receipt, seq = tasks.reopen(given.id, given.notes)
        return _said(receipt, seq, f"open again: #{seq}")
    head = found.repo.head()
    where: dict[str, Any] = (
        {"branch": branch_or_none(head.branch), "commit": oid_or_none(head.commit)} if given.action == "done" else {}
    )
    status = "done" if given.action == "done" else "dropped"
    closed = tasks.close(given.id, status, note=given.notes, tests=given.tests, next_phase=given.next_phase, to=given.to, **where)
    how = f"ready for {closed.task.phase or 'its next worker'}" if closed.task.is_open else closed.task.status
    return _said(closed.receipt, closed.task.seq, f"#{closed.task.seq} is {show(how, 100)}")


def _add(found: Connection, given: TasksGiven, files: list[Resource]) -> ToolAnswer:
    title = names.parse_line((given.title or "").strip(), "title", names.SUBJECT_LIMIT)
    if not title:
        raise BadInput("a new task needs a title", hint='tasks with action "add" and a title')
    to = handoffs.parse_receiver(given.to) if given.to else None
    card = NewTask(
        title=title, body=given.body, priority=2 if given.priority is None else given.priority, needs=tuple(given.needs or ()),
        files=tuple(map(str, files)), to=None if to == handoffs.ANYONE else to, phases=tuple(given.phases or ()),
        parent=given.part_of, found_in=given.found_in,
    )  # fmt: skip
    added = found.coordinator.tasks.add([card])
    seq = next(iter((*added.numbers, *added.known)), None)
    return _said(added.receipt, seq, f"added: #{seq}" if seq else "added")


def _said(receipt: Receipt, seq: int | None, line: str) -> ToolAnswer:
    told: dict[str, Any] = answers.receipt(receipt)
    return ToolAnswer({**told, "seq": seq, "event": told["seq"], "tasks": [], "more": 0}, [answers.sent(receipt, line)])
