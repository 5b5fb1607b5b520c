"""Planning for many: larger tasks with their parts, the longest way through those that wait, and what can be done at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gitcoord.core import leases
from gitcoord.core.names import resource_of, show
from gitcoord.core.overlap import Nearby, overlaps
from gitcoord.core.readiness import Look, Standing, Survey
from gitcoord.core.records import SharedSettings
from gitcoord.core.tables import Outline


def critical(survey: Survey) -> tuple[int, ...]:
    """Return the longest way of open tasks of which each waits for the one before, the first one first. A larger task counts only
    by its parts.
    """
    length: dict[int, int] = {}
    before: dict[int, int | None] = {}
    for start in survey.tasks:
        todo = [start]
        while todo:
            seq = todo[-1]
            if seq in length:
                todo.pop()
                continue
            others = survey.blocked_by(survey.tasks[seq])
            missing = [other for other in others if other not in length]
            if missing and len(todo) <= len(survey.tasks):  # no circle is ever there
                todo += missing
                continue
            best = max(others, key=lambda other: (length.get(other, 0), -other), default=None)
            before[seq] = best
            length[seq] = (length.get(best, 0) if best is not None else 0) + (0 if survey.tasks[seq].parts else 1)
            todo.pop()
    at = max(length, key=lambda seq: (length[seq], -seq), default=None)
    way: list[int] = []
    while at is not None and len(way) <= len(length):
        way.append(at)
        at = before[at]
    return tuple(reversed(way)) if len(way) > 1 else ()


def lines(look: Look) -> list[str]:
    """Return the open tasks as a tree: parts below the larger task, what each needs behind it, `*` before the longest way."""
    tasks, way = look.survey.tasks, set(critical(look.survey))
    below: dict[int | None, list[Outline]] = {}
    for task in sorted(tasks.values(), key=lambda one: one.seq):
        below.setdefault(task.parent if task.parent in tasks else None, []).append(task)
    found: list[str] = []
    todo = [(task, 0) for task in reversed(below.get(None, []))]
    while todo:
        task, depth = todo.pop()
        found.append(_line(look.standing(task), depth, tasks, critical=task.seq in way))
        todo += [(part, depth + 1) for part in reversed(below.get(task.seq, []))]
    return found


def _line(standing: Standing, depth: int, tasks: Mapping[int, Outline], *, critical: bool) -> str:
    task = standing.task
    needs = [f"#{seq}" for seq in task.needs if seq in tasks]
    if task.parts:
        state = f"{task.parts} open part{'s' if task.parts > 1 else ''}"
    elif standing.blocked_by and not standing.held_by:
        state = "waits"
    else:
        state = standing.why() or ("in work" if standing.mine else "ready")
    after = f", after {', '.join(needs)}" if needs else ""
    return f"{'*' if critical else ' '} {'  ' * depth}#{task.seq} {show(task.title, 100)} ({show(state, 80)}{after})"


class Wave(NamedTuple):
    """So many workers could do these tasks at the same time; others are left out because they share a file with one of these."""

    chosen: tuple[Standing, ...]
    left: tuple[tuple[Standing, int], ...]


def wave(look: Look, workers: int, settings: SharedSettings) -> Wave:
    """Return the first tasks that are ready of which no two touch one file, as many as there are workers."""
    chosen: list[Standing] = []
    left: list[tuple[Standing, int]] = []
    for standing in look.ready():
        if len(chosen) == workers:
            break
        other = _shares(standing, chosen, settings)
        if other is None:
            chosen.append(standing)
        else:
            left.append((standing, other))
    return Wave(tuple(chosen), tuple(left))


def _shares(standing: Standing, chosen: Sequence[Standing], settings: SharedSettings) -> int | None:
    taken = Nearby(
        ((resource_of(text), (text, one.task.seq)) for one in chosen for text in one.task.files), fold=settings.ignorecase
    )
    for text in standing.task.files:
        what = resource_of(text)
        for other, seq in taken.to(what):
            meets = leases.can_meet(settings, what, leases.mode_of(settings, what, "exclusive"), resource_of(other), "exclusive")
            if meets and overlaps(what, resource_of(other), fold=settings.ignorecase):
                return seq
    return None
