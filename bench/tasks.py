"""P6 and T1: what ten thousand tasks cost, and how long a plan of two hundred takes beside an ideal scheduler, beside nobody who
coordinates, and beside one lock for all. The plans are played in time of their own (`tests/support/plan_play.py`).
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

from plan_play import alone, check, crew, ideal, one_lock, plan, play

from bench.measure import Row, at_most, middle, ms, turns
from bench.one_command import PROGRAM
from bench.places import Place

WAY = 1000  # tasks of which each waits for the one before


def run(place: Place, count: int, rounds: int) -> Iterator[Row]:
    """The rows of P6 for tasks."""
    many, few = _seat(place, "many", count), _seat(place, "few", 10)
    commands = {"claim": ["claim", "x{}.py"], "status": [], "next": ["next"], "task done": ["task", "done"],
                "tasks --ready": ["tasks", "--ready", "--json"]}  # fmt: skip
    taken: dict[str, dict[str, list[float]]] = {}
    for number in range(rounds):  # in turn: `next` is followed by `done`, and a new task comes for each that goes
        for name, words in commands.items():
            typed = [one.format(number) for one in words]
            cases = {
                where: lambda _, env=env, clone=clone, typed=typed: _run(clone, env, *typed)
                for where, (clone, env) in (("many", many), ("few", few))
            }
            for where, times in turns(cases, 1, warm=0).items():
                taken.setdefault(name, {}).setdefault(where, []).extend(times)
        for clone, env in (many, few):
            _run(clone, env, "task", "add", f"one more {number}")
    for name, found in taken.items():
        long_, short = middle(found["many"]), middle(found["few"])
        what = f"P6 {name}, {count:,} tasks"
        yield at_most(what, ms(long_), f"{ms(short)} with 10", long_ / short, 1.2, long_s=long_, short_s=short)


def _seat(place: Place, name: str, count: int) -> tuple[Path, dict[str, str]]:
    """A clone of a remote with so many tasks, in ways of a thousand that each wait for the one before."""
    clone, env = place.clone(place.remote("file"), name), {**place.outbox(name), "GITCOORD_SESSION": "worker"}
    rows = []
    for number in range(count):
        row: dict[str, object] = {"id": f"t{number}", "title": f"Task {number} of the plan", "description": "words " * 20}
        if number % WAY:
            row["dependencies"] = [{"depends_on_id": f"t{number - 1}", "type": "blocks"}]
        rows.append(json.dumps({**row, "priority": number % 5}))
    (clone / "plan.jsonl").write_text("\n".join(rows))
    for words in (["init"], ["start", "worker"], ["task", "import", "plan.jsonl"]):
        _run(clone, env, *words)
    return clone, env


def _run(where: Path, env: dict[str, str], *words: str) -> None:
    subprocess.run([*PROGRAM, *words], cwd=where, env=env, check=True, capture_output=True, timeout=900)


def plans(count: int) -> Iterator[Row]:
    """The rows of T1: minutes of the play, not of the machine."""
    for sharing in (0.0, 0.2):
        jobs = plan(7, count, sharing=sharing)
        for workers in (1, 5, 10, 20):
            people = crew(workers, workers)
            story, told = play(jobs, people)
            check(story, jobs, told)
            best, apart, lock = ideal(jobs, people), alone(jobs, people, 3), one_lock(jobs, people)
            what = f"T1 {count} tasks, {workers} workers" + (", 20 % share files" if sharing else "")
            beside = f"{best:.0f} ideal, {apart.minutes:.0f} alone ({apart.lost:.0f} lost), {lock:.0f} one lock"
            limit = 1 / 0.85 if not sharing else apart.minutes / best
            figures = {"ideal": best, "alone": apart.minutes, "lost_alone": apart.lost, "one_lock": lock, "lost": told.lost}
            yield at_most(what, f"{told.minutes:.0f} min", beside, told.minutes / best, limit, **figures)
