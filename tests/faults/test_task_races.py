"""One task, one winner (G20): however many call `next`, or claim one task by name, on however many machines, killed or not.

The short suite plays a few rounds; `--race-rounds 100` plays 2, 8 and 32 sessions on 1 and 8 machines as often as that.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from clones import Clone, Ran, Seat, collect
from remotes import Remote

from gitcoord.core.tasks import TaskClosed

KILLED = 0.2  # of the processes


def crowd(remote: Remote, clone: Clone, folder: Path, sessions: int, machines: int) -> list[Seat]:
    """So many sessions on so many machines, everybody started."""
    names = [f"s-{number:02}" for number in range(sessions)]
    paths = [clone(remote, folder / f"clone-{number}") for number in range(min(machines, sessions))]
    seats = [Seat(paths[number % len(paths)], folder / f"outbox-{number % len(paths)}", name) for number, name in enumerate(names)]
    Seat(seats[0].path, seats[0].outbox).ok("init")
    started = collect([Seat(seat.path, seat.outbox).start("start", seat.session) for seat in seats])
    assert [ran.code for ran in started] == [0] * sessions, started
    return seats


def race(seats: list[Seat], chance: random.Random, *words: str) -> list[Ran]:
    """All of them at once; a fifth is killed in the middle of it: when the first of the others is through."""
    children = [seat.start(*words, "--json") for seat in seats]
    doomed = chance.sample(children, round(len(children) * KILLED))
    next(child for child in children if child not in doomed).wait()
    for child in doomed:
        child.kill()
    return collect(children)


def holders(seat: Seat, task: int) -> list[str]:
    """Who holds the task now, by the branch."""
    found = seat.ok("claims")["claims"]
    return [one["claimed_by"] for one in found if (one["resource_type"], one["resource_name"]) == ("task", str(task))]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The sizes of the crowd: all of them only where the rounds are asked for."""
    if "size" in metafunc.fixturenames:
        every = [(sessions, machines) for sessions in (2, 8, 32) for machines in (1, 8)]
        few = metafunc.config.getoption("--race-rounds") == 1
        sizes = [(8, 2)] if few else every
        metafunc.parametrize("size", sizes, ids=lambda size: f"{size[0]} on {size[1]}")


def test_one_ready_task_has_one_winner(
    file_remote: Remote, clone: Clone, tmp_path: Path, pytestconfig: pytest.Config, size: tuple[int, int]
) -> None:
    seats = crowd(file_remote, clone, tmp_path, *size)
    chance = random.Random(20)
    for number in range(1, pytestconfig.getoption("--race-rounds") + 1):
        first = 2 * number - 1
        for task, words in ((first, ("next",)), (first + 1, ("claim", f"task:{first + 1}"))):
            seats[0].ok("task", "add", f"round {number}", "--file", f"f-{task}.py")
            ran = race(seats, chance, *words)
            assert {one.code for one in ran} <= {0, 3, 9, -9, 137}, ran
            [winner] = holders(seats[0], task) or [""]
            said = [one.json["claims"][0]["claimed_by"] for one in ran if one.code == 0]
            assert said in ([], [winner]), ran
            if not winner:  # the only one that was fast enough was killed before its push
                [taken] = seats[-1].ok("claim", f"task:{task}")["claims"]
                winner = taken["claimed_by"]
            next(seat for seat in seats if seat.session == winner).ok("task", "done", str(task))
    verdict = seats[0].ok("verify")
    assert (verdict["ok"], verdict["problems"]) == (True, [])


def test_many_tasks_are_each_done_once_and_no_two_workers_have_one_file(
    file_remote: Remote, clone: Clone, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    few = pytestconfig.getoption("--race-rounds") == 1
    count, sessions, machines = (10, 4, 2) if few else (40, 32, 8)
    seats = crowd(file_remote, clone, tmp_path, sessions, machines)
    chance = random.Random(21)
    rows = [f"- [ ] task {number}" for number in range(count)]
    rows = [f"{row}, after: task {chance.randrange(number)}" if number % 3 == 2 else row for number, row in enumerate(rows)]
    (seats[0].path / "plan.md").write_text("\n".join(rows))
    seats[0].ok("task", "import", "plan.md")
    for number in range(1, count + 1):
        if number % 2:
            seats[number % sessions].ok("task", "edit", str(number), "--file", f"shared-{number % 5}.py")
    for _ in range(20 * count):
        race(seats, chance, "next")
        race(seats, chance, "task", "done")
        tasks = seats[0].ok("tasks")
        if not tasks["tasks"]:
            break
    with seats[0].here() as found:
        checked = found.coordinator.branch.view().checked
        closed = [one.event.task for one in found.coordinator.log.line(checked) if isinstance(one.event, TaskClosed)]
        assert sorted(closed) == list(range(1, count + 1))
        assert found.coordinator.branch.verify().ok
