"""Taking the next task: the first one that is ready, with its files, in one commit; or the reasons why there is none.

It is decided on the tip, so of all that ask at the same time each gets another task.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

from gitcoord.core import claims, clocks, handover, names
from gitcoord.core.events import Clock, Command, Event
from gitcoord.core.readiness import Look, Standing, resource
from gitcoord.core.records import Line
from gitcoord.core.sessions import acting
from gitcoord.errors import GitcoordError, Held, NothingReady

if TYPE_CHECKING:
    from gitcoord.core.state import State

_TRIED = 64  # ready tasks that are tried: what keeps the first ones is told, and that is enough to read
REASONS = 10  # tasks of which is said why they are not ready


class TakeNext(Command):
    """Takes the first task that is ready for the session.

    - `role`: as if the session had that role.
    - `files`: with the task's files.
    """

    kind: ClassVar[str] = "task.next"

    role: Line = ""
    files: bool = True
    ttl_seconds: int | None = None
    folds: bool = False


def decide_next(state: State, command: TakeNext, clock: Clock) -> Event | None:
    """Takes it. Raises NothingReady with the reasons where no task is ready."""
    me = acting(state, command)
    clocks.trust(state, clock)
    look = Look(state, me, clocks.date_of(state, clock), role=command.role, files=command.files)
    passed: list[tuple[Standing, GitcoordError]] = []
    for standing in islice(look.in_turn(), _TRIED):
        try:
            return _taken(state, command, standing, clock)
        except Held as error:  # by the grace of a lease that is over, or by a line that others stand in
            passed.append((standing, error))
    raise nothing(look, passed)


def _taken(state: State, command: TakeNext, standing: Standing, clock: Clock) -> Event | None:
    given: dict[str, Any] = {
        "op": command.op, "session": command.session, "run_id": command.run_id, "at": command.at, "caller": command.caller,
    }  # fmt: skip
    if standing.handoff is not None:
        return handover.decide_take(state, handover.TakeHandoff(handoff=standing.handoff.id, **given), clock)
    task = standing.task
    wanted = (str(resource(task.seq)), *(task.files if command.files else ()))
    asked = claims.AcquireClaims(
        resources=wanted, phase=task.phase, reason=names.show(task.title, names.SUBJECT_LIMIT), ttl_seconds=command.ttl_seconds,
        folds=command.folds, **given,
    )  # fmt: skip
    return claims.decide_acquire(state, asked, clock)


def nothing(look: Look, passed: list[tuple[Standing, GitcoordError]] | None = None) -> NothingReady:
    """Return the error that says why no task is ready: first what lacks nothing but its files, then what is held or for others,
    then what waits for other tasks.
    """
    stuck = {standing.task.seq: error for standing, error in passed or ()}
    others = [one for one in look.standings() if not one.ready or one.task.seq in stuck]
    others.sort(key=lambda one: (not one.free, one.held_by is not None, look.survey.rank(one.task)))
    waiting = sorted((task for task in look.survey.tasks.values() if look.survey.blocked_by(task)), key=look.survey.rank)
    listed = [*others[:REASONS], *(look.standing(task) for task in waiting[: max(0, REASONS - len(others))])]
    why = [describe(one, stuck.get(one.task.seq)) for one in listed]
    if not look.survey.tasks:
        return NothingReady("there is no open task", hint="gitcoord task add TITLE", data={"outcome": "nothing", "why": []})
    counts = [
        (sum(1 for one in others if one.free), "ready but for files"),
        (sum(1 for one in others if not one.free and one.held_by is not None), "in work"),
        (sum(1 for one in others if not one.free and one.held_by is None), "for others"),
        (len(waiting), "blocked"),
    ]
    parts = ", ".join(f"{count} {what}" for count, what in counts if count)
    first = f": #{why[0]['seq']} {why[0]['reason']}" if why else ""
    return NothingReady(
        f"no task is ready for you ({parts}){first}",
        hint="wait for one: gitcoord next --wait | or see all of them: gitcoord tasks",
        data={"outcome": "nothing", "why": why},
    )


def describe(standing: Standing, error: GitcoordError | None = None) -> dict[str, Any]:
    """Return why a task is not ready, as the answer has it."""
    return {
        "seq": standing.task.seq, "title": standing.task.title, "reason": error.message if error is not None else standing.why(),
        "blocked_by": list(standing.blocked_by), "held_by": standing.held_by, "for": standing.task.to,
        "files": [str(one.resource) for one in standing.files],
        "holders": sorted({one.claimed_by for one in standing.files}),
    }  # fmt: skip
