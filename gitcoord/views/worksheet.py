"""A task as its worker needs it: what to do, on which files, what came of the tasks before it, who asked. Bounded in bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from gitcoord.core.names import show, show_text
from gitcoord.core.readiness import Standing
from gitcoord.core.records import Task
from gitcoord.core.times import spell
from gitcoord.views.as_json import file_words

LIMIT = 4096
"""Bytes of a worksheet: what an agent reads before each piece of work."""

_BODY = 2400  # bytes of the task's own text that are shown at most
_NEEDS = 10  # tasks of which is shown what came of them


def lines(
    task: Task, needs: Sequence[Task] = (), standing: Standing | None = None, *, limit: int = LIMIT,
    when: Callable[[datetime], str] = spell,
) -> list[str]:  # fmt: skip
    """Return the worksheet. What doesn't fit is cut, and the last line says how to read all of it. `when`: spells its times."""
    head = [title(task)]
    head += _facts(task, standing, when)
    tail = list(_results(task, needs))
    body = show_text(task.body or "").strip()
    room = min(_BODY, limit - sum(len(line.encode()) + 1 for line in (*head, *tail)) - 120)
    cut = len(body.encode()) > room
    if cut:
        body = body.encode()[: max(0, room)].decode("utf-8", "ignore").rstrip() + " …"
    found = [*head, *(["", *body.splitlines(), ""] if body else []), *tail]
    if cut:
        found.append(f"all of it: gitcoord task show {task.seq} --json")
    return found


def title(task: Task) -> str:
    """Return a task in one line."""
    phase = f" [{show(task.phase, 40)}]" if task.phase else ""
    return f"#{task.seq}{phase} {show(task.title, 200)}"


def _facts(task: Task, standing: Standing | None, when: Callable[[datetime], str]) -> Iterator[str]:
    asked = f"asked by {task.created_by} {when(task.created_at)}, priority {task.priority}"
    yield asked + (f", found in #{task.found_in}" if task.found_in else "") + (f", part of #{task.parent}" if task.parent else "")
    if task.status != "open":
        yield f"{task.status} by {task.done_by}" + (f" {when(task.done_at)}" if task.done_at else "")
    if task.to:
        yield f"for {task.to}"
    if task.phases:
        yield "then: " + show(" → ".join(task.phases), 200)
    if task.files:
        yield "files: " + show(", ".join(map(file_words, task.files)), 600)
    if task.key:
        yield f"key: {show(task.key, 200)}"
    if standing is not None and not standing.ready:
        yield show(f"not ready: {standing.why()}", 300)
    elif standing is not None and standing.lease is None:
        yield "ready"


def _results(task: Task, needs: Sequence[Task]) -> Iterator[str]:
    if task.done_by is not None and (task.note or task.result):
        yield ("the phase before: " if task.status == "open" else "result: ") + _result(task)
    for one in needs[:_NEEDS]:
        yield f"needs #{one.seq} {show(one.title, 80)}: " + (_result(one) if one.status != "open" else "open")
    if len(needs) > _NEEDS:
        yield f"and {len(needs) - _NEEDS} more that it needs"


def _result(task: Task) -> str:
    words = ["done" if task.status == "open" else task.status, f"by {task.done_by}"]
    result = task.result
    if result is not None:
        words += [f"commit {result.commit[:12]}"] if result.commit else []
        words += [f"on {show(result.branch, 60)}"] if result.branch else []
        words += [f"tests {result.tests}"] if result.tests else []
        if result.proof is not None:
            ended = "passed" if result.proof.exit_code == 0 else f"ended with {result.proof.exit_code}"
            words += [f"`{show(result.proof.command, 60)}` {ended}"]
    return ", ".join(words) + (f": {show(task.note, 200)}" if task.note else "")
