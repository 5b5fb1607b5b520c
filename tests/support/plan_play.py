"""A plan of tasks worked off by scripted workers in time that only the play moves, on the pure rules; and the same with an ideal
scheduler, with nobody who coordinates, and with one lock for all.

A worker has a speed, and a time at which it dies or never does. What is decided is judged as every reader judges it, so a play also
tests that no two workers ever have one task or one file.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from plans import PlanStory, new_task
from pure_branch import T0

from gitcoord.core.tasks import TaskClosed
from gitcoord.errors import NothingReady

POLL = 1.0  # minutes after which a worker that has nothing to do asks again
BEAT = 10.0  # minutes after which one that works says so


@dataclass(frozen=True)
class Job:
    """A task of a plan: how many minutes it takes a worker of speed 1, which others it needs, what it touches."""

    number: int
    minutes: float
    needs: tuple[int, ...] = ()
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Worker:
    """A worker of that speed, which dies at that minute (0: never)."""

    name: str
    speed: float
    dies: float = 0.0

    def lives_at(self, minute: float) -> bool:
        """Whether it is still there."""
        return not self.dies or minute < self.dies


@dataclass
class Played:
    """How a plan went: minutes until the last task was done, who had which task when, minutes of work that was thrown away."""

    minutes: float = 0.0
    spans: list[tuple[int, str, float, float]] = field(default_factory=list)
    lost: float = 0.0


def plan(seed: int, count: int, *, sharing: float = 0.0) -> list[Job]:
    """A plan by that seed: each task needs up to three earlier ones; that part of them shares ten files."""
    chance = random.Random(seed)  # a plan is no secret
    jobs = []
    for number in range(1, count + 1):
        near = range(max(1, number - 25), number)
        needs = tuple(sorted(chance.sample(near, min(len(near), chance.choice((0, 0, 1, 1, 2, 3))))))
        shared = chance.random() < sharing
        files = (f"shared/{chance.randrange(10)}.py",) if shared else (f"own/{number}.py",)
        jobs.append(Job(number, chance.lognormvariate(3.0, 0.6), needs, files))
    return jobs


def crew(seed: int, count: int, *, dying: float = 0.2, within: float = 300.0) -> list[Worker]:
    """So many workers by that seed; that part of them (never all) dies within those minutes."""
    chance = random.Random(seed)  # a crew is no secret
    dead = set(chance.sample(range(count), min(count - 1, round(count * dying))))
    return [
        Worker(f"w-{number:02}", chance.uniform(0.7, 1.3), chance.uniform(5.0, within) if number in dead else 0.0)
        for number in range(count)
    ]


# --- by the rules ------------------------------------------------------------------------------------------------------


def play(jobs: Sequence[Job], workers: Sequence[Worker], *, ttl: int = 1800) -> tuple[PlanStory, Played]:
    """The plan, worked off by `next` and `done`; the story of it, and how it went."""
    story = PlanStory.of("planner", *(one.name for one in workers))
    assert isinstance(story, PlanStory)
    for start in range(0, len(jobs), 200):
        part = jobs[start : start + 200]
        cards = [new_task(f"t{one.number}", key=f"plan:{one.number}", needs=_keys(one), files=one.files) for one in part]
        story.add_many("planner", *cards)
    by_number = {one.number: one for one in jobs}
    by_name = {one.name: one for one in workers}
    told = Played()
    order = 0
    todo: list[tuple[float, int, str, str, int]] = []

    def then(minute: float, name: str, what: str, task: int = 0) -> None:
        nonlocal order
        order += 1
        heapq.heappush(todo, (minute, order, name, what, task))

    for worker in workers:
        then(0.0, worker.name, "ask")
    began: dict[str, tuple[float, int]] = {}  # since when each works on what
    while todo and story.state.rules.tasks.open:
        minute, _, name, what, task = heapq.heappop(todo)
        if not by_name[name].lives_at(minute):
            if what in ("beat", "done") and name in began:
                told.lost += by_name[name].dies - began.pop(name)[0]
            continue
        story.now = T0 + timedelta(minutes=minute)
        if what == "ask":
            try:
                seq = _number(story, name, ttl)
            except NothingReady:
                then(minute + POLL, name, "ask")
                continue
            began[name] = minute, seq
            end = minute + by_number[seq].minutes / by_name[name].speed
            told.spans.append((seq, name, minute, end))
            then(end, name, "done", seq)
            then(minute + BEAT, name, "beat", seq)
        elif what == "beat":
            if began.get(name, (0.0, 0))[1] == task:
                story.beat(name, "working")
                then(minute + BEAT, name, "beat", task)
        else:
            story.close(name, task)
            told.minutes = max(told.minutes, minute)
            del began[name]
            then(minute, name, "ask")
    return story, told


def _keys(job: Job) -> list[str]:
    return [f"=plan:{need}" for need in job.needs]


def _number(story: PlanStory, name: str, ttl: int) -> int:
    event = story.next(name, ttl_seconds=ttl)
    return int(next(text for text in event.resources if text.startswith("task:"))[5:])


def check(story: PlanStory, jobs: Sequence[Job], told: Played) -> None:
    """Everything was done, once, in an order that the needs allow, and nobody had a file that another one had."""
    closed = [happened.event for happened in story.past if isinstance(happened.event, TaskClosed) and not happened.event.lapsed]
    assert sorted(event.task for event in closed) == [one.number for one in jobs]
    done = {event.task: (event.at - T0).total_seconds() / 60 for event in closed}
    for one in jobs:
        begun = [start for seq, _, start, _ in told.spans if seq == one.number]
        for need in one.needs:
            assert min(begun) >= done[need] - 1 / 60, (one, need)  # a commit's date has whole seconds


# --- beside it ---------------------------------------------------------------------------------------------------------


def bound(jobs: Sequence[Job], workers: Sequence[Worker]) -> float:
    """Minutes that nobody can fall below: the longest way by the fastest worker, and all work by all of them."""
    fastest = max(one.speed for one in workers)
    return max(max(_tails(jobs).values()) / fastest, sum(one.minutes for one in jobs) / sum(one.speed for one in workers))


def ideal(jobs: Sequence[Job], workers: Sequence[Worker], tries: int = 40) -> float:
    """Minutes that a scheduler needs which knows how long everything takes, who dies when, and everything at once: the best of so
    many ways to hand the tasks out.
    """
    tail = _tails(jobs)
    chance = random.Random(0)
    ways = [tail] + [{number: value * chance.uniform(0.7, 1.3) for number, value in tail.items()} for _ in range(tries)]
    return min(_handed_out(jobs, workers, way) for way in ways)


def _handed_out(jobs: Sequence[Job], workers: Sequence[Worker], tail: dict[int, float]) -> float:
    """Minutes, if the task with the longest way behind it comes first, the fastest free worker gets it, and what a dead worker had
    is free that moment.
    """
    left = {one.number: one for one in jobs}
    done: set[int] = set()
    busy: dict[str, tuple[float, Job, bool]] = {}
    minute = 0.0
    while left or busy:
        free = sorted((one for one in workers if one.name not in busy and one.lives_at(minute)), key=lambda one: -one.speed)
        taken = {name for _, job, _ in busy.values() for name in job.files}
        for job in sorted(left.values(), key=lambda one: -tail[one.number]):
            if not free:
                break
            if done.issuperset(job.needs) and taken.isdisjoint(job.files):
                worker = free.pop(0)
                end = minute + job.minutes / worker.speed
                dies = bool(worker.dies) and worker.dies < end
                busy[worker.name] = (worker.dies if dies else end, job, not dies)
                taken |= set(job.files)
                del left[job.number]
        name = min(busy, key=lambda one: busy[one][0])
        minute, job, good = busy.pop(name)
        if good:
            done.add(job.number)
        else:
            left[job.number] = job
    return minute


def _tails(jobs: Sequence[Job]) -> dict[int, float]:
    tail = {one.number: one.minutes for one in jobs}
    for one in sorted(jobs, key=lambda one: -one.number):
        for need in one.needs:
            tail[need] = max(tail[need], tail[one.number] + next(job.minutes for job in jobs if job.number == need))
    return tail


def alone(jobs: Sequence[Job], workers: Sequence[Worker], seed: int) -> Played:
    """The plan with nobody who coordinates: each worker takes some task that it doesn't know to be done, and tells what it did when
    it is done. What another did first is thrown away; where two had one file at once, the later one does half of it again.
    """
    chance = random.Random(seed)
    left = {one.number: one for one in jobs}
    told = Played()
    todo: list[tuple[float, int, Worker, Job | None, bool]] = [(0.0, n, one, None, False) for n, one in enumerate(workers)]
    order = len(todo)
    while todo and left:
        minute, _, worker, job, again = heapq.heappop(todo)
        if not worker.lives_at(minute):
            told.lost += job.minutes / worker.speed if job else 0.0
            continue
        order += 1
        if job is not None:
            took = job.minutes / worker.speed * (0.5 if again else 1.0)
            if job.number not in left:
                told.lost += took
            elif not again and _met(told.spans, job, jobs, minute - took, minute):
                told.lost += took / 2
                heapq.heappush(todo, (minute + took / 2, order, worker, job, True))
                continue
            else:
                told.spans.append((job.number, worker.name, minute - took, minute))
                del left[job.number]
                told.minutes = minute
        ready = [one for one in left.values() if not any(need in left for need in one.needs)]
        chosen = chance.choice(ready[:10]) if ready else None  # from the top of the list, as people do
        wait = chosen.minutes / worker.speed if chosen else POLL
        heapq.heappush(todo, (minute + wait, order, worker, chosen, False))
    return told


def _met(spans: Sequence[tuple[int, str, float, float]], job: Job, jobs: Sequence[Job], start: float, end: float) -> bool:
    files = {one.number: set(one.files) for one in jobs}
    return any(files[seq] & set(job.files) and begun < end and over > start for seq, _, begun, over in spans if seq != job.number)


def one_lock(jobs: Sequence[Job], workers: Sequence[Worker]) -> float:
    """Minutes that the plan takes if only one works at a time."""
    minute = 0.0
    for job in jobs:
        speeds: Iterator[float] = (one.speed for one in workers if one.lives_at(minute))
        minute += job.minutes / max(speeds)
    return minute
